"""Typed payloads of whole entries: what data is to be (`TypedCodec`), within a codec that owns the entry (`CloudEventsCodec`, `StreamersonCodec`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .codec import AnyCodec, checked_codec
from .envelopes import EntryCodec, Envelope, Fields, is_whole, opened
from .errors import Undecodable
from .typed import TypedCodec


def typed(type: Any, codec: Any) -> AnyCodec:
    """The codec of typed data around this one."""
    return TypedEntryCodec(type, checked_codec(codec)) if is_whole(codec) else TypedCodec(type, codec)


class Through:
    """Plain values, which the codec of the entry writes."""

    cannot_fail = True

    def encode(self, data: Any) -> list[tuple[bytes, Any]]:
        """The value as it is."""
        return [(b"", data)]

    def decode(self, fields: Any) -> Any:
        """The value as it is."""
        return fields[0][1]


class TypedEntryCodec:
    """Whole entries whose data is of these types."""

    cannot_fail = False

    def __init__(self, types: Any, inner: Any) -> None:
        self.inner: EntryCodec = inner
        self.types = TypedCodec(types, Through())
        self.type_of, self.plain = self.types.type_of, self.types.plain
        self.own_headers = getattr(inner, "own_headers", ())
        if hasattr(inner, "reply"):
            self.reply = lambda message, value: inner.reply(message, self.plain(value))

    def write(self, type: str, data: Any, headers: Mapping[str, Any] | None) -> Iterable[tuple[bytes, bytes]]:
        """All pairs of an entry with this data, which fits."""
        ((_, plain),) = self.types.for_type(type).encode(data)
        return self.inner.write(type, plain, headers)

    def read(self, fields: Fields) -> Envelope:
        """What these pairs mean, the data as its type has it."""
        found = opened(self.inner, fields)
        plain: Any = [(b"", found.data)]
        try:
            return found._replace(data=self.types.for_type(found.type).decode(plain))
        except ValueError as error:
            raise Undecodable(str(error), found.type, found.headers) from error
