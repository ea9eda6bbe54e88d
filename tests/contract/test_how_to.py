"""The steps of the consumer group how-to: create, read, acknowledge after success, inspect, recover, monitor."""

from __future__ import annotations

import pytest

from ..world import World

pytestmark = pytest.mark.asyncio


async def test_an_entry_is_listed_as_pending_from_the_moment_it_was_delivered(w: World) -> None:
    group = w.group()
    await w.do(group.create())
    for _ in range(20):  # the embedded server's clock has whole milliseconds
        await w.do(group.topic.publish("x"))
        w.raw.xreadgroup(group.name, "foreign", {group.topic.name: ">"}, count=1)
        (entry,) = await w.do(group.pending())
        assert (entry.consumer, entry.deliveries) == ("foreign", 1)
        w.raw.xack(group.topic.name, group.name, entry.id)


async def test_creating_a_group_again_says_so_and_keeps_its_place(w: World) -> None:
    group = w.group()
    assert await w.do(group.create())
    await w.do(group.topic.publish("x"))
    async with w.block(w.member(group)) as member:
        (message,) = await w.do(member.read(timeout=1))
        message.ack()
    assert not await w.do(group.create())
    assert (await w.do(group.info())).last_delivered_id == message.id


async def test_a_read_batch_is_acknowledged_entry_by_entry_after_success(w: World) -> None:
    group = w.group()
    await w.do(group.topic.publish_many([("x", {"n": n}) for n in range(3)]))
    async with w.block(w.member(group, "me")) as member:
        first, second, third = await w.do(member.read(3, timeout=1))
        with first:
            pass
        with pytest.raises(ZeroDivisionError), second:
            _ = 1 / 0
        await w.do(member.flush())
        assert {row[:2] for row in w.pending(group)} == {(second.id, "~waiting"), (third.id, "me")}


@pytest.mark.slow
async def test_what_a_killed_consumer_left_behind_is_taken_over_when_its_lease_is_up(w: World) -> None:
    group = w.group(lease=0.3)
    await w.do(group.create())
    ids = await w.do(group.topic.publish_many([("x", {"n": n}) for n in range(3)]))
    w.raw.xreadgroup(group.name, "killed", {group.topic.name: ">"}, count=2)
    async with w.block(w.member(group)) as member:
        found = []
        while len(found) < 3:
            for message in await w.do(member.read(10, timeout=1)):
                with message:
                    found.append((message.id, message.deliveries, message.claimed))
    assert sorted(found) == [(ids[0], 2, True), (ids[1], 2, True), (ids[2], 1, False)]
    assert (await w.do(group.info())).pending == 0
