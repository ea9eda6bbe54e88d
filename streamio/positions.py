"""What stands for a time or a place on the command line and on the page, as rpk writes them.

    durations   500ms  10s  5m  2h  3d  1h30m; a plain number is seconds
    positions   start   the first entry             end    behind the last one
                +N      behind the first N          -N     the last N
                ID      that entry, or where it would stand; `1732100000000` is a whole millisecond
                @-10m   so long ago                 @2026-11-20T10:00Z   a moment; without a zone: local time
    ranges      A:B  A:  :B   both included; `:+N` are the first N entries, `:-N` all but the last N; of `@A:B` both are times

A position names the first entry that is meant: `--from ID` reads it, and so does a group that was moved there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from .commands import xrange
from .effects import Exchange
from .ids import FIRST, ID, LARGEST, LAST, NEW, Position, after, join, split
from .protocol.asking import call
from .protocol.inspecting import topic_info
from .topic import Topic

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ms|s|m|h|d|w)")
NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")
WHOLE_ID = re.compile(r"[0-9]{11,20}-[0-9]{1,20}")
LONGEST = 1e11  # seconds: more is no duration, and too much for a timedelta of years
PAGE = 1000  # entries that are counted at a time
POSITIONS = "start, end, +N, -N, an entry id, @-10m or @2026-11-20T10:00Z"


def duration(text: str) -> float:
    """The seconds that this says; a ValueError where it says none."""
    parts = list(PART.finditer(text))
    if NUMBER.fullmatch(text):
        found = float(text)
    elif parts and "".join(each[0] for each in parts) == text:
        found = sum(float(each[1]) * UNITS[each[2]] for each in parts)
    else:
        raise ValueError(f"{text!r} is no duration: write 500ms, 10s, 5m, 2h or 3d")
    if found > LONGEST:
        raise ValueError(f"{text!r} is longer than any duration")
    return round(found, 9)


@dataclass(frozen=True)
class Place:
    """A position in a stream as it was written. What it stands for is found when a topic is there to ask.

    kind   start, end, skip (`+N`), last (`-N`), id or moment
    at     how many entries, the id, or the moment (a datetime, or a timedelta ago)
    """

    text: str
    kind: str
    at: Any = None

    def first(self, topic: Topic[Any]) -> Any:
        """Where to begin to read, itself included: the `start` of `replay`; of an asyncio topic to be awaited, as all that follows."""
        return topic._driver.run(self._first(topic.name))

    def last(self, topic: Topic[Any]) -> Any:
        """Where to end, itself included: the `end` of `replay`. Of counts it is the first `N` entries, or all but the last `N`."""
        return topic._driver.run(self._last(topic.name))

    def above(self, topic: Topic[Any]) -> Any:
        """The id above which to read, as groups and `tail` want it, so that the place itself comes first; a moment stays one."""
        return topic._driver.run(self._above(topic.name))

    def at_least(self, topic: Topic[Any]) -> Any:
        """The smallest id that is kept where all before the place goes; a moment stays one."""
        return topic._driver.run(self._at_least(topic.name))

    def _first(self, key: str) -> Exchange[Position]:
        found: Position | None = self.at if self.kind in ("id", "moment") else None
        if self.kind == "start":
            found = FIRST
        elif self.kind == "skip":
            found = yield from nth(key, self.at + 1)
        elif self.kind == "last" and self.at:
            found = (yield from nth(key, self.at, reverse=True)) or FIRST
        return f"({(yield from topic_info(key)).last_generated_id}" if found is None else found

    def _last(self, key: str) -> Exchange[Position]:
        found: Position | None = self.at if self.kind in ("id", "moment") else None
        if self.kind == "end":
            found = LAST
        elif self.kind == "skip" and self.at:
            found = (yield from nth(key, self.at)) or LAST
        elif self.kind == "last":
            found = yield from nth(key, self.at + 1, reverse=True)
        return FIRST if found is None else found

    def _above(self, key: str) -> Exchange[Position]:
        if self.kind in ("start", "end"):
            return "0" if self.kind == "start" else NEW
        found = yield from self._first(key)
        if not isinstance(found, str):
            return found
        return found[1:] if found.startswith("(") else below(found)

    def _at_least(self, key: str) -> Exchange[Position]:
        found = yield from self._first(key)
        if not isinstance(found, str):
            return found
        return after(found[1:]) if found.startswith("(") else {FIRST: "0"}.get(found, found)


@dataclass(frozen=True)
class Span:
    """A range of positions; None where it is open."""

    start: Place | None
    end: Place | None


def nth(key: str, number: int, reverse: bool = False) -> Exchange[str | None]:
    """The id of the entry at this place, counted from 1, from the end where `reverse`; None where there are fewer."""
    start, end = FIRST, LAST
    while True:
        count = min(number, PAGE)
        page = yield from call(xrange(key, start, end, count, reverse))
        if len(page) < count:
            return None
        number, edge = number - count, page[-1][0]
        if not number:
            return edge
        start, end = (start, f"({edge}") if reverse else (f"({edge}", end)


def below(entry_id: str) -> str:
    """The largest id under this one; that of the beginning where there is none."""
    if entry_id == FIRST:
        return "0"
    time, sequence = split(entry_id)
    if sequence:
        return join(time, sequence - 1)
    return join(time - 1, LARGEST) if time else "0"


def place(text: str, timed: bool = False) -> Place:
    """The position that this says; a ValueError where it says none. `timed`: the `@` was before, so it is a time."""
    if text in ("start", "end"):
        return Place(text, text)
    if timed or text.startswith("@"):
        return Place(text, "moment", moment(text.removeprefix("@"), text))
    if re.fullmatch(r"[+-][0-9]{1,18}", text):
        return Place(text, "skip" if text[0] == "+" else "last", int(text[1:]))
    if ID.fullmatch(text) and all(number <= LARGEST for number in split(text)):
        return Place(text, "id", text)
    raise ValueError(f"{text!r} is no position: write {POSITIONS}")


def moment(text: str, whole: str) -> datetime | timedelta:
    """A time ago (`-10m`), seconds or milliseconds since 1970, or a date and time of ISO 8601."""
    if text.startswith("-"):
        return timedelta(seconds=duration(text[1:]))
    try:
        if re.fullmatch(r"[0-9]{9,10}|[0-9]{12,14}", text):
            return datetime.fromtimestamp(int(text) / (1 if len(text) < 11 else 1000), UTC)
        found = datetime.fromisoformat(text)
        found.timestamp()  # (a year that the clock has not)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{whole!r} is no time: write @-10m, @2026-11-20, @2026-11-20T10:00Z or @1732100000000") from error
    return found


def span(text: str) -> Span:
    """The range that this says; one position alone is its beginning. A ValueError where it says none, or more than one."""
    found: list[Span] = []
    try:
        return Span(place(text), None)
    except ValueError as error:
        alone = error
    for colon in (each.start() for each in re.finditer(":", text)):
        try:
            found.append(halves(text[:colon], text[colon + 1 :]))
        except ValueError as error:
            alone = alone if found else error
    if len(found) > 1:
        raise ValueError(f"{text!r} may be read as more than one range: write the seconds of its times")
    if not found:
        raise ValueError(f"{text!r} is no range: write A:B, each {POSITIONS}") from alone
    return found[0]


def halves(before: str, behind: str) -> Span:
    """The range between two positions, each of which may be left out. `@` before the first one makes both times."""
    timed = before.startswith("@") and not WHOLE_ID.fullmatch(behind)
    start = place(before) if before not in ("", "@") else None
    end = place(behind, timed) if behind else None
    return Span(start, end)
