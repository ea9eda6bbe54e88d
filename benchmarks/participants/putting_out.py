"""One entry in, four short fields out into another stream: a pipe, replies, the same step without output, and loops by hand."""

from __future__ import annotations

import asyncio
from typing import Any

import redis
import redis.asyncio

from streamio import ConsumerGroupMember, ConsumerGroupTopic, Topic

from ..job import CONSUMER, GROUP, KEY, OUT, Count, Job


def billed(fields: Any) -> dict[str, Any]:
    """What comes out of one order, beside the type."""
    return {"order_id": fields["order_id"], "customer": fields["customer"], "amount": fields["amount"]}


def made(job: Job, kind: Any = redis.Redis, replies: bool = False) -> tuple[Any, Any]:
    """The one member, with all its defaults, and where outputs go."""
    client = kind(port=job.port)
    topic = Topic(OUT, client)
    group: Any = ConsumerGroupTopic(Topic(KEY, client), GROUP)
    return ConsumerGroupMember(group, CONSUMER, reply_to=topic if replies else None), topic


def plain(job: Job) -> None:
    """A handler that puts out nothing."""
    listening(job, replies=False)


def replies(job: Job) -> None:
    """A handler whose return value is written."""
    listening(job, replies=True)


def listening(job: Job, replies: bool) -> None:
    """The same handler for both."""
    member, _ = made(job, replies=replies)
    count = Count(job, member.stop)

    @member.on("order.placed")
    def handle(message: Any) -> Any:
        reply = {**billed(message), "state": "billed"}
        count.one()
        return reply if replies else None

    member.connect_and_listen()


def pipe(job: Job) -> None:
    """`member | step | topic`, run."""
    member, topic = made(job)
    count = Count(job, member.stop)

    def step(message: Any) -> dict[str, Any]:
        count.one()
        return billed(message)

    (member | step | topic).run()


def flow(job: Job) -> None:
    """The same, iterated."""
    member, topic = made(job)
    count = Count(job, member.stop)
    with member:
        for _ in member | billed | topic:
            count.one()


def plain_asyncio(job: Job) -> None:
    """As `plain`, a coroutine."""
    listening_asyncio(job, replies=False)


def replies_asyncio(job: Job) -> None:
    """As `replies`, a coroutine."""
    listening_asyncio(job, replies=True)


def listening_asyncio(job: Job, replies: bool) -> None:
    """The same handler for both."""
    member, _ = made(job, redis.asyncio.Redis, replies)
    count = Count(job, member.stop)

    @member.on("order.placed")
    async def handle(message: Any) -> Any:
        reply = {**billed(message), "state": "billed"}
        count.one()
        return reply if replies else None

    asyncio.run(member.connect_and_listen())


def pipe_asyncio(job: Job) -> None:
    """`member | step | topic` with a coroutine function, run."""
    member, topic = made(job, redis.asyncio.Redis)
    count = Count(job, member.stop)

    async def step(message: Any) -> dict[str, Any]:
        count.one()
        return billed(message)

    asyncio.run((member | step | topic).run())


def flow_asyncio(job: Job) -> None:
    """The same, iterated."""
    asyncio.run(flow_asyncio_(job))


async def flow_asyncio_(job: Job) -> None:
    """The same, on a loop."""
    member, topic = made(job, redis.asyncio.Redis)
    count = Count(job, member.stop)
    async with member:
        async for _ in member | billed | topic:
            count.one()


def by_hand(job: Job) -> None:
    """COUNT 1000; the outputs of a batch and its XACK in one MULTI. Whose the entries are by then it does not ask."""
    client: Any = redis.Redis(port=job.port, decode_responses=True)
    left = job.entries
    while left:
        for _, found in client.xreadgroup(GROUP, CONSUMER, {KEY: ">"}, count=1000, block=1000):
            filled(client.pipeline(transaction=True), found).execute()
            left -= len(found)
    client.close()


def by_hand_asyncio(job: Job) -> None:
    """The same in asyncio."""
    asyncio.run(by_hand_asyncio_(job))


async def by_hand_asyncio_(job: Job) -> None:
    """The same, on a loop."""
    client: Any = redis.asyncio.Redis(port=job.port, decode_responses=True)
    left = job.entries
    while left:
        for _, found in await client.xreadgroup(GROUP, CONSUMER, {KEY: ">"}, count=1000, block=1000):
            await filled(client.pipeline(transaction=True), found).execute()
            left -= len(found)
    await client.aclose()


def filled(transaction: Any, found: Any) -> Any:
    """The transaction with what comes out of a batch, and its acknowledgement."""
    for _, fields in found:
        transaction.xadd(OUT, {"type": fields["type"], **billed(fields)})
    transaction.xack(KEY, GROUP, *[entry_id for entry_id, _ in found])
    return transaction
