"""A member that takes over what a dead one left, somebody who publishes meanwhile, and a living consumer with much in its hand."""

from __future__ import annotations

import statistics
import sys
import threading
import time
from typing import Any

import redis

from ..job import GROUP, KEY
from . import member_of, ready, when_told


class Seen:
    """What a member handled: of a dead one's, and of what was added meanwhile."""

    def __init__(self) -> None:
        self.orders: list[str] = []
        self.last = 0.0
        self.delays: list[tuple[float, float]] = []  # when a new one was handled, and how long after it was published

    def one(self, message: Any) -> None:
        """A message was handled."""
        now, at = time.monotonic(), message.data.get("at")
        if at is None:
            self.orders.append(message.data["order_id"])
            self.last = now
        else:
            self.delays.append((now, now - float(at)))

    def report(self, since: float) -> dict[str, Any]:
        """Of new ones those that were handled between `since` and the last of the dead one's."""
        delays = sorted(delay for now, delay in self.delays if since <= now <= max(self.last, since + 0.2))
        half, worst = (statistics.median(delays), delays[-1]) if delays else (0.0, 0.0)
        return {"orders": self.orders, "last": self.last, "news": len(delays), "all news": len(self.delays), "median": half, "worst": worst}


def on(port: int, name: str, lease: float, claim_interval: float) -> dict[str, Any]:
    """A member that is told when the dead one's entries may be taken, looks at its CPU from then on, and is told to stop."""
    member = member_of(port, name, group={"lease": lease, "claim_interval": claim_interval})
    seen = Seen()
    member.on("order.placed", seen.one)
    marks: list[float] = []
    member.connect()
    ready()
    threading.Thread(target=commanded, args=(member, marks), daemon=True).start()
    member.connect_and_listen()
    return {**seen.report(marks[0]), "cpu": marks[2] - marks[1]}


def commanded(member: Any, marks: list[float]) -> None:
    """Note when it may begin and the CPU then, the CPU when all is done, as told from outside; then stop the member."""
    marks.append(float(sys.stdin.readline()))
    marks.append(time.process_time())
    sys.stdin.readline()
    marks.append(time.process_time())
    sys.stdin.readline()
    member.stop()


def by_hand(port: int, name: str, lease: float) -> dict[str, Any]:
    """XAUTOCLAIM COUNT 100 and one XACK for each page, nothing else; when it was through with the last."""
    client: Any = redis.Redis(port=port, decode_responses=True)
    orders, start = list[str](), "0-0"
    client.ping()
    ready()
    began = time.monotonic()
    while True:
        start, found, _ = client.xautoclaim(KEY, GROUP, name, int(lease * 1000), start, count=100)
        if found:
            orders += [fields["order_id"] for _, fields in found]
            client.xack(KEY, GROUP, *[entry_id for entry_id, _ in found])
        if start == "0-0":
            return {"orders": orders, "wall": time.monotonic() - began}


def publish(port: int, rate: float) -> dict[str, Any]:
    """Publish entries at this rate until told to stop; how many that were, and by how much it was late at worst."""
    client: Any = redis.Redis(port=port)
    told: list[bool] = []
    client.ping()
    ready()
    when_told(lambda: told.append(True))
    began, count, late = time.monotonic(), 0, 0.0
    while not told:
        wait = began + count / rate - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        late = max(late, -wait)
        client.xadd(KEY, {"type": "order.placed", "order_id": "new", "at": repr(time.monotonic())})
        count += 1
    return {"count": count, "late": late}


def renew(port: int, name: str, entries: int, lease: float) -> dict[str, Any]:
    """Read so many entries and renew them all, again and again, until told to stop; how often."""
    client: Any = redis.Redis(port=port, decode_responses=True)
    ((_, found),) = client.xreadgroup(GROUP, name, {KEY: ">"}, count=entries)
    ids, told, rounds = [entry_id for entry_id, _ in found], list[bool](), 0

    def again() -> None:
        for first in range(0, len(ids), 1000):
            client.xclaim(KEY, GROUP, name, 0, ids[first : first + 1000], justid=True)

    again()
    ready()
    when_told(lambda: told.append(True))
    while not told:
        again()
        rounds += 1
        time.sleep(lease / 4)
    return {"rounds": rounds, "entries": len(ids)}
