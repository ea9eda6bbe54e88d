"""One member over very many entries, and its process' memory on the way."""

from __future__ import annotations

import asyncio as aio
from typing import Any

from . import member_of, memory

POINTS = 10  # how often to look on the way


def on(port: int, entries: int, asyncio: bool) -> dict[str, Any]:
    """Handle so many entries; MB before the first, at each tenth of them, and after the last."""
    member = member_of(port, "one", asyncio)
    left, step, points = entries, entries // POINTS, list[float]()

    def one(message: Any) -> None:
        nonlocal left
        message.data["order_id"]
        left -= 1
        if left % step == 0:
            points.append(memory())
        if not left:
            member.stop()

    async def one_asyncio(message: Any) -> None:
        one(message)

    member.on("order.placed", one_asyncio if asyncio else one)
    before = memory()
    if asyncio:
        aio.run(member.connect_and_listen())
    else:
        member.connect_and_listen()
    return {"before": before, "points": points, "after": memory()}
