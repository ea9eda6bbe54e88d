"""A loop over a member's messages: the loop body is the handler. A fresh object for each loop; what lasts is the member's hand.

1. A message is acknowledged when the next one is asked for.
2. A loop that is left (`break`, an exception, dropped) notes so and does no I/O: its message may be tried again at once, what was not started
   goes back uncounted. Inside `with member:` the end of that block decides about the message instead.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Generic

from .colour import D
from .drivers.scopes import entered
from .message import Message
from .protocol.holding import guarded
from .protocol.limiting import Limit, ended, left, limited
from .protocol.outcomes import released, succeeded
from .protocol.reading import giving_back, next_message
from .protocol.taking import opened

if TYPE_CHECKING:
    from .member import ConsumerGroupMember
    from .sinks import Sink


class Loop:
    """What both colours share. `sink`: where what comes out of a pipe that begins with this goes."""

    sink: Sink | None = None
    scope: ExitStack | None = None  # what stands around the body

    def __init__(self, member: ConsumerGroupMember[Any]) -> None:
        self.member: Any = member
        self.hand, self.driver = member._hand, member._driver
        self.message: Any = None
        self.begun = False  # this loop has the member to itself
        self.fresh, self.note = self.hand.fresh, self.hand.acks.append
        settings, self.scopes = self.hand.settings, member.scopes()
        self.lease, self.plain = settings.lease, settings.ack == "auto" and settings.handler_timeout is None and not self.scopes
        self.clock = self.driver.clock.monotonic
        self.sure = settings.codec.cannot_fail  # every payload decodes
        self.limit: Limit | None = None  # the time that the body has

    def swiftly(self) -> Any:
        """The message before is through; the next one where it may start without any I/O, else None."""
        hand, message = self.hand, self.message
        if message is not None:
            self.message = hand.current = None
            self.settle(message)
        elif not self.plain:
            self.is_over()
        clock = self.clock  # (a local is called faster)
        if not self.fresh or hand.taken or hand.halted or clock() - hand.renewed_at > self.lease:
            return None
        try:
            message = self.fresh.popleft()
        except IndexError:  # the keeper gave them back
            return None
        return self.start(message) if self.sure or opened(hand, message) else None

    def settle(self, message: Any) -> None:
        """The message's body is through. (`succeeded`, with the usual case first.)"""
        if not self.plain:
            self.settle_slowly(message)
            return
        self.hand.handled += 1
        try:
            del message._open
        except AttributeError:  # the body settled it
            return
        self.note(message.id)
        if self.hand.asleep:
            self.hand.bell.ring()

    def settle_slowly(self, message: Any) -> None:
        """As `settle`, where more than the next message ends the body. What stands around it raised: another try."""
        try:
            over = self.is_over()
        except BaseException:
            released(self.hand, message)
            raise
        if not over:
            succeeded(self.hand, message)

    def start(self, message: Any) -> Any:
        """Hand the message out."""
        if self.plain:
            self.message = self.hand.current = message
            return message
        self.limit = limited(self.hand, (message,), self.clock())
        if self.hand.settings.ack == "manual":
            guarded(message)
        else:
            self.message = self.hand.current = message
        if self.scopes:
            self.scope = entered(self.scopes, message)
        return message

    def close_scope(self, error: BaseException | None = None) -> bool:
        """Leave what stands around the body, which came to this; whether that was swallowed."""
        scope, self.scope = self.scope, None
        if scope is None:
            return False
        return bool(scope.__exit__(None, None, None) if error is None else scope.__exit__(type(error), error, error.__traceback__))

    def passed(self, message: Any, error: Exception) -> Exception | None:
        """What an error of a pipe's steps is behind what stands around them; None where that swallows it, which is success."""
        try:
            if not self.close_scope(error):
                return error
        except Exception as other:
            return other
        except BaseException:
            released(self.hand, message)
            raise
        self.settle(message)
        return None

    def is_over(self) -> bool:
        """The body is through; whether it ran out of its time, so that what it did means nothing."""
        self.close_scope()
        limit, self.limit = self.limit, None
        if limit is None:
            return False
        events = ended(self.hand, limit, self.clock(), self.driver.chance())
        for event in events or ():
            self.member.lifecycle.tell(event)
        return events is not None

    def leave(self) -> None:
        """Note that the loop is over, and what becomes of its message (2.)."""
        try:
            if self.scope is not None:
                self.close_scope(GeneratorExit())
        finally:
            self.let_go()

    def let_go(self) -> None:
        """The rest of `leave`."""
        hand, message = self.hand, self.message
        if self.limit is not None:
            left(hand, self.limit)
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
        self.message, self.limit, self.begun = None, None, False

    def __del__(self) -> None:
        self.leave()


class BlockingLoop(Loop, Generic[D]):
    """`for message in member`."""

    def __iter__(self) -> BlockingLoop[D]:
        return self

    def __next__(self) -> Message[D]:
        message = self.swiftly()
        if message is None:
            self.member._enter(self)
            message = self.driver.run_on(self.hand.reading, next_message(self.hand))
            if message is None:
                self.member._exit(self)
                raise StopIteration
            message = self.start(message)
        handed: Message[D] = message
        return handed


class AsyncioLoop(Loop, Generic[D]):
    """`async for message in member`."""

    def __aiter__(self) -> AsyncioLoop[D]:
        return self

    async def __anext__(self) -> Message[D]:
        message = self.swiftly()
        if message is None:
            await self.member._enter(self)
            message = await self.driver.run_on(self.hand.reading, next_message(self.hand))
            if message is None:
                await self.member._exit(self)
                raise StopAsyncIteration
            message = self.start(message)
        handed: Message[D] = message
        return handed
