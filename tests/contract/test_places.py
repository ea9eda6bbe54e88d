"""The group's `max`: places with leases, hot standbys, a member that lost its place, a server that lost them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from functools import partial
from typing import Any

import pytest

from streamio import GroupFull

from ..servers import RedisServer
from ..world import World

pytestmark = pytest.mark.asyncio

LEASE = 0.6


def collecting(seen: list[Any]) -> Any:
    """A handler that remembers who got what."""
    return lambda message: seen.append(message["n"])


async def publish(w: World, group: Any, *numbers: int) -> None:
    await w.do(group.topic.publish_many(("a", {"n": n}) for n in numbers))


def places(w: World, member: Any) -> list[str]:
    return w.raw.zrange(member._hand.settings.places, 0, -1)


async def free_a_place(w: World, group: Any, name: str) -> None:
    """Take a member's place away, and let another have it."""
    key = w.member(group)._hand.settings.places
    pipe = w.raw.pipeline()
    pipe.zrem(key, name)
    pipe.zadd(key, {"intruder": (time.time() + 60) * 1000})
    pipe.execute()


async def test_a_standby_takes_over_at_once_when_a_member_stops(w: World) -> None:
    group = w.group(max=1, lease=30)
    first, second = w.member(group, "first"), w.member(group, "second", standby=True)
    seen: tuple[list[Any], list[Any]] = ([], [])
    first.on("a", collecting(seen[0]))
    second.on("a", collecting(seen[1]))
    await w.do(first.connect())
    async with w.listening(second):
        async with w.listening(first):
            await w.until(lambda: second._hand.state == "standby")
            assert (await w.do(second.info())).state == "standby"
            await publish(w, group, 1)
            await w.until(lambda: seen[0])
        began = time.monotonic()
        await publish(w, group, 2)
        await w.until(lambda: seen[1])
        assert time.monotonic() - began < 2, "a place that was given back is taken within `block`"
    assert seen == (["1"], ["2"])


async def first_has_it(w: World, group: Any, *others: Any) -> Any:
    """A member that has the only place."""
    member = w.member(group, "first")
    await w.do(member.connect())
    assert places(w, member) == ["first"]
    return member


async def test_a_standby_waits_and_a_member_too_many_raises(w: World) -> None:
    group = w.group(max=1)
    await first_has_it(w, group)
    with pytest.raises(GroupFull, match="max=1"):
        await w.do(w.member(group, "second").connect())
    standby = w.member(group, "third", standby=True)
    standby.on("a", lambda message: None)
    listening = w.start(standby.connect_and_listen)
    await w.until(lambda: standby._hand.state == "standby")
    standby.stop()
    assert await asyncio.wait_for(listening, 5) is None
    assert standby._hand.state == "stopped" and places(w, standby) == ["first"]


async def test_a_standby_in_a_loop_takes_over_too(w: World) -> None:
    group = w.group(max=1)
    first = await first_has_it(w, group)
    second = w.member(group, "second", standby=True)
    loop = w.loop(second)
    waiting = w.start(partial(w_next, w, loop))
    await w.until(lambda: second._hand.state == "standby")
    await publish(w, group, 1)
    await w.do(first.close())
    assert (await asyncio.wait_for(waiting, 5))["n"] == "1"
    del loop


def w_next(w: World, loop: Any) -> Any:
    """The loop's next item, in the world's colour."""
    return anext(loop) if w.asyncio else next(loop)


