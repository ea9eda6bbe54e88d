"""CloudEvents in binary content mode: what stands on the wire, what is filled in, what is read, what is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from streamio import CloudEventsCodec, FlatCodec, JSONCodec, StreamersonCodec, Undecodable

from ..world import World
from .foreign import add, standing

ODD = b"\xff\x00\xc3("
CODEC = CloudEventsCodec("/orders")
EVENT = {"ce_specversion": "1.0", "ce_id": "A-1", "ce_source": "https://shop.example/orders", "ce_type": "com.example.order.placed"}
TIME = {"ce_time": "2026-11-20T10:00:00Z"}


def fields(*more: tuple[str | bytes, str | bytes], **changed: str | bytes | None) -> list[tuple[bytes, bytes]]:
    """The event's pairs as another producer writes them; None leaves one out."""
    found = [*{**EVENT, **changed}.items(), *more]
    return [(encoded(name), encoded(value)) for name, value in found if value is not None]


def encoded(word: str | bytes) -> bytes:
    """The word in bytes."""
    return word if isinstance(word, bytes) else word.encode()


# -- writing ----------------------------------------------------------------------------------------------------------------------------


def test_an_event_stands_on_the_wire_as_the_kafka_binding_has_it() -> None:
    given = {**EVENT, **TIME, "ce_subject": "A-17", "tenant": "eu", "traceparent": "00-1"}
    assert CODEC.write("com.example.order.placed", {"größe": 1, "deep": [None]}, given) == [
        (b"type", b"com.example.order.placed"),
        (b"ce_specversion", b"1.0"),
        (b"ce_id", b"A-1"),
        (b"ce_source", b"https://shop.example/orders"),
        (b"ce_type", b"com.example.order.placed"),
        (b"ce_time", b"2026-11-20T10:00:00Z"),
        (b"ce_subject", b"A-17"),
        (b"content-type", b"application/json"),
        (b"header:tenant", b"eu"),
        (b"traceparent", b"00-1"),
        (b"data", '{"größe":1,"deep":[null]}'.encode()),
    ]


def test_what_an_event_must_have_is_filled_in() -> None:
    before = datetime.now(UTC)
    first, second = (CODEC.read(CODEC.write("t", None, headers)) for headers in (None, {}))
    assert (first.type, first.data) == ("t", None)
    assert {name: first.headers[name] for name in ("ce_specversion", "ce_source", "ce_type")} == {
        "ce_specversion": "1.0", "ce_source": "/orders", "ce_type": "t",
    }  # fmt: skip
    assert UUID(first.headers["ce_id"]) != UUID(second.headers["ce_id"])
    assert first.headers["ce_time"].endswith("Z")
    assert before <= datetime.fromisoformat(first.headers["ce_time"]) <= datetime.now(UTC)


def test_who_waits_for_a_reply_is_seen_by_members_without_this_codec() -> None:
    assert CODEC.write("t", None, {"tenant": "eu", "reply_to": "out"})[0] == (b"header:reply_to", b"out")


@pytest.mark.parametrize(
    ("value", "spelt"),
    [
        (True, "true"),
        (False, "false"),
        (-(2**31), "-2147483648"),
        (ODD, "/wDDKA=="),
        ("größe 🌊", "größe 🌊"),
        ("", ""),
        (datetime(2026, 11, 20, 10, tzinfo=UTC), "2026-11-20T10:00:00Z"),
        (datetime(2026, 11, 20, 10, 0, 0, 5, tzinfo=timezone(timedelta(hours=-3, minutes=-30))), "2026-11-20T10:00:00.000005-03:30"),
    ],
)
def test_attributes_are_spelt_as_the_specification_says(value: Any, spelt: str) -> None:
    assert (b"ce_extension1", spelt.encode()) in CODEC.write("t", None, {"ce_extension1": value})


@pytest.mark.parametrize(
    ("data", "content_type", "expected", "word"),
    [
        ({"n": 1}, None, "application/json", b'{"n":1}'),
        ("text", None, "application/json", b'"text"'),
        (0, None, "application/json", b"0"),
        ([1], "application/vnd.order+json", "application/vnd.order+json", b"[1]"),
        ("grün", "text/plain", "text/plain", "grün".encode()),
        ("grün", 'Text/CSV; Charset="latin-1"', 'Text/CSV; Charset="latin-1"', "grün".encode("latin-1")),
        (ODD, None, "application/octet-stream", ODD),
        (ODD, "image/png", "image/png", ODD),
        (b"<a/>", "application/xml", "application/xml", b"<a/>"),
    ],
)
def test_data_is_written_and_read_as_its_content_type_says(data: Any, content_type: str | None, expected: str, word: bytes) -> None:
    written = CODEC.write("t", data, {} if content_type is None else {"content-type": content_type})
    assert dict(written)[b"content-type"] == expected.encode()
    assert written[-1] == (b"data", word)
    assert CODEC.read(written).data == data


