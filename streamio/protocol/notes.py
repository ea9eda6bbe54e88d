"""Settlements as notes: what a member still has to tell the server about entries that were delivered to it. Acknowledgements are bare ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..outputs import Put


class Delivery(Protocol):
    """What the protocol knows of a message."""

    id: str
    type: str
    _flat: list[str]

    @property
    def deliveries(self) -> int:
        """Which delivery this is, from 1."""
        ...

    @property
    def data(self) -> Any:
        """The decoded payload."""


@dataclass(frozen=True, slots=True)
class Parking:
    """A note: let the entry wait `delay` seconds under the parking consumer, with this many deliveries counted."""

    id: str
    delay: float
    deliveries: int
    wanted: bool = True  # whether this member means to look again when it is due
    orphan: bool = False  # whether it may have killed a process: given back before it started
    message: Delivery | None = None  # what its dead letter holds where the entry has left the stream


@dataclass(frozen=True, slots=True)
class Burial:
    """A note: write the entry to the dead letters and acknowledge it."""

    message: Delivery
    reason: str
    error: BaseException | None = None


class Output:
    """A note: do these commands and acknowledge the entry in one step, where this member still owns it. `doubtful`: it was sent before, and no
    reply came."""

    __slots__ = ("commands", "doubtful", "message")

    def __init__(self, message: Delivery, commands: Sequence[Put]) -> None:
        self.message, self.commands, self.doubtful = message, commands, False

    def doubted(self) -> Output:
        """The same, which may be done already."""
        self.doubtful = True
        return self


class Effects:
    """What a handler may give besides a value: commands to be done in one step with the acknowledgement."""

    __slots__ = ("commands", "value")

    def __init__(self, commands: Sequence[Put], value: Any = None) -> None:
        self.commands, self.value = commands, value


Note = Parking | Burial


def entry_of(note: Note) -> str:
    """The id of the entry that a note is about."""
    return note.id if isinstance(note, Parking) else note.message.id


def closes(message: Any) -> bool:
    """Whether this is the message's first settlement; it is settled from now on."""
    try:
        del message._open
    except AttributeError:
        return False
    return True


def release(message: Any) -> None:
    """A message that was settled is in its user's hands no more. Only after the note: what is pending is always known."""
    guard = getattr(message, "_guard", None)
    if guard is not None:
        guard.release()
