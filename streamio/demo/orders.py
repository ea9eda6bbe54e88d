"""Orders by chance, and the producer that publishes them at a gentle rate."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterator
from random import Random
from typing import Any

from redis.exceptions import RedisError

from ..colour import Asyncio
from ..errors import StreamioError
from ..topic import Topic
from .errors import Refused, wrong

TYPES = ("order.placed", "order.paid", "order.shipped", "order.cancelled")
GOODS = ("books", "chairs", "lamps", "maps", "pens", "tents")
FASTEST = 100.0  # orders per second
log = logging.getLogger("streamio.demo")


class Orders:
    """A shop's orders: each one is placed first, and paid, shipped or cancelled later. With the same seed they are the same each time."""

    def __init__(self, seed: int | None = None) -> None:
        self.chance = Random(seed)
        self.number = self.to_spoil = 0  # how many of the next ones have an amount that is no number
        self.placed: deque[int] = deque(maxlen=50)  # numbers that may be paid, shipped or cancelled

    def next(self, type: str | None = None) -> tuple[str, dict[str, Any]]:
        """One entry, of this type or of any."""
        chosen = type or (self.chance.choices(TYPES, (5, 3, 2, 1))[0] if self.placed else TYPES[0])
        if chosen == TYPES[0] or not self.placed:
            self.number += 1
            self.placed.append(self.number)
            number = self.number
        else:
            number = self.chance.choice(self.placed)
        goods, pieces = self.chance.choice(GOODS), self.chance.randint(1, 9)
        amount = f"{pieces * self.chance.randint(200, 4000) / 100:.2f}"
        if self.to_spoil:
            self.to_spoil, amount = self.to_spoil - 1, amount.replace(".", ",")
        return chosen, {"order": f"A-{number}", "goods": goods, "pieces": pieces, "amount": amount}

    def many(self, count: int, type: str | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """So many entries."""
        return (self.next(type) for _ in range(count))


class Producer:
    """Publishes orders until it is stopped, `rate` of them per second; it can be paused."""

    def __init__(self, topic: Topic[Asyncio, Any], orders: Orders, rate: float) -> None:
        self.topic, self.orders = topic, orders
        self.rate = checked_rate(rate)
        self.paused = False
        self.produced, self.fault = 0, ""
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name="demo producer")

    async def stop(self) -> None:
        """End; an entry that is being written is waited for."""
        task, self._task = self._task, None
        if task is not None:
            self._wake.set()
            await task

    def set(self, *, paused: bool | None = None, rate: float | None = None) -> None:
        """Pause or go on, and how many orders per second."""
        if rate is not None:
            self.rate = checked_rate(rate)
        if paused is not None:
            self.paused = paused
        self._wake.set()

    async def publish(self, count: int, type: str | None = None) -> list[str]:
        """Publish so many orders at once; their ids."""
        ids = await self.topic.publish_many(self.orders.many(count, type))
        self.produced += len(ids)
        return ids

    async def _run(self) -> None:
        while self._task is not None:
            self._wake.clear()
            if not await self._woken(None if self.paused or not self.rate else 1 / self.rate):
                await self._publish_one()

    async def _publish_one(self) -> None:
        try:
            await self.publish(1)
            self.fault = ""
        except (RedisError, StreamioError, OSError) as error:
            if not self.fault:
                log.warning("an order was not published: %s", error)
            self.fault = str(error)
            await self._woken(1.0)

    async def _woken(self, seconds: float | None) -> bool:
        """Whether something changed within so many seconds."""
        try:
            return await asyncio.wait_for(self._wake.wait(), seconds)
        except TimeoutError:
            return False


def checked_type(type: object) -> str | None:
    """The type of an order; None: any."""
    if type in (None, "", "random"):
        return None
    if type not in TYPES:
        raise wrong("type", f"one of {', '.join(TYPES)} or 'random'", type)
    return str(type)


def checked_rate(rate: object) -> float:
    """Orders per second, or a refusal."""
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate <= FASTEST:
        raise Refused(f"rate must be a number of orders per second from 0 to {FASTEST:g}, not {rate!r}", "bad-input", 400)
    return float(rate)
