"""`ack="none"`: the server forgets each entry as it is read, so whoever read it hands it out, and leaves alone what waits for others."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

import pytest

from streamio import JSONCodec, RetryPolicy

from ..world import World
from .gates import Failing, Gate

pytestmark = pytest.mark.asyncio
REAL = pytest.mark.parametrize("w", ["blocking-real", "asyncio-real"], indirect=True)


async def published(w: World, group: Any, count: int = 10) -> list[str]:
    """The ids of so many new entries."""
    await w.do(group.create())
    ids: list[str] = await w.do(group.topic.publish_many([("a", {"n": n}) for n in range(count)]))
    return ids


def told(member: Any, *names: str) -> list[tuple[str, Any]]:
    """The names and reasons of the member's events, as they come."""
    events: list[tuple[str, Any]] = []
    for name in names:
        member.lifecycle.on(name, lambda event: events.append((event.name, event.reason)))
    return events


def cut_all(w: World) -> None:
    """Let the server close every connection but the test's own."""
    w.raw.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


async def test_what_lies_in_hand_behind_a_slow_handler_is_handled(w: World) -> None:
    group = w.group(lease=0.2)
    member, gate = w.member(group, ack="none", prefetch=10), Gate(w)
    lost = told(member, "lease_lost")
    member.on("a", gate.handler)
    ids = await published(w, group)
    async with w.listening(member):
        await w.until(lambda: gate.inside)
        began = w.raw.time()
        await w.until(lambda: seconds_since(w, began) > 0.5)
        gate.open()
        await w.until(lambda: len(gate.left) >= 10)
    assert ([message.id for message in gate.left], lost) == (ids, [])


def seconds_since(w: World, began: tuple[int, int]) -> float:
    """Seconds on the server's clock."""
    now: tuple[int, int] = w.raw.time()
    return now[0] - began[0] + (now[1] - began[1]) / 1e6


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_what_lies_in_hand_at_a_pause_is_handled_after_it(w: World, concurrency: int) -> None:
    group = w.group()
    member, gate = w.member(group, ack="none", prefetch=10, concurrency=concurrency), Gate(w)
    member.on("a", gate.handler)
    ids = await published(w, group)
    async with w.listening(member):
        await w.until(lambda: gate.inside == concurrency)
        member.pause()
        gate.open()
        await w.until(lambda: len(gate.left) == concurrency)
        await w.do(group.topic.publish("a"))
        assert len(gate.left) == concurrency
        member.resume()
        await w.until(lambda: len(gate.left) >= 11)
    assert sorted(message.id for message in gate.left)[:10] == ids


async def test_a_loop_goes_on_with_what_an_earlier_one_left(w: World) -> None:
    group = w.group()
    member = w.member(group, ack="none", prefetch=10)
    ids = await published(w, group)
    seen = []
    for count in (3, 10):
        async with aclosing(w.each(member)) as loop:
            async for message in loop:
                seen.append(message.id)
                if len(seen) >= count:
                    break
    assert seen == ids


@REAL
async def test_after_an_outage_it_leaves_alone_what_waits(w: World) -> None:
    group = w.group(lease=0.4, retry=RetryPolicy(backoff=(0.2, 0.2), jitter=0))
    (entry_id,) = await published(w, group, 1)
    await w.do(w.member(group, handlers={"a": Failing()}).drain(retries=False))
    assert w.pending(group) == [(entry_id, "~waiting", 1)]
    member, seen = w.member(group, "me", ack="none"), []
    back = told(member, "reconnected")
    member.on("a", lambda message: seen.append(message.id))
    async with w.listening(member):
        await w.until(lambda: member._hand.blocked)
        cut_all(w)
        await w.until(lambda: back)
        began = w.raw.time()
        await w.until(lambda: seconds_since(w, began) > 0.8)
    assert (seen, w.pending(group)) == ([], [(entry_id, "~waiting", 1)])


@REAL
async def test_after_an_outage_it_leaves_alone_what_is_pending_under_its_name(w: World) -> None:
    group = w.group(lease=30)
    (entry_id,) = await published(w, group, 1)
    w.raw.xreadgroup(group.name, "me", {group.topic.name: ">"})
    member, seen = w.member(group, "me", ack="none"), []
    back = told(member, "reconnected")
    member.on("a", lambda message: seen.append(message.id))
    async with w.listening(member):
        await w.until(lambda: member._hand.blocked)
        cut_all(w)
        await w.until(lambda: back)
        news = await w.do(group.topic.publish("a"))
        await w.until(lambda: seen)
    assert (seen, w.pending(group)) == ([news], [(entry_id, "me", 1)])


async def test_what_does_not_decode_is_a_dead_letter(w: World) -> None:
    group = w.group(w.topic(codec=JSONCodec()))
    member = w.member(group, ack="none", handlers={"*": print})
    events = told(member, "lease_lost", "buried")
    await w.do(group.create())
    entry_id = w.raw.xadd(group.topic.name, {"type": "a", "data": "{broken"})
    await w.do(member.drain())
    assert events == [("buried", "undecodable")]
    assert [(letter.entry_id, letter.reason) async for letter in w.each(group.dead_letters)] == [(entry_id, "undecodable")]


async def test_what_is_buried_by_hand_is_a_dead_letter(w: World) -> None:
    group = w.group()
    member = w.member(group, ack="none")
    events = told(member, "lease_lost", "buried")
    member.on("a", lambda message: message.bury("no such customer") and None)
    ids = await published(w, group, 2)
    await w.do(member.drain())
    assert events == [("buried", "no such customer")] * 2
    letters = [letter async for letter in w.each(group.dead_letters)]
    assert [(letter.entry_id, letter.reason, letter["n"]) for letter in letters] == [
        (ids[0], "no such customer", "0"),
        (ids[1], "no such customer", "1"),
    ]


async def test_a_member_that_stops_does_not_wait_for_what_it_read(w: World) -> None:
    group = w.group()
    member, gate = w.member(group, ack="none", prefetch=10), Gate(w)
    member.on("a", gate.handler)
    await published(w, group)
    async with w.listening(member):
        await w.until(lambda: gate.inside)
        member.stop()
        gate.open()
    assert (len(gate.left), w.pending(group)) == (1, [])
