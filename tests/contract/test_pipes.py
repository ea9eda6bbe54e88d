"""Pipes: what steps make of entries, what is written with each acknowledgement, and what becomes of an entry whose step fails."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import warnings

import pytest

from streamio import AtLeastOnce, HandlerTimeout, JSONCodec, RetryPolicy, SetupError, Topic, from_url
from streamio.keys import side_key
from streamio.outputs import output

from ..world import World
from .gates import Gate

pytestmark = pytest.mark.asyncio
SOON = RetryPolicy(backoff=(0.01, 0.01), jitter=0)
LATE = RetryPolicy(backoff=(60, 60), jitter=0)


async def piped(w: World, count: int = 3, retry: RetryPolicy = SOON, **options):
    """A member with so many entries to read, numbered from 0, and the topic where its pipe is to end."""
    member = w.member(w.group(retry=retry), **options)
    await w.do(member.group.topic.publish_many([("order", {"n": n}) for n in range(count)]))
    return member, w.topic("out")


def out(w: World, name: str = "out") -> list[dict[str, str]]:
    """What stands in the stream where a pipe ends, as a foreign client sees it."""
    return [fields for _, fields in w.raw.xrange(w.key(name))]


def numbers(w: World) -> list[int]:
    """The numbers among them."""
    return [int(fields["n"]) for fields in out(w)]


def dead(w: World, group) -> list[dict[str, str]]:
    """The group's dead letters."""
    return [fields for _, fields in w.raw.xrange(side_key(group.topic.name, "dead", group.name))]


def number(message) -> dict[str, int]:
    """A step: data for the next one."""
    return {"n": int(message["n"])}


def doubled(data) -> dict[str, int]:
    """A step behind it."""
    return {"n": data["n"] * 2}


def failing_at(n: int, times: int = 10**9):
    """A step that raises `times` times for the entry of this number. `deliveries` are those it saw of it."""

    def step(message):
        if int(message["n"]) == n:
            step.deliveries.append(message.deliveries)
            if len(step.deliveries) <= times:
                raise ValueError("not this one")
        return {"n": int(message["n"])}

    step.deliveries = []
    return step


# -- steps -----------------------------------------------------------------------------------------------------------------------------


async def test_what_the_steps_give_is_written_with_the_type_of_its_entry_and_each_entry_is_acknowledged(w: World) -> None:
    member, topic = await piped(w)
    assert await w.do(member.pipe(number, doubled, topic).drain()) == 3
    assert out(w) == [{"type": "order", "n": "0"}, {"type": "order", "n": "2"}, {"type": "order", "n": "4"}]
    assert w.pending(member.group) == [] and (await w.do(member.info())).failed == 0


async def test_a_step_that_gives_several_values_fans_out_and_each_goes_on_by_itself(w: World) -> None:
    def parts(data):
        yield {**data, "part": "a"}
        yield {**data, "part": "b"}

    def halves(data):
        return [{**data, "half": half} for half in (1, 2) if (data["n"], data["part"], half) != (1, "a", 1)]

    member, topic = await piped(w, 2)
    await w.do(member.pipe(number, parts, halves, topic).drain())
    want = [(n, part, half) for n in (0, 1) for part in "ab" for half in (1, 2) if (n, part, half) != (1, "a", 1)]
    assert [(int(each["n"]), each["part"], int(each["half"])) for each in out(w)] == want


async def test_none_drops_and_nothing_at_all_is_acknowledged_all_the_same(w: World) -> None:
    def even(data):
        return data if data["n"] % 2 == 0 else None

    def emptied(data):
        return [] if data["n"] == 0 else [None, data, None]

    member, topic = await piped(w, 4)
    assert await w.do(member.pipe(number, even, emptied, topic).drain()) == 4
    assert numbers(w) == [2] and w.pending(member.group) == []


async def test_a_tuple_is_one_value_and_so_are_text_bytes_and_mappings(w: World) -> None:
    seen = []

    def kinds(message):
        return [("a", {"n": 1}), "text", b"bytes", {"n": 2}, 7, frozenset([3])]

    def see(value):
        seen.append(value)
        return None

    member, topic = await piped(w, 1)
    await w.do(member.pipe(kinds, see, topic).drain())
    assert seen == [("a", {"n": 1}), "text", b"bytes", {"n": 2}, 7, frozenset([3])]


