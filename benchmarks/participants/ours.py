"""streamio with all its defaults: leases, retries, reconnecting, dead letters."""

from __future__ import annotations

import asyncio
from typing import Any

import redis
import redis.asyncio

from streamio import ConsumerGroupMember, ConsumerGroupTopic, FlatCodec, JSONCodec, Topic

from ..job import CONSUMER, GROUP, KEY, Count, Job


def member_of(job: Job, kind: Any = redis.Redis, **options: Any) -> Any:
    """The one member."""
    codec: Any = FlatCodec() if job.payload == "fields" else JSONCodec()
    return ConsumerGroupMember(ConsumerGroupTopic(Topic(KEY, kind(port=job.port), codec=codec), GROUP), CONSUMER, **options)


def on(job: Job) -> None:
    """A handler by type."""
    member = member_of(job)
    count = Count(job, member.stop)

    @member.on("order.placed")
    def handle(message: Any) -> None:
        message.data["order_id"]
        count.one()

    member.connect_and_listen()


def on_batch(job: Job) -> None:
    """A handler for lists of a hundred."""
    member = member_of(job)
    count = Count(job, member.stop)

    @member.on_batch(size=100)
    def handle(messages: Any) -> None:
        for message in messages:
            message.data["order_id"]
        count.many(len(messages))

    member.connect_and_listen()


def loop(job: Job) -> None:
    """A loop."""
    left = job.entries
    with member_of(job) as member:
        for message in member:
            message.data["order_id"]
            left -= 1
            if not left:
                break


def on_asyncio(job: Job) -> None:
    """A coroutine handler by type."""
    member = member_of(job, redis.asyncio.Redis)
    count = Count(job, member.stop)

    @member.on("order.placed")
    async def handle(message: Any) -> None:
        message.data["order_id"]
        count.one()

    asyncio.run(member.connect_and_listen())


def on_batch_asyncio(job: Job) -> None:
    """A coroutine handler for lists of a hundred."""
    member = member_of(job, redis.asyncio.Redis)
    count = Count(job, member.stop)

    @member.on_batch(size=100)
    async def handle(messages: Any) -> None:
        for message in messages:
            message.data["order_id"]
        count.many(len(messages))

    asyncio.run(member.connect_and_listen())


def loop_asyncio(job: Job) -> None:
    """A loop in asyncio."""
    asyncio.run(loop_asyncio_(job))


async def loop_asyncio_(job: Job) -> None:
    """The same, on a loop."""
    left = job.entries
    async with member_of(job, redis.asyncio.Redis) as member:
        async for message in member:
            message.data["order_id"]
            left -= 1
            if not left:
                break
