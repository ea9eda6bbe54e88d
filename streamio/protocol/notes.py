"""Settlements as notes: what a member still has to tell the server about entries that were delivered to it. Acknowledgements are bare ids."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..effects import Line
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

    def _header(self, name: str) -> str | bytes | None:
        """One header, where the entry has it."""


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
    """What a pipe gives as a handler: commands to be done in one step with the acknowledgement."""

    __slots__ = ("commands",)

    def __init__(self, commands: Sequence[Put]) -> None:
        self.commands = commands


class Way:
    """On which line outputs are under way: where they are to be in order, on one at a time."""

    __slots__ = ("free", "is_ordered", "line")

    def __init__(self, is_ordered: bool) -> None:
        self.is_ordered, self.free = is_ordered, deque([None])
        self.line: Line | None = None

    def begin(self, line: Line) -> bool:
        """Whether outputs may go out on this line now."""
        if not self.is_ordered or self.line is line:
            return True
        try:
            self.free.popleft()
        except IndexError:
            return False
        self.line = line
        return True

    def end(self, line: Line) -> None:
        """None are under way on this line any more."""
        if self.line is line:
            self.line = None
            self.free.append(None)


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
