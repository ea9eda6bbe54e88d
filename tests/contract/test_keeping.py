"""What must go on while handlers run: renewal, notes, places for others; whatever else happens."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from streamio import Abandoned, GroupFull, RetryPolicy

from ..world import World
from .gates import Gate

LEASE = 0.6
REAL = pytest.mark.parametrize("w", ["blocking-real", "asyncio-real"], indirect=True)
pytestmark = pytest.mark.asyncio


def nap(w: World, seconds: float) -> Any:
    """A handler's nap in the world's colour."""
    return asyncio.sleep(seconds) if w.asyncio else time.sleep(seconds)


async def silent(w: World, group: Any) -> None:
    """Wait until the group's first consumer has said nothing for a lease."""
    await w.until(lambda: w.raw.xinfo_consumers(group.topic.name, "group")[0]["idle"] >= LEASE * 1000)


@pytest.mark.slow
@REAL
async def test_a_retry_that_takes_several_leases_runs_once_beside_a_free_member(w: World) -> None:
    group = w.group(lease=LEASE, claim_interval=0.1, retry=RetryPolicy(backoff=(0.1, 0.1)))
    runs: list[tuple[str, int]] = []

    def handler(name: str) -> Any:
        def handle(message: Any) -> Any:
            runs.append((name, message.deliveries))
            if message.deliveries == 1:
                raise ValueError("not at first")
            return nap(w, 2 * LEASE)

        return handle

    members = [w.member(group, name) for name in ("m", "n")]
    for member in members:
        member.on("a", handler(member.id))
    await w.do(group.create())
    await w.do(group.topic.publish("a"))
    async with w.listening(*members):
        await w.until(lambda: len(runs) == 2 and not w.pending(group))
    assert [count for _, count in runs] == [1, 2]


@pytest.mark.slow
@REAL
async def test_an_entry_taken_over_is_renewed_while_its_handler_runs(w: World) -> None:
    group, runs = w.group(lease=LEASE, claim_interval=0.1), []
    await w.do(group.create())
    await w.do(group.topic.publish("a"))
    w.raw.xreadgroup("group", "gone", {group.topic.name: ">"})
    await silent(w, group)

    def handle(message: Any) -> Any:
        runs.append(message.deliveries)
        return nap(w, 2 * LEASE)

    members = [w.member(group, name) for name in ("m", "n")]
    for member in members:
        member.on("a", handle)
    async with w.listening(*members):
        await w.until(lambda: runs and not w.pending(group))
    assert runs == [2]


@pytest.mark.slow
@REAL
async def test_what_is_in_hand_is_renewed_where_the_reading_connection_broke_under_a_handler(w: World) -> None:
    group, gate = w.group(lease=LEASE), Gate(w)
    member = w.member(group, "m")
    seen: list[str] = []

    def handle(message: Any) -> Any:
        seen.append(message["n"])
        if member._hand.ahead and not gate.seen:
            return gate.handler(message)
        return nap(w, 0.001)

    member.on("a", handle)
    await w.do(group.topic.publish_many(("a", {"n": n}) for n in range(400)))
    async with w.listening(member):
        await w.until(lambda: gate.inside)
        sits = gate.seen[0].id
        member._hand.reading.connection._sock.close() if not w.asyncio else member._hand.reading.connection._writer.transport.abort()
        end = time.monotonic() + 2 * LEASE
        while time.monotonic() < end:
            idle = next(row["time_since_delivered"] for row in w.raw.xpending_range(group.topic.name, "group", sits, sits, 1))
            assert idle < LEASE * 1000
            await asyncio.sleep(0.02)
        gate.open()
        await w.until(lambda: len(set(seen)) == 400)
        await w.until(lambda: not w.pending(group))


class Wordless(Exception):
    """An error that cannot say what it is."""

    def __str__(self) -> str:
        return 1  # type: ignore[return-value]  # noqa: PLE0307


async def test_an_error_that_cannot_be_put_into_words_buries_its_entry_like_any_other(w: World) -> None:
    group, seen = w.group(retry=RetryPolicy(max_deliveries=1)), []
    member = w.member(group)

    def handle(message: Any) -> None:
        seen.append(message["n"])
        if message["n"] == "0":
            raise Wordless

    member.on("a", handle)
    await w.do(group.topic.publish_many(("a", {"n": n}) for n in range(3)))
    assert await w.do(member.drain()) == 3
    (letter,) = [letter async for letter in w.each(group.dead_letters)]
    assert seen == ["0", "1", "2"] and letter.error.startswith("Wordless")


@pytest.mark.slow
@pytest.mark.parametrize("suspected", ["stuck", "behind"])
@pytest.mark.parametrize("w", ["blocking-embedded", "blocking-real"], indirect=True)
async def test_a_thread_that_never_ends_keeps_nobody_from_running(w: World, suspected: str) -> None:
    group, gate, seen = w.group(lease=LEASE, retry=RetryPolicy(max_deliveries=2)), Gate(w), []
    await w.do(group.create())
    await w.do(group.topic.publish("a", n=suspected))
    w.raw.xreadgroup("group", "gone", {group.topic.name: ">"})
    if suspected == "behind":
        await w.do(group.topic.publish("a", n="stuck"))
    await w.do(group.topic.publish_many(("a", {"n": n}) for n in range(8)))
    await silent(w, group)
    member = w.member(group, "m", concurrency=4, handler_timeout=0.2)

    def handle(message: Any) -> Any:
        seen.append(message["n"])
        return gate.handler(message) if message["n"] == "stuck" else None

    member.on("a", handle)
    async with w.listening(member):
        await w.until(lambda: {str(n) for n in range(8)} | {suspected} <= set(seen))
        assert gate.inside
        gate.open()


