"""Loops over the messages of several topics: as those over one, but what is in hand of one topic goes on for no longer than a turn."""

from __future__ import annotations

from typing import Any

from .loop import AsyncioLoop, BlockingLoop
from .message import Message
from .protocol.conducting import conducting
from .protocol.reading import giving_back
from .protocol.score import TURN


def begin_turn(loop: Any, message: Any) -> Any:
    """Hand out a message of the part whose turn it is."""
    loop.hand = hand = loop.member._score.last.hand
    settings, loop.fresh, loop.note = hand.settings, hand.fresh, hand.acks.append
    loop.lease, loop.sure, loop.ends = settings.lease, settings.codec.cannot_fail, loop.clock() + TURN
    handed, loop.member._score.handed = loop.start(message), None
    return handed


def end_turn(loop: Any) -> None:
    """Nothing follows by itself where the turn is over."""
    if loop.clock() > getattr(loop, "ends", 0.0):
        loop.fresh = ()


def give_all_back(loop: Any) -> None:
    """The loop was left: so are the other parts."""
    for hand in loop.member._score.hands if loop.begun else ():
        giving_back(hand)
        hand.bell.ring()


class SeveralBlocking(BlockingLoop):
    """`for message in member`."""

    def __next__(self) -> Message:
        end_turn(self)
        message = self.swiftly()
        if message is None:
            self.member._enter(self)
            message = self.driver.run(conducting(self.member._score))
            if message is None:
                self.member._exit(self)
                raise StopIteration
            message = begin_turn(self, message)
        handed: Message = message
        return handed

    def __del__(self) -> None:
        give_all_back(self)
        super().__del__()


class SeveralAsyncio(AsyncioLoop):
    """`async for message in member`."""

    async def __anext__(self) -> Message:
        end_turn(self)
        message = self.swiftly()
        if message is None:
            await self.member._enter(self)
            message = await self.driver.run(conducting(self.member._score))
            if message is None:
                await self.member._exit(self)
                raise StopAsyncIteration
            message = begin_turn(self, message)
        handed: Message = message
        return handed

    def __del__(self) -> None:
        give_all_back(self)
        super().__del__()
