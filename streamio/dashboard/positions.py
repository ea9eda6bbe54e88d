"""Positions as the page and the command line write them, in asyncio: `start`, `end`, `+N`, `-N`, an id, `@-10m`, `@2026-11-20T10:00Z`."""

from __future__ import annotations

from typing import Any

from ..cli.positions import Place, below, duration, place
from ..colour import Asyncio
from ..ids import FIRST, ID, LAST, NEW, Position
from ..topic import Topic

MOST = 10_000  # entries that a position counts
SAME = {"-": "start", "0": "start", "0-0": "start", "+": "end", "$": "end"}


def read(text: str) -> Place:
    """The position that this says; a date may stand without its `@`."""
    found = place(f"@{text}" if text[4:5] == text[7:8] == "-" else SAME.get(text, text))
    if found.kind in ("skip", "last") and found.at > MOST:
        raise ValueError(f"{text!r} counts too many entries: {MOST:,} are counted at most; give an id or a time")
    return found


async def first(topic: Topic[Asyncio, Any], text: str) -> Position:
    """Where to begin to read, itself included; behind `(ID`."""
    if is_beside(text):
        return text
    found = read(text)
    if found.kind in ("id", "moment"):
        return known(found)
    if found.kind == "start":
        return FIRST
    entry = None if found.kind == "end" or (not found.at and found.kind == "last") else await nth(topic, found, found.kind == "skip")
    return entry or (FIRST if found.kind == "last" and found.at else f"({(await topic.info()).last_generated_id}")


async def last(topic: Topic[Asyncio, Any], text: str) -> Position:
    """Where to end, itself included; before `(ID`."""
    if is_beside(text):
        return text
    found = read(text)
    if found.kind in ("id", "moment"):
        return known(found)
    if found.kind in ("start", "end"):
        return FIRST if found.kind == "start" else LAST
    if not found.at and found.kind == "skip":
        return FIRST
    return await nth(topic, found, found.kind == "last") or (LAST if found.kind == "skip" else FIRST)


async def above(topic: Topic[Asyncio, Any], text: str) -> Position:
    """The id above which a group is to read, so that the place itself comes first; a moment stays one."""
    found = read(text)
    if found.kind in ("start", "end"):
        return "0" if found.kind == "start" else NEW
    where = await first(topic, text)
    if not isinstance(where, str):
        return where
    return where[1:] if where.startswith("(") else below(where)


def is_beside(text: str) -> bool:
    """Whether this is an id that is not meant itself."""
    return text.startswith("(") and ID.fullmatch(text[1:]) is not None


def known(found: Place) -> Position:
    """The id or the moment."""
    at: Position = found.at
    return at


async def nth(topic: Topic[Asyncio, Any], found: Place, beyond: bool) -> str | None:
    """The id of the entry so far from the beginning (or the end), or of the one beyond; None where there are fewer."""
    wanted, seen = found.at + beyond, None
    async for message in topic.replay(count=wanted, reverse=found.kind == "last"):
        wanted, seen = wanted - 1, message.id
    return None if wanted else seen


def seconds_of(value: Any, name: str) -> float:
    """A duration: seconds, or text such as `5m`."""
    if isinstance(value, str):
        return duration(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e11:
        raise ValueError(f"{name} must be seconds, or a duration such as 500ms, 10s or 5m, not {value!r}")
    return float(value)
