"""Members of one group in processes of their own, and the loop by hand in their place."""

from __future__ import annotations

import time
from typing import Any

import redis

from ..job import GROUP, KEY
from . import member_of, ready, when_told


def on(port: int, name: str, seconds: float = 0.0, numbers: bool = True) -> dict[str, Any]:
    """A member whose handler takes so long; which orders it had, and when the last of them was handled."""
    member = member_of(port, name)
    seen: list[str] = []
    last = 0.0

    def handle(message: Any) -> None:
        nonlocal last
        if seconds:
            time.sleep(seconds)
        seen.append(message.data["order_id"])
        last = time.monotonic()

    member.on("order.placed", handle)
    member.connect()
    ready()
    when_told(member.stop)
    member.connect_and_listen()
    return {"count": len(seen), "last": last, "orders": seen if numbers else []}


def by_hand(port: int, name: str, numbers: bool = True) -> dict[str, Any]:
    """COUNT 1000, one XACK for each batch; which orders it had, and when it was through with the last."""
    client: Any = redis.Redis(port=port, decode_responses=True)
    seen: list[str] = []
    told: list[bool] = []
    last = 0.0
    client.ping()
    ready()
    when_told(lambda: told.append(True))
    while not told:
        for _, found in client.xreadgroup(GROUP, name, {KEY: ">"}, count=1000, block=100):
            for _, fields in found:
                seen.append(fields["order_id"])
                last = time.monotonic()
            client.xack(KEY, GROUP, *[entry_id for entry_id, _ in found])
    return {"count": len(seen), "last": last, "orders": seen if numbers else []}
