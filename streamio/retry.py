"""When a failed entry is tried again: a pure policy, from (error, deliveries, chance) to a wait in seconds or None for *bury it*."""

from __future__ import annotations

from dataclasses import dataclass

from .ids import Duration, seconds


@dataclass(frozen=True)
class RetryPolicy:
    """How often and when a failed entry is delivered again.

    max_deliveries  how many deliveries an entry gets in all, the first included (default 5); then it goes to the dead letters
    backoff         (first wait, longest wait): the wait doubles with each delivery (default 1 s to 60 s)
    jitter          the share of the wait that chance may take off (default 0.25: between 75 % and 100 % of it)
    retry_on        exception types worth another try (default: every `Exception`); others are buried at once
    """

    max_deliveries: int = 5
    backoff: tuple[Duration, Duration] = (1, 60)
    jitter: float = 0.25
    retry_on: type[Exception] | tuple[type[Exception], ...] = Exception

    def __post_init__(self) -> None:
        if isinstance(self.max_deliveries, bool) or not isinstance(self.max_deliveries, int) or self.max_deliveries < 1:
            raise ValueError(f"max_deliveries must be a whole number, 1 or more, not {self.max_deliveries!r}")
        if not isinstance(self.backoff, (tuple, list)) or len(self.backoff) != 2:
            raise TypeError(f"backoff must be (first, longest), not {self.backoff!r}")
        first, longest = self.waits()
        if first > longest:
            raise ValueError(f"backoff must be (first, longest) with first <= longest, not {self.backoff!r}")
        if isinstance(self.jitter, bool) or not isinstance(self.jitter, (int, float)) or not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter must be between 0 and 1, not {self.jitter!r}")
        kinds = self.retry_on if isinstance(self.retry_on, tuple) else (self.retry_on,)
        if not all(isinstance(kind, type) and issubclass(kind, Exception) for kind in kinds):
            raise TypeError(f"retry_on must be an exception type or a tuple of them, not {self.retry_on!r}")

    def waits(self) -> tuple[float, float]:
        """The first and the longest wait, in seconds."""
        return seconds(self.backoff[0], "backoff[0]"), seconds(self.backoff[1], "backoff[1]")

    def wait(self, error: BaseException | None, deliveries: int, chance: float) -> float | None:
        """Seconds until the next delivery, or None where there is to be none. `chance` is a number from 0 to 1."""
        if deliveries >= self.max_deliveries or (error is not None and not isinstance(error, self.retry_on)):
            return None
        first, longest = self.waits()
        return min(longest, first * 2.0 ** min(deliveries - 1, 60)) * (1 - self.jitter * chance)