@pytest.mark.slow
@REAL
async def test_a_burial_reaches_the_server_soon_though_a_backlog_is_read_all_the_while(w: World) -> None:
    group, told = w.group(), []
    await w.do(group.create())
    pipe = w.raw.pipeline(transaction=False)
    for n in range(60_000):
        pipe.xadd(group.topic.name, {"type": "a", "n": n})
    pipe.execute()
    member = w.member(group, block=30)
    handled, at = [0], [0.0]

    def handle(message: Any) -> None:
        handled[0] += 1
        if handled[0] == 2000:
            message.bury("no")
            at[0] = time.monotonic()
        for _ in range(1000):
            pass  # busy, and quick enough to be read ahead behind

    member.on("a", handle)
    member.lifecycle.on("buried", lambda event: told.append((time.monotonic() - at[0], handled[0])))
    async with w.listening(member):
        await w.until(lambda: told, 30)
    assert told[0][0] < 0.5 and told[0][1] < 55_000, "while the backlog was read, not after it"


@pytest.mark.parametrize("w", ["asyncio-embedded", "asyncio-real"], indirect=True)
async def test_a_handler_that_takes_the_end_of_its_grace_for_itself_harms_nobody(w: World) -> None:
    member, began = w.member(grace=0.1), []

    async def handle(message: Any) -> None:
        began.append(message)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)

    member.on("a", handle)
    await w.do(member.group.topic.publish("a"))
    future = w.start(member.connect_and_listen)
    await w.until(lambda: began)
    member.stop()
    assert await asyncio.wait_for(future, 5) is None and w.pending(member.group) == []


@pytest.mark.parametrize("w", ["asyncio-embedded", "asyncio-real"], indirect=True)
async def test_a_once_listener_whose_handler_was_cancelled_is_free_for_another_entry(w: World) -> None:
    group, seen = w.group(), []
    member = w.member(group, grace=0.05)

    @group.once("a")
    async def handle(message: Any) -> None:
        seen.append(message["n"])
        await asyncio.sleep(60 if message["n"] == "0" else 0)

    await w.do(group.topic.publish("a", n=0))
    future = w.start(member.connect_and_listen)
    await w.until(lambda: seen)
    member.stop()
    await asyncio.wait_for(future, 5)
    group.on("b", lambda message: None)
    w.raw.xack(group.topic.name, "group", w.pending(group)[0][0])
    await w.do(group.topic.publish("a", n=1))
    await w.do(member.drain())
    assert seen == ["0", "1"]


@pytest.mark.slow
@pytest.mark.parametrize("concurrency", [1, 2])
async def test_a_member_that_stops_gives_back_what_has_not_started_while_its_handlers_still_run(w: World, concurrency: int) -> None:
    group, gate = w.group(lease=30), Gate(w)
    member = w.member(group, "m", concurrency=concurrency, prefetch=8)
    member.on("a", gate.handler)
    await w.do(group.create())
    await w.do(group.topic.publish_many(("a", {"n": n}) for n in range(6)))
    async with w.listening(member):
        await w.until(lambda: gate.inside == concurrency and len(w.pending(group)) > concurrency)
        member.stop()
        await w.until(lambda: [consumer for _, consumer, _ in w.pending(group)].count("m") == concurrency)
        assert gate.inside == concurrency
        gate.open()


@pytest.mark.parametrize("how", ["nack", "bury"])
@pytest.mark.parametrize("watch", [False, True])
async def test_a_handler_that_settles_otherwise_has_not_succeeded(w: World, how: str, watch: bool) -> None:
    group, told, runs = w.group(retry=RetryPolicy(backoff=(0.01, 0.01))), [], []
    member = w.member(group)

    @member.once("a")
    def handle(message: Any) -> None:
        runs.append(message.deliveries)
        if message.deliveries == 1:
            message.nack() if how == "nack" else message.bury("no")

    member.on("b", lambda message: message.nack(0) if message.deliveries == 1 else None)
    for name in ("retrying", "buried", *(("succeeded",) if watch else ())):
        member.lifecycle.on(name, lambda event: told.append((event.name, event.message.type)))
    await w.do(group.topic.publish_many([("a", None), ("b", None)]))
    await w.do(member.drain())
    if how == "nack":
        assert runs == [1, 2] and w.pending(group) == []
    else:
        assert runs == [1] and member.listeners("a"), "what was put aside did not succeed: the listener waits for one that does"
    first = ("retrying", "a") if how == "nack" else ("buried", "a")
    succeeded = [("succeeded", type) for type in (["a", "b"] if how == "nack" else ["b"]) if watch]
    assert sorted(told) == sorted([first, ("retrying", "b"), *succeeded])


async def test_a_stop_ends_the_wait_for_a_server_that_is_away_in_order(w: World) -> None:
    if w.embedded:
        pytest.skip("the embedded server is never away")
    from ..servers import free_port

    away = World(w.colour, free_port())
    try:
        for end in ("stop", "abandon"):
            member = away.member(away.group(name=end), connect_timeout=30)
            member.on("a", lambda message: None)
            future = away.start(member.connect_and_listen)
            await asyncio.sleep(0.3)
            getattr(member, end)()
            if end == "stop":
                assert await asyncio.wait_for(future, 5) is None
            else:
                with pytest.raises(Abandoned):
                    await asyncio.wait_for(future, 5)
    finally:
        await away.close()


async def test_a_read_of_a_standby_waits_for_a_place_no_longer_than_it_was_told(w: World) -> None:
    group = w.group(max=1)
    await w.do(w.member(group, "first").connect())
    began = time.monotonic()
    with pytest.raises(GroupFull):
        await w.do(w.member(group, "second", standby=True).read(1, timeout=0.3))
    assert 0.2 < time.monotonic() - began < 3
