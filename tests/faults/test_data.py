"""Entries and replies that are not as one expects them: each is settled by itself, and the loop goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from streamio import PublishUncertain, RetryPolicy

from ..contract.gates import Gate
from ..servers import RedisServer
from ..world import World

pytestmark = pytest.mark.asyncio


def dead_letters(w: World, group: Any) -> list[dict[str, str]]:
    """The group's dead letters."""
    return [fields for _, fields in w.raw.xrange(f"{group.topic.name}:dead:{{{group.topic.name}}}:group")]


# -- bytes ----------------------------------------------------------------------------------------------------------------------------------


async def test_bytes_that_are_no_text_trouble_nobody_where_the_callers_client_decodes(w: World) -> None:
    member, seen = w.member(w.group(w.topic(client=w.client(decode_responses=True)))), []
    member.on("*", lambda message: seen.append(message["v"]))
    for value in (b"1", b"2", b"\xff\xfe", b"4", b"5"):
        w.raw.xadd(member.group.topic.name, {"type": "x", "v": value})
    assert await w.do(member.drain()) == 5
    assert seen == ["1", "2", b"\xff\xfe", "4", "5"]


@pytest.fixture
def narrow() -> Iterator[RedisServer]:
    """A server that takes no value above 1 MB."""
    server = RedisServer("proto-max-bulk-len 1mb").start()
    yield server
    server.remove()


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.parametrize("colour", ["blocking", "asyncio"])
async def test_an_entry_that_is_too_large_for_the_server_is_refused_once_and_the_topic_goes_on(narrow: RedisServer, colour: str) -> None:
    w = World(colour, narrow.port)
    topic = w.topic()
    try:
        with pytest.raises((redis.ResponseError, PublishUncertain), match=r"bulk length|not known|uncertain|reset|closed"):
            await w.do(topic.publish("x", value="v" * 2_000_000))
        connections = w.raw.info("stats")["total_connections_received"]
        assert connections <= 4, "no storm of retries"
        assert await w.do(topic.publish("x", value="v"))
        assert w.raw.xlen(topic.name) == 1
    finally:
        await w.close()


@pytest.mark.slow
@pytest.mark.parametrize("w", ["blocking-real", "asyncio-real"], indirect=True)
async def test_huge_entries_are_not_hoarded(w: World) -> None:
    member, most = w.member(id="me"), 0

    @member.on("*")
    def handler(message: Any) -> None:
        nonlocal most
        most = max(most, len(w.pending(member.group)))

    for _ in range(40):
        w.raw.xadd(member.group.topic.name, {"type": "x", "v": "v" * 1_000_000})
    assert await w.do(member.drain()) == 40
    assert 2 <= most <= 9, "8 MB, and what runs"


# -- deleted and trimmed --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["trimmed", "deleted"])
async def test_what_leaves_the_stream_while_its_handler_runs_is_handled_and_acknowledged(w: World, how: str) -> None:
    member, gate, wrong = w.member(id="me", prefetch=9), Gate(w), []
    for name in ("failed", "error", "lease_lost"):
        member.lifecycle.on(name, wrong.append)
    member.on("*", gate.handler)
    ids = await w.do(member.group.topic.publish_many([("x", {"i": i}) for i in range(3)]))
    async with w.listening(member):
        await w.until(lambda: gate.inside)
        if how == "trimmed":
            w.raw.xtrim(member.group.topic.name, maxlen=0, approximate=False)
        else:
            w.raw.xdel(member.group.topic.name, *ids)
        gate.open()
        await w.until(lambda: len(gate.left) == 3 and w.pending(member.group) == [])
    assert [(message.id, message["i"]) for message in gate.left] == [(entry, str(i)) for i, entry in enumerate(ids)]
    assert wrong == []


@pytest.mark.slow
async def test_a_thousand_pending_entries_that_were_trimmed_hold_up_neither_each_other_nor_what_is_new(w: World) -> None:
    group, seen, missing = w.group(lease=0.3, claim_interval=0.05), [], []
    await w.do(group.create())
    gone = await w.do(group.topic.publish_many(("x", {"i": i}) for i in range(1000)))
    w.raw.xreadgroup("group", "dead", {group.topic.name: ">"}, count=1000)
    w.raw.xtrim(group.topic.name, maxlen=0, approximate=False)
    await w.until(lambda: w.raw.xinfo_consumers(group.topic.name, "group")[0]["idle"] > 300)  # silent for a lease
    member = w.member(group, "me")
    member.lifecycle.on("missing", lambda event: missing.extend(event.ids))

    @member.on("*")
    def handler(message: Any) -> None:
        seen.append((message.id, len(missing)))

    new = await w.do(group.topic.publish_many(("x", {"i": i}) for i in range(20)))
    async with w.listening(member):
        await w.until(lambda: len(seen) == 20 and len(missing) >= 1000)
        await w.until(lambda: w.pending(group) == [])
    assert [entry for entry, _ in seen] == new
    assert seen[0][1] <= 400 and missing, "what is new does not wait for all that is gone"
    assert sorted(missing) == sorted(gone)


# -- counts ---------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("concurrency", [1, 3])
async def test_a_member_claims_nothing_from_itself(w: World, concurrency: int) -> None:
    group = w.group(lease=0.3, claim_interval=0.02)
    member, gate = w.member(group, "me", concurrency=concurrency, prefetch=20), Gate(w, opened=True, seconds=0.4)
    events: list[Any] = []
    for name in ("claimed", "lease_lost"):
        member.lifecycle.on(name, events.append)
    member.on("slow", gate.handler)
    member.on("quick", gate.left.append)
    ids = await w.do(group.topic.publish_many([*[("slow", {})] * concurrency, *[("quick", {})] * 5, *[("slow", {})] * concurrency]))
    async with w.listening(member):
        await w.until(lambda: len(gate.left) >= len(ids) and w.pending(group) == [])
    assert len(gate.left) == len(ids)
    assert {(message.id, message.deliveries) for message in gate.left} == {(entry, 1) for entry in ids}
    assert events == []


