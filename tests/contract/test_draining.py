"""`drain()` and `flush()` while connections break: they do what they say, or say that they could not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis

from ..servers import RedisServer
from ..world import World

REAL = pytest.mark.parametrize("w", ["blocking-real", "asyncio-real"], indirect=True)
pytestmark = pytest.mark.asyncio


def kill_all(w: World) -> None:
    """Close every connection but the foreign client's."""
    w.raw.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


@REAL
async def test_a_drain_whose_connections_are_closed_again_and_again_still_handles_all(w: World) -> None:
    member, seen = w.member(prefetch=5), []

    def handle(message: Any) -> None:
        seen.append(message["n"])
        if len(seen) % 10 == 0:
            kill_all(w)

    member.on("a", handle)
    await w.do(member.group.topic.publish_many(("a", {"n": n}) for n in range(60)))
    kill_all(w)
    assert await w.do(member.drain()) == 60
    assert sorted(map(int, seen)) == list(range(60)) and w.pending(member.group) == []


@pytest.mark.slow
@pytest.mark.parametrize("colour", ["blocking", "asyncio"])
async def test_a_drain_waits_for_a_server_that_comes_back_and_not_longer_than_connect_timeout(colour: str) -> None:
    server = RedisServer("appendonly yes", "appendfsync always").start()
    w = World(colour, server.port)
    try:
        group, seen = w.group(lease=30), []
        member = w.member(group, prefetch=2, connect_timeout=5)

        def handle(message: Any) -> None:
            seen.append(message["n"])
            if message["n"] == "3":
                server.kill()

        member.on("a", handle)
        await w.do(group.topic.publish_many(("a", {"n": n}) for n in range(6)))
        future = w.start(member.drain)
        await w.until(lambda: "3" in seen)
        await w.until(lambda: server.process is None)
        server.start()
        await asyncio.wait_for(future, 15)
        assert sorted(set(map(int, seen))) == list(range(6)) and w.pending(group) == []
        impatient = w.member(group, connect_timeout=0.3, grace=0.2)
        impatient.on("a", lambda message: server.kill())
        await w.do(group.topic.publish("a", n=7))
        with pytest.raises(redis.ConnectionError):
            await w.do(impatient.drain())
    finally:
        await w.close()
        server.remove()


@REAL
async def test_a_flush_over_a_line_that_was_closed_meanwhile_brings_everything(w: World) -> None:
    member = w.member()
    await w.do(member.group.topic.publish_many(("a", {"n": n}) for n in range(2)))
    first, second = await w.do(member.read(2))
    first.ack()
    await w.do(member.flush())
    kill_all(w)
    second.ack()
    await w.do(member.flush())
    assert w.pending(member.group) == []


async def test_a_drain_looks_again_for_what_became_due_since_the_member_last_looked(w: World) -> None:
    group, seen = w.group(), []
    member = w.member(group, block=30)
    member.on("a", lambda message: seen.append(message["n"]))
    await w.do(group.topic.publish_many([("a", {"n": n}) for n in (1, 2)]))
    first, second = await w.do(member.read(2, timeout=5))
    first.bury("later")
    second.ack()
    await w.do(member.flush())
    await w.do(group.dead_letters.redrive())
    assert await w.do(member.drain()) == 1
    assert seen == ["1"]
