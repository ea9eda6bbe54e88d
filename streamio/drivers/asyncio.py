"""The asyncio driver: performs effects on the running event loop. The rules of the blocking one hold here, too.

A topic or member belongs to the loop that first used it. When that loop is closed, the next one may use it afresh.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from threading import get_ident
from typing import Any

from redis.exceptions import ConnectionError, ReadOnlyError, RedisClusterException, ResponseError

from ..effects import Call, Chance, Do, Drop, Emit, Exchange, Line, Now, R, Receive, Redirect, Rest, Write
from ..emitter import Lifecycle
from ..errors import Unanswered
from ..protocol.asking import BROKEN
from .source import Source, addressed, ended
from .wire import has_news, in_time, late, reply_of, sent

PAGE = 20  # replies that come in the time of one


class Bell:
    """Wakes a task that rests, from anywhere."""

    def __init__(self) -> None:
        self.rung = False
        self.event: asyncio.Event | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.thread = 0

    def ring(self) -> None:
        """Wake it, now or when it next rests."""
        self.rung = True
        if self.event is None or self.loop is None:
            return
        if get_ident() == self.thread:
            self.event.set()
        elif not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.event.set)

    async def rest(self, seconds: float | None) -> None:
        """Wait for a ring, `seconds` at most."""
        self.loop, self.thread, self.event = asyncio.get_running_loop(), get_ident(), asyncio.Event()
        if not self.rung:
            try:
                async with asyncio.timeout(seconds):
                    await self.event.wait()
            except asyncio.TimeoutError:  # noqa: UP041  (`TimeoutError` is redis-py's here)
                pass
        self.rung, self.event = False, None


class Pool(dict[float, deque[Any]]):
    """A topic's free connections by their patience, and the event loop that they belong to."""

    loop: asyncio.AbstractEventLoop | None = None


