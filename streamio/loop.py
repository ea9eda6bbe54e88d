"""A loop over a member's messages: the loop body is the handler. A fresh object for each loop; what lasts is the member's hand.

1. A message is acknowledged when the next one is asked for.
2. A loop that is left (`break`, an exception, dropped) notes so and does no I/O: its message may be tried again at once, what was not started
   goes back uncounted. Inside `with member:` the end of that block decides about the message instead.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .message import Message, guarded
from .protocol.outcomes import released, succeeded
from .protocol.reading import giving_back, next_message

if TYPE_CHECKING:
    from .member import ConsumerGroupMember


class Loop:
    """What both colours share."""

    def __init__(self, member: ConsumerGroupMember[Any]) -> None:
        self.member: Any = member
        self.hand, self.driver = member._hand, member._driver
        self.message: Any = None
        self.begun = False  # this loop has the member to itself

    def over(self) -> None:
        """The message's body is through."""
        message, self.message, self.hand.current = self.message, None, None
        if message is not None:
            succeeded(self.hand, message)

    def ready(self) -> Any:
        """A message that may start without any I/O, or None."""
        hand = self.hand
        if hand.fresh and not hand.taken and not hand.halted and time.monotonic() - hand.renewed_at <= hand.settings.lease:
            try:
                return hand.fresh.popleft()
            except IndexError:  # the keeper gave them back
                return None
        return None

    def start(self, message: Any) -> Any:
        """Hand the message out."""
        if self.hand.settings.ack == "manual":
            return guarded(message)
        self.message = self.hand.current = message
        return message

    def __del__(self) -> None:
        hand, message = self.hand, self.message
        if message is not None:
            hand.current = None
            if self.member._in_block:
                hand.undecided.append(message)
            else:
                released(hand, message)
        if self.begun:
            giving_back(hand)
            self.member._free()
            hand.bell.ring()


class BlockingLoop(Loop):
    """`for message in member`."""

    def __iter__(self) -> BlockingLoop:
        return self

    def __next__(self) -> Message:
        if self.message is not None:
            self.over()
        message = self.ready()
        if message is None:
            self.member._enter(self)
            message = self.driver.run_on(self.hand.reading, next_message(self.hand))
            if message is None:
                self.member._exit(self)
                raise StopIteration
        handed: Message = self.start(message)
        return handed


class AsyncioLoop(Loop):
    """`async for message in member`."""

    def __aiter__(self) -> AsyncioLoop:
        return self

    async def __anext__(self) -> Message:
        if self.message is not None:
            self.over()
        message = self.ready()
        if message is None:
            await self.member._enter(self)
            message = await self.driver.run_on(self.hand.reading, next_message(self.hand))
            if message is None:
                await self.member._exit(self)
                raise StopAsyncIteration
        handed: Message = self.start(message)
        return handed
