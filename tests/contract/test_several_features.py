"""What members of one topic can, one of several can for each of its topics, also for one that is added while it runs."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import pytest

from streamio import AtLeastOnce, JSONCodec, from_url
from streamio.keys import side_key

from ..world import World
from .test_several_topics import groups, published

pytestmark = pytest.mark.asyncio


def number(message: Any) -> dict[str, int]:
    """A step."""
    return {"n": int(message["i"])}


def numbers(w: World, raw: Any = None, name: str = "out") -> list[int]:
    """What came out of a pipe, sorted."""
    return sorted(int(fields["n"]) for _, fields in (w.raw if raw is None else raw).xrange(w.key(name)))


def elsewhere(w: World) -> str:
    """The URL of another server, or of another database of this one."""
    return f"memory://{w.name}-other" if w.embedded else f"{w.url}/1"


async def test_a_pipe_takes_from_all_topics_also_from_one_that_is_added_while_it_runs(w: World) -> None:
    one, two, three = groups(w, "a", "b", "c")
    member = w.member([one, two], "me", concurrency=2)
    pipe = member | number | w.topic("out")
    assert pipe.is_exactly_once
    for n, group in enumerate((one, two, three), 1):
        await published(w, group, n)
    assert await w.do(pipe.drain()) == 2 and numbers(w) == [1, 2]
    running = w.start(pipe.run)
    await published(w, one, 4)
    await w.until(lambda: numbers(w) == [1, 2, 4])
    await w.do(member.add_group(three))
    await published(w, three, 5)
    await w.until(lambda: numbers(w) == [1, 2, 3, 4, 5])
    pipe.stop()
    await running
    assert [w.pending(group) for group in (one, two, three)] == [[], [], []]


async def test_a_loop_over_a_pipe_writes_each_value_once_also_of_a_topic_that_is_added(w: World) -> None:
    one, two, three = groups(w, "a", "b", "c")
    member = w.member([one, two], "me")
    for n, group in enumerate((one, two, three), 1):
        await published(w, group, n)
    loop, found = w.loop(member | number | w.topic("out")), []
    for n in range(3):
        if n == 2:
            await w.do(member.add_group(three))
        found.append((await w.next(loop))["n"])
    member.stop()
    assert await w.next(loop) is None
    assert sorted(found) == numbers(w) == [1, 2, 3] and [w.pending(group) for group in (one, two, three)] == [[], [], []]


async def test_a_pipe_near_to_one_topic_and_far_from_another_says_so_and_writes_all(w: World) -> None:
    client = from_url(elsewhere(w), asyncio=w.asyncio)
    w.clients.append(client)
    near, far, added = w.group(w.topic("a")), w.group(w.topic("b", client)), w.group(w.topic("c", client))
    member, out = w.member([near, far], "me"), w.topic("out")
    for n, group in enumerate((near, far, added), 1):
        await published(w, group, n)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        pipe = member | number | out
        first = len(told)
        running = w.start(pipe.run)
        await w.until(lambda: numbers(w) == [1, 2])
        await w.do(member.add_group(added))
        await w.until(lambda: numbers(w) == [1, 2, 3])
        pipe.stop()
        await running
    assert [each.category for each in told] == [AtLeastOnce] * 2 and first == 1
    assert repr(far.topic.name) in str(told[0].message) and repr(added.topic.name) in str(told[1].message)
    assert not pipe.is_exactly_once and w.pending(near) == []
    with from_url(elsewhere(w), decode_responses=True) as raw:
        assert raw.xpending(far.topic.name, "group")["pending"] == 0
        raw.delete(far.topic.name, added.topic.name)


async def test_replies_and_requests_work_for_each_topic(w: World) -> None:
    one, two, three = groups(w, "a", "b", "c")
    member = w.member([one, two], "me", reply_to=w.topic("out"))
    member.on("x", number)
    async with w.listening(member):
        assert await w.do(one.topic.request("x", {"i": 1})) == {"n": "1"}
        assert await w.do(two.topic.request("x", {"i": 2})) == {"n": "2"}
        await w.do(member.add_group(three))
        assert await w.do(three.topic.request("x", {"i": 3})) == {"n": "3"}
        await published(w, two, 4)
        await published(w, three, 5)
        await w.until(lambda: w.raw.xlen(w.key("out")) == 2)
    assert [w.pending(group) for group in (one, two, three)] == [[], [], []]


async def test_that_replies_go_elsewhere_is_told_once_for_each_topic(w: World) -> None:
    one, two = groups(w, "a", "b")
    client = from_url(elsewhere(w), asyncio=w.asyncio)
    w.clients.append(client)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        member = w.member([one, two], "me", reply_to=w.topic("out", client))
    assert [each.category for each in told] == [AtLeastOnce] * 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        member.clone("other")
    member.on("x", number)
    for n, group in enumerate((one, two), 1):
        await published(w, group, n)
    assert await w.do(member.drain()) == 2
    with from_url(elsewhere(w), decode_responses=True) as raw:
        assert raw.xlen(w.key("out")) == 2
        raw.delete(w.key("out"))


async def test_a_guard_stands_beside_its_own_topic(w: World) -> None:
    client = from_url(elsewhere(w), asyncio=w.asyncio)
    w.clients.append(client)
    near, far = w.group(w.topic("a")), w.group(w.topic("b", client))
    member, effects = w.member([near, far], "me"), []
    member.on("x", member.once_per("i")(lambda message: effects.append(message.topic)))
    for group in (near, far):
        await published(w, group, 1, 1)
    assert await w.do(member.drain()) == 4
    assert sorted(effects) == [near.topic.name, far.topic.name]
    with from_url(elsewhere(w), decode_responses=True) as raw:
        for group, server in ((near, w.raw), (far, raw)):
            assert server.get(side_key(group.topic.name, "once", "group", "<lambda>", "1")).startswith("done")
        raw.delete(far.topic.name, side_key(far.topic.name, "once", "group", "<lambda>", "1"))


async def test_a_delayed_entry_of_each_topic_comes_when_it_is_due(w: World) -> None:
    one, two = groups(w, "a", "b")
    member, seen = w.member([one, two], "me"), []
    member.on("x", lambda message: seen.append(message["i"]))
    async with w.listening(member):
        await published(w, one, 0)
        await w.until(lambda: seen == ["0"])
        await w.do(two.topic.publish("x", i=2, delay=0.2))
        await w.do(one.topic.publish("x", i=1, delay=0.1))
        assert seen == ["0"]
        await w.until(lambda: seen == ["0", "1", "2"], 3)


@dataclass
class Order:
    """A payload."""

    i: int


async def test_each_topics_payloads_are_read_by_its_own_codec(w: World) -> None:
    flat, typed, json = (w.group(w.topic(*made[:1], **made[1])) for made in (("a", {}), ("b", {"type": Order}), ("c", {"codec": JSONCodec()})))
    member, seen = w.member([flat, typed], "me"), []
    member.on("x", lambda message: seen.append(message.data))
    await published(w, flat, 1)
    await w.do(typed.topic.publish("x", Order(2)))
    async with w.listening(member):
        await w.until(lambda: len(seen) == 2)
        await w.do(member.add_group(json))
        await w.do(json.topic.publish("x", {"i": [3]}))
        await w.until(lambda: len(seen) == 3)
    assert sorted(seen, key=str) == sorted([{"i": "1"}, Order(2), {"i": [3]}], key=str)
