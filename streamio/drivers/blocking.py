"""The blocking driver: performs effects with plain sockets, in the calling thread.

1. A connection on which anything but a reply happened is dropped: a timeout, a reset, a KeyboardInterrupt in the middle of a command.
2. An error reply is an answer, and given back as a value.
"""

from __future__ import annotations

import random
import socket
import time
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Any

from redis.exceptions import ConnectionError, ReadOnlyError, ResponseError

from ..effects import Call, Chance, Do, Drop, Emit, Exchange, Line, Now, R, Receive, Redirect, Rest, Write
from ..emitter import Lifecycle
from ..errors import Unanswered
from ..logbook import CONNECTION, about, error_text
from ..protocol.asking import BROKEN
from .packing import packed
from .source import Source, addressed, ended


class Bell:
    """Wakes a thread that rests. SimpleQueue.put is reentrant, so a signal handler may ring while the ringer is interrupted."""

    def __init__(self) -> None:
        self.queue: SimpleQueue[None] = SimpleQueue()

    def ring(self) -> None:
        """Wake it, now or when it next rests."""
        if self.queue.empty():
            self.queue.put(None)

    def rest(self, seconds: float | None) -> None:
        """Wait for a ring, `seconds` at most."""
        try:
            self.queue.get(timeout=seconds)
            while True:
                self.queue.get_nowait()
        except Empty:
            return


