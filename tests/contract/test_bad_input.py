"""Wrong use is refused at once, before anything is read or written, by the name of what is wrong."""

from __future__ import annotations

import asyncio
import functools
from datetime import timedelta
from typing import Any

import pytest

from streamio import ConsumerGroupMember, ConsumerGroupTopic, JSONCodec, PublishStopped, RetryPolicy, SetupError, Topic, from_url

from ..world import World

pytestmark = pytest.mark.asyncio


def handler(message: Any) -> None:
    """Does nothing."""


# -- what is published --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "fields", "named"),
    [
        ({"amount": None}, {}, "'amount'"),
        ({}, {"amount": None}, "'amount'"),
        ({"amount": [1]}, {}, "'amount'"),
        ({"amount": {"net": 1}}, {}, "JSONCodec"),
        ({"amount": "\ud800"}, {}, "'amount'"),
        ({"\ud800": 1}, {}, "surrogate"),
        ({1: "x"}, {}, "field names"),
        ({"a": 1}, {"a": 2}, "'a'"),
        ({"type": "x"}, {}, "'type'"),
        ({b"type": "x"}, {}, "type"),
        ({"header:x": "1"}, {}, "'header:x'"),
        ({}, {"header:x": "1"}, "'header:x'"),
        ({}, {"traceparent": "1"}, "'traceparent'"),
        ({"tracestate": "1"}, {}, "'tracestate'"),
        ("text", {}, "mapping"),
        (b"bytes", {}, "mapping"),
        ([("a", 1)], {}, "mapping"),
        (5, {"a": 1}, "mapping"),
    ],
)
async def test_a_payload_that_cannot_be_written_is_refused_by_field(w: World, data: Any, fields: Any, named: str) -> None:
    topic = w.topic()
    with pytest.raises((TypeError, ValueError), match=named):
        await w.do(topic.publish("t", data, **fields))
    assert not w.raw.exists(topic.name)


@pytest.mark.parametrize("type", [None, 1, b"t", ["t"], "\ud800"])
async def test_a_type_that_is_no_text_is_refused(w: World, type: Any) -> None:
    topic = w.topic()
    with pytest.raises((TypeError, ValueError), match="type"):
        await w.do(topic.publish(type, x=1))
    assert not w.raw.exists(topic.name)


@pytest.mark.parametrize("headers", [{"h": None}, {"h": [1]}, {"": "x"}, {1: "x"}, {"h": "\ud800"}, ["h"], "h"])
async def test_a_bad_header_is_refused(w: World, headers: Any) -> None:
    topic = w.topic()
    with pytest.raises((TypeError, ValueError), match="header"):
        await w.do(topic.publish("t", headers=headers))
    assert not w.raw.exists(topic.name)


@pytest.mark.parametrize("entry_id", ["", "x", "5-", "-*", "5-x", "*-*", None, 5, "+"])
async def test_a_bad_entry_id_is_refused(w: World, entry_id: Any) -> None:
    topic = w.topic()
    with pytest.raises(ValueError, match="entry_id"):
        await w.do(topic.publish("t", entry_id=entry_id))
    assert not w.raw.exists(topic.name)


async def test_json_that_cannot_be_written_is_refused(w: World) -> None:
    topic = w.topic(codec=JSONCodec())
    for data in ({"a": object()}, {"a": float("nan")}, {"a": b"x"}):
        with pytest.raises((TypeError, ValueError), match="'data'"):
            await w.do(topic.publish("t", data))
    assert not w.raw.exists(topic.name)


@pytest.mark.parametrize("entry_id", ["x", None, 5, "$", "5-"])
async def test_what_is_no_id_is_not_deleted(w: World, entry_id: Any) -> None:
    with pytest.raises(ValueError, match="entry id"):
        await w.do(w.topic().delete(entry_id))


