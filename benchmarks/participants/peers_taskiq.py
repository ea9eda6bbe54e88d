"""taskiq with its broker on streams. Its entries hold a task as JSON in the field `data`: they are of the wire `taskiq`."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from taskiq.receiver import Receiver
from taskiq_redis import RedisStreamBroker

from ..job import CONSUMER, GROUP, KEY, Count, Job


def broker_of(job: Job, **options: Any) -> Any:
    """The broker."""
    return RedisStreamBroker(job.url, KEY, consumer_group_name=GROUP, consumer_name=CONSUMER, **options)


def worker(job: Job) -> float:
    """What `taskiq worker` runs with its defaults: up to a hundred coroutines side by side."""
    return asyncio.run(worker_(job))


async def worker_(job: Job) -> float:
    """The same, on a loop."""
    broker, over = broker_of(job), asyncio.Event()
    count = Count(job, over.set)

    @broker.task("order.placed")
    async def handle(order_id: str, customer: str, amount: str) -> None:
        count.one()

    await broker.startup()
    await Receiver(broker, max_async_tasks=100).listen(over)  # returns when what runs has ended and is acknowledged
    ended = time.perf_counter()
    await broker.shutdown()
    return ended


def listen(job: Job) -> float:
    """Without its worker: 1000 entries a read, each decoded and acknowledged here."""
    return asyncio.run(listen_(job))


async def listen_(job: Job) -> float:
    """The same, on a loop."""
    broker = broker_of(job, xread_count=1000)
    left = job.entries
    await broker.startup()
    messages = broker.listen()
    async for message in messages:
        json.loads(message.data)["kwargs"]["order_id"]
        await message.ack()
        left -= 1
        if not left:
            break
    ended = time.perf_counter()
    await messages.aclose()
    await broker.shutdown()
    return ended