async def test_asyncio_steps_may_be_coroutine_functions_and_async_generators(w: World) -> None:
    async def looked_up(message):
        return {"n": int(message["n"])}

    async def twice(data):
        yield data
        yield {"n": data["n"] + 10}

    member, topic = await piped(w, 2)
    if not w.asyncio:
        for step in (looked_up, twice):
            with pytest.raises(TypeError, match="is for asyncio"):
                member.pipe(step, topic)
        assert await w.do(member.pipe(lambda message: looked_up(message), topic).drain(retries=False)) == 0
        assert len(w.pending(member.group)) == 2
        return
    await w.do(member.pipe(looked_up, twice, twice, topic).drain())
    assert numbers(w) == [0, 10, 10, 20, 1, 11, 11, 21]


async def test_what_comes_to_the_topic_is_an_item_with_a_type_a_message_or_data(w: World) -> None:
    def items(message):
        return [("sent", {"n": 1}), {"type": "billed", "n": 2}, message, {"n": 3}]

    member, topic = await piped(w, 0)
    await w.do(member.group.topic.publish("order", {"n": 0}, headers={"tenant": "eu"}))
    await w.do(member.pipe(items, topic).drain())
    assert out(w) == [
        {"type": "sent", "n": "1"}, {"type": "billed", "n": "2"}, {"type": "order", "header:tenant": "eu", "n": "0"}, {"type": "order", "n": "3"},
    ]  # fmt: skip


async def test_the_codec_of_the_topic_writes_the_outputs(w: World) -> None:
    member, _ = await piped(w, 1)
    await w.do(member.pipe(lambda message: ("sent", {"lines": [1, {"of": message["n"]}]}), w.topic("out", codec=JSONCodec())).drain())
    assert [(each["type"], json.loads(each["data"])) for each in out(w)] == [("sent", {"lines": [1, {"of": "0"}]})]


async def test_what_the_codec_cannot_write_fails_the_entry_and_leaves_nothing_half_written(w: World) -> None:
    member, topic = await piped(w, 2, RetryPolicy(max_deliveries=1))
    await w.do(member.pipe(lambda message: [{"n": 1}, {"n": [1]} if message["n"] == "0" else {"n": 2}], topic).drain())
    assert numbers(w) == [1, 2]
    assert [(letter["dead:reason"], "nested data" in letter["dead:error"]) for letter in dead(w, member.group)] == [("failed", True)]


async def test_a_pipe_is_inert_until_it_is_run_and_an_or_makes_a_new_one(w: World) -> None:
    member, topic = await piped(w)
    first = member | number
    longer, other = first | doubled | topic, first | topic
    assert (await w.do(member.info())).state == "new" and not w.raw.exists(topic.name)
    assert [len(pipe.steps) for pipe in (first, longer, other)] == [1, 2, 1] and first.topic is None
    await w.do(longer.drain())
    assert numbers(w) == [0, 2, 4] and "number" in repr(longer) and longer.is_exactly_once and not first.is_exactly_once


@pytest.mark.parametrize("loops", [False, True])
async def test_a_pipe_of_one_type_takes_only_that_and_the_others_are_unhandled(w: World, loops: bool) -> None:
    member, topic = await piped(w, 0)
    unhandled = []
    member.lifecycle.on("unhandled", lambda event: unhandled.append(event.message.type))
    await w.do(member.group.topic.publish_many([("a.x", {"n": 0}), ("b.x", {"n": 1}), ("a.y", {"n": 2})]))
    pipe = member.pipe(number, topic, type="a.*")
    if loops:
        loop = w.loop(pipe)
        assert [(await w.next(loop))["n"] for _ in range(2)] == [0, 2]
        member.stop()
        assert await w.next(loop) is None
    else:
        await w.do(pipe.drain())
    assert numbers(w) == [0, 2] and unhandled == ["b.x"] and w.pending(member.group) == []


# -- running ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_run_works_until_it_is_stopped_from_elsewhere_and_the_listeners_are_back_after_it(w: World, concurrency: int) -> None:
    member, topic = await piped(w, 20, concurrency=concurrency)
    heard = []
    member.on("*", lambda message: heard.append(message["n"]))
    pipe = member.pipe(number, topic)
    running = w.start(pipe.run)
    await w.until(lambda: len(out(w)) == 20)
    with pytest.raises(RuntimeError, match="listening already"):
        await w.do(pipe.drain())
    thread = threading.Thread(target=pipe.stop)
    thread.start()
    await running
    thread.join()
    assert sorted(numbers(w)) == [*range(20)] and heard == [] and w.pending(member.group) == []
    await w.do(member.group.topic.publish("order", n=99))
    assert await w.do(member.drain()) == 1 and heard == ["99"] and len(out(w)) == 20