# -- settings -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"maxlen": 1, "max_age": 1}, "maxlen and max_age"),
        ({"maxlen": -1}, "maxlen"),
        ({"maxlen": 1.5}, "maxlen"),
        ({"maxlen": True}, "maxlen"),
        ({"max_age": -1}, "max_age"),
        ({"max_age": "1h"}, "max_age"),
        ({"max_age": float("nan")}, "max_age"),
        ({"max_len": 1}, "max_len"),
        ({"codec": "json"}, "codec"),
        ({"codec": JSONCodec}, "codec"),
    ],
)
async def test_a_bad_setting_of_a_topic_is_refused_by_name(w: World, options: Any, named: str) -> None:
    with pytest.raises((TypeError, ValueError), match=named):
        w.topic(**options)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"min": 2, "max": 1}, "min=2.*max=1"),
        ({"min": 0}, "min"),
        ({"max": 0}, "max"),
        ({"max": 1.5}, "max"),
        ({"min": True}, "min"),
        ({"lease": 0}, "lease"),
        ({"lease": -1}, "lease"),
        ({"lease": "30"}, "lease"),
        ({"lease": float("inf")}, "lease"),
        ({"claim_interval": 0}, "claim_interval"),
        ({"claim_interval": timedelta(seconds=-1)}, "claim_interval"),
        ({"start": "now"}, "start"),
        ({"start": ""}, "start"),
        ({"start": None}, "start"),
        ({"start": ">"}, "start"),
        ({"start": "(5-1"}, "start"),
        ({"unhandled": "drop"}, "unhandled.*'ack'"),
        ({"unhandled": None}, "unhandled"),
        ({"unhandled": ["ack"]}, "unhandled"),
        ({"on_group_lost": "ignore"}, "on_group_lost.*'recreate'"),
        ({"retry": 5}, "retry"),
        ({"retry": RetryPolicy}, "retry"),
        ({"leese": 5}, "leese"),
    ],
)
async def test_a_bad_setting_of_a_group_is_refused_by_name(w: World, options: Any, named: str) -> None:
    with pytest.raises((TypeError, ValueError), match=named):
        w.group(**options)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"prefetch": -1}, "prefetch"),
        ({"prefetch": 1.5}, "prefetch"),
        ({"prefetch": "all"}, "prefetch.*'auto'"),
        ({"prefetch": None}, "prefetch"),
        ({"prefetch": True}, "prefetch"),
        ({"prefetch": 10**9}, "prefetch"),
        ({"concurrency": 0}, "concurrency"),
        ({"concurrency": -1}, "concurrency"),
        ({"concurrency": 2.0}, "concurrency"),
        ({"concurrency": True}, "concurrency"),
        ({"concurrency": "auto"}, "concurrency"),
        ({"ack": "always"}, "ack.*'manual'"),
        ({"ack": True}, "ack"),
        ({"block": 0}, "block"),
        ({"block": -1}, "block"),
        ({"block": None}, "block"),
        ({"grace": -1}, "grace"),
        ({"grace": "x"}, "grace"),
        ({"connect_timeout": -1}, "connect_timeout"),
        ({"connect_timeout": float("inf")}, "connect_timeout"),
        ({"handlers": {1: handler}}, "type to listen to"),
        ({"handlers": {"a": None}}, "'a'"),
        ({"concurency": 2}, "concurency"),
    ],
)
async def test_a_bad_setting_of_a_member_is_refused_by_name(w: World, options: Any, named: str) -> None:
    with pytest.raises((TypeError, ValueError), match=named):
        w.member(**options)


@pytest.mark.parametrize("name", ["", None, 5, b"x", "\ud800", "x" * 70_000])
async def test_an_empty_or_impossible_name_is_refused(w: World, name: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="topic name"):
        Topic(name, w.client())
    with pytest.raises((TypeError, ValueError), match="group name"):
        w.topic().group(name)
    if name is not None:  # a member without a name gets one
        with pytest.raises((TypeError, ValueError), match="member id"):
            w.member(id=name)


async def test_the_name_of_the_parking_consumer_is_reserved(w: World) -> None:
    with pytest.raises(ValueError, match="~waiting"):
        w.member(id="~waiting")


