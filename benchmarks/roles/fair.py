"""One member whose handler changes its speed, and what it has in hand meanwhile."""

from __future__ import annotations

import time
from typing import Any

from . import member_of, ready


class Phases:
    """The handler, and what it sees: in each phase it takes so many seconds, for so long."""

    def __init__(self, member: Any, phases: list[tuple[float, float]], every: float) -> None:
        self.member, self.every, self.looked = member, every, 0.0
        self.coming = iter(phases)
        self.found: list[dict[str, Any]] = []
        self.slow = self.seconds = self.began = 0.0

    def next(self, now: float) -> None:
        """The next phase begins, or the end."""
        phase = next(self.coming, None)
        if phase is None:
            self.member.stop()
            return
        (self.slow, self.seconds), self.began = phase, now
        self.found.append({"began": now, "samples": [], "handled": 0})

    def handle(self, message: Any) -> None:
        """Take the phase's time for an entry, and look now and then at how much is in hand."""
        now = time.monotonic()
        if now - self.began >= self.seconds:
            self.next(now)
        message.data["order_id"]
        self.found[-1]["handled"] += 1
        if now - self.looked >= self.every:
            info, self.looked = self.member.info(), now
            self.found[-1]["samples"].append((now - self.began, info.waiting + info.running))
        if self.slow >= 1e-4:
            time.sleep(self.slow)
        else:
            spin(self.slow)


def on(port: int, name: str, phases: list[tuple[float, float]], every: float) -> list[dict[str, Any]]:
    """Handle entries in phases; when each began, what was in hand by time since then, and how many were handled."""
    member = member_of(port, name)
    handler = Phases(member, phases, every)
    member.on("order.placed", handler.handle)
    member.connect()
    ready()
    member.connect_and_listen()
    return handler.found


def spin(seconds: float) -> None:
    """Work for so long."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass
