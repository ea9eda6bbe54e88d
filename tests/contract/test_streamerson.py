"""The streamerson wire, byte by byte and both ways: what a Node process adds is read for what it is, and what is written here it can read."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from streamio import FlatCodec, JSONCodec, RetryPolicy, StreamersonCodec, StreamersonTopic, Topic, from_url

from ..world import World
from .foreign import add, standing
from .gates import Failing

ODD = b"\xff\x00\xc3("
REQUEST = (b"m-1", b"join", b"game::DEFAULT::PRODUCER_OUTGOING", b"nil", b"json", b"node-7", b"UnoccupiedField", b'{"room":1}')
SEEN = {"correlation_id": "m-1", "reply_to": "game::DEFAULT::PRODUCER_OUTGOING", "source_id": "node-7", "protocol": "json"}
NAMED = (
    *(b"messageId", b"m-1", b"messageType", b"join", b"incomingStream", b"game::DEFAULT::PRODUCER_OUTGOING", b"messageHeaders", b"nil"),
    *(b"messageProtocol", b"json", b"messageSourceId", b"node-7", b"payload", b'{"room":1}'),
)


def pairs(words: tuple[bytes, ...]) -> list[tuple[bytes, bytes]]:
    """The words, two by two."""
    return list(zip(words[::2], words[1::2]))


def flat(found: list[tuple[bytes, bytes]]) -> tuple[bytes, ...]:
    """The words of the pairs."""
    return tuple(word for pair in found for word in pair)


def request(place: int | None = None, word: bytes = b"", words: tuple[bytes, ...] = REQUEST) -> list[tuple[bytes, bytes]]:
    """The request as it stands on the wire, with another word at this place."""
    changed = list(words)
    if place is not None:
        changed[place] = word
    return pairs(tuple(changed))


# -- reading ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [REQUEST, NAMED, NAMED[2:] + NAMED[:2]], ids=["positions", "names", "names in another order"])
def test_every_part_of_an_entry_is_read(words: tuple[bytes, ...]) -> None:
    assert StreamersonCodec().read(pairs(words)) == ("join", {"room": 1}, SEEN)


@pytest.mark.parametrize(
    ("message_id", "destination", "protocol"),
    [
        (b"json", b"out", b"json"),
        (b"out", b"out", b"json"),
        (b"text", b"text", b"text"),
        (b"UnoccupiedField", b"", b"json"),
        (b"type", b"out", b"json"),
    ],
)
def test_words_that_are_alike_are_still_read_by_their_positions(message_id: bytes, destination: bytes, protocol: bytes) -> None:
    found = StreamersonCodec().read([(message_id, b"join"), (destination, b'{"trace":"t"}'), (protocol, b"node-7"), (b"UnoccupiedField", b'"x"')])
    assert (found.type, found.data) == ("join", "x" if protocol == b"json" else '"x"')
    assert found.headers["correlation_id"] == message_id.decode()
    assert found.headers.get("reply_to", "") == destination.decode()
    assert (found.headers["protocol"], found.headers["source_id"], found.headers["trace"]) == (protocol.decode(), "node-7", "t")


@pytest.mark.parametrize(
    ("word", "headers"),
    [
        (b"nil", {}),
        (b"", {}),
        (b"null", {}),
        (b"{}", {}),
        (b'{"trace":"t","deep":{"n":[1,null]}}', {"trace": "t", "deep": {"n": [1, None]}}),
        ('{"größe":"é"}'.encode(), {"größe": "é"}),
        (b'{"source_id":"not me","correlation_id":2}', {}),
    ],
)
def test_the_headers_of_the_wire_stand_beside_what_its_positions_say(word: bytes, headers: dict[str, Any]) -> None:
    assert StreamersonCodec().read(request(3, word)).headers == {**headers, **SEEN}


@pytest.mark.parametrize("headers", [b"nil", b'{"reply_to":"their::stream"}'])
def test_an_empty_destination_is_none_whatever_the_headers_of_the_wire_hold(headers: bytes) -> None:
    (first, (_, _), *others) = request()
    assert "reply_to" not in StreamersonCodec().read([first, (b"", headers), *others]).headers


@pytest.mark.parametrize(
    ("protocol", "word", "data"),
    [
        (b"json", b"null", None),
        (b"json", b'[1.5,true,"x"]', [1.5, True, "x"]),
        (b"json", '"Zoë 🌊"'.encode(), "Zoë 🌊"),
        (b"json", b'"\\ud83c\\udf0a"', "🌊"),
        (b"text", b'{"not":"parsed"}', '{"not":"parsed"}'),
        (b"text", b"", ""),
        (b"text", "Zoë".encode(), "Zoë"),
        (b"text", ODD, ODD),
        (b"bson", ODD, ODD),
        (b"", b"as it is", "as it is"),
    ],
)
def test_the_payload_is_json_or_text_as_its_protocol_says(protocol: bytes, word: bytes, data: Any) -> None:
    parts = [*REQUEST[:4], protocol, REQUEST[5], REQUEST[6], word]
    assert StreamersonCodec().read(pairs(tuple(parts))).data == data


@pytest.mark.parametrize(
    ("fields", "type", "reason"),
    [
        (request(0, b""), "join", "messageId is empty"),
        (request(0, b"", NAMED), "", "4 pairs"),
        (request(7, b"{broken"), "join", "payload is not JSON"),
        (request(7, b""), "join", "payload is not JSON"),
        (request(7, b'"\xff"'), "join", "payload is not JSON"),
        (request(7, b"[" * 100_000), "join", "payload is not JSON"),
        (request(3, b"{nope"), "join", "messageHeaders is not JSON"),
        (request(3, b"[1]"), "join", "messageHeaders is no JSON object"),
        (request(13, b"{broken", NAMED), "join", "payload is not JSON"),
        (request(1, b"", NAMED), "join", "messageId is empty"),
        ([(b"type", b"order.placed"), (b"a", b"1")], "", "4 pairs"),
        ([*request(), (b"more", b"than")], "", "this entry has 5"),
    ],
)
def test_what_is_no_such_entry_is_undecodable_and_says_why(fields: Any, type: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        StreamersonCodec().read(fields)
    assert getattr(caught.value, "type", "") == type


# -- writing ----------------------------------------------------------------------------------------------------------------------------


def test_what_is_written_is_word_for_word_what_a_node_process_writes() -> None:
    assert flat(StreamersonCodec().write("join", {"room": 1}, SEEN)) == REQUEST
    assert flat(StreamersonCodec(names=True).write("join", {"room": 1}, SEEN)) == NAMED


@pytest.mark.parametrize(
    ("data", "headers", "expected"),
    [
        (None, {}, (b"", b"nil", b"json", b"py-1", b"UnoccupiedField", b"null")),
        ({"größe": "Zoë 🌊"}, {}, (b"", b"nil", b"json", b"py-1", b"UnoccupiedField", '{"größe":"Zoë 🌊"}'.encode())),
        ([1.5, True, None, 'x\n"'], {}, (b"", b"nil", b"json", b"py-1", b"UnoccupiedField", b'[1.5,true,null,"x\\n\\""]')),
        ("text", {"protocol": "text"}, (b"", b"nil", b"text", b"py-1", b"UnoccupiedField", b"text")),
        (ODD, {"protocol": "text"}, (b"", b"nil", b"text", b"py-1", b"UnoccupiedField", ODD)),
        ("x", {"source_id": "other", "reply_to": "out"}, (b"out", b"nil", b"json", b"other", b"UnoccupiedField", b'"x"')),
        ("x", {"trace": "t", "deep": {"n": [1]}}, (b"", b'{"trace":"t","deep":{"n":[1]}}', b"json", b"py-1", b"UnoccupiedField", b'"x"')),
        ("x", {"source_id": ""}, (b"", b"nil", b"json", b"", b"UnoccupiedField", b'"x"')),
    ],
)
def test_each_word_is_written_to_its_position(data: Any, headers: dict[str, Any], expected: tuple[bytes, ...]) -> None:
    codec = StreamersonCodec("py-1")
    written = codec.write("join", data, {"correlation_id": "m-1", **headers})
    assert flat(written) == (b"m-1", b"join", *expected)
    assert codec.read(written).data == data


def test_a_message_id_is_made_for_each_entry() -> None:
    codec = StreamersonCodec()
    ids = {codec.write("t", None, headers)[0][0].decode() for headers in (None, {}, {"trace": "t"})}
    assert len(ids) == 3
    assert all(UUID(made).version == 4 for made in ids)


def test_the_options_stand_for_headers_that_are_not_given() -> None:
    codec = StreamersonCodec("py-1", protocol="text")
    assert flat(codec.write("t", "x", {"correlation_id": 7})) == (b"7", b"t", b"", b"nil", b"text", b"py-1", b"UnoccupiedField", b"x")
    assert codec.write("t", {"n": 1}, {"protocol": "json"})[3][1] == b'{"n":1}'


@pytest.mark.parametrize(
    ("data", "headers", "error", "names"),
    [
        ({1, 2}, {}, TypeError, "data cannot be written as JSON"),
        (b"x", {}, TypeError, "data cannot be written as JSON"),
        (float("nan"), {}, ValueError, "data cannot be written as JSON"),
        ("\ud800", {}, ValueError, "data cannot be written as JSON"),
        ({"n": 1}, {"protocol": "text"}, TypeError, "data must be str or bytes with protocol 'text', not dict"),
        ("\ud800", {"protocol": "text"}, ValueError, "data"),
        ("x", {"protocol": "bson"}, ValueError, "protocol must be 'json' or 'text', not 'bson'"),
        ("x", {"correlation_id": ""}, ValueError, "correlation_id"),
        ("x", {"reply_to": ["out"]}, TypeError, "reply_to"),
        ("x", {"trace": b"bytes"}, TypeError, r"headers \(trace\)"),
        ("x", {7: "x"}, TypeError, "header names must be str"),
        ("x", ["trace"], TypeError, "headers must be a mapping"),
    ],
)
def test_what_cannot_be_written_is_refused_by_name(data: Any, headers: Any, error: type[Exception], names: str) -> None:
    with pytest.raises(error, match=names):
        StreamersonCodec().write("t", data, headers)


@pytest.mark.parametrize(
    "wrong",
    [{"source_id": 1}, {"protocol": "bson"}, {"protocol": None}, {"response_type": ""}, {"response_type": 1}, {"names": "yes"}],
)
def test_an_option_that_is_none_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError), match=next(iter(wrong))):
        StreamersonCodec(**wrong)


# -- replies ----------------------------------------------------------------------------------------------------------------------------


def asked(words: tuple[bytes, ...] = REQUEST) -> Any:
    """A message of these words."""
    fields = pairs(words)
    return SimpleNamespace(id="1-1", fields=fields, headers=StreamersonCodec().read(fields).headers)


def test_a_reply_has_the_id_and_source_of_its_request() -> None:
    reply = (b"m-1", b"resp", b"", b"nil", b"json", b"node-7", b"UnoccupiedField", b'{"ok":true}')
    assert flat(StreamersonCodec("py-1").reply(asked(), {"ok": True})) == reply
    assert flat(StreamersonCodec("py-1").reply(asked(), {"ok": True}, "welcome"))[1] == b"welcome"
    assert flat(StreamersonCodec(response_type="answer").reply(asked(), None))[1::6] == (b"answer", b"null")


def test_a_request_under_names_has_its_reply_under_names() -> None:
    reply = dict(StreamersonCodec().reply(asked(NAMED), [1]))
    assert reply == {
        b"messageId": b"m-1", b"messageType": b"resp", b"incomingStream": b"", b"messageHeaders": b"nil",
        b"messageProtocol": b"json", b"messageSourceId": b"node-7", b"payload": b"[1]",
    }  # fmt: skip


def test_a_reply_is_text_where_the_codec_writes_text() -> None:
    codec = StreamersonCodec(protocol="text")
    assert [flat(codec.reply(asked(), value))[4::3] for value in ("x", ODD, 7)] == [(b"text", b"x"), (b"text", ODD), (b"json", b"7")]


def test_a_reply_to_an_entry_of_another_wire_has_its_entrys_id_and_our_source() -> None:
    message = SimpleNamespace(id="1-1", fields=[(b"type", b"t")], headers={})
    assert flat(StreamersonCodec("py-1").reply(message, 1)) == (b"1-1", b"resp", b"", b"nil", b"json", b"py-1", b"UnoccupiedField", b"1")


# -- keys -------------------------------------------------------------------------------------------------------------------------------


def test_the_keys_are_those_of_the_node_processes() -> None:
    topic = StreamersonTopic("game")
    assert (topic.incoming, topic.outgoing) == ("game::DEFAULT::CONSUMER_INCOMING", "game::DEFAULT::PRODUCER_OUTGOING")
    assert StreamersonTopic("game", "chat").incoming == "game::chat::CONSUMER_INCOMING"
    assert topic.subtopic("lobby").subtopic("eu").outgoing == "game::DEFAULT(lobby)(eu)::PRODUCER_OUTGOING"


def test_a_shard_stands_in_both_keys_once() -> None:
    topic = StreamersonTopic("game", "chat", shard="7")
    assert (topic.incoming, topic.outgoing) == ("game::chat#7::CONSUMER_INCOMING", "game::chat#7::PRODUCER_OUTGOING")
    assert topic == StreamersonTopic("game", "chat").sharded("7")
    assert topic.subtopic("eu").incoming == "game::chat(eu)#7::CONSUMER_INCOMING"
    assert topic.sharded(None) == StreamersonTopic("game", "chat")


@pytest.mark.parametrize("wrong", [{"namespace": ""}, {"namespace": 1}, {"topic": ""}, {"shard": ""}, {"shard": 7}])
def test_a_part_of_a_key_that_is_none_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError), match=f"the {next(iter(wrong))} must"):
        StreamersonTopic(**{"namespace": "game", **wrong})


# -- on a server ------------------------------------------------------------------------------------------------------------------------


def chat(w: World, **options: Any) -> Any:
    """A group of a sharded topic on this wire."""
    topic = w.topic(StreamersonTopic("game", shard="7").incoming, codec=StreamersonCodec("py-1"))
    return w.group(topic, **options)


@pytest.mark.asyncio
async def test_handlers_get_what_node_processes_add(w: World) -> None:
    group, seen = chat(w), []
    add(w, group.topic, *REQUEST)
    add(w, group.topic, "json", "join", "json", '{"trace":"t"}', "json", "json", "json", "[]")  # three names alike
    add(w, group.topic, "m-3", "leave", "", "nil", "text", "", "UnoccupiedField", ODD)
    add(w, group.topic, *NAMED)
    member = w.member(group)
    member.on("join", lambda message: seen.append((message.type, message.data, message.headers)))
    member.on("leave", lambda message: seen.append((message.type, message.data, message.headers)))
    assert await w.do(member.drain()) == 4
    assert seen == [
        ("join", {"room": 1}, SEEN),
        ("join", [], {"correlation_id": "json", "reply_to": "json", "source_id": "json", "protocol": "json", "trace": "t"}),
        ("leave", ODD, {"correlation_id": "m-3", "source_id": "", "protocol": "text"}),
        ("join", {"room": 1}, SEEN),
    ]
    assert w.pending(group) == []


@pytest.mark.asyncio
async def test_what_is_published_stands_in_the_stream_byte_for_byte(w: World) -> None:
    topic = chat(w).topic
    await w.do(topic.publish("join", {"name": "Zoë"}, room=1, headers={"correlation_id": "m-1", "reply_to": "m-1", "trace": "t"}))
    await w.do(topic.publish_many([("ping", None), {"type": "pong", "n": 2}]))
    first, second, third = standing(w, topic.name)
    assert first == [b"m-1", b"join", b"m-1", b'{"trace":"t"}', b"json", b"py-1", b"UnoccupiedField", '{"name":"Zoë","room":1}'.encode()]
    assert second[1:] == [b"ping", b"", b"nil", b"json", b"py-1", b"UnoccupiedField", b"null"]
    assert third[1:] == [b"pong", b"", b"nil", b"json", b"py-1", b"UnoccupiedField", b'{"n":2}']
    found = [(message.type, message.data) async for message in w.each(topic.replay())]
    assert found == [("join", {"name": "Zoë", "room": 1}), ("ping", None), ("pong", {"n": 2})]


@pytest.mark.asyncio
async def test_an_entry_that_is_none_of_this_wire_is_buried_and_the_next_is_handled(w: World) -> None:
    group, seen = chat(w), []
    add(w, group.topic, "type", "order.placed", "n", "1")
    add(w, group.topic, *REQUEST[:7], b"{broken")
    add(w, group.topic, *REQUEST)
    member = w.member(group)
    member.on("*", lambda message: seen.append(message.type))
    told = []
    member.lifecycle.on("buried", lambda event: told.append((event.message.type, dict(event.message.headers))))
    await w.do(member.drain())
    assert (seen, told) == (["join"], [("", {}), ("join", SEEN)])
    foreign, broken = [letter async for letter in w.each(group.dead_letters)]
    assert (foreign.reason, foreign.type, foreign.fields) == ("undecodable", "", [(b"type", b"order.placed"), (b"n", b"1")])
    assert (broken.reason, broken.type, broken.headers, broken.fields) == ("undecodable", "join", SEEN, request(7, b"{broken"))
    assert "payload" in broken.error
    with pytest.raises(ValueError, match="payload is not JSON"):
        _ = broken.data


@pytest.mark.asyncio
async def test_what_is_tried_again_or_redriven_is_read_as_at_first(w: World) -> None:
    group, tries = chat(w, retry=RetryPolicy(max_deliveries=2, backoff=(0, 0))), Failing(2)
    seen: list[Any] = []
    entry_id = add(w, group.topic, *REQUEST)

    def handle(message: Any) -> None:
        seen.append((message.type, message.data, message.headers, message.deliveries))
        tries(message)

    member = w.member(group)
    member.on("join", handle)
    await w.do(member.drain())
    (letter,) = [letter async for letter in w.each(group.dead_letters)]
    assert (letter.type, letter["room"], letter.headers, letter.reason) == ("join", 1, SEEN, "failed")
    await w.do(group.topic.delete(entry_id))
    assert len((await w.do(group.dead_letters.redrive())).copied) == 1
    await w.do(member.drain())
    assert seen == [("join", {"room": 1}, SEEN, deliveries) for deliveries in (1, 2, 1)]
    (copy,) = [message async for message in w.each(group.topic.replay())]  # with the mark of its group before it
    assert (copy.type, copy.data, len(copy.fields)) == ("join", {"room": 1}, 5)


@pytest.mark.asyncio
async def test_loops_and_batches_get_them_too(w: World) -> None:
    group, lists = chat(w), []
    for number in range(3):
        add(w, group.topic, *REQUEST[:7], str(number))
    member = w.member(group)
    async with w.block(member):
        loop = w.loop(member)
        message = await w.next(loop)
        assert (message.type, message.data, message.group) == ("join", 0, "group")
        with pytest.raises(AttributeError, match="no_such"):
            _ = message.no_such
        message.ack()
        del loop
    other = w.member(group)
    other.on_batch(lambda messages: lists.append([message.data for message in messages]), size=2, type="join")
    await w.do(other.drain())
    assert lists == [[1, 2]]


@pytest.mark.asyncio
async def test_messages_are_published_on_to_topics_of_other_codecs(w: World) -> None:
    source = chat(w).topic
    add(w, source, *REQUEST[:3], b'{"trace":"t"}', *REQUEST[4:])
    messages = [message async for message in w.each(source.replay())]
    for codec in (FlatCodec(), JSONCodec()):
        target = w.topic(type(codec).__name__, codec=codec)
        await w.do(target.publish_many(messages))
        (found,) = [message async for message in w.each(target.replay())]
        assert (found.type, str(found["room"]), found.headers) == ("join", "1", {"trace": "t", "source_id": "node-7", "protocol": "json"})


# -- replies on a server ----------------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_what_a_handler_returns_is_the_reply_where_a_node_process_awaits_it(w: World) -> None:
    keys = StreamersonTopic(w.name, "chat", "7")
    group = w.group(w.topic(keys.incoming, codec=StreamersonCodec("py-1")))
    add(w, group.topic, b"m-1", b"join", keys.outgoing, *REQUEST[3:])
    add(w, group.topic, b"m-2", b"leave", keys.outgoing, *REQUEST[3:])
    member = w.member(group)
    member.on("join", lambda message: {"welcome": message["room"]})
    member.on("leave", lambda message: None)
    await w.do(member.drain())
    assert standing(w, keys.outgoing) == [
        [b"m-1", b"resp", b"", b"nil", b"json", b"node-7", b"UnoccupiedField", b'{"welcome":1}'],
        [b"m-2", b"resp", b"", b"nil", b"json", b"node-7", b"UnoccupiedField", b"null"],
    ]
    assert w.pending(group) == []


@pytest.mark.asyncio
async def test_a_member_that_replies_to_a_topic_does_so_where_no_destination_is_given(w: World) -> None:
    outgoing = w.topic("outgoing", codec=StreamersonCodec("py-1", response_type="answer"))
    group = chat(w)
    add(w, group.topic, *REQUEST[:2], "", *REQUEST[3:])
    member = w.member(group, reply_to=outgoing)
    member.on("join", lambda message: "welcome")
    await w.do(member.drain())
    assert standing(w, outgoing.name) == [[b"m-1", b"answer", b"", b"nil", b"json", b"node-7", b"UnoccupiedField", b'"welcome"']]


@pytest.mark.asyncio
async def test_a_request_over_this_wire_is_answered(w: World) -> None:
    group = chat(w)
    member = w.member(group)
    member.on("join", lambda message: {"welcome": message["room"]})
    async with w.listening(member):
        assert await w.do(group.topic.request("join", {"room": 1}, timeout=5)) == {"welcome": 1}
    ((message_id, type, destination, *_),) = standing(w, group.topic.name)
    ((replied, resp, *_),) = standing(w, destination.decode())
    assert (type, resp, replied) == (b"join", b"resp", message_id)


@pytest.mark.asyncio
async def test_a_request_is_answered_by_a_process_that_replies_at_its_own_place(w: World) -> None:
    keys, client = StreamersonTopic(w.name), w.client()
    codec = StreamersonCodec(source_id="py-1")
    incoming, outgoing = Topic(keys.incoming, client, codec=codec), Topic(keys.outgoing, client, codec=codec)
    w.things += [incoming, outgoing]
    add(w, outgoing, *REQUEST)  # what stood there before is nobody's
    for n in range(2):
        awaited = w.start(lambda n=n: incoming.request("join", {"n": n}, reply_to=outgoing))
        (words,) = await w.until(lambda n=n: standing(w, incoming.name)[n:])
        assert words[1:6] == [b"join", outgoing.name.encode(), b"nil", b"json", b"py-1"]
        add(w, outgoing, b"m-9", b"resp", b"", b"nil", b"json", b"another", b"UnoccupiedField", b"{}")
        add(w, outgoing, words[0], b"resp", b"", b"nil", b"json", words[5], b"UnoccupiedField", b'{"you":%s}' % words[7])
        assert await awaited == {"you": {"n": n}}
    assert len(standing(w, outgoing.name)) == 5  # and nothing is trimmed there


@pytest.mark.asyncio
async def test_a_request_that_awaits_its_reply_on_another_server_is_refused(w: World) -> None:
    elsewhere = Topic("x", from_url(f"memory://{w.name}-elsewhere", asyncio=w.asyncio))  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="on the same server"):
        await w.do(w.topic().request("a", reply_to=elsewhere))
    await w.do(elsewhere.close())