async def test_a_run_ends_with_the_event_and_the_rest_is_for_the_next(w: World) -> None:
    member, topic = await piped(w)
    pipe = member.pipe(number, topic)
    event = asyncio.Event() if w.asyncio else threading.Event()
    running = w.start(lambda: pipe.run(until=event))
    await w.until(lambda: len(out(w)) == 3)
    event.set()
    await asyncio.wait_for(running, 5)
    await w.do(member.group.topic.publish("a", n=9))
    await w.do(pipe.run(until=event))  # set already: nothing is begun
    assert len(out(w)) == 3
    with pytest.raises(TypeError, match="until must be"):
        await w.do(pipe.run(until=1))


async def test_a_step_that_raises_is_tried_again_while_the_others_flow_on(w: World) -> None:
    member, topic = await piped(w, 4)
    step = failing_at(1, times=2)
    assert await w.do(member.pipe(step, topic).drain()) == 4
    assert numbers(w) == [0, 2, 3, 1] and step.deliveries == [1, 2, 3] and dead(w, member.group) == []


async def test_a_step_that_always_raises_has_its_entry_put_aside(w: World) -> None:
    member, topic = await piped(w, 3, RetryPolicy(max_deliveries=2, backoff=(0.01, 0.01)))
    running = w.start(member.pipe(failing_at(1), topic).run)
    await w.until(lambda: dead(w, member.group))
    member.stop()
    await running
    assert numbers(w) == [0, 2] and [letter["n"] for letter in dead(w, member.group)] == ["1"] and w.pending(member.group) == []


async def test_a_late_step_puts_nothing_out(w: World) -> None:
    gate = Gate(w)

    def late(message):
        gate.sit(message)
        return {"n": 0}

    async def late_asyncio(message):
        await gate.sit_asyncio(message)
        return {"n": 0}

    member, topic = await piped(w, 1, RetryPolicy(max_deliveries=1), handler_timeout=0.05, concurrency=2)
    running = w.start(member.pipe(late_asyncio if w.asyncio else late, topic).run)
    await w.until(lambda: dead(w, member.group))
    gate.open()
    await w.until(lambda: not gate.inside)
    member.stop()
    await running
    assert not w.raw.exists(topic.name) and HandlerTimeout.__name__ in dead(w, member.group)[0]["dead:error"]


async def test_a_member_that_forgets_what_it_reads_puts_out_all_the_same(w: World) -> None:
    member, topic = await piped(w, 5, ack="none")
    assert await w.do(member.pipe(number, topic).drain()) == 5
    assert numbers(w) == [0, 1, 2, 3, 4] and w.pending(member.group) == []


async def test_several_topics_go_through_one_pipe(w: World) -> None:
    topics, end = [w.topic("one"), w.topic("two")], w.topic("out")
    for n, topic in enumerate(topics):
        await w.do(topic.publish_many([("order", {"n": 10 * n + i}) for i in range(3)]))
    member = w.member([w.group(topic) for topic in topics])
    assert await w.do(member.pipe(number, end).drain()) == 6
    loop = w.loop(member.pipe(number, end))
    await w.do(topics[1].publish("order", n=99))
    assert (await w.next(loop))["n"] == 99
    member.stop()
    assert await w.next(loop) is None and sorted(numbers(w)) == [0, 1, 2, 10, 11, 12, 99]
    assert [w.pending(group) for group in member.groups] == [[], []]


# -- iterating -------------------------------------------------------------------------------------------------------------------------


def twins(message):
    """A step that gives two values of each entry."""
    yield {"n": int(message["n"]), "part": 0}
    yield {"n": int(message["n"]), "part": 1}


def written(w: World) -> list[tuple[int, int]]:
    """The twins that stand in the stream."""
    return [(int(each["n"]), int(each["part"])) for each in out(w)]


async def again(w: World, member, count: int) -> list[tuple[str, int]]:
    """What another member of the group gets now: (number, deliveries)."""
    other, found = w.member(member.group), []
    while len(found) < count:
        for message in await w.do(other.read(10, timeout=2)):
            found.append((message["n"], message.deliveries))
            message.ack()
    await w.do(other.close())
    return found


