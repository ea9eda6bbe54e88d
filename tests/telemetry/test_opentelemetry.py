"""Traces and metrics: what is written, read and handled, and how it hangs together."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace import SpanKind, StatusCode

from streamio import CloudEventsCodec, RetryPolicy, Topic
from streamio.errors import PublishStopped
from streamio.telemetry import names
from streamio.telemetry.opentelemetry import instrument, uninstrument

from ..world import World
from .conftest import Telemetry, embedded

pytestmark = pytest.mark.asyncio


def parent_of(headers: Any) -> tuple[int, int]:
    """The trace and the span that `traceparent` names."""
    _, trace_id, span_id, _ = headers["traceparent"].split("-")
    return int(trace_id, 16), int(span_id, 16)


def ids(span: Any) -> tuple[int, int]:
    """The trace and the span that this one is."""
    return span.context.trace_id, span.context.span_id


def linked(span: Any) -> list[tuple[int, int]]:
    """The trace and the span of each link."""
    return [(link.context.trace_id, link.context.span_id) for link in span.links]


async def entries(w: World, topic: Any) -> list[Any]:
    """All that the stream holds."""
    return [message async for message in w.each(topic.replay())]


async def set_up(w: World, telemetry: Telemetry, **options: Any) -> tuple[Any, Any, Any]:
    """A topic, a group and a member; topic and group are instrumented."""
    topic = w.topic()
    group = w.group(topic, retry=RetryPolicy(max_deliveries=2, backoff=(0.01, 0.01), jitter=0))
    telemetry.instrument(topic, group, **options)
    return topic, group, w.member(group, "m")


# -- writing -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["publish", "write", "once"])
async def test_an_entry_carries_the_span_of_its_publication(w: World, telemetry: Telemetry, how: str) -> None:
    topic, *_ = await set_up(w, telemetry)
    if how == "write":
        given = await w.do(topic.write(("a", {"n": 1})))
    else:
        given = await w.do(topic.publish("a", n=1, **({"idempotency_key": "x"} if how == "once" else {})))
    (message,) = await entries(w, topic)
    span = telemetry.one("send")
    assert (span.name, span.kind) == (f"send {topic.name}", SpanKind.PRODUCER)
    assert parent_of(message.headers) == ids(span)
    assert dict(message.data) == {"n": "1"}
    assert dict(span.attributes) == {
        "messaging.system": "redis", "messaging.operation.name": "send", "messaging.operation.type": "send",
        "messaging.destination.name": topic.name, "messaging.message.id": given,
        **({} if w.embedded else {"server.address": "127.0.0.1", "server.port": w.port}),
    }  # fmt: skip
    assert w.raw.xrange(topic.name)[0][1].keys() == {"type", "n", "traceparent"}


@embedded
async def test_what_the_caller_gave_is_never_overwritten(w: World, telemetry: Telemetry) -> None:
    topic, *_ = await set_up(w, telemetry)
    given = {"traceparent": "00-11111111111111111111111111111111-2222222222222222-01", "x": "1"}
    await w.do(topic.publish("a", headers=given))
    assert (await entries(w, topic))[0].headers == given


@embedded
async def test_nothing_is_added_to_a_trace_that_the_caller_gave(w: World, telemetry: Telemetry) -> None:
    topic, *_ = await set_up(w, telemetry)
    given = {"traceparent": "00-11111111111111111111111111111111-2222222222222222-01"}
    other = trace.SpanContext(3, 4, True, trace.TraceFlags(1), trace.TraceState([("vendor", "x")]))
    with trace.use_span(trace.NonRecordingSpan(other)):
        await w.do(topic.publish("a", headers=given))
        await w.do(topic.publish("a"))
    first, second = await entries(w, topic)
    assert first.headers == given
    assert second.headers["tracestate"] == "vendor=x"


@embedded
async def test_a_span_of_the_callers_is_the_parent(w: World, telemetry: Telemetry) -> None:
    topic, *_ = await set_up(w, telemetry)
    with telemetry.tracer.start_as_current_span("outer"):
        await w.do(topic.publish("a"))
    assert ids(telemetry.one("outer"))[1] == telemetry.one("send").parent.span_id
    assert not trace.get_current_span().get_span_context().is_valid


@pytest.mark.parametrize("method", ["publish_many", "writelines"])
async def test_a_batch_is_one_span_that_all_its_entries_carry(w: World, telemetry: Telemetry, method: str) -> None:
    topic, *_ = await set_up(w, telemetry)
    await w.do(getattr(topic, method)([("a", {"n": 1}), {"type": "b", "n": 2}]))
    span = telemetry.one("send")
    assert (span.kind, span.attributes["messaging.batch.message_count"]) == (SpanKind.CLIENT, 2)
    assert [parent_of(message.headers) for message in await entries(w, topic)] == [ids(span)] * 2


@embedded
async def test_entries_of_a_batch_may_have_spans_of_their_own(w: World, telemetry: Telemetry) -> None:
    topic, *_ = await set_up(w, telemetry, creates=True)
    await w.do(topic.publish_many([("a", {"n": 1}), ("a", {"n": 2})]))
    created = telemetry.spans("create")
    assert [(span.kind, span.attributes["messaging.operation.type"]) for span in created] == [(SpanKind.PRODUCER, "create")] * 2
    assert [parent_of(message.headers) for message in await entries(w, topic)] == [ids(span) for span in created]
    assert linked(telemetry.one("send")) == [ids(span) for span in created]


@embedded
async def test_a_copied_message_keeps_its_trace(w: World, telemetry: Telemetry) -> None:
    topic, *_ = await set_up(w, telemetry)
    await w.do(topic.publish("a"))
    (message,) = await entries(w, topic)
    await w.do(topic.write(message))
    assert len({parent_of(message.headers) for message in await entries(w, topic)}) == 1


@embedded
async def test_a_failed_publication_says_what_went_wrong(w: World, telemetry: Telemetry) -> None:
    topic, *_ = await set_up(w, telemetry)
    with pytest.raises(TypeError):
        await w.do(topic.publish("a", n=[1]))
    with pytest.raises(PublishStopped):
        await w.do(topic.publish_many([("a", {}), ("a", {"n": [1]})]))
    one, many = telemetry.spans("send")
    assert (one.status.status_code, one.attributes["error.type"]) == (StatusCode.ERROR, "TypeError")
    assert (many.attributes["error.type"], many.attributes["messaging.batch.message_count"]) == ("streamio.errors.PublishStopped", 1)


async def test_a_delayed_entry_carries_its_trace_into_the_stream(w: World, telemetry: Telemetry) -> None:
    topic, _, member = await set_up(w, telemetry)
    await w.do(topic.publish("a", delay=0.02))
    seen: list[Any] = []
    member.on("a", lambda message: seen.append(message.headers))
    async with w.listening(member):
        await w.until(lambda: seen)
    span = telemetry.one("send")
    assert parent_of(seen[0]) == ids(span)
    assert "messaging.message.id" not in span.attributes


@embedded
async def test_whole_entries_carry_it_where_their_codec_has_headers(w: World, telemetry: Telemetry) -> None:
    topic = w.topic(codec=CloudEventsCodec("/test"))
    telemetry.instrument(topic)
    await w.do(topic.publish("a", {"n": 1}))
    (message,) = await entries(w, topic)
    assert parent_of(message.headers) == ids(telemetry.one("send"))


class B3(TextMapPropagator):
    """Another propagator's one header."""

    fields = {"b3"}

    def inject(self, carrier: Any, context: Any = None, setter: Any = None) -> None:
        found = trace.get_current_span(context).get_span_context()
        carrier["b3"] = f"{found.trace_id:032x}-{found.span_id:016x}-1"

    def extract(self, carrier: Any, context: Any = None, getter: Any = None) -> Any:
        trace_id, span_id, _ = carrier["b3"].split("-")
        found = trace.SpanContext(int(trace_id, 16), int(span_id, 16), True, trace.TraceFlags(1))
        return trace.set_span_in_context(trace.NonRecordingSpan(found), context)


