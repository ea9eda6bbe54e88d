"""A member plays on a stage: what is due is handled at once, by its real listeners, and each entry's outcome is told."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from streamio import ConsumerGroupMember, Topic
from streamio.testing import AsyncStage, Stage

from .conftest import Kit, order

pytestmark = pytest.mark.asyncio


async def test_what_is_published_is_handled(k: Kit) -> None:
    outcomes = await k.do(k.stage.play(k.member(), order(1), order(2)))
    assert k.handled == ["1", "2"]
    assert [outcome.state for outcome in outcomes] == ["acknowledged", "acknowledged"]
    assert [outcome["n"] for outcome in outcomes] == ["1", "2"]


async def test_what_fails_waits_for_exactly_its_backoff(k: Kit) -> None:
    member = k.member(fails=2)
    [entry] = await k.do(k.stage.play(member, order(1)))
    assert (entry.state, entry.deliveries, entry.due) == ("waiting", 1, 1)
    await k.do(k.stage.pass_time(0.999))
    await k.do(k.stage.play(member))
    assert (entry.state, entry.deliveries) == ("waiting", 1)
    await k.do(k.stage.pass_time(0.001))
    await k.do(k.stage.play(member))
    assert (entry.state, entry.deliveries, entry.due) == ("waiting", 2, 2)
    await k.do(k.stage.pass_time(timedelta(seconds=2)))
    await k.do(k.stage.play(member))
    assert (entry.state, k.handled) == ("acknowledged", ["1"])
    assert [str(error) for error in entry.errors] == ["the bank is closed"] * 2


async def test_a_wait_longer_than_a_lease_lasts_as_long_as_it_is_to(k: Kit) -> None:
    member = k.member(topic=k.stage.topic("orders"))
    member.remove_all_listeners()
    member.on("order", k.handler(lambda message: message.nack(delay=600) if message.deliveries == 1 else k.handled.append("x")))
    [entry] = await k.do(k.stage.play(member, order(1)))
    for _ in range(3):
        await k.do(k.stage.pass_time(seconds=199))
        await k.do(k.stage.play(member))
    assert (entry.state, entry.due, k.handled) == ("waiting", 3, [])
    await k.do(k.stage.pass_time(3))
    await k.do(k.stage.play(member))
    assert k.handled == ["x"]


async def test_settling_lets_time_pass_until_all_is_through(k: Kit) -> None:
    began = k.stage.now
    outcomes = await k.do(k.stage.settle(k.member(fails=3), order(1), order(2)))
    assert [outcome.state for outcome in outcomes] == ["acknowledged"] * 2
    assert timedelta(seconds=7) <= k.stage.now - began < timedelta(seconds=8)


async def test_what_keeps_failing_is_buried_with_its_reason(k: Kit) -> None:
    [entry] = await k.do(k.stage.settle(k.member(fails=9, error=ValueError), order(7)))
    assert (entry.state, entry.reason, entry.deliveries) == ("buried", "failed", 5)
    assert isinstance(entry.error, ValueError)
    [letter] = k.stage.dead_letters()
    assert (letter.entry_id, letter["n"], letter.error) == (entry.id, "7", "ValueError: the bank is closed")
    k.stage.assert_all_settled()


async def test_a_delayed_entry_comes_when_it_is_due(k: Kit) -> None:
    topic = k.stage.topic("orders")
    member = k.member(topic=topic)
    await k.do(topic.publish("order", n=1, delay=60))
    await k.do(topic.publish("order", n=2, at=k.stage.now + timedelta(days=3)))
    assert await k.do(k.stage.play(member)) == []
    await k.do(k.stage.pass_time(minutes=1))
    await k.do(k.stage.play(member))
    assert k.handled == ["1"]
    await k.do(k.stage.settle(member))
    assert k.handled == ["1", "2"]


async def test_batches_are_played(k: Kit) -> None:
    member: Any = ConsumerGroupMember(k.stage.topic("orders").group("billing"))
    sizes: list[int] = []
    member.on_batch(type="order", size=4, wait=5)(k.handler(lambda messages: sizes.append(len(messages))))
    outcomes = await k.do(k.stage.play(member, *map(order, range(6))))
    assert sizes == [4, 2]
    assert {outcome.state for outcome in outcomes} == {"acknowledged"}


async def test_a_pipe_plays(k: Kit) -> None:
    invoices = k.stage.topic("invoices")
    pipe = k.member().pipe(lambda message: {"total": int(message["n"]) * 2}, invoices)
    await k.do(k.stage.play(pipe, order(1), order(2)))
    assert [message.data for message in k.stage.published(invoices)] == [{"total": "2"}, {"total": "4"}]
    k.stage.assert_all_settled(pipe)


async def test_a_service_is_stopped_when_nothing_is_due(k: Kit) -> None:
    member = k.member(fails=1)
    await k.do(member.group.topic.publish("order", n=1))
    await k.do(k.stage.play(member.connect_and_listen))
    assert member._hand.state == "stopped"
    assert [entry.state for entry in k.stage.entries(member)] == ["waiting"]


async def test_a_loop_ends_when_nothing_is_due(k: Kit) -> None:
    member: Any = ConsumerGroupMember(k.stage.topic("orders").group("billing"))
    await k.do(member.group.topic.publish_many([order(1), order(2)]))
    seen = [message["n"] async for message in member] if k.asyncio else [message["n"] for message in member]
    assert seen == ["1", "2"]
    k.stage.assert_all_settled()


async def test_a_read_with_a_timeout_waits_in_made_time(k: Kit) -> None:
    member: Any = ConsumerGroupMember(k.stage.topic("orders").group("billing"))
    began = k.stage.now
    assert await k.do(member.read(timeout=30)) == []
    assert k.stage.now - began >= timedelta(seconds=30)
    await k.do(member.close())


async def test_handlers_run_side_by_side_where_the_member_says_so(k: Kit) -> None:
    member: Any = ConsumerGroupMember(k.stage.topic("orders").group("billing"), concurrency=2)
    together: Any = asyncio.Barrier(2) if k.asyncio else threading.Barrier(2)

    async def meet(message: Any) -> None:
        await together.wait()

    member.on("order", meet if k.asyncio else lambda message: together.wait(5) and None)
    await k.do(k.stage.play(member, order(1), order(2)))
    k.stage.assert_all_settled()


async def test_a_reply_comes_from_whoever_is_answering(k: Kit) -> None:
    sums = k.stage.topic("sums")
    adders = sums.group("adders").member()
    adders.on("add", k.handler(lambda message: int(message["a"]) + int(message["b"])))
    with k.stage.answering(adders):
        assert await k.do(sums.request("add", a=1, b=2)) == 3
        assert await k.do(sums.request("add", a=3, b=2)) == 5
    with pytest.raises(TimeoutError):
        await k.do(sums.request("add", a=1, b=2, timeout=10))


async def test_a_guarded_effect_is_had_once(k: Kit) -> None:
    member: Any = ConsumerGroupMember(k.stage.topic("orders").group("billing"))
    member.on("order", member.once_per("n", window=60)(k.handler(lambda message: k.handled.append(message["n"]))))
    await k.do(k.stage.play(member, order(1), order(1)))
    assert k.handled == ["1"]
    await k.do(k.stage.pass_time(minutes=2))  # the guard is gone, by the same clock
    await k.do(k.stage.play(member, order(1)))
    assert k.handled == ["1", "1"]


async def test_a_member_of_several_topics_plays(k: Kit) -> None:
    groups = [k.stage.topic(name).group(group) for name, group in (("a", "g"), ("b", "g"), ("c", "other"))]
    member: Any = ConsumerGroupMember(groups, "w")
    member.on("order", k.handler(lambda message: k.handled.append(message.topic)))
    for group in groups:
        await k.do(group.topic.publish("order", n=1))
    await k.do(k.stage.play(member))
    assert sorted(k.handled) == ["a", "b", "c"]
    k.stage.assert_all_settled(member)
    await k.do(groups[0].topic.publish("order", n=1))
    await k.do(k.stage.play(member.connect_and_listen))
    assert len(k.handled) == 4


async def test_what_is_handled_takes_as_long_as_the_handler_says(k: Kit) -> None:
    member: Any = ConsumerGroupMember(k.stage.topic("orders").group("billing", lease=30), "slow")
    other = k.member("other", topic=member.group.topic)

    async def handle(message: Any) -> None:
        await k.stage.pass_time(minutes=10)
        await k.stage.play(other)

    def handle_blocking(message: Any) -> None:
        k.stage.pass_time(minutes=10)
        k.stage.play(other)

    member.on("order", handle if k.asyncio else handle_blocking)
    await k.do(k.stage.play(member, order(1)))
    assert k.handled == []  # it was renewed all the time: nobody took it over
    k.stage.assert_all_settled()


async def test_a_handler_runs_out_of_its_time_without_sleeping(k: Kit) -> None:
    member: Any = ConsumerGroupMember(k.stage.topic("orders").group("billing"), handler_timeout=60)

    async def handle(message: Any) -> None:
        await k.stage.pass_time(seconds=61)
        k.handled.append("came to its end")

    member.on("order", handle if k.asyncio else lambda message: k.stage.pass_time(seconds=61))
    [entry] = await k.do(k.stage.play(member, order(1)))
    assert (entry.state, type(entry.error).__name__, k.handled) == ("waiting", "HandlerTimeout", [])


async def test_code_that_finds_its_server_by_the_environment_finds_the_stage(stage: Stage, async_stage: AsyncStage) -> None:
    assert async_stage.url != stage.url
    by_url = Topic("orders", stage.url)
    by_url.publish("order", n=1)
    assert [message["n"] for message in stage.published("orders")] == ["1"]
    assert async_stage.published("orders") == []
    Topic("orders").publish("order", n=2)  # $REDIS_URL: that of the fixture that was made last
    assert len(async_stage.published("orders")) == 1


async def test_time_stands_still_and_is_the_servers_too(k: Kit) -> None:
    stage = type(k.stage)(now=datetime(2030, 1, 2, 3, 4, tzinfo=UTC))
    try:
        topic = stage.topic("orders")
        ids = [await k.do(topic.publish("order", n=1)) for _ in range(2)]
        stage.redis.set("key", "value", ex=60)
        await k.do(stage.pass_time(seconds=61))
        ids.append(await k.do(topic.publish("order", n=1)))
        assert stage.now == datetime(2030, 1, 2, 3, 5, 1, tzinfo=UTC)
        assert stage.redis.get("key") is None
        assert [id.partition("-")[0] for id in ids] == ["1893553440000", "1893553440000", "1893553501000"]
        assert stage.published(topic)[0].published_at == datetime(2030, 1, 2, 3, 4, tzinfo=UTC)
    finally:
        stage.close()


async def test_a_play_leaves_no_thread_behind(k: Kit) -> None:
    before = set(threading.enumerate())
    await k.do(k.stage.settle(k.member(fails=1), order(1)))
    assert set(threading.enumerate()) == before


async def test_stages_are_apart(k: Kit) -> None:
    with type(k.stage)() as other:
        await k.do(other.pass_time(days=365))
        await k.do(k.stage.topic("orders").publish("order", n=1))
        assert other.published("orders") == []
        assert other.now - k.stage.now > timedelta(days=364)
        assert abs(k.stage.published("orders")[0].published_at - k.stage.now) < timedelta(seconds=1)
