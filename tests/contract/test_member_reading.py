"""`read()`, and the two other ways to acknowledge: by hand, and not at all."""

from __future__ import annotations

import threading

import pytest

from streamio import ConsumerGroupMember, RetryPolicy

from ..world import World
from .gates import Failing, Gate

pytestmark = pytest.mark.asyncio


async def filled(w: World, count: int = 3, group=None, **options):
    """A member whose group has so many entries to read, and their ids."""
    member = w.member(group, **options)
    return member, await w.do(member.group.topic.publish_many([("a", {"i": i}) for i in range(count)]))


async def test_read_gives_up_to_n_messages(w: World) -> None:
    member, ids = await filled(w, 5)
    first, second = await w.do(member.read(3)), await w.do(member.read(3))
    assert [message.id for message in first] == ids[:3]
    assert [message.id for message in second] == ids[3:]


async def test_read_gives_one_message_where_nothing_is_said(w: World) -> None:
    member, ids = await filled(w)
    assert [message.id for message in await w.do(member.read())] == ids[:1]


async def test_read_gives_nothing_where_nothing_came_in_time(w: World) -> None:
    member = w.member()
    assert await w.do(member.read(10, timeout=0)) == []
    assert await w.do(member.read(10, timeout=0.05)) == []


async def test_read_waits_for_the_first_message_and_not_for_more(w: World) -> None:
    member = w.member()
    future = w.start(lambda: member.read(10, timeout=5))
    await w.until(lambda: member._hand.state == "ready")
    entry_id = await w.do(member.group.topic.publish("a"))
    await w.until(future.done, 3)
    assert [message.id for message in future.result()] == [entry_id]


async def test_read_without_a_timeout_ends_when_the_member_stops(w: World) -> None:
    member = w.member()
    future = w.start(lambda: member.read(1))
    await w.until(lambda: member._hand.state == "ready")
    member.stop()
    await w.until(future.done)
    assert future.result() == []


async def test_messages_that_were_read_are_settled_by_hand(w: World) -> None:
    group = w.group(retry=RetryPolicy(backoff=(5, 5)))
    member, ids = await filled(w, 4, group, id="me")
    first, second, third, fourth = await w.do(member.read(4))
    assert first.ack() and second.nack(20) and third.bury("no good")
    assert not first.nack() and not second.ack() and not third.ack()
    await w.do(member.flush())
    assert w.pending(group) == [(ids[1], "~waiting", 1), (ids[3], "me", 1)]
    assert w.raw.xlen(f"{group.topic.name}:dead:{{{group.topic.name}}}:group") == 1


async def test_nack_without_a_delay_waits_by_the_retry_policy_and_buries_at_the_last_delivery(w: World) -> None:
    group = w.group(retry=RetryPolicy(max_deliveries=2, backoff=(0.02, 0.02)))
    member, ids = await filled(w, 1, group)
    [message] = await w.do(member.read())
    message.nack()
    [message] = await w.do(member.read(timeout=3))
    assert (message.id, message.deliveries) == (ids[0], 2)
    message.nack()
    await w.do(member.flush())
    assert w.pending(group) == []
    assert w.raw.xlen(f"{group.topic.name}:dead:{{{group.topic.name}}}:group") == 1


async def test_nack_with_delay_0_brings_the_message_again_at_once(w: World) -> None:
    member, ids = await filled(w, 1)
    [message] = await w.do(member.read())
    message.nack(0)
    [again] = await w.do(member.read(timeout=1))
    assert (again.id, again.deliveries, again.claimed) == (ids[0], 2, False)


async def test_a_with_block_acknowledges_at_its_end_and_fails_on_an_exception(w: World) -> None:
    group = w.group(retry=RetryPolicy(backoff=(5, 5)))
    member, ids = await filled(w, 2, group)
    first, second = await w.do(member.read(2))
    with first:
        pass
    with pytest.raises(ValueError), second:
        raise ValueError("no")
    await w.do(member.flush())
    assert w.pending(group) == [(ids[1], "~waiting", 1)]


async def test_a_message_dropped_unsettled_is_given_back(w: World) -> None:
    member, ids = await filled(w, 2, id="me")
    messages = await w.do(member.read(2))
    messages.pop()
    await w.until(lambda: w.pending(member.group) == [(ids[0], "me", 1), (ids[1], "~waiting", 1)], 2)
    [again] = await w.do(member.read(timeout=1))
    assert again.id == ids[1]


async def test_read_needs_a_number_of_messages(w: World) -> None:
    member = w.member()
    for wrong in (0, -1, True, "2", 1.5):
        with pytest.raises(ValueError, match="n must be"):
            await w.do(member.read(wrong))