@embedded
async def test_another_propagator_goes_by_headers(w: World, telemetry: Telemetry) -> None:
    topic, _, member = await set_up(w, telemetry, propagator=B3())
    await w.do(topic.publish("a"))
    assert "header:b3" in w.raw.xrange(topic.name)[0][1]
    member.on("a", lambda message: None)
    await w.do(member.drain())
    assert linked(telemetry.one("process")) == [ids(telemetry.one("send"))]


# -- reading and handling ------------------------------------------------------------------------------------------------------------------


async def handled(w: World, telemetry: Telemetry, member: Any, how: str) -> list[int]:
    """Handle one entry in this way, with a span of its own inside; the ids of the spans that were active then."""
    active: list[int] = []

    def work(message: Any) -> None:
        active.append(trace.get_current_span().get_span_context().span_id)
        with telemetry.tracer.start_as_current_span("inner"):
            assert message is not None

    async def work_asyncio(message: Any) -> None:
        await asyncio.sleep(0)
        work(message)

    match how:
        case "listener":
            member.on("a", work)
        case "coroutine":
            member.on("a", work_asyncio if w.asyncio else work)
        case "thread":
            member.on("a", work, **({"thread": True} if w.asyncio else {}))
        case "batch":
            member.on_batch(work, type="a", size=1)
        case "loop":
            async for message in w.each(member):
                work(message)
                member.stop()
            return active
        case "pipe":
            await w.do(member.pipe(work).drain())
            return active
    await w.do(member.drain())
    return active


