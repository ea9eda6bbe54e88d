"""An entry as one line of JSON, and back: what `cat -J` prints is what `add --jsonl` takes.

    {"topic", "id", "ts", "type", "fields", "headers", "deliveries", "group", "consumer"}

1. `fields` are all the entry's fields as they stand in the stream, those of the type and of headers too, in their order. So the entry that is made of
   a line is the same, byte for byte. `type` and `headers` say again what they mean, for whoever looks.
2. `fields` is an object, or a list of `[name, value]` pairs where a name repeats or is not UTF-8. Bytes that are not UTF-8 are `{"$b64": "…"}`;
   text that looks like that is a string, and stays one.
3. A line written by hand may leave out all but `fields`, and the type and headers in there: those that stand beside it are put before them. Where
   the two say different things, it is an error. Numbers become the text that stands in the line, true and false these words.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from .codec import REPLY_TO, TYPE, header_pairs, headers_of, text
from .ids import ID, published_at
from .message import Message

Pairs = Sequence[tuple[bytes, bytes]]
BYTES = "$b64"
KNOWN = frozenset("topic id ts type fields headers deliveries group consumer".split())
DEAD = frozenset("letter entry_id reason error traceback".split())  # what a dead letter's line has beside them
BREAKS = re.compile("[\x85\u2028\u2029]")  # what some readers of lines take for the end of one


class Line(NamedTuple):
    """What a line says: the entry's pairs, and the id it had (None: the line has none)."""

    fields: list[tuple[bytes, bytes]]
    id: str | None


class Members(list[tuple[str, Any]]):
    """A JSON object's members as they stand there, repeated names too."""


# -- writing ------------------------------------------------------------------------------------------------------------------------


def envelope_of(message: Message[Any], consumer: str | None = None) -> dict[str, Any]:
    """The message as plain JSON. Of a replay or a tail it has no group and no deliveries."""
    deliveries = None if message.group is None else message.deliveries
    return envelope(message.topic, message.id, message.fields, group=message.group, consumer=consumer, deliveries=deliveries)


def envelope(
    topic: str, id: str, fields: Pairs, *, group: str | None = None, consumer: str | None = None, deliveries: int | None = None
) -> dict[str, Any]:
    """The entry as plain JSON: what `json_line` writes."""
    headers = {name: plain(value) for name, value in headers_of(fields).items()}
    at = published_at(id).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    found: dict[str, Any] = {"topic": topic, "id": id, "ts": at, "type": type_in(fields), "fields": plain_fields(fields), "headers": headers}
    return {**found, "deliveries": deliveries, "group": group, "consumer": consumer}


def plain(value: str | bytes) -> Any:
    """Text as it is, bytes as text where they are UTF-8, else as `{"$b64": …}`."""
    found = text(value) if isinstance(value, bytes) else value
    return {BYTES: b64encode(found).decode()} if isinstance(found, bytes) else found


def plain_fields(fields: Pairs) -> Any:
    """The fields as an object; as pairs where that would lose something, or be taken for bytes."""
    named = {plain_name: plain(value) for name, value in fields if isinstance(plain_name := plain(name), str)}
    return named if len(named) == len(fields) and BYTES not in named else [[plain(name), plain(value)] for name, value in fields]


def type_in(fields: Pairs) -> str:
    """The value of the first field `type`, bytes that are not UTF-8 as backslash escapes; empty where there is none."""
    return next((value.decode(errors="backslashreplace") for name, value in fields if name == TYPE), "")


def json_line(value: Any) -> str:
    """The value on one line, in readable letters, without the newline."""
    found = json.dumps(value, ensure_ascii=False)
    return found if found.isascii() else BREAKS.sub(lambda each: f"\\u{ord(each[0]):04x}", found)


# -- reading ------------------------------------------------------------------------------------------------------------------------


def parsed(line: str | bytes) -> Line:
    """The entry that this line stands for. A ValueError says what is wrong with it."""
    said = members(loaded(line), "the line")
    if unknown := said.keys() - KNOWN - DEAD:
        raise ValueError(f"{sorted(unknown)[0]!r} is no part of an entry's line: an entry's own fields stand in \"fields\"")
    fields = read_fields(said.get("fields"))
    whole = with_headers(with_type(fields, said.get("type")), said.get("headers"))
    if not whole:
        raise ValueError('an entry needs a field at least: the line has no "fields"')
    return Line(whole, read_id(said.get("id")))


