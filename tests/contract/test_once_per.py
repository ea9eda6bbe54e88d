"""`once_per`: a handler's effect is had once for each key, whoever dies in between, or it is said that nobody knows."""

from __future__ import annotations

import asyncio

import pytest

from streamio import RetryPolicy
from streamio.keys import WAITING, side_key

from ..world import World
from .gates import Gate

pytestmark = pytest.mark.asyncio
SOON = RetryPolicy(max_deliveries=3, backoff=(0.02, 0.02))


def guarded(w: World, member, effects: list, key="order", act=None, **options):
    """A guarded handler that writes down its effect, and then does what `act` does."""

    def charge(message):
        effects.append(message["order"])
        return None if act is None else act(message)

    async def charge_asyncio(message):
        return charge(message)

    return member.on("order", member.once_per(key, **options)(charge_asyncio if w.asyncio else charge))


def guard_of(w: World, group, key: str) -> str | None:
    """What stands in the guard of a key."""
    return w.raw.get(side_key(group.topic.name, "once", group.name, key))


def dead(w: World, group) -> list[str]:
    """The reasons of the group's dead letters."""
    return [row["dead:reason"] for _, row in w.raw.xrange(side_key(group.topic.name, "dead", group.name))]


async def begun(w: World, group, key: str = "A") -> str:
    """An entry whose handler began in a member that died: it is pending, and its guard says so."""
    await w.do(group.create())
    entry_id = await w.do(group.topic.publish("order", order=key))
    w.raw.xreadgroup(group.name, "dead", {group.topic.name: ">"})
    w.raw.set(side_key(group.topic.name, "once", group.name, key), f"begun {entry_id}", px=60_000)
    w.age(group, "dead", 100)
    return entry_id


async def test_two_entries_with_one_key_have_one_effect(w: World) -> None:
    group, effects = w.group(), []
    member = w.member(group)
    guarded(w, member, effects)
    first, *_ = await w.do(group.topic.publish_many([("order", {"order": key}) for key in ("A", "B", "A", "A")]))
    assert await w.do(member.drain()) == 4
    assert (effects, guard_of(w, group, "A")) == (["A", "B"], f"done {first}")
    assert 80_000_000 < w.raw.pttl(side_key(group.topic.name, "once", group.name, "A")) <= 86_400_000
    assert w.pending(group) == []


async def test_the_key_may_be_a_function_and_the_window_be_chosen(w: World) -> None:
    group, effects = w.group(), []
    member = w.member(group)
    guarded(w, member, effects, key=lambda message: int(message["n"]), window=0.05)
    await w.do(group.topic.publish("order", order="A", n=7))
    await w.do(member.drain())
    assert effects == ["A"]
    assert w.raw.pttl(side_key(group.topic.name, "once", group.name, "7")) <= 50
    await w.until(lambda: guard_of(w, group, "7") is None)
    await w.do(group.topic.publish("order", order="B", n=7))
    await w.do(member.drain())
    assert effects == ["A", "B"]


async def test_a_handler_that_raises_is_tried_again(w: World) -> None:
    group, effects = w.group(retry=SOON), []
    member = w.member(group)

    def act(message):
        if message.deliveries < 3:
            raise ConnectionError("the bank is closed")

    guarded(w, member, effects, act=act)
    await w.do(group.topic.publish("order", order="A"))
    assert await w.do(member.drain()) == 1
    assert (effects, dead(w, group), w.pending(group)) == (["A"] * 3, [], [])


@pytest.mark.parametrize(("in_doubt", "ran", "reasons"), [("bury", 0, 1), ("run", 1, 0), ("skip", 0, 0)])
async def test_what_began_and_left_no_word_is_treated_as_is_asked_for(w: World, in_doubt: str, ran: int, reasons: int) -> None:
    group, effects = w.group(lease=1, claim_interval=0.05), []
    await begun(w, group)
    member = w.member(group)
    guarded(w, member, effects, in_doubt=in_doubt)
    async with w.listening(member):
        await w.until(lambda: not w.pending(group))
    assert (len(effects), len(dead(w, group))) == (ran, reasons)
    assert all(reason.startswith("in doubt") for reason in dead(w, group))


async def test_an_entry_in_doubt_that_is_redriven_runs(w: World) -> None:
    group, effects = w.group(lease=1, claim_interval=0.05), []
    await begun(w, group)
    member = w.member(group)
    guarded(w, member, effects)
    async with w.listening(member):
        await w.until(lambda: dead(w, group))
        assert effects == []
        await w.do(group.dead_letters.redrive())
        await w.until(lambda: effects and not w.pending(group))
    assert (effects, dead(w, group)) == (["A"], [])


