"""Handlers that wait for 5 ms, 64 side by side: a member's, and the same without Redis. Each gives how many it handled."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import redis.asyncio

from ..job import Job, fields_of
from .ours import member_of

SIDE_BY_SIDE, SECONDS = 64, 0.005


class Tally:
    """Counts what was handled, in any thread: `next` of a counter is one step."""

    def __init__(self, job: Job, over: Callable[[], Any]) -> None:
        self.handled, self.entries, self.over = itertools.count(1), job.entries, over

    def one(self) -> None:
        """One was handled."""
        if next(self.handled) == self.entries:
            self.over()

    def all(self) -> int:
        """How many were handled, when no more are."""
        return next(self.handled) - 1


def listed(job: Job) -> list[dict[str, Any]]:
    """The entries, in memory."""
    return [fields_of(job.payload, n) for n in range(job.entries)]


def on_asyncio(job: Job) -> int:
    """A member with coroutine handlers."""
    member = member_of(job, redis.asyncio.Redis, concurrency=SIDE_BY_SIDE)
    tally = Tally(job, member.stop)

    @member.on("order.placed")
    async def handle(message: Any) -> None:
        message.data["order_id"]
        await asyncio.sleep(SECONDS)
        tally.one()

    asyncio.run(member.connect_and_listen())
    return tally.all()


def plain_asyncio(job: Job) -> int:
    """Workers that take from one iterator."""
    return asyncio.run(plain_asyncio_(job))


async def plain_asyncio_(job: Job) -> int:
    """The same, on a loop."""
    tally = Tally(job, lambda: None)

    async def handle(fields: dict[str, Any]) -> None:
        fields["order_id"]
        await asyncio.sleep(SECONDS)
        tally.one()

    async def work(entries: Iterator[dict[str, Any]]) -> None:
        for fields in entries:
            await handle(fields)

    entries = iter(listed(job))
    await asyncio.gather(*(work(entries) for _ in range(SIDE_BY_SIDE)))
    return tally.all()


def on(job: Job) -> int:
    """A member with handlers in threads."""
    member = member_of(job, concurrency=SIDE_BY_SIDE)
    tally = Tally(job, member.stop)

    @member.on("order.placed")
    def handle(message: Any) -> None:
        message.data["order_id"]
        time.sleep(SECONDS)
        tally.one()

    member.connect_and_listen()
    return tally.all()


def plain(job: Job) -> int:
    """A pool of threads that take from one iterator. (`pool.map` of all the entries fills its queue first, and is slower.)"""
    tally = Tally(job, lambda: None)

    def handle(fields: dict[str, Any]) -> None:
        fields["order_id"]
        time.sleep(SECONDS)
        tally.one()

    def work(entries: Iterator[dict[str, Any]]) -> None:
        for fields in entries:
            handle(fields)

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for future in [pool.submit(work, entries) for entries in [iter(listed(job))] * SIDE_BY_SIDE]:
            future.result()
    return tally.all()
