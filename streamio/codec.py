"""Payload to fields and back. A codec never sees the fields of the type and the headers: they have their own place on the wire.

On the wire an entry is a list of (name, value) pairs: `type`, then one pair for each header (`header:<name>`, but `traceparent` and
`tracestate` plain), then what the codec makes of the data. A copy that was made for one group alone has `FOR_GROUP` and the group's name
before all that.

A dead letter is `DEAD_FACTS` pairs of its own, `dead:id` first, then its entry's pairs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Protocol

from .envelopes import EntryCodec, is_whole, opened, seen

Pairs = Sequence[tuple[bytes, bytes]]
TYPE = b"type"
HEADER = b"header:"
TRACE = (b"traceparent", b"tracestate")
FOR_GROUP = "header:for-group"
REPLY_TO = "header:reply_to"  # stands first, where members see it at a glance
DEAD_FACTS = 8
PACKED = b"dead:fields"
SHORT = 64  # characters of a name that is worth remembering
MOST_WORDS = 7000  # a Lua body cannot pass on more than 8000


class Codec(Protocol):
    """How data becomes fields. `cannot_fail` is True only where `decode` takes any fields whatever: it is then called when looked at.

    A codec whose data is different for each type of entries has another method, `for_type(type: str) -> Codec`: the codec that reads and writes
    entries of this type. It is asked for each entry, so it is to be quick; `cannot_fail` is read from the codec that the topic was given.
    """

    @property
    def cannot_fail(self) -> bool:
        """Whether `decode` accepts every list of pairs."""
        ...

    def encode(self, data: Any) -> Iterable[tuple[bytes, bytes]]:
        """The pairs for this data. Raises TypeError or ValueError, naming the field, where it cannot be written."""
        ...

    def decode(self, fields: Pairs) -> Any:
        """The data of these pairs. Raises ValueError where they do not fit; the entry is then buried as undecodable."""
        ...


AnyCodec = Codec | EntryCodec


def text(value: bytes) -> str | bytes:
    """The value as str where it is UTF-8, else the bytes as they are."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def encoded(value: object, field: object) -> bytes:
    """A field's name or value as bytes: str, int, float, bool (`true`, `false`) or bytes. An error names the field."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, (str, int, float)):
        try:
            return str(value).encode()
        except UnicodeEncodeError:
            raise ValueError(f"field {field!r}: {value!r} holds a lone surrogate and cannot be written as UTF-8; pass bytes instead") from None
    raise TypeError(f"field {field!r} must be str, int, float, bool or bytes, not {type(value).__name__}; for nested data use codec=JSONCodec()")


def is_reserved(name: bytes) -> bool:
    """Whether a field of this name would be read back as the type or as a header."""
    return name == TYPE or name in TRACE or name.startswith(HEADER)


def field_name(name: object) -> bytes:
    """A field's name as bytes; an error where it is none, or has a meaning of its own."""
    if not isinstance(name, (str, bytes)):
        raise TypeError(f"field names must be str, not {name!r}")
    key = encoded(name, name)
    if is_reserved(key):
        raise ValueError(f"field {name!r} cannot be used in data: it is the place of the entry's type or of a header")
    return key


short_name = lru_cache(maxsize=1024)(field_name)


def checked_codec(codec: Any) -> AnyCodec:
    """The codec (None: `FlatCodec`), or a TypeError where it is none; a class is none, its instance may be."""
    if codec is None:
        return FlatCodec()
    methods = ("write", "read") if is_whole(codec) else ("encode", "decode")
    if isinstance(codec, type) or not all(hasattr(codec, name) for name in (*methods, "cannot_fail")):
        either = "encode, decode and cannot_fail, as FlatCodec() or JSONCodec(), or with write, read and cannot_fail"
        raise TypeError(f"codec must be an object with {either}, not {codec!r}")
    found: AnyCodec = codec
    return found


class FlatCodec:
    """The default: one field each for a flat mapping. str, int, float, bool and bytes go in; str comes out, or bytes where a value is not UTF-8.

    Where an entry of a foreign producer repeats a field's name, `data` has the last value; `message.fields` has them all.
    """

    cannot_fail = True

    def encode(self, data: Any) -> Iterable[tuple[bytes, bytes]]:
        """One pair for each item of the mapping."""
        if not isinstance(data, Mapping):
            raise TypeError(f"data must be a mapping of fields to values, not {type(data).__name__}; for other payloads use codec=JSONCodec()")
        found = []
        for name, value in data.items():
            plain = type(value) is str and value.isascii()
            key = short_name(name) if type(name) is str and len(name) <= SHORT else field_name(name)
            found.append((key, value.encode() if plain else encoded(value, name)))
        return found

    def decode(self, fields: Pairs) -> dict[str | bytes, str | bytes]:
        """The fields by name."""
        return {text(name): text(value) for name, value in fields}


