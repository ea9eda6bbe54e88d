"""Rates: by how much the server's own counters grew since the last look. Trimming does not touch them; no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Place = tuple[str, int]  # by which counter, and what it says


@dataclass(frozen=True)
class Seen:
    """What of a stream is remembered for the next look: the server's time, entries added, and by group its place and its lag."""

    at: float
    added: int | None
    places: Mapping[str, Place] = field(default_factory=dict)
    lags: Mapping[str, int | None] = field(default_factory=dict)


def rate(before: int | None, now: int | None, seconds: float) -> float | None:
    """How much came per second; None where that is not known, because a counter is not there, or began anew."""
    if before is None or now is None or seconds <= 0 or now < before:
        return None
    return (now - before) / seconds


def place(facts: Mapping[str, Any], added: int | None, lag: int | None) -> Place | None:
    """How many entries the group was given: as the server counts or, where it does not, by what is left to come."""
    read: int | None = facts.get("entries-read")
    if read is not None:
        return "read", read
    return None if added is None or lag is None else ("left", added - lag)


def rate_of(before: Place | None, now: Place | None, seconds: float) -> float | None:
    """As `rate`, where both are by the same counter."""
    if before is None or now is None or before[0] != now[0]:
        return None
    return rate(before[1], now[1], seconds)