@pytest.mark.parametrize(
    ("how", "concurrency"), [("listener", 1), ("listener", 2), ("coroutine", 1), ("thread", 2), ("batch", 1), ("batch", 2), ("loop", 1), ("pipe", 1)]
)
async def test_the_span_of_the_handling_is_linked_and_active(w: World, telemetry: Telemetry, how: str, concurrency: int) -> None:
    topic, group, _ = await set_up(w, telemetry)
    member = w.member(group, "m2", concurrency=concurrency)
    await w.do(topic.publish("a"))
    active = await handled(w, telemetry, member, how)
    send, process, inner = telemetry.one("send"), telemetry.one("process"), telemetry.one("inner")
    assert (process.name, process.kind) == (f"process {topic.name}", SpanKind.CONSUMER)
    assert linked(process) == [ids(send)]
    assert process.parent is None
    assert active == [process.context.span_id]
    assert inner.parent.span_id == process.context.span_id
    assert process.attributes["messaging.client.id"] == "m2"
    assert process.attributes["messaging.consumer.group.name"] == group.name
    assert process.attributes["messaging.message.id"] == send.attributes["messaging.message.id"]
    assert not trace.get_current_span().get_span_context().is_valid


@embedded
async def test_the_handling_is_a_child_where_that_is_asked_for(w: World, telemetry: Telemetry) -> None:
    topic, _, member = await set_up(w, telemetry, parent=True)
    await w.do(topic.publish("a"))
    await handled(w, telemetry, member, "listener")
    send, process = telemetry.one("send"), telemetry.one("process")
    assert (process.context.trace_id, process.parent.span_id) == ids(send)
    assert linked(process) == []


@embedded
async def test_a_foreign_entry_without_a_trace_has_no_link(w: World, telemetry: Telemetry) -> None:
    topic, _, member = await set_up(w, telemetry)
    w.raw.xadd(topic.name, {"type": "a"})
    await handled(w, telemetry, member, "listener")
    assert linked(telemetry.one("process")) == linked(telemetry.one("receive")) == []


async def test_each_try_that_fails_says_so(w: World, telemetry: Telemetry) -> None:
    topic, group, member = await set_up(w, telemetry)
    await w.do(topic.publish("a"))
    member.on("a", lambda message: {}["missing"])
    await w.do(member.drain())
    first, second = telemetry.spans("process")
    assert [span.status.status_code for span in (first, second)] == [StatusCode.ERROR] * 2
    assert first.attributes["error.type"] == "KeyError"
    assert [event.name for event in first.events] == ["exception"]
    (letter,) = [letter async for letter in w.each(group.dead_letters)]
    assert parent_of(letter.message.headers if hasattr(letter, "message") else letter.headers) == ids(telemetry.one("send"))


@embedded
async def test_a_handler_out_of_its_time_says_so(w: World, telemetry: Telemetry) -> None:
    topic, group, _ = await set_up(w, telemetry)
    member = w.member(group, "slow", handler_timeout=0.02)
    await w.do(topic.publish("a"))
    failed: list[Any] = []
    member.lifecycle.on("failed", failed.append)

    def wait(message: Any) -> None:
        while not failed:
            pass

    async def wait_asyncio(message: Any) -> None:
        await asyncio.sleep(10)

    member.on("a", wait_asyncio if w.asyncio else wait)
    await w.do(member.drain(retries=False))
    assert telemetry.spans("process")[0].attributes["error.type"] == "streamio.errors.HandlerTimeout"


