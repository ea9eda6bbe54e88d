"""The time that a handler has in asyncio: a timer of the event loop ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from ..emitter import Lifecycle
from ..protocol.hand import Hand
from ..protocol.limiting import Limit, ran_out


async def within(hand: Hand, lifecycle: Lifecycle, limit: Limit | None, work: Coroutine[Any, Any, Any]) -> Any:
    """What the work gives. Where its time is over it has failed at that moment, and is cancelled (a thread cannot be: it is waited for)."""
    if limit is None:
        return await work
    clock, call_later = hand.driver.clock.monotonic, hand.driver.call_later
    timer: Any = None

    def look() -> None:
        nonlocal timer
        left = limit.ends - clock()
        if left > 0:
            timer = call_later(left, look)
            return
        for event in ran_out(hand, limit, clock(), hand.driver.chance()):
            lifecycle.tell(event)
        if limit.cancels:
            scope.reschedule(0.0)

    async with asyncio.timeout(None) as scope:
        timer = call_later(limit.seconds, look)
        try:
            return await work
        finally:
            timer.cancel()
