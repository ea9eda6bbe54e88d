"""The five-minute story: its steps, ticked off as the demo shows that they were done."""

from __future__ import annotations

from typing import Any

STEPS = ("watch", "produce", "crash", "wait", "claim", "behind", "peers", "poison", "past")
BEGUN = 10  # entries that each group handles before the first step is done
MANY = 100  # entries produced by hand that make the second


class Story:
    """Which steps were done. `taken_over` and `caught_up` say what the page tells beside them."""

    def __init__(self) -> None:
        self.done: dict[str, bool] = dict.fromkeys(STEPS, False)
        self.by_hand = 0  # entries produced by hand
        self.lost: set[str] = set()  # what a crashed worker dropped and nobody has handled yet
        self.dropped = 0  # how many were dropped since the beginning
        self.held_up = False  # a worker was paused
        self.dead: set[str] = set()  # what was put aside, and nobody has handled since

    def worked(self, least: int) -> None:
        """The slowest group has handled so many entries."""
        self.done["watch"] |= least >= BEGUN

    def produced(self, count: int) -> None:
        """Somebody pressed Produce."""
        self.by_hand += count
        self.done["produce"] |= self.by_hand >= MANY

    def crashed(self, key: str) -> None:
        """A worker dropped an entry."""
        self.lost.add(key)
        self.dropped += 1

    def handled(self, key: str) -> None:
        """A worker acknowledged an entry."""
        self.lost.discard(key)
        self.done["claim"] |= self.done["crash"] and not self.lost
        if key in self.dead:
            self.dead.discard(key)
            self.done["poison"] |= not self.dead

    def failed(self, key: str) -> None:
        """A worker failed at an entry, which is tried again."""
        self.dead.discard(key)

    def buried(self, key: str) -> None:
        """An entry failed too often and was put aside."""
        self.dead.add(key)

    def gone(self, key: str) -> None:
        """An entry was trimmed while it was pending: nobody will handle it."""
        self.lost.discard(key)

    def down(self, idle: float, limit: float) -> None:
        """A worker lies down, and what it left is idle for so long; from `limit` on it may be claimed."""
        self.done["crash"] = True
        self.done["wait"] |= idle >= limit

    def paused(self) -> None:
        """A worker was paused."""
        self.held_up = True

    def resumed(self) -> None:
        """It went on."""
        self.done["behind"] |= self.held_up

    def removed(self) -> None:
        """A worker was removed, its entries handed over."""
        self.done["peers"] = True

    def replayed(self) -> None:
        """Somebody looked at what was handled long ago."""
        self.done["past"] = True

    def state(self) -> dict[str, Any]:
        """The steps as JSON, in order."""
        return {"steps": [{"key": key, "done": self.done[key]} for key in STEPS], "dropped": self.dropped, "lost": len(self.lost)}
