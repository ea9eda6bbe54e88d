"""The loops that one would write on redis-py."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import redis
import redis.asyncio

from ..job import CONSUMER, GROUP, KEY, Job


def look(found: Any, payload: str) -> None:
    """Look at one field of each entry."""
    if payload == "fields":
        for _, fields in found:
            fields["order_id"]
    else:
        for _, fields in found:
            json.loads(fields["data"])["order_id"]


def thousand(job: Job) -> None:
    """COUNT 1000, one XACK for each batch."""
    batches(job, 1000)


def hundred(job: Job) -> None:
    """COUNT 100, one XACK for each batch."""
    batches(job, 100)


def batches(job: Job, count: int) -> None:
    """Read `count` at a time, and acknowledge them in one command."""
    client: Any = redis.Redis(port=job.port, decode_responses=True)
    left = job.entries
    while left:
        for _, found in client.xreadgroup(GROUP, CONSUMER, {KEY: ">"}, count=count, block=1000):
            look(found, job.payload)
            client.xack(KEY, GROUP, *[entry_id for entry_id, _ in found])
            left -= len(found)
    client.close()


def recipe(job: Job) -> None:
    """As the documentation shows it: COUNT 10, XACK for each entry."""
    client: Any = redis.Redis(port=job.port, decode_responses=True)
    left = job.entries
    while left:
        for _, found in client.xreadgroup(GROUP, CONSUMER, {KEY: ">"}, count=10, block=1000):
            for entry_id, fields in found:
                fields["order_id"]
                client.xack(KEY, GROUP, entry_id)
                left -= 1
    client.close()


def thousand_asyncio(job: Job) -> None:
    """COUNT 1000, one XACK for each batch."""
    asyncio.run(batches_asyncio(job, 1000))


def hundred_asyncio(job: Job) -> None:
    """COUNT 100, one XACK for each batch."""
    asyncio.run(batches_asyncio(job, 100))


async def batches_asyncio(job: Job, count: int) -> None:
    """Read `count` at a time, and acknowledge them in one command."""
    client: Any = redis.asyncio.Redis(port=job.port, decode_responses=True)
    left = job.entries
    while left:
        for _, found in await client.xreadgroup(GROUP, CONSUMER, {KEY: ">"}, count=count, block=1000):
            look(found, job.payload)
            await client.xack(KEY, GROUP, *[entry_id for entry_id, _ in found])
            left -= len(found)
    await client.aclose()


def recipe_asyncio(job: Job) -> None:
    """As the documentation shows it: COUNT 10, XACK for each entry."""
    asyncio.run(recipe_asyncio_(job))


async def recipe_asyncio_(job: Job) -> None:
    """The same, on a loop."""
    client: Any = redis.asyncio.Redis(port=job.port, decode_responses=True)
    left = job.entries
    while left:
        for _, found in await client.xreadgroup(GROUP, CONSUMER, {KEY: ">"}, count=10, block=1000):
            for entry_id, fields in found:
                fields["order_id"]
                await client.xack(KEY, GROUP, entry_id)
                left -= 1
    await client.aclose()
