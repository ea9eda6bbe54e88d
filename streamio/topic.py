"""`Topic`: one stream."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Literal, Unpack, overload

from redis.typing import AsyncClientProtocol, SyncClientProtocol

from .codec import AnyCodec, checked_codec
from .colour import Asyncio, Blocking, C, D, X, operation, wrong
from .commands import xdel, xlen
from .drivers import asyncio as asyncio_driver
from .drivers import blocking as blocking_driver
from .drivers.embedded import client_from
from .drivers.source import Source
from .effects import Do, Exchange, Now
from .entries import Entries
from .enveloped import classes_for
from .errors import PublishStopped
from .forking import closed_in_children, kept
from .ids import FIRST, ID, LAST, NEW, Duration, Position, position
from .items import Item, encoded, entry, entry_of, taker
from .keys import checked
from .message import Message, Origin
from .options import GroupOptions
from .protocol.asking import call
from .protocol.inspecting import group_infos, topic_info, trimming, trimming_acked
from .protocol.postponing import cancelling, delayed_info, due_of, postponing
from .protocol.previewing import trim_preview
from .protocol.publishing import Publisher
from .protocol.replaying import History, Tail
from .reports import DelayedInfo, GroupInfo, TopicInfo, TrimPreview, TrimResult
from .requests import Requesting
from .retention import Retention, checked_trim, trim_limit
from .typed_entries import typed
from .watching import watched
from .writable import Writable

if TYPE_CHECKING:
    import redis
    import redis.asyncio

    from .group import ConsumerGroupTopic


@overload
def from_url(url: str | None = None, *, asyncio: Literal[False] = False, **client_options: Any) -> redis.Redis: ...
@overload
def from_url(url: str | None = None, *, asyncio: Literal[True], **client_options: Any) -> redis.asyncio.Redis: ...
def from_url(url: str | None = None, *, asyncio: bool = False, **client_options: Any) -> Any:
    """A client for `redis://`, `rediss://`, `unix://` or `memory://name`; None: `$REDIS_URL`, else `redis://localhost:6379`."""
    return client_from(url, asyncio, **client_options)


class Topic(Writable[C], Requesting[C], Generic[C, D]):
    """One stream. The client decides the colour: with a `redis.Redis` (or a URL) everything blocks, with a `redis.asyncio.Redis` it is awaited.

    name      the stream's key
    client    a client of redis-py, of either colour, a RedisCluster, a Sentinel's `master_for`, or a URL (`redis://`, `rediss://`, `unix://`,
              `memory://name`). None: `$REDIS_URL`, else `redis://localhost:6379`. It is never closed, changed or used itself: connections of
              its kind are made beside it
    type      what data is: a msgspec Struct, a pydantic model, a dataclass, a TypedDict, or what else msgspec or pydantic can describe; or one of
              them for each type of entries: `{"order.placed": OrderPlaced, "order.*": Order}`. See `TypedCodec`
    codec     how data becomes fields (default: one field each, `FlatCodec`; for nested data, and where `type` is given, `JSONCodec()`),
              or whole entries (`CloudEventsCodec`)
    maxlen    keep about the newest so many entries, at each publish; older ones go, read or not
    max_age   keep about what is younger (seconds or timedelta). Not together with `maxlen`: one XADD carries only one of them
    """

    @overload
    def __init__(
        self: Topic[Blocking, X], name: str, client: SyncClientProtocol | str | None = None, *,
        type: type[X], codec: AnyCodec | None = None, maxlen: int | None = None, max_age: Duration | None = None,
    ) -> None: ...  # fmt: skip
    @overload
    def __init__(
        self: Topic[Blocking, Any], name: str, client: SyncClientProtocol | str | None = None, *,
        type: Any = None, codec: AnyCodec | None = None, maxlen: int | None = None, max_age: Duration | None = None,
    ) -> None: ...  # fmt: skip
    @overload
    def __init__(
        self: Topic[Asyncio, X], name: str, client: AsyncClientProtocol, *,
        type: type[X], codec: AnyCodec | None = None, maxlen: int | None = None, max_age: Duration | None = None,
    ) -> None: ...  # fmt: skip
    @overload
    def __init__(
        self: Topic[Asyncio, Any], name: str, client: AsyncClientProtocol, *,
        type: Any = None, codec: AnyCodec | None = None, maxlen: int | None = None, max_age: Duration | None = None,
    ) -> None: ...  # fmt: skip
    def __init__(
        self, name: str, client: Any = None, *, type: Any = None, codec: Any = None, maxlen: Any = None, max_age: Any = None
    ) -> None:  # fmt: skip
        self.name = checked(name, "topic name")
        self.codec = checked_codec(codec) if type is None else typed(type, codec)
        self._message = classes_for(self.codec)[0]
        self._desks = {}
        self._publisher = Publisher(name, Retention.of(maxlen, max_age))
        self._owned = client_from(client, False) if client is None or isinstance(client, str) else None
        source = Source(self._owned or client)
        kind = source.driver or (asyncio_driver.Asyncio if source.asyncio else blocking_driver.Blocking)
        self._driver = kind(source, name)
        self._closed = False
        closed_in_children(self)

    def __repr__(self) -> str:
        return f"<Topic {self.name!r}>"

    # -- writing ----------------------------------------------------------------------------------------------------------------------

    @operation
    @watched
    def publish(
        self, /, type: str, data: Any = None, *,
        headers: Mapping[str, Any] | None = None, entry_id: str = "*", idempotency_key: str | None = None,
        delay: Duration | None = None, at: datetime | None = None, **fields: Any,
    ) -> Exchange[str]:  # fmt: skip
        """Add an entry; its id.

        `data` and `fields` together are the payload. A key in both, or one that is the place of the type or of a header, is an error that
        names it; None, nested values and lone surrogates are refused by name, too. Sent once: where the reply is lost, `PublishUncertain`.

        idempotency_key   for a publish that may be repeated: within 24 hours of the first, another one with the same key adds nothing and gives
                          the first entry's id, whatever its data and even where that entry was trimmed meanwhile. Keys are the topic's own
        delay, at         add it only in so many seconds, or at that moment (naive: local time): until then it waits on the server, and members of
                          the topic's groups move it into the stream. What comes back is a token (`cancel_delayed`), the id is given when it is
                          moved. What is due already is added at once, and its id comes back
        """
        self._check_open()
        if entry_id != "*" and not (isinstance(entry_id, str) and ID.fullmatch(entry_id.removesuffix("-*") + "-0" * entry_id.endswith("-*"))):
            raise ValueError(f"entry_id must be '*', '<ms>-*' or an id, not {entry_id!r}")
        due = None if delay is None and at is None else due_of(delay, at, entry_id)
        words = entry(self.codec, type, data, fields, self._stamped(headers))
        self._encoded(words)
        once = None if idempotency_key is None else checked(idempotency_key, "idempotency_key")
        if due is not None:
            return (yield from postponing(self._publisher, words, due, once))
        if once is not None:
            return (yield from self._publisher.publishing_once(words, entry_id, once))
        return (yield from self._publisher.publishing(words, entry_id))

    @operation
    @watched
    def publish_many(self, items: Iterable[Item] | AsyncIterable[Item]) -> Exchange[list[str]]:
        """Add many entries, pipelined in batches of 500; their ids, in order.

        Items are `(type, data)` or mappings with `type`. asyncio objects take async iterables, too. Where it fails part way, the error
        (`PublishStopped`, or `PublishUncertain` for a lost reply) carries the `ids` written so far and the `index` of the first that was not.
        """
        self._check_open()
        done: list[str] = []
        take = taker(items, self._is_asyncio)
        while found := (yield Do(take)):
            batch, fault = encoded(self.codec, found, entry_of if not self._watches else partial(entry_of, stamp=self._stamped))
            if batch:
                yield from self._publisher.publishing_batch(batch, done)
            if fault is not None:
                raise PublishStopped(done, len(done)) from fault
        return done

    @operation
    def delayed(self) -> Exchange[DelayedInfo]:
        """How many entries wait for their time (`publish(delay=)`), and when the first is due."""
        return (yield from delayed_info(self.name))

    @operation
    def cancel_delayed(self, token: str) -> Exchange[bool]:
        """Take back a delayed entry by what `publish` gave for it; False where it is in the stream already, or was taken back before."""
        return (yield from cancelling(self.name, token))

    # -- reading without a group ------------------------------------------------------------------------------------------------------

    def replay(self, start: Position = FIRST, end: Position = LAST, *, count: int | None = None, reverse: bool = False) -> Entries[C, Message[D]]:
        """The stream's history, read lazily in pages, `count` entries at most; `reverse`: newest first.

        `start` and `end` are entry ids, datetimes, or timedeltas meaning "so long ago"; both are part of what is read.
        """
        position(start, 0, "start")
        position(end, 0, "end")
        checked_count(count)
        return Entries(self._driver, lambda: History(self.name, start, end, count, reverse, self._make).page, f"replay of {self.name!r}")

    def tail(self, start: Position = NEW) -> Entries[C, Message[D]]:
        """What is added from now on (or above `start`), for ever, without a group: nothing is acknowledged, every reader sees all of it."""
        position(start, 0, "start", (FIRST, NEW))
        return Entries(self._driver, lambda: Tail(self.name, start, self._make).page, f"tail of {self.name!r}")

    def _make(self, entry_id: str, flat: list[str]) -> Message[D]:
        return self._message(entry_id, flat, Origin(self.name, self.codec))

    # -- looking, trimming, deleting ----------------------------------------------------------------------------------------------------

    @operation
    def length(self) -> Exchange[int]:
        """How many entries the stream holds."""
        return (yield from call(xlen(self.name)))

    @operation
    def info(self) -> Exchange[TopicInfo]:
        """The stream's facts; length 0 and no ids where it does not exist."""
        return (yield from topic_info(self.name))

    @operation
    def groups(self) -> Exchange[list[GroupInfo]]:
        """The facts of every consumer group of the stream."""
        return (yield from group_infos(self.name))

    @operation
    def delete(self, *ids: str) -> Exchange[int]:
        """Delete entries by id; how many there were."""
        for entry_id in ids:
            if not isinstance(entry_id, str) or not ID.fullmatch(entry_id):
                raise ValueError(f"{entry_id!r} is no entry id")
        return (yield from call(xdel(self.name, ids))) if ids else 0

    @operation
    def trim(
        self, *, maxlen: int | None = None, max_age: Duration | None = None, minid: Position | None = None,
        acked: bool = False, exact: bool = False, ignore: Sequence[str] = (),
    ) -> Exchange[TrimResult]:  # fmt: skip
        """Remove the oldest entries; how many went, and which group held more back.

        maxlen, max_age, minid   keep the newest so many, what is younger, or what is not below this position; one of them
        acked                    remove only what every group has acknowledged, all of it or down to the limit given. Without any group nothing
                                 is removed: say `acked=False` for that
        exact                    to the entry; otherwise whole nodes of the stream only, which is cheaper
        ignore                   groups that `acked` is not to wait for
        """
        checked_trim(maxlen, max_age, minid, acked, ignore)
        how, threshold = trim_limit(round((yield Now(wall=True)) * 1000), maxlen, max_age, minid)
        if acked:
            return (yield from trimming_acked(self.name, how, threshold, exact, ignore))
        return (yield from trimming(self.name, (how, "=" if exact else "~", threshold)))

    @operation
    def preview_trim(
        self, *, maxlen: int | None = None, max_age: Duration | None = None, minid: Position | None = None,
        acked: bool = False, exact: bool = False, ignore: Sequence[str] = (),
    ) -> Exchange[TrimPreview]:  # fmt: skip
        """What `trim` with the same arguments would remove, and how much of that the groups have not acknowledged, or not even been given.

        Nothing is removed. The figures are those of an exact trim: without `exact` fewer entries may go.
        """
        checked_trim(maxlen, max_age, minid, acked, ignore)
        how, threshold = trim_limit(round((yield Now(wall=True)) * 1000), maxlen, max_age, minid)
        return (yield from trim_preview(self.name, how, threshold, acked, ignore))

    # -- groups and closing -------------------------------------------------------------------------------------------------------------

    def group(self, name: str, **options: Unpack[GroupOptions]) -> ConsumerGroupTopic[C, D]:
        """This topic as the consumer group `name` sees it. Options are those of `ConsumerGroupTopic`."""
        from .group import ConsumerGroupTopic

        return ConsumerGroupTopic(self, name, **options)

    @property
    def closed(self) -> bool:
        """Whether the topic was closed."""
        return self._closed

    @operation
    def close(self) -> Exchange[None]:
        """Close the topic's own connections (and the client, where the topic made it from a URL). The caller's client stays open.

        Requests and tails that wait end with a ValueError; on the embedded server that may take 2 s.
        """
        self._closed = True
        self._driver.source.closed = True
        yield Do(self._driver.close)
        if self._owned is not None:
            self._owned.close()

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError(f"topic {self.name!r} is closed")

    def __enter__(self: Topic[Blocking, D]) -> Topic[Blocking, D]:
        if self._driver.asyncio:
            wrong(self, "with", "async with")
        return self

    def __exit__(self: Topic[Blocking, D], *error: object) -> None:
        self.close()

    async def __aenter__(self: Topic[Asyncio, D]) -> Topic[Asyncio, D]:
        if not self._driver.asyncio:
            wrong(self, "async with", "with")
        return self

    async def __aexit__(self: Topic[Asyncio, D], *error: object) -> None:
        await self.close()

    def _after_fork(self) -> None:
        if self._driver.asyncio:
            kept(dict(self._driver.pool))
        self._driver.pool.clear()
        self._desks.clear()


def checked_count(count: int | None) -> None:
    """Refuse a count that is none."""
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 0):
        raise ValueError(f"count must be a whole number, 0 or more, not {count!r}")