async def test_a_loop_gets_each_value_and_an_entrys_outputs_are_written_when_its_last_was_consumed(w: World) -> None:
    member, topic = await piped(w, 2)
    loop = w.loop(member.pipe(twins, topic))
    assert [(await w.next(loop))["part"] for _ in range(2)] == [0, 1]
    await w.do(member.flush())
    assert out(w) == [] and len(w.pending(member.group)) >= 1
    assert (await w.next(loop))["n"] == 1
    await w.do(member.flush())
    assert written(w) == [(0, 0), (0, 1)]
    member.stop()
    assert (await w.next(loop))["part"] == 1
    assert await w.next(loop) is None
    assert written(w) == [(0, 0), (0, 1), (1, 0), (1, 1)] and w.pending(member.group) == []


@pytest.mark.parametrize("how", ["raise", "break in a block", "kept in a block"])
async def test_a_loop_left_in_the_middle_of_an_entry_writes_nothing_of_it_and_it_comes_again(w: World, how: str) -> None:
    member, topic = await piped(w, 2)
    kept = []

    async def leave() -> None:
        flow = w.loop(member.pipe(twins, topic))
        for _ in range(3):
            await w.next(flow)
        if how.startswith("raise"):
            raise ValueError("in the body")
        if how.startswith("kept"):
            kept.append(flow)

    try:
        if how.endswith("in a block"):
            async with w.block(member):
                await leave()
        else:
            await leave()
    except ValueError as error:
        assert str(error) == "in the body"
        del error
    gc.collect()
    await w.do(member.close())
    assert written(w) == [(0, 0), (0, 1)]
    assert await again(w, member, 1) == [("1", 2)] and w.pending(member.group) == []


async def test_a_step_that_raises_in_a_loop_is_tried_again_while_the_others_flow_on(w: World) -> None:
    member, topic = await piped(w, 3)
    failed, retrying = [], []
    member.lifecycle.on("failed", lambda event: failed.append(event.message["n"]))
    member.lifecycle.on("retrying", lambda event: retrying.append(event.message["n"]))
    loop = w.loop(member.pipe(failing_at(1, times=1), topic))
    assert [(await w.next(loop))["n"] for _ in range(3)] == [0, 2, 1]
    member.stop()
    assert await w.next(loop) is None
    assert numbers(w) == [0, 2, 1] and failed == retrying == ["1"] and w.pending(member.group) == []
    assert (await w.do(member.info())).failed == 1


async def test_a_step_that_raises_behind_a_value_that_came_out_writes_nothing_of_its_entry(w: World) -> None:
    tries = []

    def half(message):
        yield {"n": int(message["n"]), "part": 0}
        tries.append(message.deliveries)
        if len(tries) == 1:
            raise ValueError("half way")
        yield {"n": int(message["n"]), "part": 1}

    member, topic = await piped(w, 1)
    loop = w.loop(member.pipe(half, topic))
    assert [(await w.next(loop))["part"] for _ in range(3)] == [0, 0, 1]
    member.stop()
    assert await w.next(loop) is None and written(w) == [(0, 0), (0, 1)]


async def test_a_step_that_is_interrupted_in_a_loop_writes_nothing_of_its_entry(w: World) -> None:
    class Interrupt(BaseException):
        """As KeyboardInterrupt."""

    tries = []

    def half(message):
        yield {"n": int(message["n"]), "part": 0}
        tries.append(message.deliveries)
        if len(tries) == 1:
            raise Interrupt
        yield {"n": int(message["n"]), "part": 1}

    member, topic = await piped(w, 2)
    loop = w.loop(member.pipe(half, topic))
    await w.next(loop)
    with pytest.raises(Interrupt):
        await w.next(loop)
    found = [await w.next(loop) for _ in range(4)]
    assert sorted((each["n"], each["part"]) for each in found) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    member.stop()
    assert await w.next(loop) is None
    assert sorted(written(w)) == [(0, 0), (0, 1), (1, 0), (1, 1)] and tries[0] == 1 and 2 in tries


