"""What stands for a time or a place on the command line, as rpk writes them.

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
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from ..ids import FIRST, ID, LARGEST, LAST, NEW, Position, after, join, split
from ..topic import Topic

if TYPE_CHECKING:
    Parameter = click.ParamType[Any]
else:
    Parameter = click.ParamType  # (not generic before click 8.4)

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ms|s|m|h|d|w)")
NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")
WHOLE_ID = re.compile(r"[0-9]{11,20}-[0-9]{1,20}")
LONGEST = 1e11  # seconds: more is no duration, and too much for a timedelta of years
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

    def first(self, topic: Topic[Any]) -> Position:
        """Where to begin to read, itself included: the `start` of `replay`. It is asked for only where entries are to be counted."""
        if self.kind == "start":
            return FIRST
        if self.kind == "end":
            return f"({topic.info().last_generated_id}"
        if self.kind == "skip":
            return nth(topic, self.at + 1) or f"({topic.info().last_generated_id}"
        if self.kind == "last":
            return (nth(topic, self.at, reverse=True) or FIRST) if self.at else f"({topic.info().last_generated_id}"
        return given(self.at)

    def last(self, topic: Topic[Any]) -> Position:
        """Where to end, itself included: the `end` of `replay`. Of counts it is the first `N` entries, or all but the last `N`."""
        if self.kind in ("start", "end"):
            return FIRST if self.kind == "start" else LAST
        if self.kind == "skip":
            return (nth(topic, self.at) or LAST) if self.at else FIRST
        if self.kind == "last":
            return nth(topic, self.at + 1, reverse=True) or FIRST
        return given(self.at)

    def above(self, topic: Topic[Any]) -> Position:
        """The id above which to read, as groups and `tail` want it, so that the place itself comes first; a moment stays one."""
        if self.kind in ("start", "end"):
            return "0" if self.kind == "start" else NEW
        found = self.first(topic)
        if not isinstance(found, str):
            return found
        return found[1:] if found.startswith("(") else below(found)

    def at_least(self, topic: Topic[Any]) -> Position:
        """The smallest id that is kept where all before the place goes; a moment stays one."""
        found = self.first(topic)
        if not isinstance(found, str):
            return found
        return after(found[1:]) if found.startswith("(") else {FIRST: "0"}.get(found, found)


@dataclass(frozen=True)
class Span:
    """A range of positions; None where it is open."""

    start: Place | None
    end: Place | None


def nth(topic: Topic[Any], number: int, reverse: bool = False) -> str | None:
    """The id of the entry at this place, counted from 1, from the end where `reverse`; None where there are fewer."""
    count, found = 0, None
    for message in topic.replay(count=number, reverse=reverse):
        count, found = count + 1, message.id
    return found if count == number else None


def given(at: Any) -> Position:
    """An id or a moment, as the library takes it."""
    found: Position = at
    return found


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


class Written(Parameter):
    """A parameter type of click that reads with one of these functions; its ValueError is click's own complaint, which names the option."""

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        self.name, self.read = name, read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """What the text says. What is no text is a default, and was read before."""
        if not isinstance(value, str):
            return value
        try:
            return self.read(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


DURATION = Written("duration", duration)
POSITION = Written("position", place)
RANGE = Written("range", span)
