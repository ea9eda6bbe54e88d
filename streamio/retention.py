"""How much of a stream is kept: by length or by age, never both, because one XADD cannot carry both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .ids import Duration, Position, position, seconds


@dataclass(frozen=True)
class Retention:
    """What publishing trims away: all but the newest `maxlen` entries, or all older than `max_age` seconds; approximately (`~`)."""

    maxlen: int | None = None
    max_age: float | None = None

    @classmethod
    def of(cls, maxlen: int | None, max_age: Duration | None) -> Retention:
        """The retention these settings ask for; errors name the setting."""
        if maxlen is not None and max_age is not None:
            raise ValueError("maxlen and max_age cannot be used together: one XADD carries only one of them")
        return cls(checked_maxlen(maxlen), None if max_age is None else seconds(max_age, "max_age"))

    def words(self, now: int) -> tuple[str, ...]:
        """The words that XADD takes for it. `now` is the server's time in milliseconds, as near as it is known."""
        if self.maxlen is not None:
            return ("MAXLEN", "~", str(self.maxlen))
        if self.max_age is not None:
            return ("MINID", "~", str(max(0, now - round(self.max_age * 1000))))
        return ()


def checked_maxlen(maxlen: int | None) -> int | None:
    """`maxlen`, or an error where it is no whole number of 0 or more."""
    if maxlen is not None and (isinstance(maxlen, bool) or not isinstance(maxlen, int) or not 0 <= maxlen < 10**18):
        raise ValueError(f"maxlen must be a whole number, 0 or more and less than 10**18, not {maxlen!r}")
    return maxlen


def checked_trim(maxlen: int | None, max_age: Duration | None, minid: Position | None, acked: bool, ignore: Sequence[str]) -> None:
    """Refuse a trim that is none, or is two, by name."""
    limits = [name for name, value in (("maxlen", maxlen), ("max_age", max_age), ("minid", minid)) if value is not None]
    if len(limits) > 1 or not (limits or acked):
        raise ValueError(f"trim takes one of maxlen, max_age and minid, not {' and '.join(limits) or 'none'} (with acked=True: one or none)")
    if isinstance(ignore, str):
        raise TypeError(f"ignore must be a list of group names, not {ignore!r}")


def trim_limit(now: int, maxlen: int | None, max_age: Duration | None, minid: Position | None) -> tuple[str, str]:
    """How to trim and the threshold, in XTRIM's words; empty ones without a limit. `now` is in milliseconds."""
    if maxlen is not None:
        return "MAXLEN", str(checked_maxlen(maxlen))
    if max_age is not None:
        return "MINID", str(max(0, now - round(seconds(max_age, "max_age") * 1000)))
    return ("", "") if minid is None else ("MINID", position(minid, now, "minid", ()))
