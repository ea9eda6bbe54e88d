"""Codecs that own the whole entry: its type and headers too, and not only the data.

A payload codec (`codec.Codec`) shares the entry with the library: `type` and `header:<name>` are the library's fields. An `EntryCodec` is for entries
whose form is somebody else's. It is two methods and a flag:

1. `write(type, data, headers)` gives all the entry's pairs, in their order.
2. `read(fields)` gives an `Envelope` of all the entry's pairs, as exact bytes, in their order, repeated names too. What raises is undecodable: the
   entry is buried with the reason, and `Undecodable` may say what was found of it all the same.
3. Neither sees marks of ours: a copy that was redriven for one group begins with a pair that is taken away before.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeGuard

from .errors import Undecodable

Fields = Sequence[tuple[bytes, bytes]]


class Envelope(NamedTuple):
    """What an `EntryCodec` reads of an entry: what `message.type`, `message.data` and `message.headers` give."""

    type: str
    data: Any
    headers: Mapping[str, Any] = {}


class EntryCodec(Protocol):
    """How whole entries are written and read: type, headers and data. `cannot_fail` is True only where `read` takes any fields whatever."""

    @property
    def cannot_fail(self) -> bool:
        """Whether `read` accepts every list of pairs."""
        ...

    def write(self, type: str, data: Any, headers: Mapping[str, Any] | None) -> Iterable[tuple[bytes, bytes]]:
        """All pairs of an entry. Raises TypeError or ValueError, naming what cannot be written."""
        ...

    def read(self, fields: Fields) -> Envelope:
        """What these pairs mean. Raises ValueError (`Undecodable`, where the type is known) where they do not fit."""
        ...


def is_whole(codec: object) -> TypeGuard[EntryCodec]:
    """Whether the codec owns whole entries."""
    return hasattr(codec, "read") and hasattr(codec, "write")


def opened(codec: EntryCodec, fields: Fields) -> Envelope:
    """What the codec reads of the entry; an error where it gives anything but an envelope with a type and headers."""
    try:
        found: object = codec.read(fields)
    except AttributeError as error:  # (a property that raises this would look as if it were not there)
        raise ValueError(f"{codec!r} failed to read the entry: {error}") from error
    if not isinstance(found, Envelope) or not isinstance(found.type, str) or not isinstance(found.headers, Mapping):
        raise TypeError(f"{codec!r} must read an Envelope(type, data, headers) with a str and a mapping, not {found!r}")
    return found


def seen(codec: EntryCodec, fields: Fields) -> Envelope:
    """As `opened`; of an entry that the codec cannot read what was found all the same: a type and headers, where the error tells them."""
    try:
        return opened(codec, fields)
    except Exception as error:
        return despite(error)


def despite(error: Exception) -> Envelope:
    """What was found of an entry that its codec could not read."""
    return Envelope(error.type, None, error.headers) if isinstance(error, Undecodable) else Envelope("", None)


def to_json(value: Any, what: str) -> bytes:
    """The value as JSON in UTF-8, without spaces; an error that names what it was to be."""
    try:
        return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{what} cannot be written as JSON: {error}") from error


def from_json(value: bytes, what: str) -> Any:
    """The JSON value; a ValueError that names what it was to be."""
    try:
        return json.loads(value.decode())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what} is not JSON: {error}") from error
