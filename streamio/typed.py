"""Typed payloads: what data is to be, around the codec that says how it becomes fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .codec import Codec, FlatCodec, JSONCodec, Pairs, checked_codec, codec_for, decoded, pairs_of, payload_of
from .emitter import MOST_TYPES, matches
from .envelopes import is_whole

if TYPE_CHECKING:
    from .shapes import Wanted


class TypedCodec:
    """Data is of this type: a msgspec Struct, a pydantic model, a dataclass, a TypedDict, or what else msgspec or pydantic can describe.

    type     the type, or a mapping of entry types to types: `{"order.placed": OrderPlaced, "order.*": Order}`; an exact name goes first, then the
             patterns in order
    codec    how it becomes fields: None for `JSONCodec()`, JSON in one field, read strictly (`"12"` is no int; a pydantic model is as strict as its
             config says). `FlatCodec()` gives each attribute a field of its own and converts the strings back, laxly; None is left out

    What is published, an instance or a mapping of its fields, is read back before it is sent: what would not fit is an error that names the field.
    What is read and does not fit is undecodable: it is buried with the validation's words. An entry of a type that the mapping does not name is read
    as `codec` reads it; publishing one is an error.
    """

    cannot_fail = False

    def __init__(self, type: Any, codec: Any = None) -> None:
        from .shapes import Wanted, has_fields  # few need it, and it takes time to import

        self.inner = JSONCodec() if codec is None else checked_codec(codec)
        if isinstance(self.inner, TypedCodec):
            raise ValueError("type and a codec that is typed itself say the same: give one of them")
        if is_whole(self.inner):
            raise TypeError(f"{codec!r} is a codec of whole entries: give it to the Topic beside the type, Topic(name, type=..., codec=...)")
        types = {**type} if isinstance(type, Mapping) else {"*": type}
        if not types or not all(isinstance(name, str) for name in types):
            raise TypeError(f"type must be a type, or a mapping of entry types to types, not {type!r}")
        self.wanted = {name: Wanted(kind, isinstance(self.inner, FlatCodec)) for name, kind in types.items()}
        self.found: dict[str, PayloadCodec | UnnamedCodec] = {}
        self.classes: dict[Any, list[str]] = {}
        for name, kind in types.items():
            if "*" not in name and has_fields(kind):
                self.classes.setdefault(kind, []).append(name)

    def for_type(self, type: str) -> PayloadCodec | UnnamedCodec:
        """The codec of entries of this type."""
        found = self.found.get(type)
        if found is None:
            if len(self.found) >= MOST_TYPES:
                self.found.clear()
            inner, wanted = codec_for(self.inner, type), self.wanted_of(type)
            found = self.found[type] = UnnamedCodec(self, type, inner) if wanted is None else PayloadCodec(wanted, inner)
        return found

    def wanted_of(self, type: str) -> Wanted | None:
        """What data of this type is to be; None where the mapping does not say."""
        named = [name for name in self.wanted if matches(name, type)]
        return self.wanted[type if type in named else named[0]] if named else None

    def unnamed(self, type: str) -> ValueError:
        """The error of an entry whose data nobody declared."""
        return ValueError(f"type {type!r} has no data declared: the topic's types are {', '.join(map(repr, self.wanted))}")

    def type_of(self, data: Any) -> str | None:
        """The type of an entry with this data, by its class; None where the class says none, a ValueError where it says several."""
        names = next((self.classes[base] for base in type(data).__mro__ if base in self.classes), [])
        if len(names) > 1:
            raise ValueError(f"data of class {type(data).__name__} may be of type {' or '.join(map(repr, names))}: say which")
        return names[0] if names else None

    def from_words(self, words: list[str], type: str) -> Any:
        """The data of an entry's words as they came."""
        return (self.found.get(type) or self.for_type(type)).from_words(words)

    def plain(self, data: Any) -> Any:
        """Any data as plain values: for replies, whose type need not be declared."""
        from .shapes import plain_of

        return plain_of(data)

    def encode(self, data: Any) -> Iterable[tuple[bytes, bytes]]:
        """The pairs for data of an entry without a type."""
        return self.for_type("").encode(data)

    def decode(self, fields: Pairs) -> Any:
        """The data of an entry without a type."""
        return self.for_type("").decode(fields)


class PayloadCodec:
    """Data of one type."""

    cannot_fail = False

    def __init__(self, wanted: Wanted, inner: Codec) -> None:
        self.wanted, self.inner = wanted, inner
        self.field = inner.field if type(inner) is JSONCodec else b""  # the one that holds JSON
        self.field_name, self.from_json = self.field.decode(), wanted.shape.from_json

    def encode(self, data: Any) -> Iterable[tuple[bytes, bytes]]:
        """The pairs; an error that names the field where they would not read back."""
        given = self.wanted.given(data)
        return [(self.field, self.wanted.json(given))] if self.field else self.inner.encode(self.wanted.plain(given))

    def decode(self, fields: Pairs) -> Any:
        """The data; a ValueError that says which field does not fit."""
        if not self.field:
            return self.wanted.read(self.inner.decode(fields))
        text = next((value for name, value in fields if name == self.field), None)
        if text is None:
            raise ValueError(f"the entry has no field {self.field_name!r}")
        return self.wanted.fitting(self.from_json, text)

    def from_words(self, words: list[str]) -> Any:
        """As `decode`, of an entry's words as they came: nearly always the type, then the data."""
        try:
            if self.field and words[0] == "type" and words[2] == self.field_name:
                return self.from_json(words[3])
        except (IndexError, ValueError, RecursionError):
            return self.decode(payload_of(pairs_of(words)))
        return self.decode(payload_of(pairs_of(words)))


class UnnamedCodec:
    """Data of entries whose type the mapping does not name: read as the codec inside reads it, and not written."""

    cannot_fail = False

    def __init__(self, typed: TypedCodec, type: str, inner: Codec) -> None:
        self.typed, self.type, self.inner, self.decode = typed, type, inner, inner.decode

    def encode(self, data: Any) -> Iterable[tuple[bytes, bytes]]:
        """A ValueError that lists the types there are."""
        raise self.typed.unnamed(self.type)

    def from_words(self, words: list[str]) -> Any:
        """The data as the codec inside reads it."""
        return decoded(self.inner, words, self.type)