class JSONCodec:
    """Any JSON value, nested as you like, in one field (`data`)."""

    cannot_fail = False

    def __init__(self, field: str = "data") -> None:
        if not isinstance(field, str) or not field:
            raise TypeError(f"field must be a str and not empty, not {field!r}")
        self.field = encoded(field, field)
        if is_reserved(self.field):
            raise ValueError(f"field {field!r} cannot hold the data: it is the place of the entry's type or of a header")

    def encode(self, data: Any) -> Iterable[tuple[bytes, bytes]]:
        """One pair; a TypeError or ValueError where the data is no JSON value."""
        try:
            return [(self.field, json.dumps(data, allow_nan=False, separators=(",", ":")).encode())]
        except (TypeError, ValueError, RecursionError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"field {self.field.decode()!r} cannot be written as JSON: {error}") from error

    def decode(self, fields: Pairs) -> Any:
        """The JSON value."""
        for name, value in fields:
            if name == self.field:
                return self.loaded(value)
        raise ValueError(f"the entry has no field {self.field.decode()!r}")

    def loaded(self, value: str | bytes) -> Any:
        """The JSON value of the field."""
        try:
            return json.loads(value)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"field {self.field.decode()!r} is not JSON: {error}") from error


def pairs_of(words: list[str]) -> list[tuple[bytes, bytes]]:
    """An entry's words, as they came from the server, as exact pairs."""
    exact = [word.encode("utf-8", "surrogateescape") for word in words]
    return list(zip(exact[::2], exact[1::2]))


def codec_for(codec: Any, type: str) -> Any:
    """The codec of entries of this type: what `for_type` of the codec gives, where it has one."""
    found: Any = getattr(codec, "for_type", None)
    return codec if found is None else found(type)


def decoded(codec: Any, words: list[str], type_: str) -> Any:
    """The data of the words of an entry of this type. JSON in plain text is read as it came."""
    if type(codec) is JSONCodec:
        names, name = words[::2], codec.field.decode()
        value = words[2 * names.index(name) + 1] if name in names else ""
        if value and value.isascii() and "\0" not in value:  # (else it may be UTF-16)
            return codec.loaded(value)
    elif type(codec) is not FlatCodec:
        if is_whole(codec):
            return opened(codec, pairs_of(words)).data
        if hasattr(codec, "from_words"):  # it is ours, and quicker so
            return codec.from_words(words, type_)
        codec = codec_for(codec, type_)
    return codec.decode(payload_of(pairs_of(words)))


def header_pairs(headers: Mapping[str, Any] | None) -> list[tuple[bytes, bytes]]:
    """The pairs of these headers, as they stand on the wire."""
    if headers is not None and not isinstance(headers, Mapping):
        raise TypeError(f"headers must be a mapping of names to values, not {headers!r}")
    found = []
    for name, value in (headers or {}).items():
        if not isinstance(name, str) or not name:
            raise TypeError(f"header names must be str and not empty, not {name!r}")
        key = encoded(name, name)
        found.append((key if key in TRACE else HEADER + key, encoded(value, f"header:{name}")))
    return found


def headers_of(fields: Pairs) -> dict[str, str | bytes]:
    """The headers among these pairs, by name."""
    found: dict[str, str | bytes] = {}
    for name, value in fields:
        if name.startswith(HEADER):
            found[name[len(HEADER) :].decode(errors="backslashreplace")] = text(value)
        elif name in TRACE:
            found[name.decode()] = text(value)
    return found


def headers_in(codec: Any, words: list[str]) -> Mapping[str, Any]:
    """The headers of an entry's words, by name, as this codec has them."""
    fields = pairs_of(words)
    return seen(codec, fields).headers if is_whole(codec) else headers_of(fields)


def payload_of(fields: Pairs) -> list[tuple[bytes, bytes]]:
    """The pairs that are neither the type nor a header."""
    return [pair for pair in fields if not is_reserved(pair[0])]


def wire(codec: Any, type: str, data: Any, headers: Mapping[str, Any] | None) -> list[bytes]:
    """An entry's fields and values, in the order in which they stand on the wire."""
    if not isinstance(type, str):
        raise TypeError(f"the type of an entry must be a str, not {type!r}")
    if codec.__class__ is not FlatCodec and is_whole(codec):
        return list(chain.from_iterable(codec.write(type, data, headers)))
    words = [TYPE, type.encode() if type.__class__ is str and type.isascii() else encoded(type, "type")]
    if headers is not None:
        pairs = header_pairs(headers)
        first = [pair for pair in pairs if pair[0] == REPLY_TO.encode()]
        words = [*chain.from_iterable(first), *words, *chain.from_iterable(pair for pair in pairs if pair not in first)]
    if codec.__class__ is not FlatCodec:
        codec = codec_for(codec, type)
    elif data.__class__ is dict:  # (as `FlatCodec.encode`, without the pairs)
        for name, value in data.items():
            words.append(short_name(name) if name.__class__ is str and len(name) <= SHORT else field_name(name))
            words.append(value.encode() if value.__class__ is str and value.isascii() else encoded(value, name))
        return words
    words.extend(chain.from_iterable(codec.encode(data)))
    return words


def packed(words: list[bytes]) -> list[bytes]:
    """An entry's fields and values as they stand in its dead letter: as they are or, where they are too many for one script, as one JSON field."""
    looks_packed = len(words) == 2 and words[0] == PACKED
    return words if len(words) <= MOST_WORDS and not looks_packed else [PACKED, json.dumps([word.decode("latin-1") for word in words]).encode()]


def unpacked(fields: Pairs) -> Pairs:
    """The entry's pairs of what stands in its dead letter."""
    if len(fields) != 1 or fields[0][0] != PACKED:
        return fields
    try:
        words = [word.encode("latin-1") for word in json.loads(fields[0][1])]
    except (ValueError, AttributeError, TypeError, RecursionError):  # not ours
        return fields
    return list(zip(words[::2], words[1::2])) if len(words) % 2 == 0 else fields
