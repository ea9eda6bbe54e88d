"""One producer process of a soak: `python -m tests.soak.producer URL PROFILE COLOUR FIRST STEP LOG`.

It publishes the numbers FIRST, FIRST + STEP, ... at a fixed rate, catching up after an outage. What it writes: see `records.py`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from typing import Any

import redis

from streamio import JSONCodec, PublishUncertain, Topic, from_url

from .profiles import PROFILES, TOPIC, UNDECODABLE, Profile
from .records import Log

REST = 0.02  # seconds after a failed try


def numbers(profile: Profile, first: int, step: int) -> Iterator[tuple[int, float]]:
    """Each number, and when it is due (CLOCK_MONOTONIC)."""
    began, each = time.monotonic(), profile.seconds / profile.messages
    for n in range(first, profile.messages, step):
        yield n, began + n * each


def noted(log: Log, n: int, error: Exception) -> None:
    """Write what became of a try that failed."""
    if isinstance(error, PublishUncertain):
        log.write("U", n)
    else:
        log.write("F", n, repr(error))


def blocking(topic: Any, profile: Profile, first: int, step: int, log: Log) -> None:
    """Publish with a blocking topic."""
    for n, due in numbers(profile, first, step):
        time.sleep(max(0.0, due - time.monotonic()))
        while True:
            try:
                log.write("P", n, topic.publish("job", n=n))
                break
            except (PublishUncertain, redis.ConnectionError, redis.TimeoutError) as error:
                noted(log, n, error)
                time.sleep(REST)


async def awaited(topic: Any, profile: Profile, first: int, step: int, log: Log) -> None:
    """Publish with an asyncio topic."""
    for n, due in numbers(profile, first, step):
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        while True:
            try:
                log.write("P", n, await topic.publish("job", n=n))
                break
            except (PublishUncertain, redis.ConnectionError, redis.TimeoutError) as error:
                noted(log, n, error)
                await asyncio.sleep(REST)
    await topic.close()


def spoil(url: str) -> None:
    """Write the entries that do not decode, as a foreign producer would."""
    client: Any = redis.Redis.from_url(url)
    for _ in range(UNDECODABLE):
        client.xadd(TOPIC, {"type": "job", "data": b'\xff{"n":'})
    client.close()


def main() -> None:
    """See the head of this file."""
    url, name, colour, first, step, path = sys.argv[1:]
    profile, log = PROFILES[name], Log(path)
    codec = JSONCodec() if profile.poison else None
    if profile.poison and first == "0":
        spoil(url)
    if colour == "asyncio":
        asyncio.run(awaited(Topic(TOPIC, from_url(url, asyncio=True), codec=codec), profile, int(first), int(step), log))
    else:
        with Topic(TOPIC, url, codec=codec) as topic:
            blocking(topic, profile, int(first), int(step), log)
    log.write("Q")


if __name__ == "__main__":
    main()