async def test_other_entries_with_a_key_in_doubt_are_in_doubt_too(w: World) -> None:
    group, effects = w.group(lease=1, claim_interval=0.05), []
    await begun(w, group)
    member = w.member(group)
    guarded(w, member, effects)
    async with w.listening(member):
        await w.until(lambda: dead(w, group))
        await w.do(group.topic.publish("order", order="A"))
        await w.until(lambda: len(dead(w, group)) == 2)
    assert effects == []


async def test_an_entry_waits_while_another_one_with_its_key_is_handled_and_no_delivery_is_counted(w: World) -> None:
    group, effects = w.group(lease=0.5), []
    group_of_two, gate = [w.member(group), w.member(group)], Gate(w)

    async def charge_asyncio(message):
        effects.append(message["n"])
        await gate.sit_asyncio(message)

    def charge(message):
        effects.append(message["n"])
        gate.sit(message)

    for member in group_of_two:
        member.on("order", member.once_per("order")(charge_asyncio if w.asyncio else charge))
    retrying = []
    for member in group_of_two:
        member.lifecycle.on("retrying", retrying.append)
    await w.do(group.topic.publish_many([("order", {"order": "A", "n": n}) for n in range(2)]))
    async with w.listening(*group_of_two):
        await w.until(lambda: retrying)
        assert len(effects) == 1 and retrying[0].message["n"] != effects[0]
        await w.until(lambda: [count for _, name, count in w.pending(group) if name == WAITING] == [0])
        gate.open()
        await w.until(lambda: not w.pending(group))
    assert len(effects) == 1


async def test_what_the_handler_settled_itself_stays_so(w: World) -> None:
    group, effects = w.group(), []
    member = w.member(group)
    guarded(w, member, effects, act=lambda message: message.bury("no such customer") if message["order"] == "A" else message.ack())
    await w.do(group.topic.publish_many([("order", {"order": key}) for key in "AB"]))
    await w.do(member.drain())
    assert (effects, dead(w, group), guard_of(w, group, "A")) == (["A", "B"], ["no such customer"], None)
    assert (guard_of(w, group, "B") or "").startswith("done")


async def test_a_member_that_lost_its_entry_does_not_call_it_done(w: World) -> None:
    group, effects = w.group(lease=60), []
    member, told = w.member(group, "m"), []
    member.lifecycle.on("lease_lost", told.append)

    def steal(message):
        w.raw.execute_command("XCLAIM", group.topic.name, group.name, "thief", 0, message.id, "JUSTID")

    guarded(w, member, effects, act=steal)
    await w.do(group.topic.publish("order", order="A"))
    await w.do(member.drain())
    assert (guard_of(w, group, "A") or "").startswith("begun")
    assert [name for _, name, _ in w.pending(group)] == ["thief"]
    assert len(told) == 1


async def test_a_key_that_is_none_is_the_entrys_failure(w: World) -> None:
    group, effects = w.group(retry=RetryPolicy(max_deliveries=1)), []
    member, failed = w.member(group), []
    guarded(w, member, effects, key="number")
    member.lifecycle.on("failed", failed.append)
    await w.do(group.topic.publish_many([("order", {"order": "A"}), ("order", {"order": "A", "number": ""})]))
    await w.do(member.drain())
    assert [type(event.error) for event in failed] == [KeyError, ValueError]
    assert (effects, dead(w, group)) == ([], ["failed"] * 2)


async def test_a_return_value_is_the_reply(w: World) -> None:
    group, effects = w.group(), []
    member = w.member(group)
    guarded(w, member, effects, act=lambda message: {"charged": message["order"]})
    async with w.listening(member):
        assert await w.do(group.topic.request("order", order="A")) == {"charged": "A"}
    assert (guard_of(w, group, "A") or "").startswith("done")


@pytest.mark.parametrize(
    ("key", "options", "error"),
    [("", {}, TypeError), (7, {}, TypeError), ("order", {"window": 0}, ValueError), ("order", {"in_doubt": "ask"}, ValueError)],
)
async def test_nonsense_is_refused_at_once(w: World, key, options, error) -> None:
    with pytest.raises(error):
        w.member().once_per(key, **options)


async def test_a_member_that_does_not_acknowledge_cannot_guard(w: World) -> None:
    for ack in ("manual", "none"):
        with pytest.raises(ValueError, match="ack='auto'"):
            w.member(ack=ack).once_per("order")


async def test_a_coroutine_function_on_a_blocking_member_is_refused(w: World) -> None:
    if w.asyncio:
        return

    async def charge(message):
        await asyncio.sleep(0)

    with pytest.raises(TypeError, match="coroutine function"):
        w.member().once_per("order")(charge)
