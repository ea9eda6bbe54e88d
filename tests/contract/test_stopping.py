"""Stopping takes effect at once, also where a read waits, and nothing that was read is lost by it."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from functools import partial
from typing import Any

import pytest

from streamio import GroupFull

from ..servers import RedisServer
from ..world import World

pytestmark = pytest.mark.asyncio


async def blocked(w: World, member: Any) -> Any:
    """The member's listening, once its read waits on the server."""
    future = w.start(member.connect_and_listen)
    await w.until(lambda: member._hand.blocked and member._hand.number)
    return future


async def test_stop_ends_a_read_that_waits(w: World) -> None:
    member = w.member(block=30)
    member.on("*", lambda message: None)
    future = await blocked(w, member)
    began = time.monotonic()
    member.stop()
    await asyncio.wait_for(future, 10)
    assert time.monotonic() - began < 2


async def test_pause_ends_a_read_that_waits(w: World) -> None:
    member, seen = w.member(block=30), []
    member.on("*", seen.append)
    future = await blocked(w, member)
    member.pause()
    await w.until(lambda: not member._hand.blocked)
    await w.do(member.group.topic.publish("x"))
    member.resume()
    await w.until(lambda: seen)
    member.stop()
    await asyncio.wait_for(future, 10)


@pytest.mark.slow
async def test_an_entry_that_comes_as_the_member_stops_is_handled_or_left_for_another(w: World) -> None:
    group, seen = w.group(), []
    for number in range(40):
        member = w.member(group, block=30)
        member.on("*", lambda message: seen.append(message["i"]))
        future = await blocked(w, member)
        written = w.start(partial(group.topic.publish, "x", i=number))
        member.stop()
        await asyncio.wait_for(asyncio.gather(future, written), 10)
        await w.do(member.close())
    last = w.member(group)
    last.on("*", lambda message: seen.append(message["i"]))
    await w.do(last.drain())
    assert sorted(map(int, seen)) == list(range(40))


@pytest.mark.slow
async def test_a_member_keeps_its_place_while_its_handler_runs(w: World) -> None:
    group = w.group(max=1, lease=0.3)
    member, began = w.member(group), []

    def handler(message: Any) -> Any:
        began.append(time.monotonic())
        return asyncio.sleep(1.2) if w.asyncio else time.sleep(1.2)

    member.on("*", handler)
    await w.do(group.topic.publish_many([("x", {"i": i}) for i in range(2)]))
    async with w.listening(member):
        await w.until(lambda: began and time.monotonic() - began[0] > 0.9)
        other = w.member(group)
        with pytest.raises(GroupFull):
            await w.do(other.connect())
        await w.until(lambda: len(began) == 2)
    assert w.pending(group) == []


async def test_a_member_that_has_only_connected_counts_as_alive(w: World) -> None:
    member = w.member(id="me")
    await w.do(member.connect())
    assert [each.name for each in await w.do(member.group.consumers())] == ["me"]


@pytest.mark.parametrize("w", ["asyncio-real"], indirect=True)
async def test_a_member_that_is_cancelled_while_it_connects_ends(w: World) -> None:
    group = w.group()
    for number in range(60):
        member = w.member(group)
        member.on("*", lambda message: None)
        task = asyncio.ensure_future(member.connect_and_listen())
        for _ in range(number):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=5)
        assert done and task.cancelled(), f"cancelled after {number} turns of the loop"


@pytest.mark.parametrize("w", ["blocking-real", "asyncio-real"], indirect=True)
async def test_a_cancelled_or_interrupted_member_leaves_no_record(w: World) -> None:
    member = w.member(id="me")
    member.on("*", lambda message: None)
    if w.asyncio:
        future = await blocked(w, member)
        future.cancel()
        await asyncio.wait({future})
    else:
        await w.do(member.connect())
        member._driver.drop(member._hand.reading)  # as an interrupt in the middle of a read leaves it
    await w.do(member.close())
    assert w.raw.xinfo_consumers(member.group.topic.name, "group") == []


@pytest.mark.slow
@pytest.mark.parametrize("colour", ["blocking", "asyncio"])
async def test_stop_while_the_server_is_away_settles_when_it_is_back(colour: str) -> None:
    server = RedisServer("appendonly yes", "appendfsync always").start()
    w = World(colour, server.port)
    group, seen = w.group(lease=30), []
    member = w.member(group, concurrency=3)

    def handler(message: Any) -> Any:
        seen.append(message.id)
        return asyncio.sleep(0.3) if w.asyncio else time.sleep(0.3)

    member.on("*", handler)
    await w.do(group.topic.publish_many([("x", {"i": i}) for i in range(3)]))
    future = w.start(member.connect_and_listen)
    await w.until(lambda: len(seen) == 3)
    server.kill()
    member.stop()
    await asyncio.sleep(0.6)
    server.start()
    await asyncio.wait_for(future, 20)
    assert w.pending(group) == []
    assert len(seen) == 3
    await w.close()
    server.remove()


@pytest.mark.parametrize("w", ["blocking-embedded", "blocking-real"], indirect=True)
async def test_members_that_are_dropped_leave_no_threads(w: World) -> None:
    group = w.group()
    await w.do(group.topic.publish_many([("x", {"i": i}) for i in range(20)]))
    for _ in range(10):
        member = group.member(block=0.1)
        for message in member.read(1, timeout=1):
            message.ack()
    del member, message
    gc.collect()
    await w.until(lambda: not [thread for thread in threading.enumerate() if "streamio-keeper" in thread.name])


async def test_a_member_that_is_cancelled_while_it_leaves_can_be_used_again(w: World) -> None:
    if not w.asyncio:
        return
    member, seen = w.member(grace=0.2), []
    member.on("a", seen.append)
    listening = asyncio.ensure_future(member.connect_and_listen())
    await w.until(lambda: member._hand.state == "listening")
    listening.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening
    await member.group.topic.publish("a")
    assert await asyncio.wait_for(member.drain(), 5) == 1
    await asyncio.wait_for(member.close(), 5)
