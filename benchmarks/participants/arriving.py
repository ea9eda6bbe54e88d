"""Readers of an idle stream: each gives, for every entry, the nanoseconds from its publishing (which it carries) to the first line of its handler."""

from __future__ import annotations

import asyncio
from time import perf_counter_ns  # CLOCK_MONOTONIC: the same for all processes of a machine
from typing import Any

import redis
import redis.asyncio

from ..job import CONSUMER, GROUP, KEY, Count, Job
from .ours import member_of

READ = {"groupname": GROUP, "consumername": CONSUMER, "streams": {KEY: ">"}, "count": 1000, "block": 2000}


def raw(job: Job) -> list[int]:
    """A blocked XREADGROUP, and an XACK of what it brought."""
    client: Any = redis.Redis(port=job.port, decode_responses=True)
    took: list[int] = []
    while len(took) < job.entries:
        for _, found in client.xreadgroup(**READ):
            for _, fields in found:
                took.append(perf_counter_ns() - int(fields["at"]))
            client.xack(KEY, GROUP, *[entry_id for entry_id, _ in found])
    client.close()
    return took


def raw_asyncio(job: Job) -> list[int]:
    """The same in asyncio."""
    return asyncio.run(raw_asyncio_(job))


async def raw_asyncio_(job: Job) -> list[int]:
    """The same, on a loop."""
    client: Any = redis.asyncio.Redis(port=job.port, decode_responses=True)
    took: list[int] = []
    while len(took) < job.entries:
        for _, found in await client.xreadgroup(**READ):
            for _, fields in found:
                took.append(perf_counter_ns() - int(fields["at"]))
            await client.xack(KEY, GROUP, *[entry_id for entry_id, _ in found])
    await client.aclose()
    return took


def on(job: Job) -> list[int]:
    """A handler by type."""
    member, took = member_of(job), list[int]()
    count = Count(job, member.stop)

    @member.on("order.placed")
    def handle(message: Any) -> None:
        took.append(perf_counter_ns() - int(message.data["at"]))
        count.one()

    member.connect_and_listen()
    return took


def loop(job: Job) -> list[int]:
    """A loop."""
    took: list[int] = []
    with member_of(job) as member:
        for message in member:
            took.append(perf_counter_ns() - int(message.data["at"]))
            if len(took) == job.entries:
                break
    return took


def on_asyncio(job: Job) -> list[int]:
    """A coroutine handler by type."""
    member, took = member_of(job, redis.asyncio.Redis), list[int]()
    count = Count(job, member.stop)

    @member.on("order.placed")
    async def handle(message: Any) -> None:
        took.append(perf_counter_ns() - int(message.data["at"]))
        count.one()

    asyncio.run(member.connect_and_listen())
    return took