async def test_a_read_is_a_span_with_a_link_for_each_message_and_empty_ones_are_none(w: World, telemetry: Telemetry) -> None:
    topic, group, _ = await set_up(w, telemetry)
    member = w.member(group, "m3", prefetch=10)
    await w.do(topic.publish("a"))
    await w.do(topic.publish("a"))
    messages = await w.do(member.read(2))
    await w.do(member.read(1, timeout=0))
    assert [message.ack() for message in messages] == [True, True]
    span = telemetry.one("receive")
    assert (span.name, span.kind) == (f"receive {topic.name}", SpanKind.CLIENT)
    assert linked(span) == [ids(send) for send in telemetry.spans("send")]
    assert span.attributes["messaging.batch.message_count"] == 2
    assert span.start_time <= span.end_time


async def test_a_claim_is_a_span_with_a_link_for_each_message(w: World, telemetry: Telemetry) -> None:
    topic = w.topic()
    group = w.group(topic, lease=0.3)
    telemetry.instrument(topic, group)
    await w.do(topic.publish("a"))
    await w.do(group.create())
    w.raw.xreadgroup(group.name, "dead", {topic.name: ">"})
    w.raw.xclaim(topic.name, group.name, "dead", 0, [w.raw.xrange(topic.name)[0][0]], idle=2000)
    if not w.embedded:
        await w.until(lambda: w.raw.xinfo_consumers(topic.name, group.name)[0]["idle"] > 300)
    member = w.member(group, "heir")
    member.on("a", lambda message: None)
    async with w.listening(member):
        await w.until(lambda: telemetry.spans("process"))
    span = telemetry.one("claim")
    assert (span.kind, span.attributes["messaging.operation.type"]) == (SpanKind.CLIENT, "receive")
    assert linked(span) == [ids(telemetry.one("send"))]


@embedded
async def test_acknowledgements_are_spans_where_that_is_asked_for(w: World, telemetry: Telemetry) -> None:
    topic, _, member = await set_up(w, telemetry, acks=True)
    await w.do(topic.publish("a"))
    await handled(w, telemetry, member, "listener")
    span = telemetry.one("ack")
    assert (span.name, span.kind, span.attributes["messaging.operation.type"]) == (f"ack {topic.name}", SpanKind.CLIENT, "settle")


@embedded
async def test_sizes_are_told_where_that_is_asked_for(w: World, telemetry: Telemetry) -> None:
    topic, _, member = await set_up(w, telemetry, payload_sizes=True)
    await w.do(topic.publish("a", name="Ada"))
    await handled(w, telemetry, member, "listener")
    assert [telemetry.one(name).attributes[names.SIZE] for name in ("send", "receive", "process")] == [7, 7, 7]


# -- on and on -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("iterated", [False, True])
async def test_outputs_of_a_pipe_carry_the_trace_on(w: World, telemetry: Telemetry, iterated: bool) -> None:
    topic, _, member = await set_up(w, telemetry)
    out = w.topic("out")
    await w.do(topic.publish("a", n=1))
    pipe = member.pipe(lambda message: dict(message.data), out)
    if iterated:
        async for _ in w.each(pipe):
            member.stop()
    else:
        await w.do(pipe.drain())
    (message,) = await entries(w, out)
    assert parent_of(message.headers) == ids(telemetry.one("process"))
    assert dict(message.data) == {"n": "1"}


@pytest.mark.parametrize("options", [{}, {"concurrency": 2}, {"handler_timeout": 5}])
async def test_a_request_and_its_reply_hang_together(w: World, telemetry: Telemetry, options: Any) -> None:
    topic, group, _ = await set_up(w, telemetry)
    member = w.member(group, "m4", **options)
    member.on("add", lambda message: {"sum": 3})
    async with w.listening(member):
        call = w.start(lambda: topic.request("add", a=1))
        assert await call == {"sum": "3"}
    request, process = telemetry.one("request"), telemetry.one("process")
    assert (request.name, request.kind, request.attributes["messaging.operation.type"]) == (f"request {topic.name}", SpanKind.PRODUCER, "send")
    assert linked(process) == [ids(request)]
    assert process.attributes["messaging.message.conversation_id"] == "1"


@embedded
async def test_a_reply_carries_the_trace_on(w: World, telemetry: Telemetry) -> None:
    topic, _, member = await set_up(w, telemetry)
    await w.do(topic.publish("add", headers={"reply_to": w.key("replies")}))
    member.on("add", lambda message: {"sum": 3})
    await w.do(member.drain())
    (_, fields) = w.raw.xrange(w.key("replies"))[0]
    assert parent_of(fields) == ids(telemetry.one("process"))


