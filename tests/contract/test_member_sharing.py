"""Several members of one group: each entry once, what a dead member had is taken over, what a living one has is not; and the stream's order."""

from __future__ import annotations

import pytest

from streamio import RetryPolicy

from ..world import World
from .gates import Gate

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


async def left_by_a_dead_member(w: World, group, count: int) -> list[str]:
    """So many entries, pending under the name of a member that will never speak again."""
    await w.do(group.create())
    ids = await w.do(group.topic.publish_many([("a", {"i": i}) for i in range(count)]))
    w.raw.xreadgroup(group.name, "dead", {group.topic.name: ">"}, count=count)
    return ids


# -- each entry once --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_members_of_one_group_share_the_entries_each_entry_once(w: World, concurrency: int) -> None:
    group, seen = w.group(), []
    members = [w.member(group, f"m{i}", concurrency=concurrency) for i in range(3)]
    for member in members:
        member.on("a", lambda message, name=member.id: seen.append((message.id, name)))
    async with w.listening(*members):
        await w.until(lambda: all(member._hand.state == "listening" for member in members))
        ids = []
        for _ in range(10):
            ids += await w.do(group.topic.publish_many([("a", {}) for _ in range(30)]))
        await w.until(lambda: len(seen) >= 300)
    assert sorted(entry_id for entry_id, _ in seen) == sorted(ids)
    assert w.pending(group) == []


async def test_a_busy_member_leaves_the_work_to_the_others(w: World) -> None:
    group, seen = w.group(), []
    busy, free = w.member(group, "busy"), w.member(group, "free")
    gate = Gate(w)
    busy.on("a", gate.handler)
    free.on("a", lambda message: seen.append(message.id))
    first = await w.do(group.topic.publish("a"))
    async with w.listening(busy):
        await w.until(lambda: gate.inside)
        async with w.listening(free):
            ids = await w.do(group.topic.publish_many([("a", {}) for _ in range(5)]))
            await w.until(lambda: seen == ids)
            gate.open()
    assert [message.id for message in gate.left] == [first]


async def test_each_group_gets_every_entry(w: World) -> None:
    topic, seen = w.topic(), {"one": [], "two": []}
    ids = await w.do(topic.publish_many([("a", {}) for _ in range(5)]))
    for name, found in seen.items():
        member = w.member(w.group(topic, name))
        member.on("a", lambda message, found=found: found.append(message.id))
        await w.do(member.drain())
    assert seen == {"one": ids, "two": ids}


async def test_members_may_join_and_leave_without_a_double_or_a_loss(w: World) -> None:
    group, seen = w.group(), []
    stays = w.member(group, "stays", concurrency=2)
    stays.on("a", lambda message: seen.append(message.id))
    ids = []
    async with w.listening(stays):
        for i in range(4):
            comes = w.member(group, f"comes{i}")
            comes.on("a", lambda message: seen.append(message.id))
            async with w.listening(comes):
                await w.until(lambda comes=comes: comes._hand.state == "listening")
                ids += await w.do(group.topic.publish_many([("a", {}) for _ in range(100)]))
                await w.until(lambda i=i: len(seen) > 100 * i)
        await w.until(lambda: len(seen) >= 400)
    assert sorted(seen) == sorted(ids)
    assert w.pending(group) == []


# -- recovery ---------------------------------------------------------------------------------------------------------------------------------


async def test_the_entries_of_a_dead_member_are_claimed(w: World) -> None:
    group, seen = w.group(lease=0.3), []
    ids = await left_by_a_dead_member(w, group, 5)
    member = w.member(group)
    member.on("a", lambda message: seen.append((message.id, message.deliveries, message.claimed)))
    async with w.listening(member):
        await w.until(lambda: len(seen) == 5)
    assert sorted(seen) == [(entry_id, 2, True) for entry_id in ids]
    assert w.pending(group) == []


async def test_the_entries_of_a_dead_member_are_not_claimed_before_the_lease_is_over(w: World) -> None:
    group, seen = w.group(lease=30, claim_interval=0.05), []
    await left_by_a_dead_member(w, group, 2)
    member = w.member(group)
    member.on("*", lambda message: seen.append(message.type))
    async with w.listening(member):
        await w.until(lambda: member._hand.claim_at > 0)
        began = member._hand.claim_at
        await w.until(lambda: member._hand.claim_at > began + 0.2)  # it looked several times
        await w.do(group.topic.publish("new"))
        await w.until(lambda: seen)
    assert seen == ["new"]
    assert {row[1:] for row in w.pending(group)} == {("dead", 1)}


async def test_what_a_dead_member_had_is_shared_by_the_living_each_entry_once(w: World) -> None:
    group, seen = w.group(lease=0.3), []
    ids = await left_by_a_dead_member(w, group, 60)
    members = [w.member(group, f"m{i}") for i in range(3)]
    for member in members:
        member.on("a", lambda message: seen.append(message.id))
    async with w.listening(*members):
        await w.until(lambda: len(seen) >= 60)
        await w.until(lambda: w.pending(group) == [])
    assert sorted(seen) == sorted(ids)


