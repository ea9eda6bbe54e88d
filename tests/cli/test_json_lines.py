"""An entry as a line of JSON: whatever the entry, the line makes the same one."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

import pytest

from streamio import Topic, from_url
from streamio.json_lines import envelope, envelope_of, json_line, parsed

PIECES = [
    b"", b"type", b"a", b"type", b"header:reply_to", b"header:", b"header:\xff", b"header:for-group", b"traceparent", b"$b64", b'{"$b64": "AA=="}',
    b"\xff\xfe", b"\xed\xa0\x80", "ünïcode ☃ 🎉".encode(), b"\x00\n\r\t\x1b", "\u2028\u2029\x85".encode(), b"null", b"1e400", b"9" * 5000, b"-0",
    b"[1,2]", b"\\ud800",
]  # fmt: skip


def again(fields: list[tuple[bytes, bytes]], id: str = "5-1") -> Any:
    """What the entry's line says, as it comes through a pipe."""
    return parsed(json_line(envelope("topic", id, fields)).encode() + b"\n")


def test_any_entry_comes_back_exactly_as_it_was() -> None:
    chance = random.Random(6)
    for _ in range(1500):
        fields = [(chance.choice(PIECES), chance.choice(PIECES)) for _ in range(chance.randint(1, 6))]
        assert again(fields).fields == fields


@pytest.mark.parametrize("value", PIECES)
def test_each_value_comes_back_under_each_name(value: bytes) -> None:
    for name in PIECES:
        assert again([(name, value)]).fields == [(name, value)]
        assert again([(b"type", b"t"), (name, value), (name, b"")]).fields == [(b"type", b"t"), (name, value), (name, b"")]


def test_a_line_is_one_line_for_every_reader() -> None:
    line = json_line(envelope("t", "1-1", [(b"a", "x\u2028y\u2029z\x85\n\r".encode())]))
    assert len(line.splitlines()) == 1


def test_a_line_has_the_keys_that_are_promised() -> None:
    found = envelope("orders", "1732100000000-7", [(b"type", b"placed"), (b"header:by", b"ada"), (b"n", b"1")], group="g", consumer="c", deliveries=2)
    assert found == {
        "topic": "orders", "id": "1732100000000-7", "ts": "2024-11-20T10:53:20.000Z", "type": "placed", "headers": {"by": "ada"},
        "fields": {"type": "placed", "header:by": "ada", "n": "1"}, "deliveries": 2, "group": "g", "consumer": "c",
    }  # fmt: skip


def test_names_that_repeat_or_are_bytes_make_a_list_of_pairs() -> None:
    assert envelope("t", "1-1", [(b"a", b"1"), (b"a", b"2")])["fields"] == [["a", "1"], ["a", "2"]]
    assert envelope("t", "1-1", [(b"\xff", b"1")])["fields"] == [[{"$b64": "/w=="}, "1"]]
    assert envelope("t", "1-1", [(b"a", b"\xff")])["fields"] == {"a": {"$b64": "/w=="}}
    assert envelope("t", "1-1", [(b"$b64", b"1")])["fields"] == [["$b64", "1"]]


def test_text_that_looks_like_bytes_stays_text() -> None:
    assert again([(b"a", b'{"$b64": "AA=="}'), (b"$b64", b"AA==")]).fields == [(b"a", b'{"$b64": "AA=="}'), (b"$b64", b"AA==")]


def test_an_entry_of_a_topic_comes_back_from_its_message() -> None:
    client = from_url("memory://envelopes", decode_responses=False)
    client.xadd("t", {b"type": b"a", b"\xff": b"\xfe", b"header:x": b"1"}, id="7-3")
    with Topic("t", client) as topic:
        (message,) = topic.replay()
        line = parsed(json_line(envelope_of(message)))
    client.close()
    assert line.fields == [(b"type", b"a"), (b"\xff", b"\xfe"), (b"header:x", b"1")]
    assert line.id == "7-3"


def test_a_line_by_hand_gets_its_type_and_headers_in_front() -> None:
    line = '{"type": "placed", "headers": {"by": "ada", "reply_to": "r", "traceparent": "t"}, "fields": {"n": 1, "ok": true, "big": 1%s.10}}' % (
        "0" * 5000
    )
    assert parsed(line).fields == [
        (b"header:reply_to", b"r"), (b"type", b"placed"), (b"header:by", b"ada"), (b"traceparent", b"t"),
        (b"n", b"1"), (b"ok", b"true"), (b"big", b"1" + b"0" * 5000 + b".10"),
    ]  # fmt: skip


def test_a_line_by_hand_may_repeat_a_name_in_its_object() -> None:
    assert parsed('{"fields": {"a": "1", "a": "2"}}').fields == [(b"a", b"1"), (b"a", b"2")]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", "not JSON"),
        ("[1]", "must be a JSON object"),
        ("{", "not JSON"),
        (b'{"fields": {"a": "\xff"}}', "not UTF-8"),
        ('{"fields": {"a": NaN}}', "NaN"),
        ("{}", 'no "fields"'),
        ('{"fields": {}}', 'no "fields"'),
        ('{"customer": "Ada"}', "'customer' is no part"),
        ('{"fields": [["a"]]}', "a pair"),
        ('{"fields": [{"$b64": "AA=="}]}', "a pair"),
        ('{"fields": "a"}', "must be an object"),
        ('{"fields": {"a": null}}', "field 'a' must be text"),
        ('{"fields": {"a": {"b": "c"}}}', "field 'a' must be text"),
        ('{"fields": {"a": {"$b64": "*"}}}', "field 'a'.*base64"),
        ('{"fields": {"a": {"$b64": 1}}}', "base64"),
        ('{"fields": {"a": "\\ud800"}}', "field 'a' holds a lone surrogate"),
        ('{"fields": {"a": "1"}, "fields": {"b": "1"}}', "names 'fields' twice"),
        ('{"type": "x", "fields": {"type": "y"}}', "\"type\" is 'x'"),
        ('{"headers": {"h": "x"}, "fields": {"header:h": "y"}}', "header 'h' is 'x'"),
        ('{"headers": {"": "x"}, "fields": {"a": "y"}}', "header names"),
        ('{"headers": [], "fields": {"a": "y"}}', '"headers" must be a JSON object'),
        ('{"id": "*", "fields": {"a": "y"}}', '"id" must be an entry id'),
        ('{"fields": ' + "[" * 200_000, "nested too deep"),
    ],
)
def test_a_line_that_is_wrong_says_what_is(line: str | bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parsed(line)


def test_foreign_json_tools_read_the_same_bytes() -> None:
    found = json.loads(json_line(envelope("t", "1-1", [(b"a", b"\xff\x00")])))
    assert base64.b64decode(found["fields"]["a"]["$b64"]) == b"\xff\x00"