DIES = """
import sys, time
from streamio import Topic
member = Topic(sys.argv[2], sys.argv[1]).group("group", max=1, lease=float(sys.argv[3])).member("dies")
member.connect()
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.slow
@pytest.mark.parametrize("w", ["blocking-real", "asyncio-real"], indirect=True)
async def test_a_standby_takes_over_from_a_killed_member_within_a_lease(w: World) -> None:
    group, seen = w.group(max=1, lease=LEASE), []
    dies = subprocess.Popen([sys.executable, "-c", DIES, w.url, group.topic.name, str(LEASE)], stdout=subprocess.PIPE)
    assert dies.stdout is not None and dies.stdout.readline() == b"ready\n"
    standby = w.member(group, "standby", standby=True)
    standby.on("a", collecting(seen))
    async with w.listening(standby):
        await w.until(lambda: standby._hand.state == "standby")
        await publish(w, group, 1)
        os.kill(dies.pid, signal.SIGKILL)
        dies.wait()
        dies.stdout.close()
        killed = time.monotonic()
        await w.until(lambda: seen)
        assert time.monotonic() - killed < LEASE + min(0.1, LEASE / 3) + 0.5
    assert seen == ["1"]


async def test_a_member_that_lost_its_place_ends_with_an_event(w: World) -> None:
    group, events = w.group(max=1, lease=LEASE), []
    member = w.member(group, "first")
    member.on("a", lambda message: None)
    member.lifecycle.on("lease_lost", events.append)
    listening = w.start(member.connect_and_listen)
    await w.until(lambda: member._hand.seated)
    await free_a_place(w, group, "first")
    with pytest.raises(GroupFull):
        await asyncio.wait_for(listening, 5)
    assert [event.reason for event in events] == ["another member has its place in the group"]
    assert places(w, member) == ["intruder"], "a place that is another's is not given back"


async def test_a_standby_that_lost_its_place_gives_back_what_waits_and_waits_itself(w: World) -> None:
    group, seen = w.group(max=1, lease=LEASE), []
    member = w.member(group, "first", standby=True, prefetch=5)
    loop = w.loop(member)
    await publish(w, group, 1, 2, 3)
    message = await w.next(loop)
    seen.append(message["n"])
    await w.until(lambda: member._hand.seated)
    await free_a_place(w, group, "first")
    await w.until(lambda: member._hand.displaced)
    waiting = w.start(partial(w_next, w, loop))
    await w.until(lambda: [consumer for _, consumer, _ in w.pending(group)] == ["~waiting", "~waiting"])
    assert (await w.do(member.info())).state == "standby" and not waiting.done()
    w.raw.zrem(member._hand.settings.places, "intruder")
    seen.append((await asyncio.wait_for(waiting, 5))["n"])
    seen.append((await w.next(loop))["n"])
    assert seen == ["1", "2", "3"]
    del loop


async def test_a_member_frozen_for_longer_than_its_lease_starts_nothing_before_it_looked_at_its_place(w: World) -> None:
    group, seen = w.group(max=1, lease=LEASE), []
    member = w.member(group, "first", prefetch=5)
    await publish(w, group, 1, 2, 3)
    loop = w.loop(member)
    seen.append((await w.next(loop))["n"])
    member._hand.renewed_at -= LEASE + 1  # as if the process had slept
    await free_a_place(w, group, "first")
    with pytest.raises(GroupFull):
        await w.next(loop)
        await w.next(loop)
    assert seen == ["1"]
    del loop


@pytest.mark.slow
@pytest.mark.parametrize("colour", ["blocking", "asyncio"])
async def test_after_the_server_lost_all_places_the_members_that_had_them_keep_them(colour: str) -> None:
    server = RedisServer("appendonly no").start()
    w = World(colour, server.port)
    try:
        group, seen = w.group(max=1, lease=LEASE), ([], [])
        first, second = w.member(group, "first"), w.member(group, "second", standby=True)
        first.on("a", collecting(seen[0]))
        second.on("a", collecting(seen[1]))
        async with w.listening(first):
            await w.until(lambda: first._hand.seated)
            async with w.listening(second):
                await w.until(lambda: second._hand.state == "standby")
                server.kill()
                server.start()
                await w.until(lambda: places(w, first) == ["first"])
                began = time.monotonic()
                while time.monotonic() - began < 3 * LEASE:
                    assert places(w, first) == ["first"]
                    await asyncio.sleep(0.01)
                await publish(w, group, 1)
                await w.until(lambda: seen[0])
        assert seen == (["1"], [])
    finally:
        await w.close()
        server.remove()


async def test_a_member_that_went_silent_is_short_of_min(w: World) -> None:
    group = w.group(min=2, lease=LEASE)
    await w.do(group.create())
    member = w.member(group, "m")
    await w.do(member.connect())
    w.raw.xgroup_createconsumer(group.topic.name, "group", "gone")
    assert (await w.do(group.info())).short == 0
    await w.until(lambda: w.raw.xinfo_consumers(group.topic.name, "group")[0]["idle"] > LEASE * 1000)
    again = w.member(group, "n")
    await w.do(again.connect())
    info = await w.do(group.info())
    assert info.short == 1 and info.consumers == 3
