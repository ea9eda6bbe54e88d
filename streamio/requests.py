"""`topic.request`: publish an entry and wait for what its handler returns."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any

from .codec import AnyCodec
from .colour import C, Coloured, operation
from .effects import Exchange, Words
from .ids import Duration, seconds
from .items import entry
from .keys import slot
from .protocol.publishing import Publisher
from .protocol.replying import read
from .protocol.requesting import Desk
from .watching import watched

RESERVED = ("reply_to", "correlation_id")
OF_PUBLISH = ("delay", "at", "idempotency_key", "entry_id")  # for its caller, who is not to take them for fields


class Requesting(Coloured[C]):
    """What a topic has for requests."""

    name: str
    codec: AnyCodec
    _publisher: Publisher
    _driver: Any
    _desks: dict[str | None, tuple[Any, Desk]]  # by the stream of the replies (None: their own), with the event loop that each is for

    @operation
    @watched
    def request(
        self, /, type: str, data: Any = None, *,
        timeout: Duration = 3, headers: Mapping[str, Any] | None = None, reply_to: Requesting[Any] | None = None, **fields: Any,
    ) -> Exchange[Any]:  # fmt: skip
        """Add an entry and wait for the reply of whoever handles it; the reply's data.

        A handler's return value is the reply, None too, written in one step with its acknowledgement. With the default codec a mapping of plain
        values comes back as any data does (values as str), everything else as it was (JSON). Any number of requests may wait at once. Where no
        reply comes within `timeout` seconds, `RequestTimeout` (a `TimeoutError`): the entry is in the stream all the same, and a later reply is
        dropped. Where the write is in doubt, `PublishUncertain`.

        reply_to    another topic on the same server to await the reply on, instead of a stream that the topic makes for itself: for those who answer
                    at a place of their own. It is read from its end; other entries in it do not matter
        """
        self._check_open()
        wait = seconds(timeout, "timeout")
        check(headers, fields)
        desk = self._desk_at(reply_to)
        request = desk.expect()
        try:
            request.words = entry(self.codec, type, data, fields, self._stamped({**(headers or {}), **desk.headers(request)}))
            self._encoded(request.words)
        except BaseException:
            del desk.waiting[request.id]
            raise
        return read(desk.codec, (yield from desk.requesting(request, wait)))

    def _desk_at(self, reply_to: Requesting[Any] | None) -> Desk:
        """The requests of this process and event loop whose replies come there."""
        if reply_to is not None:
            self._check_reply_to(reply_to)
        loop, shared = asyncio.get_running_loop() if self._is_asyncio else None, None if reply_to is None else reply_to.name
        known = self._desks.get(shared)
        if known is None or known[0] is not loop:
            codec, bell = self.codec if reply_to is None else reply_to.codec, type(self._driver.wake)
            known = self._desks[shared] = loop, Desk(self._publisher, codec, secrets.token_hex(8), bell, self._alone, shared)
        return known[1]

    def _check_reply_to(self, other: Requesting[Any]) -> None:
        """An error where replies cannot come there."""
        if not isinstance(other, Requesting):
            raise TypeError(f"reply_to must be a Topic, not {other!r}")
        if problem := self._is_apart(other):
            raise ValueError(f"reply_to {other.name!r} must be {problem} as {self.name!r}")
        if other.name == self.name:
            raise ValueError(f"reply_to {other.name!r} is the topic itself: its groups would take each reply for a request")

    def _is_apart(self, other: Requesting[Any]) -> str:
        """What the two topics would have to share; empty where one write can go to both."""
        if not self._driver.source.shares_server(other._driver.source):
            return "on the same server"
        return "in the same slot of the cluster" if self._driver.source.cluster and slot(self.name) != slot(other.name) else ""

    def _alone(self, exchange: Exchange[None]) -> Any:
        """Perform it; in asyncio as a task of its own, which goes on where the caller is cancelled."""
        if not self._is_asyncio:
            return self._driver.run(exchange)
        task = asyncio.ensure_future(self._driver.run(exchange))
        sending.add(task)
        task.add_done_callback(sending.discard)
        return asyncio.shield(task)

    def _check_open(self) -> None:
        raise NotImplementedError

    def _stamped(self, headers: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        raise NotImplementedError

    def _encoded(self, words: Words) -> None:
        raise NotImplementedError


def check(headers: Any, fields: Mapping[str, Any]) -> None:
    """An error where something in them is not for a request."""
    if headers is not None and not isinstance(headers, Mapping):
        raise TypeError(f"headers must be a mapping, not {headers!r}")
    for name in RESERVED:
        if name in (headers or {}):
            raise ValueError(f"header {name!r} is what request() itself writes")
    for name in OF_PUBLISH:
        if name in fields:
            raise TypeError(f"request() takes no {name!r}, which is an argument of publish(); a field of that name goes into data")


sending: set[asyncio.Future[None]] = set()  # the loop knows its tasks weakly