def test_no_data_has_no_field_and_no_content_type_but_one_that_is_given() -> None:
    assert {b"data", b"content-type"}.isdisjoint(dict(CODEC.write("t", None, None)))
    assert dict(CODEC.write("t", None, {"content-type": "text/plain"}))[b"content-type"] == b"text/plain"


def test_the_content_type_of_all_may_be_another() -> None:
    codec = CloudEventsCodec("/logs", content_type="text/plain")
    assert codec.write("t", "line", None)[-1] == (b"data", b"line")
    assert codec.read(fields(("data", "line"))).data == "line"


@pytest.mark.parametrize(
    ("data", "headers", "error", "names"),
    [
        ({1, 2}, {}, TypeError, "data of content-type 'application/json' cannot be written as JSON"),
        (ODD, {"content-type": "application/json"}, TypeError, "cannot be written as JSON"),
        ("\ud800", {}, ValueError, "cannot be written as JSON"),
        ({}, {"content-type": "text/plain"}, TypeError, "'text/plain' must be str or bytes, not dict"),
        ("x", {"content-type": "image/png"}, TypeError, "'image/png' must be bytes, not str"),
        ("x", {"content-type": "text/plain; charset=klingon"}, ValueError, "unknown charset"),
        ("ü", {"content-type": "text/plain; charset=ascii"}, ValueError, "ascii"),
        ("x", {"content-type": "json"}, ValueError, "content-type must be a media type"),
        ("x", {"content-type": 7}, ValueError, "content-type must be a media type"),
        ("x", {"content-type": "application/CloudEvents+json"}, ValueError, "structured mode"),
        (None, {"ce_Subject": "x"}, ValueError, "'ce_Subject' is no CloudEvents attribute"),
        (None, {"ce_": "x"}, ValueError, "'ce_' is no CloudEvents attribute"),
        (None, {"ce_data": "x"}, ValueError, "'ce_data' is no CloudEvents attribute"),
        (None, {"ce_datacontenttype": "x"}, ValueError, "content-type"),
        (None, {"ce_subject": ""}, ValueError, "'ce_subject' must not be empty"),
        (None, {"ce_id": ""}, ValueError, "'ce_id' must not be empty"),
        (None, {"ce_subject": "a\nb"}, ValueError, "'ce_subject' holds"),
        (None, {"ce_subject": "\ud800"}, ValueError, "'ce_subject' holds"),
        (None, {"ce_subject": "\U0002ffff"}, ValueError, "'ce_subject' holds"),
        (None, {"ce_number": 2**31}, TypeError, "'ce_number' must be"),
        (None, {"ce_number": 1.5}, TypeError, "'ce_number' must be"),
        (None, {"ce_number": None}, TypeError, "'ce_number' must be"),
        (None, {"ce_time": datetime(2026, 11, 20)}, TypeError, "'ce_time' must be"),
        (None, {"ce_time": "20 November"}, ValueError, "RFC 3339"),
        (None, {"ce_type": "other"}, ValueError, "'ce_type' must be 't', not 'other'"),
        (None, {"ce_specversion": "0.3"}, ValueError, "'ce_specversion' must be '1.0'"),
        (None, {"tenant": None}, TypeError, "tenant"),
        (None, {7: "x"}, TypeError, "header names must be str"),
        (None, ["ce_id"], TypeError, "headers must be a mapping"),
    ],
)
def test_what_is_no_event_is_not_written(data: Any, headers: Any, error: type[Exception], names: str) -> None:
    with pytest.raises(error, match=names):
        CODEC.write("t", data, headers)


def test_an_event_without_a_type_is_not_written() -> None:
    with pytest.raises(ValueError, match="'ce_type' must not be empty"):
        CODEC.write("", None, None)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"source": ""}, "ce_source"),
        ({"source": None}, "ce_source"),
        ({"content_type": "json"}, "content-type"),
        ({"content_type": "application/cloudevents-batch+json"}, "structured"),
        ({"plain": "FlatCodec"}, "codec must be"),
        ({"plain": StreamersonCodec()}, "plain must be a codec for data"),
    ],
)
def test_an_option_that_is_none_is_refused_by_name(arguments: dict[str, Any], names: str) -> None:
    with pytest.raises((TypeError, ValueError), match=names):
        CloudEventsCodec(**{"source": "/orders", **arguments})