async def test_plain_generators_over_a_member_acknowledge_after_everything_downstream_was_consumed(w: World) -> None:
    member, topic = await piped(w, 2, prefetch=0)

    def parse(messages):
        for message in messages:
            yield int(message["n"])

    async def parse_asyncio(messages):
        async for message in messages:
            yield int(message["n"])

    def enrich(values):
        for value in values:
            yield value, "a"
            yield value, "b"

    async def enrich_asyncio(values):
        async for value in values:
            yield value, "a"
            yield value, "b"

    source = enrich_asyncio(parse_asyncio(member)) if w.asyncio else enrich(parse(member))
    assert [await w.next(source) for _ in range(2)] == [(0, "a"), (0, "b")]
    await w.do(member.flush())
    assert [row[2] for row in w.pending(member.group)] == [1]
    assert await w.next(source) == (1, "a")
    await w.do(member.flush())
    assert len(w.pending(member.group)) == 1
    member.stop()
    assert [await w.next(source), await w.next(source)] == [(1, "b"), None] and w.pending(member.group) == []


async def test_a_pipe_that_ends_in_no_topic_is_a_loop_with_steps(w: World) -> None:
    member, _ = await piped(w, 3)
    loop = w.loop(member | number | doubled)
    assert [(await w.next(loop))["n"] for _ in range(3)] == [0, 2, 4]
    member.stop()
    assert await w.next(loop) is None and w.pending(member.group) == []


# -- where the outputs go ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["drain", "drain of one that is connected", "iterate"])
async def test_a_topic_whose_key_holds_something_else_is_refused_by_name_before_anything_is_read(w: World, how: str) -> None:
    member, topic = await piped(w, 1)
    w.raw.set(topic.name, "text")
    pipe = member.pipe(number, topic)
    if how.endswith("connected"):
        await w.do(member.connect())
    with pytest.raises(SetupError, match=topic.name):
        await (w.next(w.loop(pipe)) if how == "iterate" else w.do(pipe.drain()))
    assert [group["pending"] for group in w.raw.xinfo_groups(member.group.topic.name)] in ([], [0])


@pytest.mark.parametrize("loops", [False, True])
async def test_a_key_that_becomes_another_thing_fails_its_entries_by_the_retry_policy_and_half_writes_none(w: World, loops: bool) -> None:
    member, topic = await piped(w, 2, RetryPolicy(max_deliveries=2, backoff=(0.01, 0.01)))
    failed = []
    member.lifecycle.on("failed", lambda event: failed.append(str(event.error)))
    swapped = iter([lambda: w.raw.set(topic.name, "text"), lambda: None])

    def spoil(message):
        next(swapped, lambda: None)()
        return [{"n": 1}, {"n": 2}]

    pipe = member.pipe(spoil, topic)
    if loops:
        loop = w.start(lambda: exhausted(w, pipe))
        await w.until(lambda: len(dead(w, member.group)) == 2)
        member.stop()
        await loop
    else:
        await w.do(pipe.drain())
    assert [letter["dead:reason"] for letter in dead(w, member.group)] == ["failed"] * 2
    assert w.raw.get(topic.name) == "text" and len(failed) == 4 and all("WRONGTYPE" in each for each in failed)
    assert w.pending(member.group) == []


async def test_where_one_output_of_an_entry_is_refused_none_of_it_is_written(w: World) -> None:
    member, topic = await piped(w, 2)
    key = member.group.topic.name
    await w.do(member.group.create())
    w.raw.xreadgroup("group", "me", {key: ">"})
    ids = [row[0] for row in w.pending(member.group)]
    w.raw.set(w.key("text"), "text")
    good, bad = (("XADD", topic.name, "*"), ("n", "1")), (("XADD", w.key("text"), "*"), ("n", "1"))
    command = output(key, "group", "me", [(ids[0], [good, bad]), (ids[1], [good, good])])
    refused, done = w.raw.eval(command.in_full[1], int(command.in_full[2]), *command.in_full[3:])
    assert "WRONGTYPE" in refused and done == 1
    assert len(out(w)) == 2 and [row[0] for row in w.pending(member.group)] == [ids[0]]


async def test_a_reply_address_that_is_the_broken_topic_itself_drops_no_outputs(w: World) -> None:
    member, topic = await piped(w, 0, RetryPolicy(max_deliveries=1))
    await w.do(member.group.topic.publish("order", {"n": 0}, headers={"reply_to": topic.name}))

    def spoil(message):
        w.raw.set(topic.name, "text")
        return {"n": 0}

    await w.do(member.pipe(spoil, topic).drain())
    assert ["WRONGTYPE" in letter["dead:error"] for letter in dead(w, member.group)] == [True]


