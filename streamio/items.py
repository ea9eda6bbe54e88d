"""What `publish` and `publish_many` are given, as the fields of entries."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from itertools import islice
from typing import Any

from .codec import AnyCodec, FlatCodec, wire
from .effects import Words
from .message import Message
from .protocol.publishing import BATCH

Item = tuple[str, Any] | Mapping[str, Any] | Message
Stamp = Callable[[Mapping[str, Any] | None], Mapping[str, Any] | None]  # what adds the headers of whoever watches
OWN_HEADERS = ("for-group", "reply_to", "correlation_id")  # they are about one entry, and not for its copies


def entry(codec: AnyCodec, type: str, data: Any, fields: dict[str, Any], headers: Mapping[str, Any] | None) -> Words:
    """The entry's words. `fields` are added to data that is a mapping; a key in both is an error that names it."""
    if fields:
        if data is not None and not isinstance(data, Mapping):
            raise TypeError(f"fields ({', '.join(fields)}) can only be added to data that is a mapping, not to {data!r}")
        twice = fields.keys() & (data or {}).keys()
        if twice:
            raise ValueError(f"field {sorted(twice)[0]!r} is in data and given as an argument, too")
        data = {**(data or {}), **fields}
    if data is None and isinstance(codec, FlatCodec):
        data = {}
    return wire(codec, type, data, headers)


def entry_of(codec: AnyCodec, item: Any, what: str = "an item of publish_many", stamp: Stamp | None = None) -> Words:
    """The words of an item of `publish_many`; errors say what it is."""
    headers = None if stamp is None else stamp(copied(codec, item) if isinstance(item, Message) else None)
    if isinstance(item, Mapping):
        if "type" not in item:
            raise ValueError(f"{what} has no 'type': {item!r}")
        return entry(codec, item["type"], {name: value for name, value in item.items() if name != "type"}, {}, headers)
    if isinstance(item, tuple) and len(item) == 2:
        return entry(codec, item[0], item[1], {}, headers)
    if isinstance(item, Message):
        return entry(codec, item.type, item.data, {}, copied(codec, item) if headers is None else headers)
    type = type_of(codec, item)
    if type is not None:
        return entry(codec, type, item, {}, headers)
    raise TypeError(f"{what} must be (type, data), a mapping with 'type' or a message, not {item!r}")


def copied(codec: AnyCodec, message: Message) -> dict[str, Any]:
    """The headers of the message's copy: without those that are about one entry, or that its codec writes itself (its `own_headers`)."""
    left_out = (*OWN_HEADERS, *getattr(codec, "own_headers", ()))
    return {name: value for name, value in message.headers.items() if name not in left_out}


def type_of(codec: AnyCodec, value: Any) -> str | None:
    """The type of an entry with this data, where the codec knows it by its class (`TypedCodec` with a mapping)."""
    find: Any = getattr(codec, "type_of", None)
    found: str | None = None if find is None else find(value)
    return found


def entry_with(codec: AnyCodec, value: Any, type: str, stamp: Stamp | None = None) -> Words:
    """The words of an item that may say its type, as those of `publish_many` do; else it is data, and has this type."""
    if value.__class__ is dict and "type" not in value and stamp is None:  # (the usual ones, at a glance)
        return wire(codec, type_of(codec, value) or type if codec.__class__ is not FlatCodec else type, value, None)
    if isinstance(value, Message) or (isinstance(value, Mapping) and "type" in value) or is_typed(value):
        return entry_of(codec, value, stamp=stamp)
    type = type_of(codec, value) or type
    return entry(codec, type, value, {}, None if stamp is None else stamp(None))


def is_typed(value: Any) -> bool:
    """Whether the value is (type, data)."""
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str)


def encoded(codec: AnyCodec, items: list[Any], words: Callable[[AnyCodec, Any], Words] = entry_of) -> tuple[list[Words], Exception | None]:
    """The items' words, up to the first that cannot be written, and what is wrong with that one."""
    batch: list[Words] = []
    try:
        for item in items:
            if isinstance(item, Exception):  # the iterable raised
                return batch, item
            batch.append(words(codec, item))
    except (TypeError, ValueError) as error:
        return batch, error
    return batch, None


def taker(items: Any, asyncio: bool, method: str = "publish_many") -> Callable[[], Any]:
    """A function that gives the next items, 500 at most, in its topic's colour; an error of the iterable stands as the last."""
    if isinstance(items, AsyncIterable):
        if not asyncio:
            raise TypeError(f"{method} of a blocking topic takes an iterable, not an async one")
        source = aiter(items)
        return lambda: take_async(source)
    if not isinstance(items, Iterable) or isinstance(items, (str, bytes, Mapping)):
        raise TypeError(f"{method} takes an iterable of (type, data) or of mappings with 'type', not {items!r}")
    plain = iter(items)
    if not asyncio:
        return lambda: take(plain)

    async def take_plain() -> list[Any]:
        return take(plain)

    return take_plain


def take(items: Any) -> list[Any]:
    """The next items of an iterator."""
    found: list[Any] = []
    try:
        found.extend(islice(items, BATCH))
    except Exception as error:
        found.append(error)
    return found


async def take_async(items: Any) -> list[Any]:
    """The next items of an async iterator."""
    found: list[Any] = []
    try:
        while len(found) < BATCH:
            found.append(await anext(items))
    except StopAsyncIteration:
        pass
    except Exception as error:
        found.append(error)
    return found
