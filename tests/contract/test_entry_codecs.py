"""Codecs that own the whole entry: what they need to be, when they are asked, and what becomes of what they cannot read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest

from streamio import CloudEventsCodec, EntryCodec, Envelope, StreamersonCodec, Topic, TypedCodec, Undecodable

from ..world import World
from .foreign import add, standing


@dataclass
class Order:
    """What a typed topic holds."""

    number: int
    placed: date


class Lines:
    """One line of an entry: `LEVEL text`, in the field `line`. `reads` are the lines it was asked for."""

    cannot_fail = False

    def __init__(self) -> None:
        self.reads: list[str] = []

    def write(self, type: str, data: Any, headers: Mapping[str, Any] | None) -> Iterable[tuple[bytes, bytes]]:
        if not isinstance(data, str):
            raise TypeError(f"a line must be str, not {data!r}")
        yield b"line", f"{type} {data}".encode()

    def read(self, fields: Any) -> Envelope:
        self.reads.append(line := dict(fields)[b"line"].decode())
        level, _, words = line.partition(" ")
        if not words:
            raise Undecodable("a line without words", type=level, headers={"level": level})
        return Envelope(level, words, {"length": len(line)})


class Reading(Lines):
    """Reads whatever it was told to: a value, or an error."""

    def __init__(self, found: Any) -> None:
        super().__init__()
        self.found = found

    def read(self, fields: Any) -> Any:
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


@pytest.mark.parametrize("codec", [Lines, object(), open, type("Half", (), {"read": 1, "write": 1})()])
def test_what_is_no_codec_is_refused_and_told_what_one_has(codec: Any) -> None:
    with pytest.raises(TypeError, match="encode, decode and cannot_fail, .* or with write, read and cannot_fail"):
        Topic("t", "memory://t", codec=codec)


@pytest.mark.asyncio
async def test_a_codec_of_ones_own_writes_and_reads_whole_entries(w: World) -> None:
    codec: EntryCodec = Lines()
    group, seen = w.group(w.topic(codec=codec)), []
    await w.do(group.topic.publish("ERROR", "it broke"))
    with pytest.raises(TypeError, match="a line must be str, not None"):
        await w.do(group.topic.publish("ERROR"))
    assert standing(w, group.topic.name) == [[b"line", b"ERROR it broke"]]
    member = w.member(group)
    member.on("ERROR", lambda message: seen.append((message.type, message.data, message.headers)))
    await w.do(member.drain())
    assert seen == [("ERROR", "it broke", {"length": 14})]


@pytest.mark.asyncio
async def test_an_entry_is_read_once_and_only_when_it_is_its_turn(w: World) -> None:
    codec = Lines()
    group = w.group(w.topic(codec=codec))
    await w.do(group.topic.publish_many([("INFO", str(n)) for n in range(100)]))
    member = w.member(group, prefetch=100)
    async with w.block(member):
        loop = w.loop(member)
        for n in range(3):
            message = await w.next(loop)
            assert (message.type, message.data, message.headers, message.type) == ("INFO", str(n), {"length": 6}, "INFO")
        assert codec.reads == ["INFO 0", "INFO 1", "INFO 2"]
        del loop


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "found",
    [
        *("text", None, ("t", 1, {}), Envelope(7, None), Envelope("t", None, ["x"])),  # type: ignore[arg-type]
        *(KeyError("x"), AttributeError("x"), RecursionError(), UnicodeDecodeError("utf-8", b"", 0, 1, "x")),
    ],
    ids=repr,
)
async def test_whatever_a_codec_does_stops_no_loop(found: Any) -> None:
    w = World("asyncio", None)
    group = w.group(w.topic(codec=Reading(found)))
    add(w, group.topic, "line", "x")
    member, told = w.member(group), []
    member.on("*", lambda message: told.append("handled"))
    member.lifecycle.on("buried", lambda event: told.append((event.reason, event.message.type, event.message.headers)))
    await w.do(member.drain())
    (letter,) = [letter async for letter in w.each(group.dead_letters)]
    assert (told, letter.type, letter.headers) == ([("undecodable", "", {})], "", {})
    assert "has no attribute" not in letter.error  # (as if the message lacked what its codec failed to read)
    with pytest.raises(ValueError, match="does not decode"):
        _ = letter.data
    await w.close()


@pytest.mark.asyncio
async def test_what_was_found_of_an_entry_that_cannot_be_read_is_told(w: World) -> None:
    group, told = w.group(w.topic(codec=Lines())), []
    entry_id = add(w, group.topic, "line", "ERROR")
    member = w.member(group)
    member.on("ERROR", lambda message: told.append("handled"))
    member.lifecycle.on("buried", lambda event: told.append((event.message.type, event.message.headers, event.error.reason)))
    await w.do(member.drain())
    (letter,) = [letter async for letter in w.each(group.dead_letters)]
    assert told == [("ERROR", {"level": "ERROR"}, "a line without words")]
    assert (letter.entry_id, letter.type, letter.headers, letter.reason) == (entry_id, "ERROR", {"level": "ERROR"}, "undecodable")
    assert letter.error == "Undecodable: a line without words"
    (message,) = [message async for message in w.each(group.topic.replay())]
    assert (message.type, message.headers) == ("ERROR", {"level": "ERROR"})
    with pytest.raises(Undecodable, match="without words"):
        _ = message.data


# -- with typed payloads ----------------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("codec", [CloudEventsCodec("/orders"), StreamersonCodec()], ids=lambda codec: type(codec).__name__)
async def test_data_of_whole_entries_may_be_typed(w: World, codec: Any) -> None:
    order, seen = Order(17, date(2026, 11, 20)), []
    topic, plain = w.topic(type={"order.placed": Order}, codec=codec), w.topic(codec=codec)
    await w.do(topic.publish("order.placed", order))
    await w.do(topic.publish_many([order]))  # its class tells its type
    with pytest.raises(ValueError, match="Order"):
        await w.do(topic.publish("order.placed", {"number": "many", "placed": "2026-11-20"}))
    await w.do(plain.publish("order.placed", {"number": "many"}))
    assert [message.data async for message in w.each(plain.replay(count=1))] == [{"number": 17, "placed": "2026-11-20"}]
    group = w.group(topic)
    member = w.member(group)
    member.on("order.placed", lambda message: seen.append(message.data))
    await w.do(member.drain())
    (letter,) = [letter async for letter in w.each(group.dead_letters)]
    assert (seen, letter.type, letter.reason) == ([order, order], "order.placed", "undecodable")
    assert "Order" in letter.error
    assert {"correlation_id", "ce_id"} & letter.headers.keys()


@pytest.mark.asyncio
async def test_replies_keep_their_wire_where_data_is_typed(w: World) -> None:
    group = w.group(w.topic(type={"order.placed": Order}, codec=StreamersonCodec()))
    add(w, group.topic, "m-1", "order.placed", w.key("out"), "nil", "json", "n", "UnoccupiedField", '{"number":1,"placed":"2026-11-20"}')
    member = w.member(group)
    member.on("order.placed", lambda message: message.data.number)
    await w.do(member.drain())
    assert standing(w, w.key("out")) == [[b"m-1", b"resp", b"", b"nil", b"json", b"n", b"UnoccupiedField", b"1"]]


def test_a_typed_codec_around_a_codec_of_whole_entries_is_refused_and_told_the_way() -> None:
    with pytest.raises(TypeError, match="give it to the Topic beside the type"):
        TypedCodec(Order, CloudEventsCodec("/orders"))