async def test_an_entry_that_was_delivered_too_often_to_dead_members_is_buried_and_its_neighbours_are_not(w: World) -> None:
    group, seen = w.group(lease=0.3, retry=RetryPolicy(max_deliveries=3)), []
    ids = await left_by_a_dead_member(w, group, 3)
    w.raw.execute_command("XCLAIM", group.topic.name, group.name, "dead", 0, ids[1], "RETRYCOUNT", 3, "JUSTID")
    member = w.member(group)
    member.on("a", lambda message: seen.append(message.id))
    async with w.listening(member):
        await w.until(lambda: w.pending(group) == [])
    assert seen == [ids[0], ids[2]]
    [(_, letter)] = w.raw.xrange(f"{group.topic.name}:dead:{{{group.topic.name}}}:group")
    assert (letter["dead:id"], letter["dead:reason"]) == (ids[1], "poison")


async def test_a_loop_claims_as_a_listener_does(w: World) -> None:
    group = w.group(lease=0.3)
    ids = await left_by_a_dead_member(w, group, 2)
    member = w.member(group)
    loop = w.loop(member)
    found = [await w.next(loop) for _ in range(2)]
    assert [(message.id, message.claimed) for message in found] == [(entry_id, True) for entry_id in ids]
    member.stop()
    assert await w.next(loop) is None
    assert w.pending(group) == []


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_a_slow_handler_of_a_living_member_keeps_its_entry(w: World, concurrency: int) -> None:
    group = w.group(lease=0.3)
    slow, other = w.member(group, "slow", concurrency=concurrency), w.member(group, "other")
    gate, stolen = Gate(w, opened=True, seconds=0.8), []
    slow.on("a", gate.handler)
    other.on("a", stolen.append)
    await w.do(group.topic.publish_many([("a", {}) for _ in range(concurrency)]))
    async with w.listening(slow):
        await w.until(lambda: gate.inside == concurrency)
        async with w.listening(other):
            await w.until(lambda: len(gate.left) == concurrency)
            await w.until(lambda: w.pending(group) == [])
    assert stolen == []
    assert [message.deliveries for message in gate.seen] == [1] * concurrency


async def test_a_slow_body_of_a_loop_keeps_its_entry_and_what_waits_behind_it(w: World) -> None:
    group = w.group(lease=0.3)
    slow, other, stolen = w.member(group, "slow", prefetch=5), w.member(group, "other"), []
    other.on("a", stolen.append)
    ids = await w.do(group.topic.publish_many([("a", {}) for _ in range(3)]))
    loop = w.loop(slow)
    seen = [(await w.next(loop)).id]
    async with w.listening(other):
        claims = other._hand
        await w.until(lambda: claims.claim_at > 0)
        until = claims.claim_at + 0.6
        await w.until(lambda: claims.claim_at > until)  # two leases of looking for silent members
    for _ in range(2):
        seen.append((await w.next(loop)).id)
    slow.stop()
    assert await w.next(loop) is None
    assert stolen == []
    assert seen == ids


async def test_a_retry_of_a_member_that_left_is_run_by_another(w: World) -> None:
    group, seen = w.group(retry=RetryPolicy(backoff=(0.2, 0.2))), []
    first, second = w.member(group), w.member(group)

    @first.on("a")
    def failing(message):
        raise ValueError("not me")

    second.on("a", lambda message: seen.append((message.deliveries, message.claimed)))
    await w.do(group.topic.publish("a"))
    await w.do(first.drain(retries=False))
    async with w.listening(second):
        await w.until(lambda: seen)
    assert seen == [(2, False)]
    assert w.pending(group) == []


# -- order ------------------------------------------------------------------------------------------------------------------------------------


async def test_one_member_keeps_the_order_of_the_stream(w: World) -> None:
    member, seen = w.member(), []
    member.on("*", lambda message: seen.append(message.id))
    ids = await w.do(member.group.topic.publish_many([("a", {}) for _ in range(500)]))
    async with w.listening(member):
        ids += await w.do(member.group.topic.publish_many([("b", {}) for _ in range(500)]))
        await w.until(lambda: len(seen) == 1000)
    assert seen == ids


@pytest.mark.parametrize("slow", [(60,), (61, 130)])
async def test_one_member_keeps_the_order_when_what_waits_is_given_back_behind_a_slow_entry(w: World, slow) -> None:
    member, gates = w.member(id="me"), {i: Gate(w) for i in slow}
    seen = []
    member.on("*", lambda message: seen.append(message.id))
    for i in slow:
        member.on(f"slow{i}", gates[i].handler)
    ids = await w.do(member.group.topic.publish_many([(f"slow{i}" if i in slow else "quick", {}) for i in range(200)]))
    async with w.listening(member):
        for gate in gates.values():
            await w.until(lambda gate=gate: gate.inside)
            await w.until(lambda: not member._hand.unstarted() and "~waiting" in {row[1] for row in w.pending(member.group)})  # given back
            gate.open()
        await w.until(lambda: len(seen) >= 200, 15)
    assert seen == ids
    assert w.pending(member.group) == []


async def test_a_loop_keeps_the_order_when_what_waits_is_given_back_behind_a_slow_body(w: World) -> None:
    member = w.member(id="me")
    ids = await w.do(member.group.topic.publish_many([("a", {"i": i}) for i in range(100)]))
    loop, seen = w.loop(member), []
    for i in range(100):
        message = await w.next(loop)
        seen.append((message.id, message.deliveries))
        if i == 40:
            await w.until(lambda: "~waiting" in {row[1] for row in w.pending(member.group)}, 5)
    assert seen == [(entry_id, 1) for entry_id in ids]