def exhausted(w: World, pipe):
    """Loop until the end."""
    if not w.asyncio:
        return [*pipe]

    async def loop() -> None:
        async for _ in pipe:
            pass

    return loop()


async def test_a_topic_keeps_what_its_maxlen_or_its_max_age_says(w: World) -> None:
    member, _ = await piped(w, 300)
    short, young = w.topic("short", maxlen=10), w.topic("young", max_age=60)
    w.raw.xadd(w.key("young"), {"type": "old"}, id="1-1")
    await w.do(member.pipe(number, short).drain())
    assert 10 <= len(out(w, "short")) <= 200 and out(w, "short")[-1]["n"] == "299"
    await w.do(member.group.seek("0"))
    await w.do(member.pipe(number, young).drain())
    assert len(out(w, "young")) >= 300 and out(w, "young")[-1] == {"type": "order", "n": "299"}


async def test_a_topic_elsewhere_is_told_once_where_the_pipe_is_made_and_works_at_least_once(w: World) -> None:
    member, _ = await piped(w, 3)
    url = f"memory://{w.name}-other" if w.embedded else f"{w.url}/1"
    other = w.topic("out", from_url(url, asyncio=w.asyncio))
    w.clients.append(other.client) if hasattr(other, "client") else None
    made = []
    for make in (lambda: member.pipe(number, other), lambda: member | number | other):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            made.append(make())
        assert [(each.category, each.filename) for each in told] == [(AtLeastOnce, __file__)]
    assert "another server" in str(told[0].message) and not made[0].is_exactly_once
    step = failing_at(1, times=1)
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        pipe = member.pipe(step, other)
    assert await w.do(pipe.drain()) == 3
    with from_url(url, decode_responses=True) as raw:
        assert [fields["n"] for _, fields in raw.xrange(w.key("out"))] == ["0", "2", "1"]
        await w.do(member.group.topic.publish("order", n=7))
        loop = w.loop(pipe)
        assert (await w.next(loop))["n"] == 7
        member.stop()
        assert await w.next(loop) is None
        assert [fields["n"] for _, fields in raw.xrange(w.key("out"))][-1] == "7"
        raw.delete(w.key("out"))
    assert w.pending(member.group) == []


async def test_what_makes_no_pipe_is_told_before_anything_is_done(w: World) -> None:
    member, topic = await piped(w, 0)
    other_colour = Topic(w.key("out"), from_url(w.url, asyncio=not w.asyncio))
    with pytest.raises(TypeError, match="a step at least"):
        member.pipe()
    with pytest.raises(TypeError, match="clients of one colour"):
        member.pipe(number, other_colour)
    with pytest.raises(TypeError, match="callable"):
        member.pipe(number, topic, doubled)
    with pytest.raises(TypeError, match="callable"):
        member.pipe("number", topic)
    with pytest.raises(TypeError, match="nothing can follow it"):
        member | number | topic | doubled
    with pytest.raises(TypeError, match="unsupported operand"):
        member | "number"
    with pytest.raises(TypeError, match="unsupported operand"):
        member | number | 3
    with pytest.raises(ValueError, match="manual"):
        w.member(member.group, ack="manual").pipe(number, topic)
    wrong = iter if w.asyncio else aiter
    with pytest.raises(TypeError, match="async for|use `?for"):
        wrong(member.pipe(number, topic))


async def test_a_member_that_is_busy_runs_no_pipe_beside_that(w: World) -> None:
    member, topic = await piped(w, 2)
    pipe = member.pipe(number, topic)
    loop = w.loop(member)
    await w.next(loop)
    for busy in (pipe.run, pipe.drain):
        with pytest.raises(RuntimeError, match="iterating already"):
            await w.do(busy())
    with pytest.raises(RuntimeError, match="iterating already"):
        await w.next(w.loop(pipe))
    assert (await w.next(loop))["n"] == "1"


async def test_a_member_with_outputs_noted_is_no_leak(w: World) -> None:
    member, topic = await piped(w, 50)
    await w.do(member.pipe(number, topic).drain())
    hand = member._hand
    assert not (hand.outputs or hand.sent_outputs or hand.flying or hand.running or hand.current)
    gc.collect()
    assert not [each for each in gc.get_objects() if type(each).__name__ == "Output"]