@pytest.mark.parametrize("which", ["pipeline", 5, "not a client", b"redis://", object()])
async def test_what_is_no_client_is_refused(w: World, which: Any) -> None:
    client = w.client().pipeline() if which == "pipeline" else which
    with pytest.raises((TypeError, ValueError), match=r"pipeline|client|URL"):
        Topic("orders", client)


async def test_a_pipeline_is_named_as_what_it_is(w: World) -> None:
    with pytest.raises(TypeError, match="is a pipeline; give the topic the client"):
        Topic("orders", w.client().pipeline())


@pytest.mark.parametrize("url", ["http://localhost", "", "redis//localhost"])
async def test_a_url_of_no_known_scheme_is_refused(w: World, url: str) -> None:
    with pytest.raises(ValueError, match=r"redis://|URL"):
        from_url(url, asyncio=w.asyncio)  # type: ignore[call-overload]


async def test_a_group_needs_a_topic_and_a_member_a_group(w: World) -> None:
    topic = w.topic()
    with pytest.raises(TypeError, match="topic must be a Topic"):
        ConsumerGroupTopic("orders", "g")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="ConsumerGroupTopic"):
        ConsumerGroupMember(topic, "m")


# -- arguments of what reads and looks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"start": "x"}, "start"),
        ({"start": "$"}, "start"),
        ({"end": None}, "end"),
        ({"count": -1}, "count"),
        ({"count": 1.5}, "count"),
        ({"count": True}, "count"),
    ],
)
async def test_a_bad_bound_of_a_replay_is_refused_at_once(w: World, arguments: Any, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        w.topic().replay(**arguments)


@pytest.mark.parametrize("start", ["x", None, "+", -1])
async def test_a_bad_start_of_a_tail_is_refused_at_once(w: World, start: Any) -> None:
    with pytest.raises(ValueError, match="start"):
        w.topic().tail(start)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"maxlen": -1}, "maxlen"),
        ({"maxlen": "5"}, "maxlen"),
        ({"max_age": -1}, "max_age"),
        ({"max_age": "1"}, "max_age"),
        ({"minid": "x"}, "minid"),
        ({"minid": "-"}, "minid"),
        ({"minid": "(5-1"}, "minid"),
        ({"acked": True, "ignore": "group"}, "ignore"),
        ({}, "maxlen, max_age and minid"),
    ],
)
async def test_a_bad_limit_of_a_trim_is_refused(w: World, arguments: Any, named: str) -> None:
    topic = w.topic()
    w.raw.xadd(topic.name, {"type": "t"})
    with pytest.raises((TypeError, ValueError), match=named):
        await w.do(topic.trim(**arguments))
    assert w.raw.xlen(topic.name) == 1


@pytest.mark.parametrize("where", ["x", "", ">", -1, 1.5, b"0", "(5-1"])
async def test_a_bad_position_of_a_group_is_refused(w: World, where: Any) -> None:
    group = w.group()
    with pytest.raises(ValueError, match="start"):
        await w.do(group.create(where))
    with pytest.raises(ValueError, match="position"):
        await w.do(group.seek(where))
    assert not w.raw.exists(group.topic.name)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"idle": -1}, "idle"), ({"idle": "x"}, "idle"), ({"count": -1}, "count"), ({"count": "5"}, "count")],
)
async def test_a_bad_filter_of_pending_is_refused(w: World, arguments: Any, named: str) -> None:
    with pytest.raises((TypeError, ValueError), match=named):
        await w.do(w.group().pending(**arguments))


@pytest.mark.parametrize(
    ("n", "timeout", "named"),
    [(0, 1, "n must"), (-1, 1, "n must"), (1.5, 1, "n must"), (True, 1, "n must"), (1, -1, "timeout"), (1, "x", "timeout")],
)
async def test_a_bad_argument_of_read_is_refused_and_the_member_stays_free(w: World, n: Any, timeout: Any, named: str) -> None:
    member = w.member()
    with pytest.raises((TypeError, ValueError), match=named):
        await w.do(member.read(n, timeout=timeout))
    assert await w.do(member.read(1, timeout=0)) == []


# -- listeners and loops ---------------------------------------------------------------------------------------------------------------------