class Asyncio:
    """Performs effects. `pool` is a topic's free connections; `lifecycle` and `wake` are a member's."""

    asyncio = True
    clock: Any = time  # what has `time()` and `monotonic()`; made time in tests (`streamio.testing`)
    chance: Callable[[], float] = staticmethod(random.random)  # from 0 to 1
    keeper: Any = None  # what keeps a member, where that is no timer of the event loop

    def __init__(self, source: Source, key: str, lifecycle: Lifecycle | None = None, pool: Pool | None = None) -> None:
        self.source, self.key, self.lifecycle = source, key, lifecycle
        self.pool = Pool() if pool is None else pool
        self.wake = Bell()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.on_new_loop: Callable[[], None] = nothing
        self.waiting: set[Any] = set()  # connections of calls that may wait for news

    def beside(self, lifecycle: Lifecycle) -> Asyncio:
        """A driver for a member of this topic, with the same free connections."""
        return type(self)(self.source, self.key, lifecycle, self.pool)

    # -- running an exchange --------------------------------------------------------------------------------------------------------

    async def run(self, exchange: Exchange[R]) -> R:
        """What the exchange comes to."""
        self.settle_on_loop()
        step: Any = exchange.send
        came: Any = None
        task = asyncio.current_task()
        cancels = task.cancelling() if task is not None else 0
        try:
            while True:
                effect = step(came)
                if type(effect) is Now:  # there are many, and nothing to wait for
                    step, came = exchange.send, self.clock.time() if effect.wall else self.clock.monotonic()
                    continue
                try:
                    step, came = exchange.send, await (self.receive(effect.line) if type(effect) is Receive else self.perform(effect))
                    if task is not None and task.cancelling() > cancels:
                        raise asyncio.CancelledError  # redis-py's connect() swallowed it (8.1), or wait_for did (Python 3.11)
                except BaseException as error:
                    step, came = exchange.throw, error
                    cancels = task.cancelling() if task is not None else 0
        except StopIteration as done:
            result: R = done.value
            return result
        finally:
            del step, came  # an error kept by this frame would keep its whole stack alive, a loop that was left among it

    async def run_on(self, line: Line, exchange: Exchange[R]) -> R:
        """As `run`, with the line to itself."""
        if line.lock is None:
            line.lock = asyncio.Lock()
        async with line.lock:
            return await self.run_through(line, exchange)

    async def run_through(self, line: Line, exchange: Exchange[R]) -> R:
        """As `run`. Where that is interrupted or cancelled, a reply may be left unread: the line is dropped, and says so."""
        try:
            return await self.run(exchange)
        except BaseException as error:
            if not isinstance(error, Exception):
                await self.drop(line)
            line.cut = line.connection is None
            raise

    async def run_if_free(self, line: Line, exchange: Exchange[R]) -> R | None:
        """As `run_on`, or None at once where somebody else has the line."""
        if line.lock is None or line.lock.locked():
            exchange.close()
            return None
        return await self.run_on(line, exchange)

    def settle_on_loop(self) -> None:
        """Belong to the running loop; a RuntimeError where another one, still open, was first."""
        loop, pool = asyncio.get_running_loop(), self.pool
        if self.loop is loop:
            return
        if pool.loop is not loop:
            if pool.loop is not None and not pool.loop.is_closed():
                raise RuntimeError(f"topic {self.key!r} is used on a second event loop; make one topic and client for each loop")
            pool.clear()
            pool.loop = loop
        if self.loop is not None:
            self.on_new_loop()
        self.loop = loop

    def call_later(self, seconds: float, function: Callable[[], None]) -> Any:
        """Call the function in so many seconds; what `cancel()`s that."""
        return asyncio.get_running_loop().call_later(seconds, function)

    # -- effects --------------------------------------------------------------------------------------------------------------------

    async def perform(self, effect: Any) -> Any:
        """One effect's answer."""
        match effect:
            case Write(line, commands):
                return await self.write(line, commands)
            case Call(commands, patience):
                return await self.call(commands, patience)
            case Rest(seconds):
                return await self.wake.rest(seconds)
            case Emit(event):
                return self.lifecycle.tell(event) if self.lifecycle is not None else None
            case Do(action):
                return await action()
            case Chance():
                return self.chance()
            case Drop(line):
                return await self.drop(line)
            case Redirect(host, port):
                return self.source.redirect(host, port)
        raise TypeError(f"not an effect: {effect!r}")

    async def write(self, line: Line, commands: Any) -> None:
        """Send; connect first where the line is down."""
        connection = line.connection
        if connection is None:
            connection = await self.connect(line)
        try:
            await sent(connection, commands)
        except BaseException:
            await self.drop(line)
            raise

    async def receive(self, line: Line) -> Any:
        """The next reply."""
        connection = line.connection
        if connection is None:
            raise ConnectionError(f"the {line.name} line is down")
        try:
            async with asyncio.timeout(connection.patience):
                return await connection.read_response()
        except ResponseError as error:
            return error.with_traceback(None)
        except BaseException as error:
            await self.drop(line)
            if isinstance(error, asyncio.TimeoutError):
                raise late(connection) from None
            addressed(error, connection)
            raise

    async def connect(self, line: Line) -> Any:
        """Open the line; its connection."""
        connection = await self.new_connection(line.patience)
        line.blocks, line.version, line.opened = self.source.blocks, self.source.version, line.opened + 1
        line.connection = connection
        return connection

    async def drop(self, line: Line) -> None:
        """Close the line."""
        connection, line.connection = line.connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)

    async def call(self, commands: Any, patience: float) -> list[Any]:
        """Send on a free connection and receive all replies."""
        if self.source.closed:
            raise ended(self.key)
        free = self.pool.setdefault(patience, deque())
        connection = await self.free_connection(free, patience)
        replies: list[Any] = []
        if patience:
            self.waiting.add(connection)
        try:
            await sent(connection, commands)
            for first in range(0, len(commands), PAGE):
                async with in_time(connection, "reading from"):
                    for _ in commands[first : first + PAGE]:
                        replies.append(await reply_of(connection))
        except BROKEN as error:
            await connection.disconnect(nowait=True)
            addressed(error, connection)
            raise Unanswered(ended(self.key) if patience and self.source.closed else error, replies) from error
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        finally:
            self.waiting.discard(connection)
        free.append(connection)
        if any(isinstance(reply, ReadOnlyError) for reply in replies):  # the server was demoted: let the client say which one is the master now
            await self.close()
        return replies

    async def free_connection(self, free: deque[Any], patience: float) -> Any:
        """A connected one: a free one that the server has not closed meanwhile, or a new one."""
        while free:
            connection = free.pop()
            if not self.source.is_elsewhere(connection) and not await has_news(connection):
                return connection
            await connection.disconnect(nowait=True)
        return await self.new_connection(patience + 5 if patience else None)

    async def new_connection(self, patience: float | None) -> Any:
        """A new one, connected; the error of the first try where none can be."""
        if self.source.cluster and self.source.known is None:
            await self.initialized()
        faults = []
        try:
            for connection in self.source.connections(self.key, patience):
                try:
                    await connection.connect()
                    connection.patience, connection.socket_timeout = connection.socket_timeout, None  # see `in_time`
                    return connection
                except BaseException as error:
                    await connection.disconnect(nowait=True)
                    if not isinstance(error, BROKEN):
                        raise
                    addressed(error, connection)
                    faults.append(error)
            raise faults[0]
        finally:
            faults.clear()  # no cycle of error, traceback and frame

    async def initialized(self) -> None:
        """Let a cluster's client learn which node has which slot, where it does not know yet."""
        try:
            await self.source.client.initialize()
        except RedisClusterException as error:  # no node answers; it is no RedisError
            raise ConnectionError(str(error)) from error

    async def close(self) -> None:
        """Close the free connections, and where the topic is closed, end the calls that wait for news."""
        for connection in [*self.waiting] if self.source.closed else ():
            hang_up(connection)
        for free in self.pool.values():
            while free:
                await free.pop().disconnect(nowait=True)


def hang_up(connection: Any) -> None:
    """Let a read of this connection in another task find its end. (The embedded server has no transport: there it lasts its time.)"""
    transport = getattr(getattr(connection, "_writer", None), "transport", None)
    if transport is not None:
        transport.abort()


def nothing() -> None:
    """What a topic does on a new loop: its connections are gone already."""
