"""Entry ids and positions in a stream, as plain values: no clock of their own, `now` is always given in milliseconds.

An entry id is `<milliseconds>-<sequence>`. A *position* is what a user may write where Redis wants an id: an id, a `datetime`
(aware, or naive in local time, as everywhere in Python), or a `timedelta` meaning "so long ago".
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

Position = str | int | datetime | timedelta
Duration = float | timedelta

FIRST, LAST, NEW = "-", "+", "$"
RANGE = (FIRST, LAST)
ID = re.compile(r"[0-9]{1,20}(-[0-9]{1,20})?")
LARGEST = 2**64 - 1


def seconds(duration: Duration, name: str) -> float:
    """The duration in seconds; a ValueError names the setting where it is negative or not a number."""
    value = duration.total_seconds() if isinstance(duration, timedelta) else duration
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be seconds or a timedelta, not {duration!r}")
    if not 0 <= value < 1e12:
        raise ValueError(f"{name} must be a finite number of seconds, 0 or more, not {duration!r}")
    return float(value)


def split(entry_id: str) -> tuple[int, int]:
    """The id's two numbers: milliseconds and sequence."""
    time, _, sequence = entry_id.partition("-")
    return int(time), int(sequence or 0)


def join(time: int, sequence: int) -> str:
    """The id of these two numbers."""
    return f"{time}-{sequence}"


def after(entry_id: str) -> str:
    """The smallest id above this one."""
    time, sequence = split(entry_id)
    return join(time, sequence + 1) if sequence < LARGEST else join(time + 1, 0)


def published_at(entry_id: str) -> datetime:
    """When the server gave the id, in UTC. An id far in the future (a producer may choose ids) is the last moment a datetime can hold."""
    try:
        return datetime.fromtimestamp(split(entry_id)[0] / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.max.replace(tzinfo=UTC)


def from_moment(value: Position, now: int, name: str, words: tuple[str, ...]) -> str:
    """As `position`, for what is read *above* an id: a moment stands for the id just below it, so that its own entries are read, too."""
    found = position(value, now, name, words)
    if isinstance(value, (datetime, timedelta)):
        time = int(found)
        return join(time - 1, LARGEST) if time else "0"
    return {FIRST: "0", LAST: NEW}.get(found, found)


def position(value: Position, now: int, name: str, words: tuple[str, ...] = RANGE) -> str:
    """The position as Redis writes it; `words` are the special ids allowed here. A range may exclude its bound (`(5-1`). Errors name the argument."""
    if isinstance(value, datetime):
        return str(max(0, round(value.timestamp() * 1000)))
    if isinstance(value, timedelta):
        return str(max(0, now - round(value.total_seconds() * 1000)))
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return str(value)
    if isinstance(value, str) and (value in words or ID.fullmatch(value.removeprefix("(" if words == RANGE else ""))):
        return value
    raise ValueError(f"{name} must be an entry id, a datetime, a timedelta ago or one of {', '.join(map(repr, words))}, not {value!r}")