@pytest.mark.slow
async def test_messages_outlive_the_member_that_read_them(w: World) -> None:
    group = w.group(lease=0.3)
    ids = await w.do(group.topic.publish_many([("x", {"i": i}) for i in range(3)]))
    messages = await w.do(group.member("me").read(3))
    await w.until(lambda: not list(group._members))
    other = w.member(group)
    assert await w.do(other.read(timeout=0.7)) == []
    assert [message.ack() for message in messages[:2]] == [True, True]
    await w.until(lambda: w.pending(group) == [(ids[2], "me", 1)], 2)
    messages.clear()
    await w.until(lambda: w.pending(group) == [(ids[2], "~waiting", 1)], 2)
    await w.until(lambda: "me" not in [row["name"] for row in w.raw.xinfo_consumers(group.topic.name, "group")], 2)
    await w.until(lambda: "streamio-keeper-me" not in [thread.name for thread in threading.enumerate()], 2)


@pytest.mark.slow
async def test_messages_in_hand_are_renewed_until_they_are_settled(w: World) -> None:
    group = w.group(lease=0.3)
    member, ids = await filled(w, 1, group, id="me")
    other = w.member(group)
    [message] = await w.do(member.read())
    for _ in range(3):
        assert await w.do(other.read(timeout=0.25)) == []
    assert w.pending(group) == [(ids[0], "me", 1)]
    assert message.ack()


# -- ack="manual" ---------------------------------------------------------------------------------------------------------------------------


async def test_with_ack_manual_a_handler_that_returned_settles_nothing(w: World) -> None:
    member, ids = await filled(w, 3, ack="manual", id="me")
    kept = []

    @member.on("a")
    def handler(message):
        kept.append(message)
        if message["i"] == "1":
            message.ack()

    async with w.listening(member):
        await w.until(lambda: len(kept) == 3)
        await w.do(member.flush())
        assert w.pending(member.group) == [(ids[0], "me", 1), (ids[2], "me", 1)]
        kept[0].ack()
        kept[2].ack()
        await w.until(lambda: w.pending(member.group) == [])


async def test_with_ack_manual_a_handler_that_raised_fails_its_entry(w: World) -> None:
    group = w.group(retry=RetryPolicy(max_deliveries=2, backoff=(0.02, 0.02)))
    member, failing = w.member(group, ack="manual"), Failing()
    member.on("a", failing)
    await w.do(group.topic.publish("a"))
    await w.do(member.drain())
    assert failing.tries == [1, 2]
    assert w.pending(group) == []


async def test_with_ack_manual_what_a_handler_drops_unsettled_is_given_back(w: World) -> None:
    member, seen = w.member(ack="manual"), []

    @member.on("a")
    def handler(message):
        seen.append(message.id)
        if len(seen) == 3:
            message.ack()

    async with w.listening(member):
        entry_id = await w.do(member.group.topic.publish("a"))
        await w.until(lambda: len(seen) == 3)
    assert seen == [entry_id] * 3
    assert w.pending(member.group) == []


# -- ack="none" -----------------------------------------------------------------------------------------------------------------------------


async def test_with_ack_none_nothing_is_ever_pending(w: World) -> None:
    member, gate = w.member(ack="none"), Gate(w)
    member.on("a", gate.handler)
    async with w.listening(member):
        for i in range(3):
            await w.do(member.group.topic.publish("a", i=i))
        await w.until(lambda: gate.inside)
        assert w.pending(member.group) == []
        gate.open()
        await w.until(lambda: len(gate.left) == 3)
        assert w.pending(member.group) == []
    assert [message["i"] for message in gate.left] == ["0", "1", "2"]


async def test_with_ack_none_what_failed_is_not_tried_again(w: World) -> None:
    member, failing = w.member(ack="none"), Failing()
    member.on("a", failing)
    await w.do(member.group.topic.publish_many([("a", {}), ("a", {}), ("other", {})]))
    await w.do(member.drain())
    assert failing.tries == [1, 1]
    assert w.pending(member.group) == []
    assert w.raw.xlen(f"{member.group.topic.name}:dead:{{{member.group.topic.name}}}:group") == 0


async def test_with_ack_none_a_loop_leaves_nothing_pending(w: World) -> None:
    member, ids = await filled(w, ack="none")
    loop = w.loop(member)
    assert [(await w.next(loop)).id for _ in range(3)] == ids
    del loop
    assert w.pending(member.group) == []


async def test_ack_is_one_of_three_words(w: World) -> None:
    group = w.group()
    with pytest.raises(ValueError, match="'auto', 'manual', 'none'"):
        ConsumerGroupMember(group, ack="always")
