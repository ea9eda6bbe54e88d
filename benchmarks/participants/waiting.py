"""Handlers that wait for 5 ms, 64 side by side: a member's, and the same without Redis. Each gives how many it handled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import redis.asyncio

from ..job import Count, Job, fields_of
from .ours import member_of

SIDE_BY_SIDE, SECONDS = 64, 0.005


def listed(job: Job) -> list[dict[str, Any]]:
    """The entries, in memory."""
    return [fields_of(job.payload, n) for n in range(job.entries)]


def on_asyncio(job: Job) -> int:
    """A member with coroutine handlers."""
    member = member_of(job, redis.asyncio.Redis, concurrency=SIDE_BY_SIDE)
    count = Count(job, member.stop)

    @member.on("order.placed")
    async def handle(message: Any) -> None:
        message.data["order_id"]
        await asyncio.sleep(SECONDS)
        count.one()

    asyncio.run(member.connect_and_listen())
    return job.entries - count.left


def plain_asyncio(job: Job) -> int:
    """Workers that take from one iterator."""
    return asyncio.run(plain_asyncio_(job))


async def plain_asyncio_(job: Job) -> int:
    """The same, on a loop."""
    count = Count(job, lambda: None)

    async def handle(fields: dict[str, Any]) -> None:
        fields["order_id"]
        await asyncio.sleep(SECONDS)
        count.one()

    async def work(entries: Iterator[dict[str, Any]]) -> None:
        for fields in entries:
            await handle(fields)

    entries = iter(listed(job))
    await asyncio.gather(*(work(entries) for _ in range(SIDE_BY_SIDE)))
    return job.entries - count.left


def on(job: Job) -> int:
    """A member with handlers in threads."""
    member = member_of(job, concurrency=SIDE_BY_SIDE)
    count = Count(job, member.stop)

    @member.on("order.placed")
    def handle(message: Any) -> None:
        message.data["order_id"]
        time.sleep(SECONDS)
        count.one()

    member.connect_and_listen()
    return job.entries - count.left


def plain(job: Job) -> int:
    """A pool of threads."""
    count = Count(job, lambda: None)

    def handle(fields: dict[str, Any]) -> None:
        fields["order_id"]
        time.sleep(SECONDS)
        count.one()

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for _ in pool.map(handle, listed(job)):
            pass
    return job.entries - count.left