def loaded(line: str | bytes) -> Any:
    """The line's JSON: objects as their members, numbers as they are written."""
    try:
        found = line.decode("utf-8-sig") if isinstance(line, bytes) else line
        return DECODER.decode(found)
    except UnicodeDecodeError as error:
        raise ValueError(f"the line is not UTF-8: {error.reason} at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"the line is not JSON: {error.msg} at character {error.pos + 1}") from error
    except RecursionError as error:
        raise ValueError("the line is not an entry's: its JSON is nested too deep") from error


def no_constant(word: str) -> NoReturn:
    """Refuse NaN and Infinity, which are not JSON."""
    raise ValueError(f"the line is not JSON: {word} is no JSON value")


DECODER = json.JSONDecoder(object_pairs_hook=Members, parse_int=str, parse_float=str, parse_constant=no_constant)


def members(value: Any, what: str) -> dict[str, Any]:
    """The object's members by name; an error where it is none, or says something twice."""
    if not isinstance(value, Members):
        raise ValueError(f"{what} must be a JSON object")
    found = dict(value)
    if len(found) < len(value):
        raise ValueError(f"{what} names {next(name for place, (name, _) in enumerate(value) if name in dict(value[:place]))!r} twice")
    return found


def read_fields(value: Any) -> list[tuple[bytes, bytes]]:
    """The pairs of an object or of a list of pairs."""
    if value is None:
        return []
    if isinstance(value, Members):
        return [(exact(name, "a field's name"), exact(each, "field", name)) for name, each in value]
    if not isinstance(value, list):
        raise ValueError('"fields" must be an object, or a list of [name, value] pairs')
    return [read_pair(each) for each in value]


def read_pair(value: Any) -> tuple[bytes, bytes]:
    """One `[name, value]`."""
    if isinstance(value, Members) or not isinstance(value, list) or len(value) != 2:
        raise ValueError('each of "fields" must be a pair [name, value]')
    name = exact(value[0], "a field's name")
    return name, exact(value[1], "field", text(name))


def exact(value: Any, what: str, name: object = None) -> bytes:
    """The bytes of text, of a number or a truth value as it is written, or of `{"$b64": …}`. Errors say `what` it is, of which `name`."""
    if type(value) is str and value.isascii():
        return value.encode()
    what = what if name is None else f"{what} {name!r}"
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError:
            raise ValueError(f'{what} holds a lone surrogate, which is no text: write the bytes as {{"{BYTES}": …}}') from None
    if isinstance(value, Members) and [name for name, _ in value] == [BYTES] and isinstance(value[0][1], str):
        try:
            return b64decode(value[0][1], validate=True)
        except (binascii.Error, ValueError) as error:
            raise ValueError(f'{what}: {{"{BYTES}": …}} is not base64: {error}') from error
    raise ValueError(f'{what} must be text, a number, true, false or {{"{BYTES}": …}}; write nested data as JSON text')


def with_type(fields: list[tuple[bytes, bytes]], value: Any) -> list[tuple[bytes, bytes]]:
    """The fields, before them the type where they have none."""
    given = b"" if value is None else exact(value, '"type"')
    if not given:
        return fields
    if not any(name == TYPE for name, _ in fields):
        return [(TYPE, given), *fields]
    if type_in(fields).encode() != given:
        raise ValueError(f'"type" is {text(given)!r}, but the field of that name is {type_in(fields)!r}: change both, or leave "type" out')
    return fields


def with_headers(fields: list[tuple[bytes, bytes]], value: Any) -> list[tuple[bytes, bytes]]:
    """The fields, and headers that they lack behind the type (`reply_to` before it), as the library writes them."""
    if value is None or (isinstance(value, Members) and not value):
        return fields
    there = headers_of(fields)
    given = {name: text(exact(each, "header", name)) for name, each in members(value, '"headers"').items()}
    for name in given.keys() & there.keys():
        if given[name] != there[name]:
            raise ValueError(f'header {name!r} is {given[name]!r}, but its field is {there[name]!r}: change both, or leave it out of "headers"')
    return placed(fields, {name: each for name, each in given.items() if name not in there})


def placed(fields: list[tuple[bytes, bytes]], headers: Mapping[str, str | bytes]) -> list[tuple[bytes, bytes]]:
    """The fields with these headers in their place."""
    if not headers:
        return fields
    try:
        pairs = header_pairs(headers)
    except TypeError as error:
        raise ValueError(str(error)) from error
    behind = 1 if fields and fields[0][0] == TYPE else 0
    first = [pair for pair in pairs if pair[0] == REPLY_TO.encode()]
    return [*first, *fields[:behind], *(pair for pair in pairs if pair not in first), *fields[behind:]]


def read_id(value: Any) -> str | None:
    """The entry's id; None where the line has none."""
    if value is None:
        return None
    if not isinstance(value, str) or not ID.fullmatch(value):
        raise ValueError(f'"id" must be an entry id, not {value!r}')
    return value
