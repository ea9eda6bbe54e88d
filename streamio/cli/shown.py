"""How numbers are shown to people: ages, amounts of memory, rates. Programs get the plain ones."""

from __future__ import annotations

import time

UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "m"))
NONE = "-"


def age(seconds: float | None) -> str:
    """Seconds in the largest unit that fits, as durations are written: 250ms, 4.2s, 5m, 2h, 3d."""
    if seconds is None:
        return NONE
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))}ms"
    if seconds < 60:
        return f"{seconds:.1f}s" if seconds < 9.95 else f"{seconds:.0f}s"
    size, unit = next(each for each in UNITS if seconds >= each[0])
    return f"{seconds / size:.1f}".removesuffix(".0") + unit if seconds / size < 9.95 else f"{seconds / size:.0f}{unit}"


def age_of(entry_id: str | None, now: float | None = None) -> float | None:
    """How many seconds ago the entry was added, by its id; None where there is none."""
    if entry_id is None:
        return None
    return max(0.0, (time.time() if now is None else now) - int(entry_id.partition("-")[0]) / 1000)


def memory(size: int | None) -> str:
    """Bytes in the largest unit that fits."""
    if size is None:
        return NONE
    number, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000 or unit == "GB":
            break
        number /= 1000
    return f"{number:.0f} {unit}" if unit == "B" or number >= 100 else f"{number:.1f} {unit}"


def rate(per_second: float | None) -> str:
    """A rate in entries per second."""
    if per_second is None:
        return NONE
    return f"{per_second:.0f}/s" if per_second >= 10 or per_second == 0 else f"{per_second:.1f}/s"


def number(value: int | None) -> str:
    """A number, thousands apart."""
    return NONE if value is None else f"{value:,}".replace(",", " ")
