"""Operating on consumers: `handover`, `remove_consumer`, `reap`. What is pending before is pending after, under one name or another."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from streamio import ConsumerBusy, ReapResult, SetupError

from ..world import World

pytestmark = pytest.mark.asyncio
WAITING = "~waiting"
LEASE = 0.2


def fill(w: World, group: Any, count: int, *consumers: str) -> list[str]:
    """`count` entries for each of these consumers, read by a foreign client and not acknowledged; their ids."""
    if not w.raw.exists(group.topic.name):
        w.raw.xgroup_create(group.topic.name, group.name, "0", mkstream=True)
    pipe = w.raw.pipeline(transaction=False)
    for i in range(count * len(consumers)):
        pipe.xadd(group.topic.name, {"type": "a", "i": i})
    ids: list[str] = pipe.execute()
    for consumer in consumers:
        w.raw.xreadgroup(group.name, consumer, {group.topic.name: ">"}, count=count)
    return ids


def owners(w: World, group: Any) -> dict[str, str]:
    """Whose each pending entry is."""
    return {entry_id: consumer for entry_id, consumer, _ in w.pending(group)}


def names(w: World, group: Any) -> set[str]:
    """The consumers that the server knows."""
    return {each["name"] for each in w.raw.xinfo_consumers(group.topic.name, group.name)}


def idle(w: World, group: Any) -> dict[str, int]:
    """For how many milliseconds each pending entry has been idle."""
    rows = w.raw.xpending_range(group.topic.name, group.name, "-", "+", 10_000)
    return {row["message_id"]: row["time_since_delivered"] for row in rows}


async def silence(w: World, group: Any, *consumers: str) -> None:
    """Until these consumers have said nothing for a lease, and what is pending under their names is as old."""
    about = [each for each in names(w, group) if not consumers or each in consumers]
    await w.until(lambda: all(row["idle"] > LEASE * 1000 for row in w.raw.xinfo_consumers(group.topic.name, group.name) if row["name"] in about))
    await w.until(lambda: all(idle(w, group)[entry] > LEASE * 1000 for entry, owner in owners(w, group).items() if owner in about))


def dead(w: World, group: Any) -> list[tuple[str, str]]:
    """The dead letters: of which entry, and why."""
    topic = group.topic.name
    return [(fields["dead:id"], fields["dead:reason"]) for _, fields in w.raw.xrange(f"{topic}:dead:{{{topic}}}:{group.name}")]


# -- handing over -------------------------------------------------------------------------------------------------------------------------


async def test_a_handover_gives_all_of_one_consumers_entries_to_another(w: World) -> None:
    group = w.group()
    ids = fill(w, group, 250, "from", "other")
    w.raw.xclaim(group.topic.name, group.name, "from", 0, [ids[3]], retrycount=4)
    w.age(group, "from", 900)
    counts = [count for _, _, count in w.pending(group)]
    assert await w.do(group.handover("from", "to")) == 250
    assert owners(w, group) == {**dict.fromkeys(ids[:250], "to"), **dict.fromkeys(ids[250:], "other")}
    assert [count for _, _, count in w.pending(group)] == counts
    assert counts[3] == 4
    assert max(idle(w, group).values()) < 60_000  # the heir's lease has begun
    assert await w.do(group.handover("from", "to")) == 0


async def test_what_is_handed_to_nobody_is_taken_by_whoever_is_free(w: World) -> None:
    group = w.group()
    ids = fill(w, group, 120, "from")
    handled: list[str] = []
    member = w.member(group, "free", handlers={"*": lambda message: handled.append(message.id)})
    async with w.listening(member):
        await w.until(lambda: member._hand.state == "listening" and member._hand.claim_at != 0)
        assert await w.do(group.handover("from", None)) == 120
        await w.until(lambda: len(handled) == 120)  # within `block`, long before `claim_interval`
        await w.until(lambda: not w.pending(group))
    assert handled == ids


async def test_what_is_handed_to_nobody_waits_there_uncounted_and_stays_suspected(w: World) -> None:
    group = w.group()
    ids = fill(w, group, 3, "from")
    assert await w.do(group.handover("from", None)) == 3
    assert w.pending(group) == [(entry_id, WAITING, 1) for entry_id in ids]
    found = await w.do(w.member(group).read(3, timeout=1))
    assert [(message.id, message.deliveries, message.orphan) for message in found] == [(entry_id, 2, True) for entry_id in ids]


async def test_a_living_heir_handles_what_it_was_given(w: World) -> None:
    group = w.group(claim_interval=0.1)
    ids = fill(w, group, 30, "from")
    handled: list[str] = []
    heir = w.member(group, "heir", handlers={"*": lambda message: handled.append(message.id)})
    async with w.listening(heir):
        await w.until(lambda: member_is_known(w, group, "heir"))
        assert await w.do(group.handover("from", heir)) == 30
        await w.until(lambda: not w.pending(group))
    assert Counter(handled) == Counter(ids)


def member_is_known(w: World, group: Any, name: str) -> bool:
    """Whether the server lists this consumer."""
    return name in names(w, group)


async def test_a_handover_takes_member_objects_for_names(w: World) -> None:
    group = w.group()
    source, heir = w.member(group, "source"), w.member(group, "heir")
    ids = fill(w, group, 2, "source")
    assert await w.do(group.handover(source, heir)) == 2
    assert owners(w, group) == dict.fromkeys(ids, "heir")


async def test_what_was_deleted_meanwhile_is_acknowledged_at_a_handover(w: World) -> None:
    group = w.group()
    ids = fill(w, group, 5, "from")
    w.raw.xdel(group.topic.name, ids[1], ids[2])
    assert await w.do(group.handover("from", "to")) == 3
    assert owners(w, group) == {ids[0]: "to", ids[3]: "to", ids[4]: "to"}
    assert dead(w, group) == [(ids[1], "missing"), (ids[2], "missing")]


async def test_handing_over_from_nobody_moves_nothing(w: World) -> None:
    group = w.group()
    ids = fill(w, group, 2, "other")
    assert await w.do(group.handover("nobody", "to")) == 0
    assert owners(w, group) == dict.fromkeys(ids, "other")
    assert names(w, group) == {"other"}


# -- wrong use ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "kind", "argument"),
    [
        (lambda group: group.handover("a", "a"), ValueError, "from_ and to"),
        (lambda group: group.handover(WAITING, "a"), ValueError, "from_"),
        (lambda group: group.handover("a", WAITING), ValueError, "to"),
        (lambda group: group.handover("", "a"), ValueError, "from_"),
        (lambda group: group.handover("a", ""), ValueError, "to"),
        (lambda group: group.handover(None, "a"), TypeError, "from_"),
        (lambda group: group.handover(b"a", "b"), TypeError, "from_"),
        (lambda group: group.handover("a", 1), TypeError, "to"),
        (lambda group: group.handover("a", "\ud800"), ValueError, "to"),
        (lambda group: group.remove_consumer(WAITING), ValueError, "name"),
        (lambda group: group.remove_consumer(WAITING, "a"), ValueError, "name"),
        (lambda group: group.remove_consumer("a", WAITING), ValueError, "heir"),
        (lambda group: group.remove_consumer("a", "a"), ValueError, "name and heir"),
        (lambda group: group.remove_consumer(None), TypeError, "name"),
        (lambda group: group.remove_consumer("a", 1), TypeError, "heir"),
        (lambda group: group.reap(WAITING), ValueError, "to"),
        (lambda group: group.reap(1), TypeError, "to"),
    ],
)
async def test_wrong_names_are_refused_and_change_nothing(w: World, call: Any, kind: type[Exception], argument: str) -> None:
    group = w.group(lease=0.001)
    fill(w, group, 2, "a", WAITING)
    before = w.pending(group)
    with pytest.raises(kind, match=rf"\b{argument}\b"):
        await w.do(call(group))
    assert w.pending(group) == before
    assert names(w, group) == {"a", WAITING}


async def test_a_member_of_another_group_is_refused(w: World) -> None:
    group = w.group()
    fill(w, group, 1, "a")
    for stranger in (w.member(w.group(group.topic, "other"), "b"), w.member(w.group(w.topic("other")), "b")):
        for call in (lambda: group.handover("a", stranger), lambda: group.remove_consumer("a", stranger), lambda: group.reap(stranger)):  # noqa: B023
            with pytest.raises(ValueError, match="member of this group"):
                await w.do(call())
    assert list(owners(w, group).values()) == ["a"]


async def test_without_the_group_each_says_so(w: World) -> None:
    topic = w.topic()
    group = w.group(topic)
    for there in (False, True):
        if there:
            await w.do(topic.publish("a"))
        for call in (lambda: group.handover("a", "b"), lambda: group.remove_consumer("a", "b"), group.reap):
            with pytest.raises(SetupError, match="no consumer group 'group'"):
                await w.do(call())


# -- removing -----------------------------------------------------------------------------------------------------------------------------


async def test_a_consumer_with_nothing_pending_is_removed_once(w: World) -> None:
    group = w.group()
    ids = fill(w, group, 1, "gone", "other")
    w.raw.xack(group.topic.name, group.name, ids[0])
    assert await w.do(group.remove_consumer("gone")) is True
    assert names(w, group) == {"other"}
    assert await w.do(group.remove_consumer("gone")) is False
    assert owners(w, group) == {ids[1]: "other"}


async def test_a_consumer_with_pending_entries_and_no_heir_is_kept_as_it_is(w: World) -> None:
    group = w.group()
    fill(w, group, 3, "busy", "other")
    before = w.pending(group)
    with pytest.raises(ConsumerBusy, match=r"'busy'.* 3 entries pending.*heir") as caught:
        await w.do(group.remove_consumer("busy"))
    error = caught.value
    assert (error.topic, error.group, error.consumer, error.pending, error.heir) == (group.topic.name, "group", "busy", 3, None)
    assert w.pending(group) == before
    assert names(w, group) == {"busy", "other"}


async def test_a_removed_consumers_entries_are_its_heirs(w: World) -> None:
    group = w.group()
    ids = fill(w, group, 150, "gone", "other")
    assert await w.do(group.remove_consumer("gone", heir="heir")) is True
    assert owners(w, group) == {**dict.fromkeys(ids[:150], "heir"), **dict.fromkeys(ids[150:], "other")}
    assert names(w, group) == {"heir", "other"}


async def test_a_living_member_with_nothing_pending_may_be_removed_and_reads_on(w: World) -> None:
    group = w.group()
    handled: list[str] = []
    member = w.member(group, "living", handlers={"*": lambda message: handled.append(message.id)})
    async with w.listening(member):
        await w.do(group.topic.publish("a"))
        await w.until(lambda: len(handled) == 1 and not w.pending(group))
        assert await w.do(group.remove_consumer(member)) is True
        await w.do(group.topic.publish("a"))
        await w.until(lambda: len(handled) == 2 and not w.pending(group))


# -- reaping ------------------------------------------------------------------------------------------------------------------------------


async def test_the_silent_are_reaped_and_what_they_left_waits_for_whoever_is_free(w: World) -> None:
    group = w.group(lease=LEASE)
    ids = fill(w, group, 120, "first", "second")
    fill(w, group, 1, "empty")
    w.raw.xack(group.topic.name, group.name, *[entry_id for entry_id, owner in owners(w, group).items() if owner == "empty"])
    await silence(w, group)
    result = await w.do(group.reap())
    assert isinstance(result, ReapResult)
    assert (set(result.consumers), result.entries) == ({"first", "second", "empty"}, 240)
    assert w.pending(group) == [(entry_id, WAITING, 1) for entry_id in ids]
    assert names(w, group) == {WAITING}
    found = await w.do(w.member(group).read(120, timeout=1))
    assert found and all(message.orphan and message.deliveries == 2 for message in found)


async def test_an_heir_gets_what_is_reaped_and_is_not_reaped_itself(w: World) -> None:
    group = w.group(lease=LEASE)
    ids = fill(w, group, 3, "silent", "heir")
    await silence(w, group)
    assert await w.do(group.reap("heir")) == ReapResult(("silent",), 3)
    assert owners(w, group) == dict.fromkeys(ids, "heir")
    assert names(w, group) == {"heir"}


async def test_what_waits_is_never_reaped(w: World) -> None:
    group = w.group(lease=LEASE)
    fill(w, group, 3, WAITING)
    await silence(w, group)
    before = w.pending(group)
    assert await w.do(group.reap("heir")) == ReapResult((), 0)
    assert w.pending(group) == before
    assert names(w, group) == {WAITING}


async def test_the_living_are_not_reaped(w: World) -> None:
    group = w.group(lease=LEASE, claim_interval=100)
    held = w.member(group, "holding", block=0.05)
    idle_one = w.member(group, "idle", block=0.05, handlers={"*": print})
    ids = [await w.do(group.topic.publish("a")) for _ in range(3)]
    messages = await w.do(held.read(3, timeout=1))
    fill(w, group, 2, "silent")
    async with w.listening(idle_one):
        await silence(w, group, "silent")
        await w.until(lambda: member_is_known(w, group, "idle"))
        assert await w.do(group.reap("heir")) == ReapResult(("silent",), 2)
        assert [owner for entry_id, owner in owners(w, group).items() if entry_id in ids] == ["holding"] * 3
        assert names(w, group) == {"holding", "idle", "heir"}
    for message in messages:
        assert message.ack()


async def test_where_nobody_is_silent_nothing_is_reaped(w: World) -> None:
    group = w.group()
    fill(w, group, 3, "young")
    before = w.pending(group)
    assert await w.do(group.reap()) == ReapResult((), 0)
    assert w.pending(group) == before
    assert names(w, group) == {"young"}
