"""One member process of a soak: `python -m tests.soak.member URL PROFILE NAME STYLE LOG [MUTANT]`. It stops on SIGTERM, by `member.stop()`.

STYLE is one of `profiles.KINDS`: a handler, a loop or a pipe, one at a time or side by side, blocking or asyncio. What it writes: see `records.py`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import redis

from streamio import ConsumerGroupMember, ConsumerGroupTopic, JSONCodec, RetryPolicy, Topic, from_url

from . import pipes
from .mutants import MUTANTS
from .profiles import EXIT, EXIT_CODE, GROUP, KINDS, PIPES, PROFILES, TOPIC, Profile, raises
from .records import Log

WATCHED = ("claimed", "lease_lost", "missing", "buried", "retrying", "group_created", "disconnected", "reconnected", "lagging", "error")


class Failed(Exception):
    """A handler that fails on purpose."""


class Job:
    """What a handler does: it says that it starts, takes its time or fails, and says that it is through."""

    def __init__(self, profile: Profile, log: Log) -> None:
        self.profile, self.log = profile, log

    def began(self, message: Any) -> float:
        """Write that the message came and its handler starts, and fail where it is to; how many seconds it takes."""
        seconds = self.starts(message)
        self.strikes(message)
        return seconds

    def starts(self, message: Any) -> float:
        """Write that the message came and its handler starts; how many seconds it takes."""
        n = int(message["n"])
        self.log.write("R", message.id)
        self.log.write("S", message.id, n)
        if self.profile.slow and n % self.profile.slow == 0:
            return self.profile.slow_work
        return self.profile.work * (n * 7919 % 1000) / 1000

    def strikes(self, message: Any) -> None:
        """Fail, or end the process, where this entry is poison."""
        n = int(message["n"])
        if self.profile.poison and n in EXIT:
            os._exit(EXIT_CODE)
        if self.profile.poison and raises(n, message.deliveries):
            self.log.write("X", message.id)
            raise Failed(f"entry {n}, delivery {message.deliveries}")

    def ended(self, message: Any) -> None:
        """Write that the handler is through."""
        self.log.write("E", message.id)

    def work(self, message: Any) -> None:
        """The blocking handler."""
        time.sleep(self.began(message))
        self.ended(message)

    async def work_asyncio(self, message: Any) -> None:
        """The asyncio handler."""
        await asyncio.sleep(self.began(message))
        self.ended(message)


def made(client: Any, profile: Profile, name: str, style: str, log: Log) -> Any:
    """The member, its lifecycle written to the log."""
    codec = JSONCodec() if profile.poison else None
    topic = Topic(TOPIC, client, codec=codec)
    retry = RetryPolicy(max_deliveries=profile.max_deliveries, backoff=(0.05, 0.5))
    group: Any = ConsumerGroupTopic(topic, GROUP, lease=profile.lease, claim_interval=profile.claim_interval, retry=retry)
    concurrency, prefetch = KINDS[style]
    member = ConsumerGroupMember(group, name, concurrency=concurrency, prefetch="auto" if prefetch is None else prefetch)
    for event in WATCHED:
        member.lifecycle.on(event, recorder(log, event))
    return member


def recorder(log: Log, event: str) -> Callable[[Any], None]:
    """A listener that writes the event."""
    return lambda facts: log.write("V", event, facts.reason or "", repr(facts.error) if facts.error else "", *facts.ids)


def blocking(url: str, profile: Profile, name: str, style: str, log: Log) -> None:
    """A `for` loop, or a handler."""
    client = redis.Redis.from_url(url)
    member, job = made(client, profile, name, style, log), Job(profile, log)
    signal.signal(signal.SIGTERM, lambda *_: member.stop())
    member.connect()
    log.write("B", style)
    if style in PIPES:
        pipes.run(member, job, style, client)
    elif style == "for":
        looping(member, job)
    else:
        member.on("job", job.work)
        member.connect_and_listen()


def looping(member: Any, job: Job) -> None:
    """The loop body is the handler; one that raises leaves the loop, and another one begins."""
    while True:
        try:
            for message in member:
                job.work(message)
        except Failed:
            continue
        return


async def awaited(url: str, profile: Profile, name: str, style: str, log: Log) -> None:
    """An `async for` loop, or a coroutine handler."""
    client = from_url(url, asyncio=True)
    member, job = made(client, profile, name, style, log), Job(profile, log)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, member.stop)
    await member.connect()
    log.write("B", style)
    if style in PIPES:
        await pipes.run_asyncio(member, job, style, client)
    elif style == "for-asyncio":
        await looping_asyncio(member, job)
    else:
        member.on("job", job.work_asyncio)
        await member.connect_and_listen()


async def looping_asyncio(member: Any, job: Job) -> None:
    """As `looping`, awaited."""
    while True:
        try:
            async for message in member:
                await job.work_asyncio(message)
        except Failed:
            continue
        return


def main() -> None:
    """See the head of this file."""
    url, profile, name, style, path, *mutant = sys.argv[1:]
    for each in mutant:
        MUTANTS[each].apply()
    log = Log(path)
    arguments = (url, PROFILES[profile], name, style, log)
    if style.endswith("asyncio"):
        asyncio.run(awaited(*arguments))
    else:
        blocking(*arguments)
    log.write("Q")


if __name__ == "__main__":
    main()