async def test_listening_without_a_listener_is_refused(w: World) -> None:
    member = w.member()
    for listen in (member.connect_and_listen, member.drain):
        with pytest.raises(ValueError, match="nothing listens"):
            await w.do(listen())
    assert not w.raw.exists(member.group.topic.name)


@pytest.mark.parametrize("bad", [None, 5, "handler"])
async def test_a_listener_must_be_callable(w: World, bad: Any) -> None:
    for emitter in (w.group(), w.member()):
        for add in (emitter.add_listener, lambda event, f, on=emitter: on._add_event_handler(event, f, f)):
            with pytest.raises(TypeError, match="callable"):
                add("a", bad)


@pytest.mark.parametrize("event", [None, 5, b"a"])
async def test_a_listened_type_must_be_text(w: World, event: Any) -> None:
    with pytest.raises(TypeError, match="type to listen to"):
        w.member().on(event, handler)


async def test_a_listener_that_is_not_there_cannot_be_removed(w: World) -> None:
    with pytest.raises(KeyError):
        w.member().remove_listener("a", handler)


async def test_a_lifecycle_event_that_does_not_exist_is_refused(w: World) -> None:
    with pytest.raises(ValueError, match="'ready' is no lifecycle event.*started"):
        w.member().lifecycle.on("ready", handler)


async def test_two_loops_at_once_are_refused(w: World) -> None:
    member = w.member()
    await w.do(member.group.topic.publish_many([("t", {})] * 3))
    first, second = w.loop(member), w.loop(member)
    assert (await w.next(first)).type == "t"
    with pytest.raises(RuntimeError, match="iterating already.*clone"):
        await w.next(second)
    assert (await w.next(first)).type == "t"
    del second
    assert (await w.next(first)).type == "t"


async def test_a_loop_or_a_read_while_listening_is_refused(w: World) -> None:
    member = w.member(handlers={"*": handler})
    async with w.listening(member):
        await w.until(lambda: member._user)
        with pytest.raises(RuntimeError, match="listening already"):
            await w.next(w.loop(member))
        for use in (lambda: member.read(1), member.drain, member.connect_and_listen):
            with pytest.raises(RuntimeError, match="listening already"):
                await w.do(use())


async def test_listening_while_a_loop_runs_is_refused(w: World) -> None:
    member = w.member(handlers={"*": handler})
    await w.do(member.group.topic.publish("t"))
    loop = w.loop(member)
    await w.next(loop)
    with pytest.raises(RuntimeError, match="iterating already"):
        await w.do(member.connect_and_listen())
    del loop


async def test_a_closed_member_cannot_be_used(w: World) -> None:
    member = w.member(handlers={"*": handler})
    await w.do(member.close())
    for use in (member.connect, member.connect_and_listen, lambda: member.read(1), member.drain):
        with pytest.raises(RuntimeError, match="is closed; use clone"):
            await w.do(use())


# -- the wrong keyword -----------------------------------------------------------------------------------------------------------------------


def loops(w: World) -> list[Any]:
    """All that can be looped over."""
    group = w.group()
    return [w.member(group), group, group.topic.replay(), group.topic.tail()]


async def test_the_wrong_for_names_the_right_one(w: World) -> None:
    wrong, right = (iter, "async for") if w.asyncio else (aiter, "for")
    for each in loops(w):
        with pytest.raises(TypeError, match=f"write `{right}"):
            wrong(each)


async def test_the_wrong_with_names_the_right_one(w: World) -> None:
    for each in (w.member(), w.topic()):
        if w.asyncio:
            with pytest.raises(TypeError, match="write `async with"), each:
                pass
        else:
            with pytest.raises(TypeError, match="write `with`"):
                async with each:
                    pass


@pytest.mark.parametrize("w", ["blocking-embedded", "blocking-real"], indirect=True)
async def test_awaiting_a_blocking_operation_is_refused_before_it_runs(w: World) -> None:
    topic = w.topic()
    with pytest.raises(TypeError, match=r"write `….publish\(\)` instead of `await ….publish\(\)`"):
        await topic.publish("t")
    with pytest.raises(TypeError, match=r"redis\.asyncio\.Redis"):
        await w.group(topic).create()
    assert not w.raw.exists(topic.name)


