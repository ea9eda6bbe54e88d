"""coredis: a group's consumer as an asynchronous iterator, which is acknowledged by hand."""

from __future__ import annotations

import asyncio
from typing import Any

import coredis
from coredis.patterns.streams import GroupConsumer

from ..job import CONSUMER, GROUP, KEY, Job


def default(job: Job) -> None:
    """No buffer: one entry a read, an XACK for each."""
    asyncio.run(consume(job, 0, 1))


def each(job: Job) -> None:
    """A buffer of 1000, an XACK for each."""
    asyncio.run(consume(job, 1000, 1))


def batches(job: Job) -> None:
    """A buffer of 1000, one XACK for 1000 entries."""
    asyncio.run(consume(job, 1000, 1000))


async def consume(job: Job, buffer: int, together: int) -> None:
    """Read with that buffer, acknowledge so many together."""
    client: Any = coredis.Redis(port=job.port)
    async with client, GroupConsumer(client, [KEY], GROUP, CONSUMER, buffer_size=buffer, timeout=1000) as consumer:
        done: list[Any] = []
        left = job.entries
        while left:
            async for _, entry in consumer:
                entry.field_values[b"order_id"]
                done.append(entry.identifier)
                left -= 1
                if len(done) == together or not left:
                    await client.xack(KEY, GROUP, done)
                    done = []
                if not left:
                    break
