"""Faults made on purpose: replies lost, commands refused, connections cut, data lost, processes killed; and what the library promises holds."""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import Any

import pytest
from redis.exceptions import ConnectionError, OutOfMemoryError

from streamio import ConsumerGroupMember, PublishUncertain, RetryPolicy
from streamio.testing import Killed, NeverSettles, kill_at_every_effect

from .conftest import Kit, order

pytestmark = pytest.mark.asyncio


async def test_a_lost_reply_was_performed_all_the_same(k: Kit) -> None:
    topic = k.stage.topic("orders")
    k.stage.lose_reply("XADD")
    with pytest.raises(PublishUncertain):
        await k.do(topic.publish("order", n=1))
    assert [message["n"] for message in k.stage.published(topic)] == ["1"]
    await k.do(topic.publish("order", n=2))
    assert len(k.stage.published(topic)) == 2


@pytest.mark.parametrize("command", ["XACK", "XREADGROUP", "TAKE", "MOVE", "LEAVE"])
async def test_no_lost_reply_loses_or_doubles_an_entry(k: Kit, command: str) -> None:
    k.stage.lose_reply(command)
    await k.do(k.stage.settle(k.member(), order(1), order(2)))
    assert sorted(k.handled) == ["1", "2"]
    assert any("disconnected" in line for line in k.stage.trace) or command == "LEAVE"


async def test_a_refused_command_is_not_performed(k: Kit) -> None:
    topic = k.stage.topic("orders")
    k.stage.refuse("XADD", "OOM command not allowed when used memory > 'maxmemory'.", times=2)
    for _ in range(2):
        with pytest.raises(OutOfMemoryError):
            await k.do(topic.publish("order", n=1))
    assert k.stage.published(topic) == []
    await k.do(topic.publish("order", n=1))
    assert len(k.stage.published(topic)) == 1


async def test_a_server_that_was_away_is_waited_for_in_made_time(k: Kit) -> None:
    member, began = k.member(), k.stage.now
    await k.do(member.group.topic.publish("order", n=1))
    k.stage.cut(seconds=5)
    with pytest.raises(ConnectionError):
        await k.do(member.group.topic.publish("order", n=2))
    await k.do(k.stage.play(member))
    assert k.handled == ["1"]
    assert timedelta(seconds=5) <= k.stage.now - began < timedelta(seconds=8)


async def test_a_server_that_stays_away_is_an_error_after_the_time_that_the_member_gives_it(k: Kit) -> None:
    member, began = k.member(connect_timeout=10), k.stage.now
    k.stage.cut(seconds=3600)
    with pytest.raises(ConnectionError):
        await k.do(k.stage.play(member))
    assert timedelta(seconds=9) < k.stage.now - began < timedelta(seconds=20)
    k.stage.heal()
    await k.do(k.stage.play(member, order(1)))
    assert k.handled == ["1"]


async def test_connections_may_break_in_the_middle(k: Kit) -> None:
    member = k.member()
    k.stage.after("XREADGROUP", k.stage.cut)
    await k.do(k.stage.settle(member, order(1), order(2)))
    assert k.handled == ["1", "2"]


async def test_a_server_that_loses_its_data_in_the_middle_is_played_on(k: Kit) -> None:
    member = k.member()
    member.on("order", k.handler(lambda message: k.stage.redis.flushall()))
    await k.do(k.stage.play(member, order(1)))
    await k.do(k.stage.play(member, order(2)))
    assert k.handled == ["1", "2"]


async def test_what_was_in_hand_of_a_killed_process_is_anothers_after_its_lease(k: Kit) -> None:
    member: Any = ConsumerGroupMember(k.stage.topic("orders").group("billing", lease=30), "first")
    member.on("order", k.handler(lambda message: k.stage.crash()))
    [entry] = await k.do(k.stage.play(member, order(1)))
    assert (entry.state, entry.consumer, entry.due, entry.deliveries) == ("pending", "first", 30, 1)
    other = k.member("second", topic=member.group.topic)
    await k.do(k.stage.pass_time(29))
    await k.do(k.stage.play(other))
    assert (entry.state, entry.due) == ("pending", 1)
    await k.do(k.stage.pass_time(1))
    await k.do(k.stage.play(other))
    assert (entry.state, k.handled) == ("acknowledged", ["1"])
    with pytest.raises(RuntimeError, match=r"closed; use clone\(\)"):
        await k.do(k.stage.play(member))


async def test_a_killed_process_says_nothing_more(k: Kit) -> None:
    member = k.member()
    k.stage.before("XACK", k.stage.crash)
    [entry] = await k.do(k.stage.play(member, order(1)))
    assert (entry.state, k.handled) == ("pending", ["1"])
    await k.do(k.stage.settle(member.clone("next")))
    assert (entry.state, k.handled) == ("acknowledged", ["1", "1"])