# -- reading ----------------------------------------------------------------------------------------------------------------------------


def test_an_event_of_another_producer_is_read() -> None:
    more = [("ce_partitionkey", "7"), ("content-type", "application/json; charset=utf-8"), ("header:tenant", "eu"), ("data", '{"n": 1}')]
    found = CODEC.read(fields(("other", "field"), *more, **TIME))
    headers = {**EVENT, **TIME, "ce_partitionkey": "7", "content-type": "application/json; charset=utf-8", "tenant": "eu"}
    assert found == ("com.example.order.placed", {"n": 1}, headers)


def test_text_is_read_in_the_charsets_that_producers_use() -> None:
    for name in "utf-8 UTF8 utf-16 UTF-16LE utf-16be utf-32 utf-32le utf-32be iso-8859-1 latin1 windows-1252 cp1250".split():
        event = fields(("content-type", f'text/plain; charset="{name}"'), ("data", "ö".encode(name)))
        assert CODEC.read(event).data == "ö", name
    assert CODEC.read(fields(("content-type", "text/plain;charset=US-ASCII"), ("data", "o"))).data == "o"


def test_the_type_is_that_of_the_event_and_not_the_field_beside_it() -> None:
    assert CODEC.read([(b"type", b"other"), *fields()]).type == "com.example.order.placed"


def test_what_the_event_says_is_not_overridden_by_headers_beside_it() -> None:
    more = [("content-type", "text/plain"), ("header:ce_type", "b"), ("header:content-type", "text/html"), ("header:tenant", "eu")]
    assert CODEC.read(fields(*more)).headers == {**EVENT, "content-type": "text/plain", "tenant": "eu"}


@pytest.mark.parametrize(
    ("entry", "type", "reason"),
    [
        (fields(ce_specversion=None), EVENT["ce_type"], "ce_specversion is missing or empty"),
        (fields(ce_specversion="0.3"), EVENT["ce_type"], "ce_specversion is '0.3', and only 1.0 is read"),
        (fields(ce_id=""), EVENT["ce_type"], "ce_id is missing or empty"),
        (fields(ce_source=None, ce_type=None), "", "ce_source, ce_type are missing or empty"),
        ([*fields(ce_type=None), (b"type", b"beside")], "beside", "ce_type is missing"),
        (fields(("ce_id", "A-2")), EVENT["ce_type"], "ce_id stands there twice"),
        (fields(ce_subject=ODD), EVENT["ce_type"], "ce_subject is not UTF-8"),
        (fields(("data", "{broken")), EVENT["ce_type"], "data of content-type 'application/json' is not JSON"),
        (fields(("content-type", "application/cloudevents+json"), ("data", "{}")), EVENT["ce_type"], "structured mode"),
        (fields(("content-type", "text/plain"), ("data", ODD)), EVENT["ce_type"], "utf-8"),
        (fields(("content-type", "text/plain; charset=klingon"), ("data", "x")), EVENT["ce_type"], "unknown charset"),
        (fields(("content-type", "text/plain; charset=punycode"), ("data", "x")), EVENT["ce_type"], "unknown charset"),
        (fields(("content-type", "text/plain; charset=unicode_escape"), ("data", "x")), EVENT["ce_type"], "unknown charset"),
        ([(b"content-type", b"application/cloudevents+json"), (b"data", b"{}")], "", "structured mode"),
        ([(b"type", b"t"), (b"a", b"1")], "t", "ce_specversion, ce_id, ce_source, ce_type are missing"),
    ],
)
def test_what_is_no_event_is_undecodable_and_says_why(entry: Any, type: str, reason: str) -> None:
    with pytest.raises(Undecodable, match=reason) as caught:
        CODEC.read(entry)
    assert caught.value.type == type


@pytest.mark.parametrize("codec", [FlatCodec(), JSONCodec("a")])
def test_a_topic_may_hold_plain_entries_too(codec: Any) -> None:
    both = CloudEventsCodec("/orders", plain=codec)
    entry = [(b"type", b"t"), (b"header:tenant", b"eu"), (b"a", b"1")]
    assert both.read(entry) == ("t", {"a": "1"} if isinstance(codec, FlatCodec) else 1, {"tenant": "eu"})
    assert both.read(fields(("data", "[]"))).data == []
    with pytest.raises(Undecodable):  # half an event is no plain entry
        both.read([*entry, (b"ce_id", b"1")])


