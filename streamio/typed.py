"""Typed payloads: what data is to be, around the codec that says how it becomes fields.

1. What is published is read back before it is sent: what does not fit is an error that names the field, and nothing was written.
2. What is read and does not fit is undecodable: it is buried with the validation's words.
3. A mapping of types to their data: an entry of a type that it does not name is read as the codec inside reads it; publishing one is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .codec import Codec, FlatCodec, JSONCodec, Pairs, checked_codec, codec_for, pairs_of, payload_of
from .emitter import MOST_TYPES, matches
from .envelopes import is_whole
from .shapes import Shape, has_fields, name_of, shape_of, values_of


class TypedCodec:
    """Data is of this type: a msgspec Struct, a pydantic model, a dataclass, a TypedDict, or what else msgspec or pydantic can describe.

    type     the type, or a mapping of entry types to types: `{"order.placed": OrderPlaced, "order.*": Order}`; an exact name goes first, then the
             patterns in order
    codec    how it becomes fields: None for `JSONCodec()`, JSON in one field, read strictly (`"12"` is no int; a pydantic model is as strict as its
             config says). `FlatCodec()` gives each attribute a field of its own and converts the strings back, laxly
    """

    cannot_fail = False

    def __init__(self, type: Any, codec: Any = None) -> None:
        self.inner = JSONCodec() if codec is None else checked_codec(codec)
        if isinstance(self.inner, TypedCodec):
            raise ValueError("type and a codec that is typed itself say the same: give one of them")
        if is_whole(self.inner):
            raise TypeError(f"{codec!r} is a codec of whole entries: give it to the Topic beside the type, Topic(name, type=..., codec=...)")
        types = {**type} if isinstance(type, Mapping) else {"*": type}
        if not types or not all(isinstance(name, str) for name in types):
            raise TypeError(f"type must be a type, or a mapping of entry types to types, not {type!r}")
        self.shapes = {name: (kind, shape_of(kind)) for name, kind in types.items()}
        self.found: dict[str, Codec] = {}
        self.classes: dict[Any, list[str]] = {}
        for name, kind in types.items():
            if "*" not in name and has_fields(kind):
                self.classes.setdefault(kind, []).append(name)

    def for_type(self, type: str) -> Codec:
        """The codec of entries of this type."""
        found = self.found.get(type)
        if found is None:
            if len(self.found) >= MOST_TYPES:
                self.found.clear()
            found = self.found[type] = self.made_for(type)
        return found

    def made_for(self, type: str) -> Codec:
        """The codec of entries of this type, made now."""
        inner, named = codec_for(self.inner, type), [name for name in self.shapes if matches(name, type)]
        if not named:
            return UnnamedCodec(type, inner, self.shapes)
        kind, shape = self.shapes[type if type in named else named[0]]
        return PayloadCodec(kind, shape, inner)

    def type_of(self, data: Any) -> str | None:
        """The type of an entry with this data, by its class; None where the class says none, a ValueError where it says several."""
        names = next((self.classes[base] for base in type(data).__mro__ if base in self.classes), [])
        if len(names) > 1:
            raise ValueError(f"data of class {name_of(type(data))} may be of type {' or '.join(map(repr, names))}: say which")
        return names[0] if names else None

    def encode(self, data: Any) -> Iterable[tuple[bytes, bytes]]:
        """The pairs for data of an entry without a type."""
        return self.for_type("").encode(data)

    def decode(self, fields: Pairs) -> Any:
        """The data of an entry without a type."""
        return self.for_type("").decode(fields)


class PayloadCodec:
    """Data of one type."""

    cannot_fail = False

    def __init__(self, kind: Any, shape: Shape, inner: Codec) -> None:
        self.shape, self.inner, self.name = shape, inner, name_of(kind)
        self.of_class = kind if has_fields(kind) else None
        self.lax = isinstance(inner, FlatCodec)
        self.field = inner.field if type(inner) is JSONCodec else b""  # the one that holds JSON
        self.field_name = self.field.decode()

    def encode(self, data: Any) -> Iterable[tuple[bytes, bytes]]:
        """The pairs, which read back as this type; an error that names the field where they would not."""
        data = self.given(data)
        if not self.field:
            return self.plainly(data)
        text = self.written(data, self.shape.to_json)
        self.fitting(self.shape.from_json, text)
        return [(self.field, text)]

    def decode(self, fields: Pairs) -> Any:
        """The data; a ValueError that says which field does not fit."""
        if not self.field:
            return self.fitting(self.shape.from_plain, self.inner.decode(fields), self.lax)
        text = next((value for name, value in fields if name == self.field), None)
        if text is None:
            raise ValueError(f"the entry has no field {self.field_name!r}")
        return self.fitting(self.shape.from_json, text)

    def from_words(self, words: list[str]) -> Any:
        """As `decode`, of an entry's words as they came."""
        names = words[::2]
        if self.field_name not in names:
            return self.decode(payload_of(pairs_of(words)))
        return self.fitting(self.shape.from_json, words[2 * names.index(self.field_name) + 1])

    def given(self, data: Any) -> Any:
        """The data, or an error where it is of another class."""
        if isinstance(data, Mapping):
            return dict(data)
        if data is None and self.lax:
            return {}
        if self.of_class is not None and not isinstance(data, self.of_class):
            raise TypeError(f"data must be of class {self.name}, or a mapping of its fields, not {type(data).__name__}")
        return data

    def plainly(self, data: Any) -> Iterable[tuple[bytes, bytes]]:
        """The pairs that the codec inside makes of plain values. Flat ones have no place for None: it is left out."""
        plain = self.written(data, self.shape.to_plain)
        said = {name: value for name, value in plain.items() if value is not None} if self.lax and isinstance(plain, dict) else plain
        pairs = list(self.inner.encode(said))
        back = self.decode(pairs)
        if self.lax:
            again = self.shape.to_plain(back)
            for name, value in plain.items():
                if (value is None or not isinstance(data, Mapping)) and again.get(name) != value == value:
                    raise ValueError(f"field {name!r} of {self.name}: {value!r} would be read back as {again.get(name)!r}; use codec=JSONCodec()")
        return pairs

    def written(self, data: Any, write: Callable[[Any], Any]) -> Any:
        """What `write` makes of the data; an error that names the field which it cannot write."""
        try:
            return write(data)
        except (TypeError, ValueError, RecursionError) as error:
            field = next((f"field {name!r} of " for name, value in values_of(data).items() if not is_writable(value, write)), "")
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{field}{self.name} cannot be written: {error}") from error

    def fitting(self, read: Callable[..., Any], *given: Any) -> Any:
        """What `read` makes of it, or a ValueError that says why it is no such data."""
        try:
            return read(*given)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"the data is no {self.name}: {error}") from error


class UnnamedCodec:
    """Data of entries whose type the mapping does not name: read as the codec inside reads it, and not written."""

    cannot_fail = False

    def __init__(self, type: str, inner: Codec, known: Iterable[str]) -> None:
        self.type, self.inner, self.known = type, inner, known

    def encode(self, data: Any) -> Iterable[tuple[bytes, bytes]]:
        """A ValueError that lists the types there are."""
        raise ValueError(f"type {self.type!r} has no data declared: the topic's types are {', '.join(map(repr, self.known))}")

    def decode(self, fields: Pairs) -> Any:
        """As the codec inside does."""
        return self.inner.decode(fields)


def is_writable(value: Any, write: Callable[[Any], Any]) -> bool:
    """Whether this value alone can be written."""
    try:
        write(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True