class Callable:
    """An object whose call is a coroutine."""

    async def __call__(self, message: Any) -> None:
        """Does nothing."""


async def coroutine(message: Any) -> None:
    """Does nothing."""


@pytest.mark.parametrize("listener", [coroutine, Callable(), functools.partial(coroutine)])
async def test_a_coroutine_handler_of_a_blocking_object_is_refused(w: World, listener: Any) -> None:
    if w.asyncio:
        w.member().on("a", listener)
        return
    group = w.group()
    for emitter in (group, w.member(group)):
        for add in (emitter.on, emitter.once):
            with pytest.raises(TypeError, match=r"plain `def`.*redis\.asyncio\.Redis"):
                add("a", listener)
    with pytest.raises(TypeError, match="plain `def`"):
        w.member(group, handlers={"a": listener})
    assert not group.any_listener()


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_an_awaitable_that_a_blocking_handler_returns_is_a_failure(w: World, concurrency: int) -> None:
    group = w.group(retry=RetryPolicy(backoff=(20, 20)))
    member, faults, ran = w.member(group, concurrency=concurrency), [], []

    async def work(message: Any) -> None:
        ran.append(message.id)

    member.on("a", lambda message: work(message))
    member.lifecycle.on("failed", lambda event: faults.append(event.error))
    async with w.listening(member):
        await w.do(group.topic.publish("a"))
        await w.until(lambda: ran or faults)
    if w.asyncio:
        assert (len(ran), faults, w.pending(group)) == (1, [], [])
    else:
        assert (ran, len(w.pending(group))) == ([], 1)
        with pytest.raises(TypeError, match=r"awaitable on a blocking member.*asyncio"):
            raise faults[0]


async def test_a_thread_is_for_plain_functions_of_asyncio_objects(w: World) -> None:
    member = w.member()
    if w.asyncio:
        with pytest.raises(TypeError, match="coroutine function"):
            member.on("a", coroutine, thread=True)
    else:
        with pytest.raises(TypeError, match="concurrency"):
            member.on("a", handler, thread=True)


@pytest.mark.parametrize("w", ["asyncio-embedded", "asyncio-real"], indirect=True)
async def test_a_topic_of_another_open_event_loop_is_refused(w: World) -> None:
    topic = w.topic()
    await topic.publish("t")
    with pytest.raises(RuntimeError, match="second event loop"):
        await asyncio.to_thread(lambda: asyncio.run(topic.length()))


# -- a key of another type ---------------------------------------------------------------------------------------------------------------------


async def test_a_key_that_is_no_stream_is_a_setup_error_that_names_it(w: World) -> None:
    group = w.group()
    topic = group.topic
    w.raw.set(topic.name, "a string")
    member = w.member(group, handlers={"*": handler})
    uses = [
        lambda: topic.publish("t"), topic.length, lambda: topic.delete("1-1"), lambda: topic.trim(maxlen=1),
        group.create, group.connect, member.connect, member.connect_and_listen, member.drain, lambda: member.read(1),
    ]  # fmt: skip
    for use in uses:
        with pytest.raises(SetupError, match=f"{topic.name}.*something else than a stream"):
            await w.do(use())
    assert w.raw.get(topic.name) == "a string"


async def test_a_key_that_is_no_stream_stops_publishing_many_by_name(w: World) -> None:
    topic = w.topic()
    w.raw.set(topic.name, "a string")
    with pytest.raises(PublishStopped, match=topic.name) as caught:
        await w.do(topic.publish_many([("t", {})]))
    assert isinstance(caught.value.__cause__, SetupError)
    assert (caught.value.ids, caught.value.index) == ([], 0)


async def test_a_key_that_is_no_stream_cannot_be_replayed(w: World) -> None:
    topic = w.topic()
    w.raw.set(topic.name, "a string")
    with pytest.raises(SetupError, match=topic.name):
        await w.next(w.loop(topic.replay()))