class Blocking:
    """Performs effects. `pool` is a topic's free connections; `lifecycle` and `wake` are a member's."""

    asyncio = False
    clock: Any = time  # what has `time()` and `monotonic()`; made time in tests (`streamio.testing`)
    chance: Callable[[], float] = staticmethod(random.random)  # from 0 to 1
    keeper: Any = None  # what keeps a member, where that is no thread of its own

    def __init__(self, source: Source, key: str, lifecycle: Lifecycle | None = None, pool: dict[float, deque[Any]] | None = None) -> None:
        self.source, self.key, self.lifecycle = source, key, lifecycle
        self.pool: dict[float, deque[Any]] = {} if pool is None else pool
        self.wake = Bell()
        self.waiting: set[Any] = set()  # connections of calls that may wait for news

    def beside(self, lifecycle: Lifecycle) -> Blocking:
        """A driver for a member of this topic, with the same free connections."""
        return type(self)(self.source, self.key, lifecycle, self.pool)

    # -- running an exchange --------------------------------------------------------------------------------------------------------

    def run(self, exchange: Exchange[R]) -> R:
        """What the exchange comes to."""
        step: Any = exchange.send
        came: Any = None
        try:
            while True:
                effect = step(came)
                if type(effect) is Now:  # there are many
                    step, came = exchange.send, self.clock.time() if effect.wall else self.clock.monotonic()
                    continue
                try:
                    step, came = exchange.send, self.perform(effect)
                except BaseException as error:
                    step, came = exchange.throw, error
        except StopIteration as done:
            result: R = done.value
            return result
        finally:
            del step, came  # an error kept by this frame would keep its whole stack alive, a loop that was left among it

    def run_on(self, line: Line, exchange: Exchange[R]) -> R:
        """As `run`, with the line to itself."""
        if line.lock is None:
            line.lock = Lock()
        with line.lock:
            return self.run_through(line, exchange)

    def run_through(self, line: Line, exchange: Exchange[R]) -> R:
        """As `run`. Where that is interrupted or cancelled, a reply may be left unread: the line is dropped, and says so."""
        try:
            return self.run(exchange)
        except BaseException as error:
            if not isinstance(error, Exception):
                self.drop(line)
            line.cut = line.connection is None
            raise

    def run_if_free(self, line: Line, exchange: Exchange[R]) -> R | None:
        """As `run_on`, or None at once where somebody else has the line."""
        if line.lock is None or not line.lock.acquire(blocking=False):
            exchange.close()
            return None
        try:
            return self.run_through(line, exchange)
        finally:
            line.lock.release()

    # -- effects --------------------------------------------------------------------------------------------------------------------

    def perform(self, effect: Any) -> Any:
        """One effect's answer."""
        match effect:
            case Write(line, commands):
                return self.write(line, commands)
            case Receive(line):
                return self.receive(line)
            case Call(commands, patience):
                return self.call(commands, patience)
            case Rest(seconds):
                return self.wake.rest(seconds)
            case Emit(event):
                return self.lifecycle.tell(event) if self.lifecycle is not None else None
            case Do(action):
                return action()
            case Chance():
                return self.chance()
            case Drop(line):
                return self.drop(line)
            case Redirect(host, port):
                return self.source.redirect(host, port)
        raise TypeError(f"not an effect: {effect!r}")

    def write(self, line: Line, commands: Any) -> None:
        """Send; connect first where the line is down."""
        connection = line.connection
        if connection is None:
            connection = self.connect(line)
        try:
            connection.send_packed_command(packed(commands))
        except BaseException:
            self.drop(line)
            raise

    def receive(self, line: Line) -> Any:
        """The next reply."""
        connection = line.connection
        if connection is None:
            raise ConnectionError(f"the {line.name} line is down")
        try:
            return connection.read_response()
        except ResponseError as error:
            return error.with_traceback(None)
        except BaseException as error:
            self.drop(line)
            addressed(error, connection)
            raise

    def connect(self, line: Line) -> Any:
        """Open the line; its connection."""
        connection = line.connection = self.new_connection(line.patience)
        line.blocks, line.version, line.opened = self.source.blocks, self.source.version, line.opened + 1
        return connection

    def drop(self, line: Line) -> None:
        """Close the line."""
        connection, line.connection = line.connection, None
        if connection is not None:
            connection.disconnect()

    def call(self, commands: Any, patience: float) -> list[Any]:
        """Send on a free connection and receive all replies."""
        if self.source.closed:
            raise ended(self.key)
        free = self.pool.setdefault(patience, deque())
        connection = self.free_connection(free, patience)
        replies: list[Any] = []
        if patience:
            self.waiting.add(connection)
        try:
            connection.send_packed_command(packed(commands))
            for _ in commands:
                replies.append(reply_of(connection))
        except BROKEN as error:
            connection.disconnect()
            addressed(error, connection)
            raise Unanswered(ended(self.key) if patience and self.source.closed else error, replies) from error
        except BaseException:
            connection.disconnect()
            raise
        finally:
            self.waiting.discard(connection)
        free.append(connection)
        if any(isinstance(reply, ReadOnlyError) for reply in replies):  # the server was demoted: let the client say which one is the master now
            self.close()
        return replies

    def free_connection(self, free: deque[Any], patience: float) -> Any:
        """A connected one: a free one that the server has not closed meanwhile, or a new one."""
        while free:
            try:
                connection = free.pop()
            except IndexError:
                break
            if not self.source.is_elsewhere(connection) and not has_news(connection):
                return connection
            connection.disconnect()
        return self.new_connection(patience + 5 if patience else None)

    def new_connection(self, patience: float | None) -> Any:
        """A new one, connected; the error of the first try where none can be."""
        faults = []
        try:
            for connection in self.source.connections(self.key, patience):
                try:
                    connection.connect()
                    return connection
                except BaseException as error:
                    connection.disconnect()
                    if not isinstance(error, BROKEN):
                        raise
                    addressed(error, connection)
                    faults.append(error)
            raise faults[0]
        finally:
            faults.clear()  # no cycle of error, traceback and frame

    def close(self) -> None:
        """Close the free connections, and where the topic is closed, end the calls that wait for news."""
        for connection in [*self.waiting] if self.source.closed else ():
            hang_up(connection)
        for free in list(self.pool.values()):
            while free:
                try:
                    free.pop().disconnect()
                except IndexError:  # another thread took it
                    break


def hang_up(connection: Any) -> None:
    """Let a read of this connection in another thread find its end. (The embedded server has no socket: there it lasts its time.)"""
    found = getattr(connection, "_sock", None)
    if isinstance(found, socket.socket):
        try:
            socket.socket.shutdown(found, socket.SHUT_RDWR)  # (that of TLS would be in the way of the read)
        except OSError as error:
            CONNECTION.debug("a connection that waited was closed already: %r", error, extra=about(error=error_text(error)))


def reply_of(connection: Any) -> Any:
    """The next reply, an error reply as a value."""
    try:
        return connection.read_response()
    except ResponseError as error:
        return error.with_traceback(None)


def has_news(connection: Any) -> bool:
    """Whether an idle connection has something to read: then it was closed, or is out of step."""
    try:
        return bool(connection.can_read(timeout=0))
    except BROKEN:
        return True
