"""Messages in their user's hands: what `read()` gave, and all that a member with ack="manual" handed out. They are leased until they are settled."""

from __future__ import annotations

from typing import Any

from .notes import Parking


class Guard:
    """Lives as long as its message: one that is dropped unsettled is given back. A later delivery of the same entry has a guard of its own."""

    __slots__ = ("deliveries", "hand", "message_id", "token")

    def __init__(self, message: Any) -> None:
        self.message_id, self.deliveries, self.hand = message.id, message.deliveries, message._hand
        self.token = self.hand.held[message.id] = object()

    def release(self) -> bool:
        """Hold the message no more; whether it was held."""
        held = self.is_held()
        if held:
            self.hand.held.pop(self.message_id, None)
            if self.hand.abandoned:  # the keeper goes on until nothing is held
                self.hand.bell.ring()
        return held

    def is_held(self) -> bool:
        """Whether the message is still in its user's hands."""
        return self.hand.held.get(self.message_id) is self.token

    def __del__(self) -> None:
        if self.is_held():
            self.hand.note(Parking(self.message_id, 0.0, self.deliveries))
            self.release()


def guarded(message: Any) -> Any:
    """The message, in its user's hands until it is settled or dropped."""
    message._guard = Guard(message)
    return message
