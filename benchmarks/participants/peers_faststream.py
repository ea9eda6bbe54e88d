"""FastStream's Redis broker: a subscriber to the stream, which acknowledges by itself when the handler returned."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from faststream.redis import RedisBroker, StreamSub

from ..job import CONSUMER, GROUP, KEY, Count, Job


def stream(**options: Any) -> Any:
    """The stream as the group sees it: new entries."""
    return StreamSub(KEY, group=GROUP, consumer=CONSUMER, **options)


def default(job: Job) -> float:
    """As its guide shows it: arguments by type, a line of log before and after each message."""
    return asyncio.run(each(job, RedisBroker(job.url), stream=stream()))


def thousand(job: Job) -> float:
    """Nothing but the handler: no log, no look at the handler's types; 1000 entries a read."""
    return asyncio.run(each(job, bare(job), stream=stream(max_records=1000)))


def workers(job: Job) -> float:
    """The same with ten handlers side by side."""
    return asyncio.run(each(job, bare(job), stream=stream(max_records=1000), max_workers=10))


def batch(job: Job) -> float:
    """The same with handlers for lists, one XACK for each."""
    return asyncio.run(lists(job, bare(job), stream=stream(max_records=1000, batch=True)))


def bare(job: Job) -> Any:
    """A broker that does what has to be done."""
    return RedisBroker(job.url, logger=None, apply_types=False)


async def each(job: Job, broker: Any, **options: Any) -> float:
    """A handler for each message."""
    over = asyncio.Event()
    count = Count(job, over.set)

    @broker.subscriber(**options)
    async def handle(body: dict[str, Any]) -> None:
        body["order_id"]
        count.one()

    return await until(over, broker)


async def lists(job: Job, broker: Any, **options: Any) -> float:
    """A handler for lists."""
    over = asyncio.Event()
    count = Count(job, over.set)

    @broker.subscriber(**options)
    async def handle(bodies: Sequence[dict[str, Any]]) -> None:
        for body in bodies:
            body["order_id"]
        count.many(len(bodies))

    return await until(over, broker)


async def until(over: asyncio.Event, broker: Any) -> float:
    """When the last was handled and, by the stop that waits for what is in hand, acknowledged."""
    await broker.start()
    await over.wait()
    await broker.stop()
    return time.perf_counter()