@embedded
async def test_members_of_several_groups_are_traced_by_group(w: World, telemetry: Telemetry) -> None:
    traced, other = w.group(w.topic("one")), w.group(w.topic("two"))
    telemetry.instrument(traced)
    for group in (traced, other):
        await w.do(group.topic.publish("a"))
    member = w.member([traced, other])
    member.on("a", lambda message: None)
    await w.do(member.drain())
    assert telemetry.one("process").name == f"process {traced.topic.name}"
    assert telemetry.one("receive").name == f"receive {traced.topic.name}"


# -- measuring ---------------------------------------------------------------------------------------------------------------------------------


@embedded
async def test_what_is_done_is_counted_and_measured(w: World, telemetry: Telemetry) -> None:
    topic, group, member = await set_up(w, telemetry, acks=True)
    await w.do(topic.publish_many([("a", {}), ("a", {}), ("b", {})]))
    member.on("a", lambda message: None)
    member.on("b", lambda message: {}["missing"])
    await w.do(member.drain(retries=False))
    assert [point.value for point in telemetry.measured(names.SENT)] == [3]
    assert sum(point.value for point in telemetry.measured(names.CONSUMED)) == 3
    facts = {point.attributes.get("error.type"): point.count for point in telemetry.measured(names.PROCESS_DURATION)}
    assert facts == {None: 2, "KeyError": 1}
    done = {point.attributes["messaging.operation.name"] for point in telemetry.measured(names.OPERATION_DURATION)}
    assert done == {"send", "receive", "ack"}
    point = telemetry.measured(names.PROCESS_DURATION)[0]
    assert point.explicit_bounds == names.BUCKETS
    assert "messaging.client.id" not in point.attributes


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ("", {"messaging.system"}),
        ("http", {"messaging.system"}),
        ("http, messaging", {"messaging.system.name"}),
        ("messaging/dup", {"messaging.system", "messaging.system.name"}),
    ],
)
async def test_the_environment_says_which_names_are_written(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch, chosen: str, expected: set[str]
) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", chosen)
    with Topic("named", "memory://named") as topic:
        telemetry.instrument(topic)
        topic.publish("a")
    attributes: Any = telemetry.one("send").attributes
    assert {name for name in attributes if name.startswith("messaging.system")} == expected


# -- putting it on and off ------------------------------------------------------------------------------------------------------------------------


@embedded
async def test_instrumenting_twice_is_instrumenting_once(w: World, telemetry: Telemetry) -> None:
    topic, group, member = await set_up(w, telemetry)
    telemetry.instrument(topic, group, member)
    await w.do(topic.publish("a"))
    await handled(w, telemetry, member, "listener")
    assert [len(telemetry.spans(name)) for name in ("send", "receive", "process")] == [1, 1, 1]


@embedded
async def test_what_is_not_instrumented_any_more_tells_nothing(w: World, telemetry: Telemetry) -> None:
    topic, group, member = await set_up(w, telemetry)
    telemetry.instrument(member)
    for obj in (topic, group, member, member):
        uninstrument(obj)
    await w.do(topic.publish("a"))
    await handled(w, telemetry, member, "listener")
    assert [span.name for span in telemetry.spans()] == ["inner"]
    assert "traceparent" not in w.raw.xrange(topic.name)[0][1]


@embedded
async def test_one_member_alone_may_be_instrumented(w: World, telemetry: Telemetry) -> None:
    topic = w.topic()
    group = w.group(topic)
    one, other = w.member(group, "one"), w.member(group, "other")
    telemetry.instrument(one)
    for member in (one, other):
        await w.do(topic.publish("a"))
        member.on("a", lambda message: None)
        await w.do(member.drain())
    assert [span.attributes["messaging.client.id"] for span in telemetry.spans("process")] == ["one"]


async def test_what_is_none_of_the_three_is_refused() -> None:
    with pytest.raises(TypeError, match="can be instrumented"):
        instrument(object())  # type: ignore[arg-type]


@embedded
async def test_an_exporter_that_raises_harms_nothing(w: World, telemetry: Telemetry, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(trace.NoOpTracer):
        def start_span(self, *args: Any, **kwargs: Any) -> Any:
            raise OSError("no exporter")

    topic, group, member = await set_up(w, telemetry)
    uninstrument(topic)
    for watch in group._watches:
        watch.tracer = Broken()
    await w.do(topic.publish("a"))
    seen: list[Any] = []
    member.on("a", seen.append)
    assert await w.do(member.drain()) == 1
    assert len(seen) == 1
    assert {record.name for record in caplog.records} == {"streamio.telemetry"}
