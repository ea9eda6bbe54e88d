"""Positions as the page writes them: `start`, `end`, `+N`, `-N`, an id, `@-10m`, `@2026-11-20T10:00Z`."""

from __future__ import annotations

from typing import Any

from ..colour import Asyncio
from ..ids import ID, Position
from ..positions import Place, duration, place
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
    found: Position = text if is_beside(text) else await read(text).first(topic)
    return found


async def last(topic: Topic[Asyncio, Any], text: str) -> Position:
    """Where to end, itself included; before `(ID`."""
    found: Position = text if is_beside(text) else await read(text).last(topic)
    return found


async def above(topic: Topic[Asyncio, Any], text: str) -> Position:
    """The id above which a group is to read, so that the place itself comes first; a moment stays one."""
    found: Position = await read(text).above(topic)
    return found


def is_beside(text: str) -> bool:
    """Whether this is an id that is not meant itself."""
    return text.startswith("(") and ID.fullmatch(text[1:]) is not None


def seconds_of(value: Any, name: str) -> float:
    """A duration: seconds, or text such as `5m`."""
    if isinstance(value, str):
        return duration(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e11:
        raise ValueError(f"{name} must be seconds, or a duration such as 500ms, 10s or 5m, not {value!r}")
    return float(value)
