"""A second signal, `abandon()`, and a grace that is over: nothing is acknowledged that did not end, nothing is lost, and the process may go."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from streamio import Abandoned, membership

from ..world import World
from .gates import Gate

pytestmark = pytest.mark.asyncio


async def listening_with_one_inside(w: World, **options: Any) -> tuple[Any, Gate, Any]:
    """A member with a handler that sits, and entries behind it."""
    member, gate = w.member(w.group(lease=30), "m", **options), Gate(w)
    member.on("a", gate.handler)
    await w.do(member.group.topic.publish_many(("a", {"n": n}) for n in range(4)))
    future = w.start(member.connect_and_listen)
    await w.until(lambda: gate.inside)
    return member, gate, future


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_an_abandoned_member_ends_at_once_and_acknowledges_nothing(w: World, concurrency: int) -> None:
    member, gate, future = await listening_with_one_inside(w, concurrency=concurrency)
    before = {entry for entry, _, _ in w.pending(member.group)}
    member.abandon()
    if concurrency == 1 and not w.asyncio:  # a handler in the listening thread cannot be ended from another one
        assert not future.done()
        gate.open()
    with pytest.raises(Abandoned):
        await asyncio.wait_for(future, 5)
    gate.open()
    await w.until(lambda: not gate.inside)
    assert {entry for entry, consumer, _ in w.pending(member.group) if consumer == "m"} >= before
    with pytest.raises(RuntimeError, match="closed"):
        await w.do(member.connect())
    await w.do(member.close())
    assert {entry for entry, _, _ in w.pending(member.group)} >= before


async def test_what_was_abandoned_is_handled_by_another_after_the_lease(w: World) -> None:
    member, gate, future = await listening_with_one_inside(w, concurrency=3)
    member.abandon()
    with pytest.raises(Abandoned):
        await asyncio.wait_for(future, 5)
    gate.open()
    await w.until(lambda: not gate.inside)
    w.age(member.group, "m", 31)
    seen: list[Any] = []
    other = w.member(w.group(member.group.topic, lease=0.2), "other")
    other.on("a", lambda message: seen.append(message["n"]))
    await w.until(lambda: w.raw.xinfo_consumers(member.group.topic.name, "group")[0]["idle"] > 200)
    await w.do(other.drain())
    assert sorted(seen) == ["0", "1", "2", "3"] and w.pending(member.group) == []


async def test_a_loop_of_an_abandoned_member_ends_with_an_error(w: World) -> None:
    member = w.member(id="m", prefetch=5)
    await w.do(member.group.topic.publish_many(("a", {"n": n}) for n in range(3)))
    loop = w.loop(member)
    await w.next(loop)
    member.abandon()
    with pytest.raises(Abandoned):
        await w.next(loop)
    assert [consumer for _, consumer, _ in w.pending(member.group)] == ["m"] * 3
    del loop


@pytest.mark.parametrize("w", ["asyncio-embedded", "asyncio-real"], indirect=True)
async def test_a_member_that_is_abandoned_while_it_leaves_says_so(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(hand: Any) -> Any:
        member.abandon()
        yield from leaving(hand)

    member, leaving = w.member(), membership.leaving
    member.on("a", print)
    future = w.start(member.connect_and_listen)
    await w.until(lambda: member._hand.state == "listening")
    monkeypatch.setattr(membership, "leaving", late)
    member.stop()
    with pytest.raises(Abandoned):
        await asyncio.wait_for(future, 5)


async def test_abandoning_what_has_not_begun_or_has_ended_does_nothing(w: World) -> None:
    member = w.member()
    member.abandon()
    member.on("a", lambda message: None)
    await w.do(member.group.topic.publish("a"))
    assert await w.do(member.drain()) == 1
    member.abandon()
    await w.do(member.close())
    member.abandon()


@pytest.mark.slow
async def test_a_group_abandons_all_its_members(w: World) -> None:
    group, gate = w.group(lease=30), Gate(w)
    group.on("a", gate.handler)
    await w.do(group.topic.publish_many(("a", {"n": n}) for n in range(2)))
    if not w.asyncio:
        gate.seconds = 0.2
    future = w.start(lambda: group.connect_and_listen(2))
    await w.until(lambda: gate.inside)
    group.abandon()
    gate.open()
    with pytest.raises(Abandoned):
        await asyncio.wait_for(future, 5)
    assert len(w.pending(group)) >= 1


@pytest.mark.parametrize("concurrency", [1, 2])
@pytest.mark.parametrize("w", ["asyncio-embedded", "asyncio-real"], indirect=True)
async def test_after_its_grace_a_handler_is_cancelled_and_its_entry_goes_back_uncounted(w: World, concurrency: int) -> None:
    member, gate, future = await listening_with_one_inside(w, concurrency=concurrency, grace=0.2)
    began = time.monotonic()
    member.stop()
    await asyncio.wait_for(future, 5)
    assert 0.2 <= time.monotonic() - began < 2
    assert gate.left == [] and {(consumer, count) for _, consumer, count in w.pending(member.group)} <= {("~waiting", 0)}
    assert len(w.pending(member.group)) == len(gate.seen)


@pytest.mark.parametrize("w", ["asyncio-real"], indirect=True)
async def test_a_cancel_from_outside_during_the_grace_is_not_swallowed(w: World) -> None:
    member, gate, future = await listening_with_one_inside(w, grace=30)
    member.stop()
    future.cancel()
    with pytest.raises(asyncio.CancelledError):
        await future


@pytest.mark.parametrize("w", ["blocking-real"], indirect=True)
async def test_after_its_grace_a_threaded_member_returns_and_its_handler_goes_on(w: World) -> None:
    member, gate, future = await listening_with_one_inside(w, concurrency=2, grace=0.2)
    member.stop()
    await asyncio.wait_for(future, 5)
    assert gate.inside and "m" in {consumer for _, consumer, _ in w.pending(member.group)}
    gate.open()
    await w.until(lambda: not any(thread.name.startswith("streamio-m_") for thread in threading.enumerate()))


WORKER = """
import asyncio, signal, sys, time
from streamio import Topic, from_url
url, name, colour, concurrency = sys.argv[1:]
client = from_url(url, asyncio=colour == "asyncio")
group = Topic(name, client).group("group", lease=30)
member = group.member("m", concurrency=int(concurrency), block=5)

