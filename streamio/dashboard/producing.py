"""Adding entries from the dashboard: flat fields, or any data as JSON; with a type or without one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..codec import TYPE, Codec, FlatCodec, JSONCodec, Pairs
from ..colour import Asyncio
from ..envelopes import Envelope
from ..topic import Topic
from . import commands
from .acting import Done, counted
from .asking import Asked
from .board import Board
from .showing import hidden

MOST = 500  # entries that are added at once
BYTES = 64 * 1024 * 1024


class Written:
    """An entry's type, where it has one, then what the codec makes of the data."""

    cannot_fail = True

    def __init__(self, codec: Codec) -> None:
        self.codec = codec

    def write(self, type: str, data: Any, headers: Mapping[str, Any] | None) -> Pairs:
        """The pairs of the entry."""
        pairs = [*([(TYPE, type.encode())] if type else []), *self.codec.encode(data)]
        if not pairs:
            raise ValueError("an entry needs a field at least, or a type")
        return pairs

    def read(self, fields: Pairs) -> Envelope:
        """Nothing: this one only writes."""
        return Envelope("", fields)


async def produce(board: Board, topic: Topic[Asyncio, Any], asked: Asked) -> Done:
    """Add entries."""
    type, count = asked.text("type", ""), asked.number("count", 1, 1, MOST)
    codec, given = payload(asked)
    if len(str(given)) * count > BYTES:
        raise ValueError(f"this is too much at once: {BYTES:,} bytes are allowed")
    topic.codec = codec
    words = [word.decode(errors="backslashreplace") for pair in hidden(codec.write(type, given, None), board.settings.mask) for word in pair]
    ids = await topic.publish_many([(type, given)] * count)
    return Done(f"{counted(len(ids))} added", commands.typed("XADD", topic.name, "*", *words), {"ids": ids})


def payload(asked: Asked) -> tuple[Written, Any]:
    """What writes the entry, and what of."""
    if asked.has("fields") and asked.has("data"):
        raise ValueError("give fields or data, not both")
    if asked.has("data"):
        return Written(JSONCodec()), asked.values["data"]
    given = asked.values.get("fields", {})
    if not isinstance(given, dict):
        raise ValueError(f"fields must be an object of names and values, not {given!r}")
    return Written(FlatCodec()), given
