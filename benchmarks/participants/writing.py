"""Publishers of many entries: ours and redis-py's, on the key `WRITTEN`. Each makes its entries as it goes, and gives how many it wrote."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import redis
import redis.asyncio

from streamio import FlatCodec, JSONCodec, Topic

from ..job import LINES, ORDER, Job

WRITTEN, TYPE, PIPE = "written", "order.placed", 1000


def data_of(payload: str, n: int) -> dict[str, Any]:
    """The data of entry `n`."""
    data: dict[str, Any] = {"order_id": f"o-{n}", **ORDER}
    return data if payload == "fields" else {**data, "lines": LINES}


def fields_of(payload: str, n: int) -> dict[str, Any]:
    """The fields that redis-py is given for it: the same on the wire as ours."""
    if payload == "fields":
        return {"type": TYPE, **data_of(payload, n)}
    return {"type": TYPE, "data": json.dumps(data_of(payload, n), separators=(",", ":"))}


def topic_of(job: Job, kind: Any = redis.Redis) -> Any:
    """Our topic."""
    codec: Any = FlatCodec() if job.payload == "fields" else JSONCodec()
    return Topic(WRITTEN, kind(port=job.port), codec=codec)


def items(job: Job) -> Iterator[tuple[str, Any]]:
    """What `publish_many` is given."""
    return ((TYPE, data_of(job.payload, n)) for n in range(job.entries))


def pages(job: Job) -> Iterator[range]:
    """Which entries are in each pipeline."""
    return (range(n, min(n + PIPE, job.entries)) for n in range(0, job.entries, PIPE))


def pipeline(job: Job) -> int:
    """A pipeline of 1000 XADDs, again and again."""
    client, written = redis.Redis(port=job.port, decode_responses=True), 0
    for page in pages(job):
        pipe: Any = client.pipeline(transaction=False)
        for n in page:
            pipe.xadd(WRITTEN, fields_of(job.payload, n))
        written += len(pipe.execute())
    client.close()
    return written


def many(job: Job) -> int:
    """`publish_many`."""
    with topic_of(job) as topic:
        return len(topic.publish_many(items(job)))


def xadd(job: Job) -> int:
    """XADD, one after the other."""
    client: Any = redis.Redis(port=job.port, decode_responses=True)
    written = 0
    for n in range(job.entries):
        written += bool(client.xadd(WRITTEN, fields_of(job.payload, n)))
    client.close()
    return written


def single(job: Job) -> int:
    """`publish`, one after the other."""
    written = 0
    with topic_of(job) as topic:
        for n in range(job.entries):
            written += bool(topic.publish(TYPE, data_of(job.payload, n)))
    return written


def pipeline_asyncio(job: Job) -> int:
    """As `pipeline`."""

    async def go() -> int:
        client, written = redis.asyncio.Redis(port=job.port, decode_responses=True), 0
        for page in pages(job):
            pipe: Any = client.pipeline(transaction=False)
            for n in page:
                pipe.xadd(WRITTEN, fields_of(job.payload, n))
            written += len(await pipe.execute())
        await client.aclose()
        return written

    return asyncio.run(go())


def many_asyncio(job: Job) -> int:
    """As `many`."""

    async def go() -> int:
        async with topic_of(job, redis.asyncio.Redis) as topic:
            return len(await topic.publish_many(items(job)))

    return asyncio.run(go())


def xadd_asyncio(job: Job) -> int:
    """As `xadd`."""

    async def go() -> int:
        client: Any = redis.asyncio.Redis(port=job.port, decode_responses=True)
        written = 0
        for n in range(job.entries):
            written += bool(await client.xadd(WRITTEN, fields_of(job.payload, n)))
        await client.aclose()
        return written

    return asyncio.run(go())


def single_asyncio(job: Job) -> int:
    """As `single`."""

    async def go() -> int:
        written = 0
        async with topic_of(job, redis.asyncio.Redis) as topic:
            for n in range(job.entries):
                written += bool(await topic.publish(TYPE, data_of(job.payload, n)))
        return written

    return asyncio.run(go())
