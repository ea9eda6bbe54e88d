"""Who asks: each gives how many nanoseconds every answer took; those that ask for many at once, how long all took, and over how many connections."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import redis
import redis.asyncio

from streamio import Topic

from ..job import KEY, ORDER, Job

NAME = "asker"  # of all its connections
ANSWERS = f"{KEY}:answers"
WAIT = 30  # seconds for an answer


def checked(answer: Any, order: str) -> None:
    """An error where this is not the answer to this order."""
    if answer["order_id"] != order or answer["state"] != "billed":
        raise RuntimeError(f"{answer} came for {order}")


def request(job: Job) -> list[int]:
    """`topic.request`, one after the other."""
    took = []
    with Topic(KEY, redis.Redis(port=job.port)) as topic:
        for n in range(job.entries):
            began = time.perf_counter_ns()
            answer = topic.request("order.placed", {"order_id": f"o-{n}", **ORDER}, timeout=WAIT)
            took.append(time.perf_counter_ns() - began)
            checked(answer, f"o-{n}")
    return took


def request_asyncio(job: Job) -> list[int]:
    """The same in asyncio."""
    return asyncio.run(request_asyncio_(job))


async def request_asyncio_(job: Job) -> list[int]:
    """The same, on a loop."""
    took = []
    async with Topic(KEY, redis.asyncio.Redis(port=job.port)) as topic:
        for n in range(job.entries):
            began = time.perf_counter_ns()
            answer = await topic.request("order.placed", {"order_id": f"o-{n}", **ORDER}, timeout=WAIT)
            took.append(time.perf_counter_ns() - began)
            checked(answer, f"o-{n}")
    return took


def asked(n: int) -> dict[str, Any]:
    """The entry that a pair by hand adds."""
    return {"header:reply_to": ANSWERS, "type": "order.placed", "header:correlation_id": n, "order_id": f"o-{n}", **ORDER}


def by_hand(job: Job) -> list[int]:
    """XADD, then XREAD BLOCK on a stream of answers, on one connection."""
    client: Any = redis.Redis(port=job.port, decode_responses=True)
    took, last = [], "0-0"
    for n in range(job.entries):
        began = time.perf_counter_ns()
        client.xadd(KEY, asked(n))
        ((_, ((last, answer),)),) = client.xread({ANSWERS: last}, count=1, block=WAIT * 1000)
        took.append(time.perf_counter_ns() - began)
        checked(answer, f"o-{n}")
    client.close()
    return took


def by_hand_asyncio(job: Job) -> list[int]:
    """The same in asyncio."""
    return asyncio.run(by_hand_asyncio_(job))


async def by_hand_asyncio_(job: Job) -> list[int]:
    """The same, on a loop."""
    client: Any = redis.asyncio.Redis(port=job.port, decode_responses=True)
    took, last = [], "0-0"
    for n in range(job.entries):
        began = time.perf_counter_ns()
        await client.xadd(KEY, asked(n))
        ((_, ((last, answer),)),) = await client.xread({ANSWERS: last}, count=1, block=WAIT * 1000)
        took.append(time.perf_counter_ns() - began)
        checked(answer, f"o-{n}")
    await client.aclose()
    return took


def many(job: Job) -> dict[str, float]:
    """All at once: a thread for each."""
    with Topic(KEY, redis.Redis(port=job.port, client_name=NAME)) as topic, ThreadPoolExecutor(job.entries) as pool:

        def one(n: int) -> None:
            checked(topic.request("order.placed", {"order_id": f"o-{n}", **ORDER}, timeout=WAIT), f"o-{n}")

        began = time.perf_counter()
        answered = sum(1 for _ in pool.map(one, range(job.entries)))
        return {"answered": answered, "seconds": time.perf_counter() - began, "connections": connections(job)}


def many_asyncio(job: Job) -> dict[str, float]:
    """All at once: a task for each."""
    return asyncio.run(many_asyncio_(job))


async def many_asyncio_(job: Job) -> dict[str, float]:
    """The same, on a loop."""
    answered = count()
    async with Topic(KEY, redis.asyncio.Redis(port=job.port, client_name=NAME)) as topic:

        async def one(n: int) -> None:
            checked(await topic.request("order.placed", {"order_id": f"o-{n}", **ORDER}, timeout=WAIT), f"o-{n}")
            next(answered)

        began = time.perf_counter()
        await asyncio.gather(*(one(n) for n in range(job.entries)))
        return {"answered": next(answered), "seconds": time.perf_counter() - began, "connections": connections(job)}


def connections(job: Job) -> int:
    """How many the topic has: it keeps those that it made."""
    with redis.Redis(port=job.port) as client:
        return sum(each["name"] == NAME for each in client.client_list())