async def test_handlers_side_by_side_die_together(k: Kit) -> None:
    member: Any = ConsumerGroupMember(k.stage.topic("orders").group("billing"), "first", concurrency=3)
    member.on("order", k.handler(lambda message: k.stage.crash() if message["n"] == "2" else None))
    await k.do(k.stage.play(member, *map(order, range(4))))
    assert "pending" in {entry.state for entry in k.stage.entries(member)}
    await k.do(k.stage.settle(k.member("next", topic=member.group.topic)))
    k.stage.assert_all_settled()


async def test_a_member_that_does_not_play_can_be_killed(k: Kit) -> None:
    member: Any = ConsumerGroupMember(k.stage.topic("orders").group("billing"), "first")
    await k.do(member.group.topic.publish("order", n=1))
    [held] = await k.do(member.read())
    k.stage.kill(member)
    assert not held.ack()  # nobody is there any more
    [entry] = k.stage.entries()
    assert (entry.state, entry.consumer) == ("pending", "first")
    with pytest.raises(RuntimeError, match="closed"):
        await k.do(member.read())


async def test_a_crash_outside_of_a_play_is_refused(k: Kit) -> None:
    with pytest.raises(RuntimeError, match="during a play"):
        k.stage.crash()


async def test_a_crash_is_no_exception() -> None:
    assert not issubclass(Killed, Exception)


# -- everywhere ------------------------------------------------------------------------------------------------------------------------------


def assert_silent(trace: list[str]) -> None:
    """Who is dead writes nothing to the server any more."""
    death = next((place for place, line in enumerate(trace) if "doomed: is killed" in line), len(trace))
    assert [line for line in trace[death:] if line.partition("doomed: ")[2][:1].isupper()] == []


def scenario(colour: str, wrong: bool = False) -> tuple[Any, list[Any]]:
    """An order that is to be invoiced once, through a crash and a failure; what was seen in the runs. `wrong`: acknowledged before it is done."""
    runs: list[Any] = []

    def billing(k: Kit, name: str) -> Any:
        return k.stage.topic("orders").group("billing", retry=RetryPolicy(backoff=(1, 1))).member(name, ack="none" if wrong else "auto")

    async def play(stage: Any) -> None:
        k = Kit.__new__(Kit)
        k.stage, k.asyncio, k.handled = stage, colour == "asyncio", []
        invoices = stage.topic("invoices")
        await k.do(stage.play(billing(k, "doomed").pipe(lambda message: {"n": message["n"]}, invoices), order(1)))
        await k.do(stage.settle(billing(k, "next").pipe(lambda message: {"n": message["n"]}, invoices)))
        runs.append(stage)
        assert_silent(stage.trace)
        stage.assert_all_settled()
        assert sorted(message["n"] for message in stage.published("invoices")) == ["1"]

    def blocking(stage: Any) -> None:
        coroutine = play(stage)
        with pytest.raises(StopIteration):
            coroutine.send(None)

    return (play if colour == "asyncio" else blocking), runs


@pytest.mark.parametrize("colour", ["blocking", "asyncio"])
async def test_a_scenario_is_killed_at_every_write(colour: str) -> None:
    played, runs = scenario(colour)
    came = kill_at_every_effect(played)
    count = await came if inspect.isawaitable(came) else came
    assert len(runs) == count + 1 > 30


@pytest.mark.parametrize("colour", ["blocking", "asyncio"])
async def test_what_a_crash_breaks_is_told_with_its_place(colour: str) -> None:
    played, _ = scenario(colour, wrong=True)
    with pytest.raises(AssertionError) as caught:
        came = kill_at_every_effect(played)
        if inspect.isawaitable(came):
            await came
    notes = "\n".join(caught.value.__notes__)
    assert "the process was killed after" in notes
    assert "XREADGROUP" in notes


async def test_a_scenario_without_a_play_is_an_error() -> None:
    with pytest.raises(ValueError, match="never plays"):
        kill_at_every_effect(lambda stage: None)


async def test_what_can_never_be_settled_is_told_with_what_is_left(k: Kit) -> None:
    group = k.stage.topic("orders").group("billing", unhandled="leave")
    member: Any = ConsumerGroupMember(group)
    member.on("other", k.handler(lambda message: None))
    with pytest.raises(NeverSettles, match=r"(?s)never settled.*order .* of orders/billing.*what happened on the stage"):
        await k.do(k.stage.settle(member, order(1)))


async def test_what_a_dead_process_had_noted_reaches_nobody(k: Kit) -> None:
    member: Any = ConsumerGroupMember(k.stage.topic("orders").group("billing"))
    member.on("order", k.handler(lambda message: message.ack() and k.stage.crash()))
    [entry] = await k.do(k.stage.play(member, order(1)))
    with pytest.raises(Killed):
        await k.do(member.flush())
    assert entry.state == "pending"
