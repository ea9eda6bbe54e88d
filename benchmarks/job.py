"""One participant's job: consume every entry of a stream. What a participant knows, and what is said about one run of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .wires import WIRES

KEY, GROUP, CONSUMER, OUT = "benchmark", "workers", "one", "benchmark:out"

ORDER = {"customer": "alice", "amount": "49.50"}
LINES = [{"sku": f"sku-{n:05}", "title": "a thing that somebody ordered", "pieces": n, "price": 4.95 + n} for n in range(11)]


def fields_of(payload: str, n: int) -> dict[str, Any]:
    """The fields of entry `n`: four short ones, or a type and 1 KB of JSON; or the four as another library wraps them."""
    if payload == "fields" or payload in WIRES:
        fields = {"type": "order.placed", "order_id": f"o-{n}", **ORDER}
        return WIRES[payload](fields, n) if payload in WIRES else fields
    return {"type": "order.placed", "data": json.dumps({"order_id": f"o-{n}", **ORDER, "lines": LINES}, separators=(",", ":"))}


@dataclass(frozen=True)
class Job:
    """Consume `entries` entries of the stream `KEY` as the group `GROUP`, and look at the field `order_id` of each."""

    port: int
    entries: int
    payload: str  # "fields" or "json"

    @property
    def url(self) -> str:
        """The server's address."""
        return f"redis://127.0.0.1:{self.port}"


class Count:
    """Counts handled entries; `left` is how many are to come."""

    def __init__(self, job: Job, over: Callable[[], Any]) -> None:
        self.left, self.over = job.entries, over

    def one(self) -> None:
        """One was handled."""
        self.left -= 1
        if not self.left:
            self.over()

    def many(self, entries: int) -> None:
        """Several were handled."""
        self.left -= entries
        if not self.left:
            self.over()


@dataclass(frozen=True)
class Run:
    """One run: seconds of wall and of this process' CPU for the whole job, and the server's seconds by `INFO commandstats`."""

    wall: float
    cpu: float
    server: float
    memory: float = 0.0  # MB that the process grew by