async def handled_one(w: World, member: Any) -> Any:
    """The one message that the member handled before it was stopped, with others waiting in its hand."""
    gate = Gate(w)
    member.on("*", gate.handler)
    future = w.start(member.connect_and_listen)
    await w.until(lambda: gate.inside and (member._hand.fresh or member._hand.taken))
    member.stop()
    gate.open()
    await asyncio.wait_for(future, 10)
    [message] = gate.seen
    return message


@pytest.mark.slow
async def test_what_was_never_started_counts_no_delivery_however_often_it_changed_hands(w: World) -> None:
    group, seen = w.group(retry=RetryPolicy(max_deliveries=2)), []
    ids = await w.do(group.topic.publish_many([("x", {})] * 12))
    for number in range(8):
        message = await handled_one(w, w.member(group, f"m{number}", prefetch=23))
        seen.append((message.id, message.deliveries))
    last = w.member(group)
    last.on("*", lambda message: seen.append((message.id, message.deliveries)))
    await w.do(last.drain())
    assert len(seen) == 12 and set(seen) == {(entry, 1) for entry in ids}
    assert dead_letters(w, group) == []


async def test_an_acknowledgement_of_what_was_acknowledged_already_is_no_error(w: World) -> None:
    member, wrong = w.member(id="me"), []
    for name in ("error", "lease_lost", "failed", "missing"):
        member.lifecycle.on(name, wrong.append)

    @member.on("*")
    def handler(message: Any) -> None:
        w.raw.xack(member.group.topic.name, "group", message.id)  # somebody else was first
        assert message.ack() and not message.ack()

    await w.do(member.group.topic.publish_many([("x", {})] * 3))
    assert await w.do(member.drain()) == 3
    assert wrong == []
    assert w.pending(member.group) == []


# -- dead letters ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_an_entry_whose_dead_letter_cannot_be_written_stays_until_it_can(w: World) -> None:
    group, errors = w.group(lease=0.2, retry=RetryPolicy(max_deliveries=1)), []
    member = w.member(group, "me")
    member.lifecycle.on("error", errors.append)

    @member.on("*")
    def handler(message: Any) -> None:
        raise ValueError("no good")

    key = f"{group.topic.name}:dead:{{{group.topic.name}}}:group"
    w.raw.set(key, "somebody's")
    entry = await w.do(group.topic.publish("x"))
    async with w.listening(member):
        await w.until(lambda: errors)
        assert [row[0] for row in w.pending(group)] == [entry], "never acknowledged without its copy"
        assert w.raw.get(key) == "somebody's"
        w.raw.delete(key)
        await w.until(lambda: w.pending(group) == [])
    assert [letter["dead:id"] for letter in dead_letters(w, group)] == [entry]
    assert len(errors) < 20, "no tight loop"


# -- so many, and no more -------------------------------------------------------------------------------------------------------------------


async def test_a_read_of_so_many_takes_no_more_from_the_group(w: World) -> None:
    member = w.member(id="me", prefetch=23)
    ids = await w.do(member.group.topic.publish_many([("x", {})] * 12))
    messages = await w.do(member.read(5, timeout=1))
    assert [message.id for message in messages] == ids[:5]
    assert [row[0] for row in w.pending(member.group)] == ids[:5]
    for message in messages:
        message.ack()
    await w.do(member.flush())
    assert w.pending(member.group) == []
    await w.do(member.close())
    assert w.raw.xinfo_groups(member.group.topic.name)[0]["last-delivered-id"] == ids[4]


async def test_a_loop_that_is_left_after_so_many_has_settled_these_and_left_the_others_to_the_group(w: World) -> None:
    group, seen = w.group(), []
    member, other = w.member(group, "me", prefetch=10), w.member(group, "other")
    ids = await w.do(group.topic.publish_many([("x", {})] * 12))
    async with w.block(member):
        loop = w.loop(member)
        for _ in range(5):
            seen.append((await w.next(loop)).id)
        del loop
    assert seen == ids[:5]
    assert {row[1:] for row in w.pending(group)} <= {("~waiting", 0)} and not {row[0] for row in w.pending(group)} & set(seen)
    other.on("*", lambda message: seen.append(message.id))
    await w.do(other.drain())
    assert seen[:5] == ids[:5] and sorted(seen) == sorted(ids)


async def test_a_backlog_is_read_from_where_the_group_stands_and_nothing_is_asked_for_twice(w: World) -> None:
    topic, seen = w.topic(), []
    ids = await w.do(topic.publish_many([("x", {})] * 100))
    await w.do(w.group(topic, start=ids[49]).create())
    member = w.member(w.group(topic, start="0"))  # a start that the group does not heed, because it exists
    member.on("*", lambda message: seen.append(message.id))
    await w.do(member.drain())
    assert seen == ids[50:]


async def test_what_all_groups_acknowledged_leaves_by_trimming(w: World) -> None:
    topic = w.topic()
    for name in ("one", "two"):
        member = w.member(w.group(topic, name))
        member.on("*", lambda message: None)
        if name == "one":
            await w.do(topic.publish_many([("x", {})] * 1000))
        await w.do(member.drain())
    assert await w.do(topic.length()) == 1000, "acknowledging deletes nothing"
    assert (await w.do(topic.trim(acked=True, exact=True))).removed == 1000
    assert await w.do(topic.length()) == 0
