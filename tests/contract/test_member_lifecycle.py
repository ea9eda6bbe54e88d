"""A member's life: beginning, stopping, pausing, settling, ending; and the events that tell of it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from streamio import Abandoned, GroupFull, RetryPolicy, membership
from streamio.protocol.joining import joining

from ..world import World
from .gates import Failing, Gate

pytestmark = pytest.mark.asyncio
SOON = RetryPolicy(backoff=(0.02, 0.02))


def recorded(member, *names: str):
    """The lifecycle events of these names, as they come."""
    events = []
    for name in names:
        member.lifecycle.on(name, events.append)
    return events


def ignoring(message) -> None:
    """A handler that does nothing."""


# -- stopping -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_stop_from_a_handler_ends_the_listening(w: World, concurrency: int) -> None:
    member, seen = w.member(concurrency=concurrency), []

    @member.on("a")
    def handler(message):
        seen.append(message["i"])
        member.stop()

    await w.do(member.group.topic.publish_many([("a", {"i": i}) for i in range(20)]))
    await w.do(member.connect_and_listen())
    assert 1 <= len(seen) <= concurrency
    assert {row[1:] for row in w.pending(member.group)} <= {("~waiting", 0)}


async def test_stop_from_a_handler_takes_effect_before_the_next_entry_in_hand(w: World) -> None:
    member, seen = w.member(prefetch=10), []

    @member.on("a")
    def handler(message):
        seen.append(message.id)
        if len(seen) == 3:
            member.stop()

    ids = await w.do(member.group.topic.publish_many([("a", {}) for _ in range(10)]))
    await w.do(member.connect_and_listen())
    assert seen == ids[:3]
    assert {row[0] for row in w.pending(member.group)} <= set(ids[3:])
    assert {row[1:] for row in w.pending(member.group)} <= {("~waiting", 0)}


async def test_stop_from_another_thread_or_task_ends_a_waiting_member(w: World) -> None:
    member = w.member()
    member.on("a", ignoring)
    future = w.start(member.connect_and_listen)
    await w.until(lambda: member._hand.state == "listening")
    thread = threading.Thread(target=member.stop)
    thread.start()
    await w.until(future.done, 3)
    thread.join()
    assert future.result() is None


async def test_stop_before_listening_ends_it_at_once_and_only_once(w: World) -> None:
    member, seen = w.member(), []
    member.on("a", lambda message: seen.append(message.id))
    await w.do(member.group.topic.publish("a"))
    member.stop()
    await w.do(member.connect_and_listen())
    assert seen == []
    assert await w.do(member.drain()) == 1


@pytest.mark.parametrize("life", [1, 2])
@pytest.mark.parametrize("way", ["stop", "abandon"])
async def test_a_member_that_is_ended_while_it_joins_does_not_listen(w: World, monkeypatch: pytest.MonkeyPatch, life: int, way: str) -> None:
    member, seen = w.member(), []
    member.on("a", lambda message: seen.append(message.id))
    if life == 2:
        await w.do(member.drain())
    await w.do(member.group.topic.publish("a"))

    def ended_meanwhile(hand):
        getattr(member, way)()
        yield from joining(hand)

    monkeypatch.setattr(membership, "joining", ended_meanwhile)
    future = w.start(member.connect_and_listen)
    await w.until(future.done, 3)
    assert isinstance(future.exception(), Abandoned if way == "abandon" else type(None))
    assert seen == []


@pytest.mark.slow
async def test_a_member_can_listen_again_after_stop(w: World) -> None:
    member, seen = w.member(id="me"), []
    member.on("a", lambda message: seen.append(message["i"]))
    for i in range(3):
        async with w.listening(member):
            await w.do(member.group.topic.publish("a", i=i))
            await w.until(lambda i=i: len(seen) == i + 1)
    assert seen == ["0", "1", "2"]
    assert (await w.do(member.info())).state == "stopped"


@pytest.mark.slow
async def test_a_member_can_listen_again_after_it_abandoned_a_handler(w: World) -> None:
    member, gate, seen = w.member(concurrency=2, grace=0.05, id="me"), Gate(w), []
    member.on("sit", gate.handler)
    member.on("a", lambda message: seen.append(message.id))
    await w.do(member.group.topic.publish("sit"))
    future = w.start(member.connect_and_listen)
    await w.until(lambda: gate.inside)
    member.stop()
    await w.until(future.done, 3)
    gate.open()
    await w.until(lambda: not gate.inside)
    async with w.listening(member):
        entry_id = await w.do(member.group.topic.publish("a"))
        await w.until(lambda: seen == [entry_id])


async def test_a_handler_that_outlasted_the_grace_has_its_entry_to_itself_when_the_member_listens_again(w: World) -> None:
    member, gate, others = w.member(concurrency=2, grace=0.05, id="me"), Gate(w), []

    async def stubborn(message) -> None:
        try:
            await gate.sit_asyncio(message)
        except asyncio.CancelledError:
            await gate.sit_asyncio(message)

    member.on("sit", stubborn if w.asyncio else gate.handler)
    member.on("a", others.append)
    await w.do(member.group.topic.publish("sit"))
    future = w.start(member.connect_and_listen)
    await w.until(lambda: gate.inside)
    member.stop()
    await w.until(future.done, 3)
    begun = len(gate.seen)
    async with w.listening(member):
        await w.do(member.group.topic.publish("a"))
        await w.until(lambda: others)  # what is pending under its own name comes before
        assert (gate.inside, len(gate.seen)) == (1, begun)
        gate.open()
        await w.until(lambda: w.pending(member.group) == [])
    assert len(gate.seen) == begun


SCRIPT = """
import {asyncio}signal, sys
from streamio import ConsumerGroupMember, ConsumerGroupTopic, Topic, from_url
topic = Topic(sys.argv[2], from_url(sys.argv[1]{option}))
member = ConsumerGroupMember(ConsumerGroupTopic(topic, "group"), "child")
signal.signal(signal.SIGTERM, lambda number, frame: member.stop())
@member.on("a")
def handler(message):
    print(message.type, flush=True)
{run}
print("settled", flush=True)
"""
RUN = {
    "blocking": SCRIPT.format(asyncio="", option="", run="member.connect_and_listen()"),
    "asyncio": SCRIPT.format(
        asyncio="asyncio, ", option=", asyncio=True", run="async def main():\n    await member.connect_and_listen()\nasyncio.run(main())"
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("when", ["waiting", "busy"])
async def test_a_signal_handler_may_stop_the_member(w: World, when: str) -> None:
    if w.embedded:
        pytest.skip("another process needs a real server")
    topic = w.topic()
    script = RUN[w.colour] if when == "waiting" else RUN[w.colour].replace("print(message.type, flush=True)", BUSY)
    child = subprocess.Popen([sys.executable, "-c", script, w.url, topic.name], stdout=subprocess.PIPE, text=True)
    try:
        await w.do(topic.publish("a"))
        assert await asyncio.to_thread(child.stdout.readline) == "a\n"
        child.send_signal(signal.SIGTERM)
        out, _ = await asyncio.to_thread(child.communicate, timeout=10)
    finally:
        child.kill()
        child.communicate()
    assert (out, child.returncode) == ("settled\n", 0)
    assert w.raw.xpending(topic.name, "group")["pending"] == 0
    assert [row["name"] for row in w.raw.xinfo_consumers(topic.name, "group")] in ([], ["~waiting"])


BUSY = """print(message.type, flush=True)
    import time
    end = time.monotonic() + 0.3
    while time.monotonic() < end: sum(range(100))"""


# -- pausing --------------------------------------------------------------------------------------------------------------------------------


async def test_nothing_starts_while_paused(w: World) -> None:
    member, seen = w.member(), []
    member.on("a", lambda message: seen.append(message["i"]))
    async with w.listening(member):
        await w.do(member.group.topic.publish("a", i=0))
        await w.until(lambda: seen == ["0"])
        member.pause()
        await w.do(member.group.topic.publish("a", i=1))
        other = w.member(member.group)
        [message] = await w.do(other.read(timeout=3))  # a reader that is not paused gets it
        assert (message["i"], message.deliveries) == ("1", 1)
        assert seen == ["0"]
        message.nack(0)
        await w.do(other.flush())
        member.resume()
        await w.until(lambda: seen == ["0", "1"])


async def test_what_waits_in_hand_is_given_back_on_pause(w: World) -> None:
    member, gate = w.member(prefetch=10, id="me"), Gate(w)
    member.on("a", gate.handler)
    ids = await w.do(member.group.topic.publish_many([("a", {"i": i}) for i in range(5)]))
    async with w.listening(member):
        await w.until(lambda: gate.inside)
        member.pause()
        gate.open()
        await w.until(lambda: {row[1] for row in w.pending(member.group)} <= {"~waiting"})
        assert [message.id for message in gate.left] == ids[:1]
        member.resume()
        await w.until(lambda: len(gate.left) == 5)
    assert sorted((message.id, message.deliveries) for message in gate.left) == [(entry_id, 1) for entry_id in ids]


async def test_pause_before_listening_holds_until_resume(w: World) -> None:
    member, seen = w.member(), []
    member.on("a", lambda message: seen.append(message.id))
    await w.do(member.group.topic.publish("a"))
    member.pause()
    async with w.listening(member):
        await w.until(lambda: (member._hand.state, member._hand.asleep or w.asyncio) == ("listening", True))
        assert seen == []
        member.resume()
        await w.until(lambda: len(seen) == 1)


async def test_a_paused_member_can_be_stopped(w: World) -> None:
    member = w.member()
    member.on("a", ignoring)
    async with w.listening(member):
        await w.until(lambda: member._hand.state == "listening")
        member.pause()


# -- settling -------------------------------------------------------------------------------------------------------------------------------


async def test_flush_brings_acknowledgements_to_the_server_at_once(w: World) -> None:
    member = w.member()
    await w.do(member.group.topic.publish_many([("a", {}), ("a", {})]))
    first, second = await w.do(member.read(2))
    first.ack()
    second.bury("no good")
    await w.do(member.flush())
    assert w.pending(member.group) == []
    assert (await w.do(member.info())).notes == 0


async def test_settlements_reach_the_server_while_a_handler_sits(w: World) -> None:
    member, gate = w.member(prefetch=10), Gate(w)
    member.on("quick", ignoring)
    member.on("sit", gate.handler)
    quick, sits = await w.do(member.group.topic.publish_many([("quick", {}), ("sit", {})]))
    async with w.listening(member):
        await w.until(lambda: gate.inside)
        began = time.monotonic()
        await w.until(lambda: [row[0] for row in w.pending(member.group)] == [sits])
        assert time.monotonic() - began < 0.5
        gate.open()


async def test_settlements_reach_the_server_while_the_reader_is_blocked(w: World) -> None:
    member, kept = w.member(block=5, ack="manual"), []
    member.on("a", kept.append)
    future = w.start(member.connect_and_listen)
    await w.do(member.group.topic.publish("a"))
    await w.until(lambda: kept)
    began = time.monotonic()
    kept[0].ack()
    await w.until(lambda: w.pending(member.group) == [])
    assert time.monotonic() - began < 1
    member.stop()
    await w.do(member.group.topic.publish("a"))  # the blocked read ends
    await w.until(future.done)
    future.result()


async def test_the_acknowledgements_of_a_listener_need_no_flush(w: World) -> None:
    member, handled = w.member(block=5), []
    member.on("a", handled.append)
    future = w.start(member.connect_and_listen)
    await w.do(member.group.topic.publish("a"))
    await w.until(lambda: w.raw.xinfo_stream(member.group.topic.name)["length"] == 1 and handled and w.pending(member.group) == [], 3)
    member.stop()
    await w.do(member.group.topic.publish("a"))
    await w.until(future.done)
    future.result()


# -- beginning ------------------------------------------------------------------------------------------------------------------------------


async def test_the_group_is_made_where_it_is_not_there(w: World) -> None:
    member = w.member()
    created = recorded(member, "group_created")
    await w.do(member.connect())
    assert [row["name"] for row in w.raw.xinfo_groups(member.group.topic.name)] == ["group"]
    assert [event.reason for event in created] == ["new"]
    again = w.member(member.group)
    created = recorded(again, "group_created")
    await w.do(again.connect())
    assert created == []


async def test_a_new_group_starts_where_it_was_told_to(w: World) -> None:
    topic = w.topic()
    ids = await w.do(topic.publish_many([("a", {}) for _ in range(3)]))
    for name, start, expected in [("all", "0", ids), ("new", "$", []), ("after", ids[0], ids[1:])]:
        member, seen = w.member(w.group(topic, name, start=start)), []
        member.on("a", lambda message, seen=seen: seen.append(message.id))
        await w.do(member.drain())
        assert seen == expected


async def test_own_pending_entries_come_first_when_a_member_starts_with_the_same_id(w: World) -> None:
    group, seen = w.group(), []
    await w.do(group.create())
    ids = await w.do(group.topic.publish_many([("a", {}) for _ in range(4)]))
    w.raw.xreadgroup("group", "me", {group.topic.name: ">"}, count=2)  # an earlier life that ended here
    member = w.member(group, "me")
    member.on("a", lambda message: seen.append((message.id, message.deliveries, message.claimed)))
    assert await w.do(member.drain()) == 4
    assert seen == [(ids[0], 2, True), (ids[1], 2, True), (ids[2], 1, False), (ids[3], 1, False)]


async def test_info_tells_the_members_state(w: World) -> None:
    member, gate = w.member(id="me", prefetch=3), Gate(w)
    member.on("a", gate.handler)
    info = await w.do(member.info())
    assert (info.id, info.group, info.topic, info.state) == ("me", "group", member.group.topic.name, "new")
    assert (info.handled, info.failed, info.claimed, info.running, info.waiting, info.notes, info.connections) == (0,) * 7
    await w.do(member.group.topic.publish_many([("a", {}), ("a", {})]))
    async with w.listening(member):
        await w.until(lambda: gate.inside)
        info = await w.do(member.info())
        assert (info.state, info.running, info.waiting) == ("listening", 1, 1)
        assert 1 <= info.connections <= 2
        gate.open()
        await w.until(lambda: len(gate.left) == 2)
    info = await w.do(member.info())
    assert (info.state, info.handled, info.running, info.waiting, info.connections) == ("stopped", 2, 0, 0, 0)
    await w.do(member.close())
    assert (await w.do(member.info())).state == "closed"


# -- ending ---------------------------------------------------------------------------------------------------------------------------------


async def test_close_may_be_called_twice_and_a_closed_member_says_so(w: World) -> None:
    member = w.member(id="me")
    member.on("a", ignoring)
    await w.do(member.connect())
    await w.do(member.close())
    await w.do(member.close())
    member.stop()
    for call in (member.connect, member.connect_and_listen, member.drain, member.read):
        with pytest.raises(RuntimeError, match="'me' is closed"):
            await w.do(call())
    with pytest.raises(RuntimeError, match="'me' is closed"):
        await w.next(w.loop(member))


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_close_from_a_handler_takes_effect_when_the_listening_ends(w: World, concurrency: int) -> None:
    member, seen = w.member(concurrency=concurrency), []

    def handler(message):
        seen.append(message.id)
        member.close()

    async def handler_asyncio(message):
        seen.append(message.id)
        await member.close()

    member.on("a", handler_asyncio if w.asyncio else handler)
    await w.do(member.group.topic.publish_many([("a", {}) for _ in range(5)]))
    await w.do(member.connect_and_listen())
    assert 1 <= len(seen) <= concurrency
    assert (await w.do(member.info())).state == "closed"
    assert not set(seen) & {row[0] for row in w.pending(member.group)}


async def test_close_ends_a_loop_that_waits_elsewhere(w: World) -> None:
    member = w.member()

    def consume():
        return [message.id for message in member]

    async def consume_asyncio():
        return [message.id async for message in member]

    future = w.start(consume_asyncio if w.asyncio else consume)
    await w.until(lambda: member._hand.state == "iterating")
    await w.do(member.close())
    await w.until(future.done, 3)
    assert future.result() == []


async def test_close_in_the_body_of_a_loop_ends_it_and_leaves_its_entry_for_another_try(w: World) -> None:
    member = w.member()
    ids = await w.do(member.group.topic.publish_many([("a", {}), ("a", {})]))
    loop = w.loop(member)
    assert (await w.next(loop)).id == ids[0]
    await w.do(member.close())
    assert await w.next(loop) is None
    assert (ids[0], "~waiting", 1) in w.pending(member.group)


async def test_close_of_a_member_that_never_connected_does_nothing(w: World) -> None:
    member = w.member()
    await w.do(member.close())
    assert (await w.do(member.info())).state == "closed"


async def test_close_ends_a_listener_elsewhere_and_waits_for_it(w: World) -> None:
    member, gate = w.member(), Gate(w)
    member.on("a", gate.handler)
    future = w.start(member.connect_and_listen)
    await w.do(member.group.topic.publish("a"))
    await w.until(lambda: gate.inside)
    closing = w.start(member.close)
    await w.until(lambda: member._hand.stopping)
    assert not closing.done()
    gate.open()
    await w.until(lambda: closing.done() and future.done())
    assert (closing.result(), future.result(), len(gate.left)) == (None, None, 1)
    assert w.pending(member.group) == []


async def test_close_gives_back_what_was_read_and_not_settled_yet(w: World) -> None:
    group = w.group()
    member = w.member(group, "me")
    ids = await w.do(group.topic.publish_many([("a", {}), ("a", {})]))
    loop = w.loop(member)
    assert (await w.next(loop)).id == ids[0]
    del loop
    await w.do(member.close())
    assert {row[1] for row in w.pending(group)} == {"~waiting"}
    assert [row["name"] for row in w.raw.xinfo_consumers(group.topic.name, "group")] == ["~waiting"]


async def test_a_member_closes_at_the_end_of_its_block(w: World) -> None:
    member = w.member(id="me")
    async with w.block(member) as same:
        assert same is member
        await w.do(member.connect())
    assert (await w.do(member.info())).state == "closed"


async def test_a_member_leaves_no_consumer_behind(w: World) -> None:
    member = w.member(id="me")
    member.on("a", ignoring)
    await w.do(member.group.topic.publish("a"))
    await w.do(member.drain())
    assert [row["name"] for row in w.raw.xinfo_consumers(member.group.topic.name, "group")] == []


async def test_a_clone_has_the_handlers_and_options_and_its_own_life(w: World) -> None:
    member, seen = w.member(concurrency=2, prefetch=3, ack="manual", handlers={"a": lambda message: seen.append("a")}), []
    once = member.once("b", lambda message: seen.append("b"))
    clone = member.clone("other", ack="auto", handlers={"c": lambda message: seen.append("c")})
    w.things.append(clone)
    assert (clone.id, clone.group, clone._options) == ("other", member.group, {**member._options, "ack": "auto"})
    assert clone.event_names() == {"a", "b", "c"}
    await w.do(member.close())
    await w.do(clone.group.topic.publish_many([("a", {}), ("b", {}), ("b", {}), ("c", {})]))
    await w.do(clone.drain())
    assert seen == ["a", "b", "c"]
    assert member.listeners("b") == [once] or len(member.listeners("b")) == 1


async def test_a_clone_of_a_clone_gets_an_id_of_its_own(w: World) -> None:
    member = w.member(id="me")
    clone = member.clone()
    w.things.append(clone)
    assert clone.id != "me"


# -- draining -------------------------------------------------------------------------------------------------------------------------------


async def test_drain_gives_how_many_entries_were_settled(w: World) -> None:
    member = w.member()
    member.on("a", ignoring)
    assert await w.do(member.drain()) == 0
    await w.do(member.group.topic.publish_many([("a", {}) for _ in range(250)]))
    assert await w.do(member.drain()) == 250
    assert await w.do(member.drain()) == 0
    assert w.pending(member.group) == []


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_drain_waits_for_retries_and_burials(w: World, concurrency: int) -> None:
    group = w.group(retry=RetryPolicy(max_deliveries=3, backoff=(0.02, 0.04)))
    member, failing = w.member(group, concurrency=concurrency), Failing()
    member.on("bad", failing)
    member.on("good", ignoring)
    await w.do(group.topic.publish_many([("bad" if i % 5 == 0 else "good", {}) for i in range(20)]))
    assert await w.do(member.drain()) == 20
    assert sorted(failing.tries) == [1] * 4 + [2] * 4 + [3] * 4
    assert w.pending(group) == []


async def test_drain_without_retries_leaves_what_failed(w: World) -> None:
    group = w.group(retry=RetryPolicy(backoff=(5, 5)))
    member, failing = w.member(group), Failing()
    member.on("bad", failing)
    member.on("good", ignoring)
    await w.do(group.topic.publish_many([("bad", {}), ("good", {})]))
    assert await w.do(member.drain(retries=False)) == 1
    assert [row[1:] for row in w.pending(group)] == [("~waiting", 1)]


# -- lifecycle events -----------------------------------------------------------------------------------------------------------------------


async def test_an_unknown_lifecycle_event_is_refused_by_name(w: World) -> None:
    member = w.member()
    for add in (member.lifecycle.on, member.lifecycle.once, member.lifecycle.add_listener):
        with pytest.raises(ValueError, match="'order.placed' is no lifecycle event; there are .*retrying"):
            add("order.placed", print)


async def test_entries_and_lifecycle_are_never_mixed(w: World) -> None:
    member, entries = w.member(), []
    events = recorded(member, "succeeded", "stopped")
    member.on("succeeded", entries.append)
    await w.do(member.group.topic.publish("succeeded"))
    await w.do(member.drain())
    assert [message.type for message in entries] == ["succeeded"]
    assert [event.name for event in events] == ["succeeded", "stopped"]


async def test_each_entry_tells_that_it_started_and_succeeded_and_how_long_it_took(w: World) -> None:
    member, gate = w.member(id="me"), Gate(w, opened=True, seconds=0.03)
    events = recorded(member, "started", "succeeded")
    member.on("a", gate.handler)
    entry_id = await w.do(member.group.topic.publish("a"))
    await w.do(member.drain())
    assert [(event.name, event.member, event.message.id) for event in events] == [("started", "me", entry_id), ("succeeded", "me", entry_id)]
    assert 0.02 < events[1].duration < 5


async def test_a_failure_tells_its_error_and_when_it_is_tried_again_and_that_it_was_buried(w: World) -> None:
    group = w.group(retry=RetryPolicy(max_deliveries=2, backoff=(0.02, 0.02), jitter=0))
    member = w.member(group)
    events = recorded(member, "started", "failed", "retrying", "buried", "succeeded")
    member.on("a", Failing())
    entry_id = await w.do(group.topic.publish("a"))
    await w.do(member.drain())
    assert [event.name for event in events] == ["started", "failed", "retrying", "started", "failed", "buried"]
    assert {event.message.id for event in events} == {entry_id}
    assert all(isinstance(events[i].error, ValueError) for i in (1, 2, 4, 5))
    assert events[1].duration is not None and events[4].duration is not None
    assert (events[2].delay, events[5].reason) == (0.02, "failed")


async def test_every_failure_tells_how_long_its_handler_took(w: World) -> None:
    member = w.member(prefetch=10)
    events = recorded(member, "failed")
    member.on("a", Failing(3))
    await w.do(member.group.topic.publish_many([("a", {}) for _ in range(4)]))
    await w.do(member.drain(retries=False))
    assert [type(event.duration) for event in events] == [float] * 3


@pytest.mark.parametrize("how", ["ack", "leave", "bury"])
async def test_an_entry_that_no_listener_wants_is_told(w: World, how: str) -> None:
    member = w.member(w.group(unhandled=how))
    events = recorded(member, "unhandled", "buried")
    member.on("other", ignoring)
    await w.do(member.group.topic.publish("a"))
    await w.do(member.drain())
    assert [(event.name, event.message.type, event.reason) for event in events] == [
        ("unhandled", "a", how),
        *([("buried", "a", "unhandled")] if how == "bury" else []),
    ]


@pytest.mark.slow
async def test_claimed_and_missing_entries_are_told(w: World) -> None:
    group, seen = w.group(lease=0.3), []
    await w.do(group.create())
    ids = await w.do(group.topic.publish_many([("a", {}) for _ in range(3)]))
    w.raw.xreadgroup("group", "dead", {group.topic.name: ">"})
    w.raw.xdel(group.topic.name, ids[1])
    member = w.member(group)
    events = recorded(member, "claimed", "missing")
    member.on("a", lambda message: seen.append(message.id))
    async with w.listening(member):
        await w.until(lambda: len(seen) == 2)
    claimed = [event for event in events if event.name == "claimed"]
    assert [entry_id for event in claimed for entry_id in event.ids] == [ids[0], ids[2]]
    assert {event.reason for event in claimed} == {"dead"}
    assert [(list(event.ids), event.count) for event in events if event.name == "missing"] == [([ids[1]], 1)]
    assert w.pending(group) == []


async def test_a_lost_lease_is_told(w: World) -> None:
    group = w.group()
    member = w.member(group, "me")
    events = recorded(member, "lease_lost")
    [entry_id] = await w.do(group.topic.publish_many([("a", {})]))
    [message] = await w.do(member.read())
    w.raw.xclaim(group.topic.name, "group", "thief", 0, [entry_id])
    message.nack(1)
    await w.do(member.flush())
    assert [list(event.ids) for event in events] == [[entry_id]]
    assert w.pending(group)[0][1] == "thief"


async def test_a_lost_group_is_made_again_and_told(w: World) -> None:
    member, seen = w.member(), []
    events = recorded(member, "group_created")
    member.on("a", lambda message: seen.append(message["i"]))
    async with w.listening(member):
        await w.do(member.group.topic.publish("a", i=0))
        await w.until(lambda: seen == ["0"] and w.pending(member.group) == [])
        w.raw.delete(member.group.topic.name)
        await w.do(member.group.topic.publish("a", i=1))
        await w.until(lambda: seen == ["0", "1"])
    assert [event.reason for event in events] == ["new", "lost"]


async def test_a_broken_connection_is_told_and_what_came_meanwhile_is_handled(w: World) -> None:
    if w.embedded:
        pytest.skip("the embedded server has no connections to kill")
    member, seen = w.member(), []
    events = recorded(member, "disconnected", "reconnected", "stopped")
    member.on("a", lambda message: seen.append(message["i"]))
    async with w.listening(member):
        for i in range(3):
            await w.do(member.group.topic.publish("a", i=i))
            await w.until(lambda i=i: len(seen) == i + 1)
            mine = str(w.raw.client_id())
            for row in w.raw.client_list():
                if row["id"] != mine and row["cmd"] in ("xreadgroup", "xack"):
                    w.raw.client_kill_filter(_id=row["id"])
            await w.until(lambda i=i: [event.name for event in events] == ["disconnected", "reconnected"] * (i + 1))
    assert seen == ["0", "1", "2"]
    assert [event.name for event in events][-1] == "stopped"


async def test_a_lifecycle_listener_that_raises_is_logged_and_harms_nothing(w: World, caplog: pytest.LogCaptureFixture) -> None:
    member, seen = w.member(), []

    def broken(event):
        raise RuntimeError("the listener is broken")

    for name in ("started", "succeeded", "failed", "retrying", "unhandled", "stopped", "group_created"):
        member.lifecycle.on(name, broken)
    member.on("a", lambda message: seen.append(message.id))
    member.on("bad", Failing(1))
    await w.do(member.group.topic.publish_many([("a", {}), ("bad", {}), ("other", {}), ("a", {})]))
    with caplog.at_level(logging.ERROR, "streamio"):
        await w.do(member.drain(retries=False))
    assert len(seen) == 2
    assert "a lifecycle listener for 'started' raised" in caplog.text


async def test_a_coroutine_lifecycle_listener_runs_on_an_asyncio_member(w: World) -> None:
    if not w.asyncio:
        pytest.skip("asyncio only")
    member, seen = w.member(), []

    async def listener(event) -> None:
        await asyncio.sleep(0)
        seen.append(event.name)

    member.lifecycle.on("stopped", listener)
    await w.do(member.connect())
    await w.do(member.close())
    await w.until(lambda: seen == ["stopped"])


# -- places ---------------------------------------------------------------------------------------------------------------------------------


async def test_a_member_too_many_is_refused_and_a_place_is_free_after_close(w: World) -> None:
    group = w.group(max=2)
    first, second, third = w.member(group), w.member(group), w.member(group, "third")
    await w.do(first.connect())
    await w.do(second.connect())
    with pytest.raises(GroupFull, match="2"):
        await w.do(third.connect())
    with pytest.raises(GroupFull):
        await w.next(w.loop(third))
    await w.do(first.close())
    await w.do(third.connect())
    await w.do(third.connect())


async def test_a_place_is_free_again_after_stop(w: World) -> None:
    group = w.group(max=1)
    first, second = w.member(group), w.member(group)
    first.on("a", ignoring)
    second.on("a", ignoring)
    await w.do(first.drain())
    await w.do(second.drain())
    await w.do(first.drain())


async def test_a_refused_member_leaves_no_consumer_and_no_connection(w: World) -> None:
    group = w.group(max=1)
    first, second = w.member(group, "first"), w.member(group, "second")
    await w.do(first.connect())
    with pytest.raises(GroupFull):
        await w.do(second.connect())
    assert (await w.do(second.info())).connections == 0
    assert "second" not in [row["name"] for row in w.raw.xinfo_consumers(group.topic.name, "group")]


# -- forking --------------------------------------------------------------------------------------------------------------------------------

FORKING = """
import os, sys
from streamio import ConsumerGroupMember, ConsumerGroupTopic, Topic
topic = Topic(sys.argv[2], sys.argv[1])
member = ConsumerGroupMember(ConsumerGroupTopic(topic, "group"), "parent", block=0.1)
seen = []
member.on("a", lambda message: seen.append(message["i"]))
loop = iter(member)
topic.publish("a", i=0)
print("before", next(loop)["i"], flush=True)
pid = os.fork()
if pid == 0:
    try:
        for call in (member.connect, member.drain, member.read, lambda: next(loop), lambda: next(iter(member))):
            try:
                call()
                print("no error")
            except RuntimeError as error:
                print("child", error)
        member.close()
        del loop
        clone = member.clone("child")
        print("clone", clone.drain(), seen)
    finally:
        sys.stdout.flush()
        os._exit(0)
os.waitpid(pid, 0)
topic.publish("a", i=1)
print("after", next(loop)["i"], flush=True)
member.stop()
print("end", next(loop, None))
"""


@pytest.mark.slow
async def test_a_member_made_before_a_fork_is_closed_in_the_child_and_works_on_in_the_parent(w: World) -> None:
    if w.embedded or w.asyncio or not hasattr(os, "fork"):
        pytest.skip("blocking members on a real server")
    args = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING, w.url, w.key()]
    child = await asyncio.to_thread(subprocess.run, args, capture_output=True, text=True, timeout=20)
    assert child.stderr == ""
    lines = child.stdout.splitlines()
    assert lines[0] == "before 0"
    assert lines[1:6] == ["child member 'parent' was made in another process; use clone() in this one"] * 5
    assert lines[6:] == ["clone 0 []", "after 1", "end None"]
    assert w.raw.xpending(w.key(), "group")["pending"] == 0