def sit(message):
    print("inside", flush=True)
    time.sleep(60)

async def sit_asyncio(message):
    print("inside", flush=True)
    await asyncio.sleep(60)

member.on("a", sit_asyncio if colour == "asyncio" else sit)

async def main():
    member.stop_on()
    await member.connect_and_listen()

if colour == "asyncio":
    asyncio.run(main())
else:
    member.stop_on(signal.SIGTERM, signal.SIGINT)
    member.connect_and_listen()
"""


@pytest.mark.slow
@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("first, second", [(signal.SIGTERM, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT)])
@pytest.mark.parametrize("w", ["blocking-real", "asyncio-real"], indirect=True)
async def test_a_second_signal_abandons_the_handler_and_the_process_ends_with_an_error(w: World, concurrency: int, first: int, second: int) -> None:
    group = w.group()
    await w.do(group.topic.publish_many(("a", {"n": n}) for n in range(2)))
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, w.url, group.topic.name, w.colour, str(concurrency)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert worker.stdout is not None and worker.stderr is not None
        assert worker.stdout.readline().startswith(b"inside")
        os.kill(worker.pid, first)
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(0.3)  # it waits for its handler
        os.kill(worker.pid, second)
        _, errors = worker.communicate(timeout=5)
        assert worker.returncode == 1 and b"Abandoned" in errors
        inside = [entry for entry, consumer, _ in w.pending(group) if consumer == "m"]
        assert 1 <= len(inside) <= 2
    finally:
        worker.kill()
        worker.wait()
        worker.stdout.close()
        worker.stderr.close()


@pytest.mark.slow
@pytest.mark.parametrize("w", ["blocking-real", "asyncio-real"], indirect=True)
async def test_the_first_signal_stops_a_waiting_member_in_order(w: World) -> None:
    group = w.group()
    await w.do(group.create())
    worker = subprocess.Popen([sys.executable, "-c", WORKER, w.url, group.topic.name, w.colour, "1"])
    try:
        await w.until(lambda: [each["name"] for each in w.raw.xinfo_consumers(group.topic.name, "group")] == ["m"])
        began = time.monotonic()
        os.kill(worker.pid, signal.SIGTERM)
        assert worker.wait(5) == 0 and time.monotonic() - began < 3
        assert w.raw.xinfo_consumers(group.topic.name, "group") == []
    finally:
        worker.kill()
        worker.wait()
