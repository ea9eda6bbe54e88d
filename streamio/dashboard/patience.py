"""How many wrong tokens an address may show. Tokens are to be long; this is for those that are not.

The first few are answered at once. After that none from there is looked at, right or wrong, before a time has passed that doubles with each.
Who has a cookie of the login form is never kept waiting: its value cannot be guessed any faster (`security.cookie_of`).
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

FREE = 5  # wrong tokens
LONGEST = 60.0  # seconds
MOST = 1000  # addresses that are remembered


@dataclass
class Patience:
    """The addresses that showed wrong tokens: how many, and until when none is looked at, by the monotonic clock."""

    wrong: dict[str, tuple[int, float]] = field(default_factory=dict)

    def left(self, address: str) -> int:
        """Seconds until a token from there is looked at; 0: now."""
        return max(0, math.ceil(self.wrong.get(address, (0, 0.0))[1] - time.monotonic()))

    def failed(self, address: str) -> None:
        """A wrong token came from there."""
        count = self.wrong.pop(address, (0, 0.0))[0] + 1
        rest = min(LONGEST, 2.0 ** min(count - FREE - 1, 10)) if count > FREE else 0.0
        self.wrong[address] = (count, time.monotonic() + rest)
        if len(self.wrong) > MOST:
            del self.wrong[next(iter(self.wrong))]

    def right(self, address: str) -> None:
        """The right one came."""
        self.wrong.pop(address, None)
