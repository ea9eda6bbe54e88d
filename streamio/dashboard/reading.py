"""Entries of a stream, in pages that fit into memory however long the entries are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from ..colour import Asyncio
from ..ids import Position
from ..message import Message
from ..topic import Topic
from .showing import Pairs, hidden, json_in

FIRST_PAGE, PAGE = 20, 500  # entries
BUDGET = 4 * 1024 * 1024  # bytes of a page, about
SCANNED = 10_000  # entries that one request looks at
READ = 32 * 1024 * 1024  # bytes that one request reads


async def pages(topic: Topic[Asyncio, Any], start: Position, end: Position, reverse: bool) -> AsyncIterator[list[Message[Any]]]:
    """The entries between two positions, page by page; none is much longer than `BUDGET`."""
    wanted = FIRST_PAGE
    while True:
        found = [each async for each in topic.replay(start, end, count=wanted, reverse=reverse)]
        yield found
        if len(found) < wanted:
            return
        edge = f"({found[-1].id}"
        start, end = (start, edge) if reverse else (edge, end)
        wanted = max(1, min(PAGE, BUDGET * len(found) // max(1, sum(map(size, found)))))


def size(message: Message[Any]) -> int:
    """How many bytes the entry's fields are."""
    return sum(len(name) + len(value) for name, value in message.fields)


@dataclass
class Wanted:
    """Which entries: of a type (`*` stands for anything), and with these values in their fields, or in their data where that is JSON.

    What `mask` hides is hidden from the search, too: nobody finds out a value by guessing at it.
    """

    type: str = ""
    where: tuple[tuple[str, str], ...] = ()
    mask: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.type or self.where)

    def fits(self, message: Message[Any]) -> bool:
        """Whether this is one of them."""
        if self.type and not fnmatchcase(message.type, self.type):
            return False
        return not self.where or all(has(hidden(message.fields, self.mask), *each) for each in self.where)


def has(pairs: Pairs, name: str, value: str) -> bool:
    """Whether a field, or the data's part of this name, has the value."""
    found = [each for field_name, each in pairs if field_name == name.encode()]
    if found:
        return value.encode() in found
    data = next((json_in(each) for field_name, each in pairs if field_name == b"data"), None)
    return isinstance(data, dict) and name in data and written(data[name]) == value


def written(value: Any) -> str:
    """A value of JSON as people write it."""
    return {True: "true", False: "false", None: "null"}.get(value, str(value)) if isinstance(value, (bool, type(None))) else str(value)


@dataclass
class Found:
    """The entries, how many were looked at for them, and where to go on; None at the end."""

    entries: list[Message[Any]] = field(default_factory=list)
    scanned: int = 0
    next: str | None = None


async def search(topic: Topic[Asyncio, Any], bounds: tuple[Position, Position], reverse: bool, count: int, wanted: Wanted) -> Found:
    """The first `count` entries that are wanted. It ends after so many looked at, or read: `next` goes on from there."""
    found, read = Found(), 0
    async for page in pages(topic, *bounds, reverse):
        for message in page:
            found.scanned += 1
            read += size(message)
            if wanted.fits(message):
                found.entries.append(message)
            if len(found.entries) >= count or found.scanned >= SCANNED or read >= READ:
                found.next = message.id
                return found
    return found
