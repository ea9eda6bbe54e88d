"""`topic.request`: publish an entry and wait for what its handler returns."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any

from .codec import AnyCodec
from .colour import C, Coloured, operation
from .effects import Exchange
from .ids import Duration, seconds
from .items import entry
from .protocol.publishing import Publisher
from .protocol.replying import read
from .protocol.requesting import Desk

RESERVED = ("reply_to", "correlation_id")


class Requesting(Coloured[C]):
    """What a topic has for requests."""

    name: str
    codec: AnyCodec
    _publisher: Publisher
    _desk: tuple[Any, Desk] | None = None  # with the event loop that it is for

    @operation
    def request(
        self, /, type: str, data: Any = None, *, timeout: Duration = 3, headers: Mapping[str, Any] | None = None, **fields: Any
    ) -> Exchange[Any]:
        """Add an entry and wait for the reply of whoever handles it; the reply's data.

        A handler's return value is the reply, None too, written in one step with its acknowledgement. With the default codec a mapping of plain
        values comes back as any data does (values as str), everything else as it was (JSON). Any number of requests may wait at once. Where no
        reply comes within `timeout` seconds, `RequestTimeout` (a `TimeoutError`): the entry is in the stream all the same, and a later reply is
        dropped. Where the write is in doubt, `PublishUncertain`.
        """
        self._check_open()
        wait = seconds(timeout, "timeout")
        for name in RESERVED:
            if name in (headers or {}):
                raise ValueError(f"header {name!r} is what request() itself writes")
        desk = self._own_desk()
        request = desk.expect()
        try:
            request.words = entry(self.codec, type, data, fields, {**(headers or {}), **desk.headers(request)})
        except BaseException:
            del desk.waiting[request.id]
            raise
        return read(self.codec, (yield from desk.requesting(request, wait)))

    def _own_desk(self) -> Desk:
        """The requests of this process and event loop."""
        loop = asyncio.get_running_loop() if self._is_asyncio else None
        if self._desk is None or self._desk[0] is not loop:
            bell: Any = type(self._driver.wake)
            self._desk = loop, Desk(self._publisher, self.codec, secrets.token_hex(8), bell, self._alone)
        return self._desk[1]

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


sending: set[asyncio.Future[None]] = set()  # the loop knows its tasks weakly
