"""The messages for a file that is read: a loop whose end may come from another thread."""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, Any

from .loop import Loop
from .message import Message
from .protocol.holding import guarded
from .protocol.limiting import left
from .protocol.outcomes import released, succeeded
from .protocol.reading import next_message

if TYPE_CHECKING:
    from .member import ConsumerGroupMember


class Feed(Loop):
    """A loop over the member's messages, for a file."""

    def __init__(self, member: ConsumerGroupMember[Any], timeout: float | None) -> None:
        super().__init__(member)
        self.timeout = timeout
        self.kept: list[Message] = []  # by a call that gathers
        self.ended = self.over = self.waits = False
        self.lock = RLock()  # held while a message is fetched

    def next(self) -> Message | None:
        """The next message, None at the end; the one before is through."""
        found: Message | None = None if self.ended else self.swiftly() or self.awaited()
        if self.over and found is not None:  # closed meanwhile, by another thread
            self.leave()
            return None
        return found

    def awaited(self) -> Any:
        """The next message, which has to be fetched. `end()` may end that."""
        with self.lock:
            self.waits = True
            try:
                return None if self.over else self.wait()
            finally:
                self.waits = False

    def end(self) -> None:
        """Fetch nothing any more: where another thread waits for news, that is ended, as by `member.stop()`, and over after this."""
        self.over, stopping = True, self.hand.stopping
        if self.waits:
            self.member.stop()
            with self.lock:
                if not (stopping or self.waits or self.member._closing):
                    self.hand.halt(stopping=False)  # (where its message had come already)

    def wait(self) -> Any:
        """The same; None at the end."""
        hand = self.hand
        until = None if self.timeout is None else self.clock() + self.timeout
        hand.patience = float("inf") if until is None else until
        try:
            self.member._enter(self)
            message = self.fetched(until)
            if message is None and until is not None and hand.settings.ack != "none":
                hand.poll_at = 0.0  # what waits for another try is there, too
                message = self.fetched(until)
        finally:
            hand.patience = float("inf")
        if message is not None:
            return self.start(message)
        if until is None or hand.stopping:
            self.ended = True
            self.member._exit(self)
        return None

    def fetched(self, until: float | None) -> Any:
        """The next message, None where none came until then."""
        return self.driver.run_on(self.hand.reading, next_message(self.hand, until))

    def keep(self) -> None:
        """The message at hand is through with the next call only, and has all the time until then."""
        self.close_scope()
        message, self.message, self.hand.current = self.message, None, None
        if self.limit is not None:
            left(self.hand, self.limit)
            self.limit = None
        if message is not None and self.hand.settings.ack == "none":
            succeeded(self.hand, message)
        elif message is not None:
            self.hand.handled += 1  # so that it is seen how fast they are taken
            self.kept.append(guarded(message))

    def through(self) -> None:
        """What was kept is through."""
        for message in self.kept:
            self.hand.ack(message)
        self.kept.clear()

    def finish(self, done: bool) -> None:
        """The end: what was kept is through, and the message at hand where it is `done`."""
        self.through()
        message = self.message
        if done and message is not None:
            self.message = self.hand.current = None
            self.settle(message)
        self.leave()

    def leave(self) -> None:
        """The end of a loop that is left, for what was kept, too."""
        for message in self.kept:
            if self.member._in_block:
                self.hand.undecided.append(message)
            else:
                released(self.hand, message)
        self.kept.clear()
        super().leave()
