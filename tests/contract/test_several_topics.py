"""One member of several groups: one loop, one bound, each topic's promises; topics come and go while it runs, and some go first."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from streamio import ConsumerGroupMember, GroupFull, GroupLost, RetryPolicy, SetupError

from ..world import World
from .gates import Failing, Gate

pytestmark = pytest.mark.asyncio
SOON = RetryPolicy(max_deliveries=2, backoff=(0.02, 0.02))


def groups(w: World, *names: str, **options: Any) -> list[Any]:
    """A group for each of these topics."""
    return [w.group(w.topic(name), **options) for name in names]


async def published(w: World, group: Any, *values: int) -> None:
    """An entry for each value."""
    await w.do(group.topic.publish_many([("x", {"i": value}) for value in values]))


def topics(w: World, messages: list[Any]) -> str:
    """The topics of the messages, in order."""
    return "".join(message.topic.removeprefix(w.key("")) for message in messages)


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_one_handler_gets_the_entries_of_all_topics(w: World, concurrency: int) -> None:
    one, two = groups(w, "a", "b")
    member, seen, order = w.member([one, two], "me", concurrency=concurrency), [], []
    assert isinstance(member, ConsumerGroupMember)
    two.on("x", lambda message: order.append("group"))
    member.on("x", lambda message: (seen.append(message), order.append("member")))
    await published(w, one, 1, 2)
    async with w.listening(member):
        await w.until(lambda: len(seen) == 2)
        await published(w, two, 3)
        await w.until(lambda: len(seen) == 3)
    assert [(m.topic, m.group, m["i"]) for m in seen[2:]] == [(two.topic.name, "group", "3")]
    assert topics(w, seen) == "aab" and order == ["member", "member", "group", "member"]
    for group in (one, two):
        assert w.pending(group) == [] and await w.do(group.consumers()) == []


async def test_an_idle_topic_is_heard_at_once(w: World) -> None:
    all_of_them = groups(w, "a", "b", "c")
    member, seen = w.member(all_of_them, "me", block=0.1 if w.embedded else 5), []
    member.on("x", lambda message: seen.append(message))
    async with w.listening(member):
        for n in range(6):
            began = time.monotonic()
            await published(w, all_of_them[n % 3], n)
            await w.until(lambda n=n: len(seen) == n + 1)
            assert time.monotonic() - began < 0.5
    assert topics(w, seen) == "abcabc"


async def test_a_member_whose_joint_read_waits_stops_at_once(w: World) -> None:
    for n in range(4):
        one, two = groups(w, f"a{n}", f"b{n}")
        member, seen = w.member([one, two], "me", block=30), []
        member.on("x", seen.append)
        async with w.listening(member):
            await published(w, one, n)
            await w.until(lambda seen=seen: seen)
            await asyncio.sleep(0.01 * n)
            began = time.monotonic()
        assert time.monotonic() - began < 2


async def test_two_idle_topics_cost_one_read_that_waits(w: World) -> None:
    if w.embedded:
        pytest.skip("the embedded server's reads do not wait")
    one, two = groups(w, "a", "b")
    member, seen = w.member([one, two], "me", block=0.05), []
    member.on("x", lambda message: seen.append(message))
    async with w.listening(member):
        await published(w, one, 1)
        await w.until(lambda: seen)
        await asyncio.sleep(0.05)
        before = w.raw.info("commandstats")
        await asyncio.sleep(0.2)
        after = w.raw.info("commandstats")
    reads, looks = (after[f"cmdstat_{name}"]["calls"] - before[f"cmdstat_{name}"]["calls"] for name in ("xreadgroup", "xpending"))
    assert 2 <= looks <= 12 and abs(looks - 2 * reads) <= 2


async def test_topics_come_and_go_while_it_runs(w: World) -> None:
    one, two, three = groups(w, "a", "b", "c")
    member, seen = w.member([one], "me", block=0.1 if w.embedded else 5), []
    member.on("x", lambda message: seen.append(message))
    async with w.listening(member):
        await published(w, one, 1)
        await w.until(lambda: seen)
        for n, group in enumerate((two, three), 2):
            await w.do(member.add_group(group))
            began = time.monotonic()
            await published(w, group, n)
            await w.until(lambda n=n: len(seen) == n)
            assert time.monotonic() - began < 1
        assert member.groups == (one, two, three)
        await w.do(member.remove_group(two))
        assert await w.do(two.consumers()) == [] and member.groups == (one, three)
        await published(w, two, 0)
        await published(w, one, 4)
        await published(w, three, 5)
        await w.until(lambda: len(seen) == 5)
        await w.do(member.remove_group(one))
        await w.do(member.remove_group(three))
        await published(w, one, 0)
        await asyncio.sleep(0.05)
        await w.do(member.add_group(two))
        await w.until(lambda: len(seen) == 6)
    assert topics(w, seen) == "abc" + topics(w, seen)[3:5] + "b" and w.pending(two) == []


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_what_is_in_hand_of_a_removed_topic_is_settled_or_given_back(w: World, concurrency: int) -> None:
    one, two = groups(w, "a", "b")
    member, gate, others = w.member([one, two], "me", concurrency=concurrency, prefetch=10), Gate(w), []
    one.on("x", gate.handler)
    two.on("x", others.append)
    await published(w, one, 1, 2, 3, 4)
    async with w.listening(member):
        await w.until(lambda: gate.inside == concurrency)
        removing = w.start(lambda: member.remove_group(one))
        if concurrency > 1:
            await asyncio.sleep(0.05)
        else:
            await w.until(lambda: len([row for row in w.pending(one) if row[1] == "~waiting"]) == 3)
        gate.open()
        await asyncio.wait_for(removing, 5)
        await published(w, two, 5)
        await w.until(lambda: others)
        handled = [message.id for message in gate.seen]
        assert len(handled) == concurrency and await w.do(one.consumers()) == []
        assert {row[1] for row in w.pending(one)} == {"~waiting"} and len(w.pending(one)) == 4 - concurrency


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_a_higher_topic_goes_first_and_a_lower_one_waits(w: World, concurrency: int) -> None:
    low, high = groups(w, "l", "h")
    member = w.member({low: 0, high: 1}, "me", concurrency=concurrency)
    gate = Gate(w, opened=True, seconds=0.01)
    member.on("x", gate.handler)
    await published(w, low, *range(8))
    async with w.listening(member):
        await w.until(lambda: len(gate.seen) >= 2)
        await published(w, high, *range(6))
        before = len(gate.seen)
        await w.until(lambda: len(gate.left) == 14)
    after = topics(w, gate.seen[before:])
    first, last = after.index("h"), after.rindex("h")
    assert first <= 2 * concurrency + 2 and after[first : last + 1].count("l") <= concurrency


async def test_equal_topics_take_turns(w: World) -> None:
    one, two = groups(w, "a", "b")
    member, gate = w.member([one, two], "me"), Gate(w, opened=True, seconds=0.011)
    member.on("x", gate.handler)
    await published(w, one, *range(6))
    await published(w, two, *range(6))
    async with w.listening(member):
        await w.until(lambda: len(gate.left) == 12)
    assert 2 <= topics(w, gate.seen[:8]).count("b") <= 6


async def test_what_runs_and_waits_is_bounded_for_the_member_as_a_whole(w: World) -> None:
    all_of_them = groups(w, "a", "b", "c", "d")
    member, gate = w.member(all_of_them, "me", concurrency=2, prefetch=1), Gate(w)
    member.on("x", gate.handler)
    for group in all_of_them:
        await published(w, group, 1, 2, 3)
    async with w.listening(member):
        await w.until(lambda: gate.inside == 2)
        await asyncio.sleep(0.05)
        assert gate.most == 2
        assert sum(row[1] == "me" for group in all_of_them for row in w.pending(group)) <= 3
        gate.open()
        await w.until(lambda: len(gate.left) == 12)
    assert gate.most == 2


async def test_loops_reads_and_drains_take_from_all_topics(w: World) -> None:
    one, two = groups(w, "a", "b", retry=SOON)
    member = w.member([one, two], "me")
    await published(w, one, 1, 2)
    await published(w, two, 3, 4)
    found = await w.do(member.read(3, timeout=1))
    assert len(found) == 3 and all(message.ack() for message in found)
    await w.do(member.flush())
    assert sum(len(w.pending(group)) for group in (one, two)) == 0
    await published(w, one, 5)
    async with w.block(member.clone("other")) as loops:
        assert loops.groups == member.groups
        seen = []
        async for message in w.each(loops):
            seen.append(message["i"])
            if len(seen) == 2:
                loops.stop()
    assert sorted([*[m["i"] for m in found], *seen]) == ["1", "2", "3", "4", "5"]
    await published(w, two, 6)
    await published(w, one, 7)
    failing = Failing(1)
    member.on("x", failing)
    assert await w.do(member.drain()) == 2 and len(failing.tries) == 3
    info = await w.do(member.info())
    assert (info.handled, info.failed, [part.topic for part in info.parts]) == (2, 1, [one.topic.name, two.topic.name])
    assert w.pending(one) == w.pending(two) == []


async def test_a_topic_without_a_place_waits_for_one_beside_the_others(w: World) -> None:
    one, two = groups(w, "a", "b", max=1, lease=0.3)
    holder, member, seen = w.member(one, "holder"), w.member([one, two], "me", standby=True, block=0.05), []
    await w.do(holder.connect())
    with pytest.raises(GroupFull):
        await w.do(w.member([two, one], "other").connect())
    assert await w.do(two.consumers()) == []
    member.on("x", lambda message: seen.append(message))
    async with w.listening(member):
        await published(w, one, 1)
        await published(w, two, 2)
        await w.until(lambda: topics(w, seen) == "b")
        await w.do(holder.close())
        await w.until(lambda: topics(w, seen) == "ba")


async def test_an_entry_that_must_run_alone_does_so_in_the_whole_member(w: World) -> None:
    one, two = groups(w, "a", "b", retry=SOON, lease=0.15)
    for group in (one, two):
        await w.do(group.create())
    await published(w, one, 1)
    w.raw.xreadgroup("group", "dead", {one.topic.name: ">"})
    w.age(one, "dead", 10)
    await w.until(lambda: w.raw.xinfo_consumers(one.topic.name, "group")[0]["idle"] > 150)
    member, gate, beside = w.member([one, two], "me", concurrency=3), Gate(w, opened=True, seconds=0.02), []
    member.on("x", gate.handler)

    def look(message: Any) -> None:
        time.sleep(0.04)
        beside.append(gate.inside)

    async def look_asyncio(message: Any) -> None:
        await asyncio.sleep(0.04)
        beside.append(gate.inside)

    one.on("x", look_asyncio if w.asyncio else look)
    await published(w, two, *range(9))
    async with w.listening(member):
        await w.until(lambda: len(gate.left) == 10)
    assert beside == [0]


async def test_a_handler_may_remove_its_own_topic(w: World) -> None:
    one, two = groups(w, "a", "b")
    member, seen = w.member([one, two], "me"), []

    def leave(message: Any) -> Any:
        seen.append(message)
        return member.remove_group(one)

    one.on("x", leave)
    two.on("x", lambda message: seen.append(message))
    async with w.listening(member):
        await published(w, one, 1)
        await w.until(lambda: member.groups == (two,))
        await published(w, two, 1)
        await w.until(lambda: len(seen) == 2 and w.raw.xinfo_consumers(one.topic.name, "group") == [])
    assert w.pending(one) == []


async def test_one_topic_whose_group_is_lost_is_made_again_and_a_bad_one_is_refused(w: World) -> None:
    one, two = groups(w, "a", "b")
    w.raw.set(w.key("s"), 1)
    bad, member, seen, events = w.group(w.topic("s")), w.member([one, two], "me"), [], []
    member.on("x", lambda message: seen.append(message))
    member.lifecycle.on("group_created", lambda event: events.append(event.reason))
    async with w.listening(member):
        await published(w, one, 1)
        await w.until(lambda: seen)
        with pytest.raises(SetupError):
            await w.do(member.add_group(bad))
        w.raw.xgroup_destroy(two.topic.name, "group")
        await published(w, two, 1)
        await published(w, one, 2)
        await w.until(lambda: len(seen) == 3)
    assert events.count("lost") == 1
    with pytest.raises(SetupError):
        await w.do(w.member([one, bad]).connect())
    assert await w.do(one.consumers()) == []


async def test_what_is_no_group_is_refused(w: World) -> None:
    one, two = groups(w, "a", "b")
    for wrong, error in (([], ValueError), ([one.topic], TypeError), ({one: "x"}, TypeError), ([one, one], ValueError), ({one: True}, TypeError)):
        with pytest.raises(error):
            ConsumerGroupMember(wrong)
    with pytest.raises(TypeError, match="list"):
        await w.do(w.member(one).add_group(two))
    with pytest.raises(ValueError, match="no group of this member"):
        await w.do(w.member([one]).remove_group(two))


async def test_a_topic_that_is_added_several_times_at_once_is_added_once(w: World) -> None:
    one, two = groups(w, "a", "b")
    member, seen = w.member([one], "me"), []
    member.on("x", lambda message: seen.append(message))
    async with w.listening(member):
        await published(w, one, 1)
        await w.until(lambda: seen)
        adding = [w.start(lambda: member.add_group(two)) for _ in range(4)]
        came = await asyncio.gather(*adding, return_exceptions=True)
        await published(w, two, 2)
        await w.until(lambda: len(seen) > 1)
        await asyncio.sleep(0.05)
    refused = [str(error) for error in came if isinstance(error, ValueError)]
    assert len(refused) == 3 and all("reads" in text for text in refused) and member.groups == (one, two)
    assert topics(w, seen) == "ab"
    await w.do(member.remove_group(two))
    await w.do(member.add_group(two))


async def test_a_lost_group_ends_the_member_once(w: World) -> None:
    one, two = w.group(w.topic("a"), "one", on_group_lost="raise"), w.group(w.topic("b"), "two", on_group_lost="raise")
    member, seen = w.member([one, two], "me"), []
    member.on("x", lambda message: seen.append(message))
    running = w.start(member.connect_and_listen)
    await published(w, one, 1)
    await w.until(lambda: seen)
    w.raw.xgroup_destroy(two.topic.name, "two")
    with pytest.raises(GroupLost):
        await asyncio.wait_for(running, 10)
    await published(w, one, 2)
    async with w.listening(member):
        await w.until(lambda: len(seen) == 2)