# -- on a server ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_events_are_published_and_handled_by_their_type(w: World) -> None:
    group, seen = w.group(w.topic(codec=CODEC)), []
    await w.do(group.topic.publish("order.placed", {"n": 1}, headers={"ce_id": "A-1", "ce_subject": "A-17", **TIME}))
    await w.do(group.topic.publish_many([("order.paid", None), {"type": "order.placed", "n": 2}]))
    add(w, group.topic, "ce_specversion", "1.0", "ce_id", "1", "ce_source", "/x", "ce_type", "order.placed", "data", '{"n": 3}')
    member = w.member(group)
    member.on("order.placed", lambda message: seen.append((message["n"], message.headers["ce_source"], message.headers.get("ce_subject"))))
    assert await w.do(member.drain()) == 4
    assert seen == [(1, "/orders", "A-17"), (2, "/orders", None), (3, "/x", None)]
    assert standing(w, group.topic.name)[0] == [
        b"type", b"order.placed", b"ce_specversion", b"1.0", b"ce_id", b"A-1", b"ce_source", b"/orders", b"ce_type", b"order.placed",
        b"ce_time", b"2026-11-20T10:00:00Z", b"ce_subject", b"A-17", b"content-type", b"application/json", b"data", b'{"n":1}',
    ]  # fmt: skip


@pytest.mark.asyncio
async def test_consumers_that_know_no_events_find_their_handlers_by_the_field_type(w: World) -> None:
    await w.do(w.topic(codec=CODEC).publish("order.placed", {"n": 1}, headers={"tenant": "eu"}))
    member = w.member(w.group(w.topic()))
    (message,) = await w.do(member.read(1, timeout=0))
    assert (message.type, json.loads(message["data"]), message["ce_type"], message.headers) == (
        "order.placed", {"n": 1}, "order.placed", {"tenant": "eu"},
    )  # fmt: skip


@pytest.mark.asyncio
async def test_what_is_no_event_is_buried_with_the_reason_and_the_next_is_handled(w: World) -> None:
    group, seen = w.group(w.topic(codec=CODEC)), []
    add(w, group.topic, "type", "plain", "n", "1")
    await w.do(group.topic.publish("order.placed", {"n": 1}))
    member = w.member(group)
    member.on("*", lambda message: seen.append(message.type))
    await w.do(member.drain())
    (letter,) = [letter async for letter in w.each(group.dead_letters)]
    assert (seen, letter.reason, letter.type) == (["order.placed"], "undecodable", "plain")
    assert "ce_specversion" in letter.error


@pytest.mark.asyncio
async def test_an_event_is_published_on_as_the_same_event(w: World) -> None:
    source, target = w.topic("source", codec=CODEC), w.topic("target", codec=CloudEventsCodec("/audit"))
    await w.do(source.publish("order.placed", ODD, headers={"ce_subject": "A-17", "tenant": "eu"}))
    await w.do(target.publish_many([message async for message in w.each(source.replay())]))
    assert standing(w, target.name) == standing(w, source.name)


@pytest.mark.asyncio
@pytest.mark.parametrize("type", [None, dict], ids=["plain", "typed"])
async def test_an_event_is_written_on_under_another_type(w: World, type: Any) -> None:
    topic = w.topic(codec=CODEC, type=type)
    await w.do(topic.publish("a", {"n": 1}, headers={"ce_id": "A-1", "tenant": "eu"}))
    (message,) = [message async for message in w.each(topic.replay())]
    await w.do(topic.write(message, type="b"))
    first, copy = [message async for message in w.each(topic.replay())]
    assert (copy.type, copy.data) == ("b", {"n": 1})
    assert copy.headers == {**first.headers, "ce_type": "b"}


@pytest.mark.asyncio
async def test_a_request_is_an_event_and_its_reply_is_one(w: World) -> None:
    group = w.group(w.topic(codec=CODEC))
    member = w.member(group)
    member.on("order.placed", lambda message: {"total": message["n"] * 2})
    async with w.listening(member):
        assert await w.do(group.topic.request("order.placed", {"n": 2}, timeout=5)) == {"total": 4}
    assert dict(zip(standing(w, group.topic.name)[0][::2], standing(w, group.topic.name)[0][1::2]))[b"ce_type"] == b"order.placed"
