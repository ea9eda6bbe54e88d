"""`ConsumerGroupMember`: one reader of a consumer group: an iterable, an emitter, and what a pipe begins with."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal, Unpack, overload
from weakref import proxy

from .colour import Asyncio, Blocking, C, operation, wrong
from .drivers import tasks, workers
from .effects import Do, Exchange
from .emitter import Lifecycle
from .emitting import Emitting, Plain
from .forking import closed_in_children
from .group import ConsumerGroupTopic, one_of, positive
from .ids import Duration, seconds
from .keys import WAITING, checked
from .loop import AsyncioLoop, BlockingLoop
from .message import Message, Redelivered, guarded
from .options import Ack, MemberOptions, MemberSettings
from .protocol.hand import Hand, Settings
from .protocol.joining import joining, leaving
from .protocol.outcomes import released, succeeded
from .protocol.prefetch import MOST, Prefetch
from .protocol.reading import next_message
from .protocol.settling import sending
from .reports import MemberInfo

ACK = ("auto", "manual", "none")


class ConsumerGroupMember(Emitting[C]):
    """One member of a consumer group.

    topic            the group, a `ConsumerGroupTopic`
    group_member_id  the member's name in the group; None: host name, process id and a random part
    handlers         {type: handler}, as `on` adds them
    concurrency      how many handlers may run at once: threads in blocking code, tasks in asyncio
    prefetch         how many entries may wait in hand beside those; "auto" aims at 100 ms of work, 1000 entries and 8 MB at most
    block            seconds one read may wait at most (default 2); also how soon a retry or a hand-back of another member is seen
    ack              "auto": acknowledge after success; "manual": the user settles each message; "none": the server forgets each entry as it is read
                     (at most once)
    grace            seconds that `stop()` gives to handlers that run (default 30)
    connect_timeout  seconds to wait for a server that is not there (default 10)

    Everything pending under the member's name is renewed while the process lives and, in asyncio, its event loop turns. So handlers may take
    longer than the group's lease; two living members must not share a name.
    """

    @overload
    def __init__(
        self: ConsumerGroupMember[Blocking], topic: ConsumerGroupTopic[Blocking], group_member_id: str | None = None, *,
        handlers: Mapping[str, Callable[[Message], Plain]] | None = None, **options: Unpack[MemberSettings],
    ) -> None: ...  # fmt: skip
    @overload
    def __init__(
        self: ConsumerGroupMember[Asyncio], topic: ConsumerGroupTopic[Asyncio], group_member_id: str | None = None, *,
        handlers: Mapping[str, Callable[[Message], object]] | None = None, **options: Unpack[MemberSettings],
    ) -> None: ...  # fmt: skip
    def __init__(
        self,
        topic: ConsumerGroupTopic[Any],
        group_member_id: str | None = None,
        *,
        handlers: Mapping[str, Callable[[Message], object]] | None = None,
        concurrency: int = 1,
        prefetch: int | Literal["auto"] = "auto",
        block: Duration = 2,
        ack: Ack = "auto",
        grace: Duration = 30,
        connect_timeout: Duration = 10,
    ) -> None:
        if not isinstance(topic, ConsumerGroupTopic):
            raise TypeError(f"a member belongs to a ConsumerGroupTopic, not to {topic!r}")
        super().__init__(topic)
        self.group: ConsumerGroupTopic[C] = topic
        self.id = checked(default_id() if group_member_id is None else group_member_id, "member id")
        if self.id == WAITING:
            raise ValueError(f"the member id {WAITING!r} is reserved: it is where waiting entries are parked")
        self._options: dict[str, Any] = {
            "concurrency": concurrency, "prefetch": prefetch, "block": block, "ack": ack, "grace": grace, "connect_timeout": connect_timeout,
        }  # fmt: skip
        self._hand = Hand(self._checked_settings(), Prefetch(checked_prefetch(prefetch), concurrency), Message, Redelivered)
        self.lifecycle = Lifecycle(start_task if topic._is_asyncio else None)
        self._driver = topic._driver.beside(self.lifecycle)
        self._hand.wake = self._driver.wake
        room: Any = tasks if self._is_asyncio else workers
        self._runner = (room.Tasks if self._is_asyncio else room.Workers)(self._hand, self._driver, proxy(self), self.lifecycle)
        self._keeper = room.Keeper(self._hand, self._driver)
        self._user = ""  # who has the hand: a loop, a listener, a read; nobody
        self._idle = threading.Event()
        self._idle.set()
        self._in_block = False
        for event, handler in dict(handlers or {}).items():
            self._add_event_handler(event, handler, handler)
        topic._members.add(self)
        closed_in_children(self)

    def _checked_settings(self) -> Settings:
        group, options = self.group, self._options
        concurrency = options["concurrency"]
        if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
            raise ValueError(f"concurrency must be a whole number, 1 or more, not {concurrency!r}")
        return Settings(
            topic=group.topic.name,
            group=group.name,
            me=self.id,
            codec=group.topic.codec,
            start=group._start_id(round(time.time() * 1000)),
            lease=group.lease,
            claim_interval=group.claim_interval,
            retry=group.retry,
            unhandled=group.unhandled,
            on_group_lost=group.on_group_lost,
            max=group.max,
            block=positive(options["block"], "block"),
            ack=one_of(options["ack"], ACK, "ack"),
            concurrency=concurrency,
            connect_timeout=seconds(options["connect_timeout"], "connect_timeout"),
            grace=seconds(options["grace"], "grace"),
        )

    def __repr__(self) -> str:
        return f"<ConsumerGroupMember {self.id!r} of group {self.group.name!r}, topic {self.group.topic.name!r}>"

    def __del__(self) -> None:
        hand = getattr(self, "_hand", None)
        if hand is not None and hand.state in ("ready", "listening", "iterating"):
            hand.abandoned = True
            hand.bell.ring()

    # -- listening ----------------------------------------------------------------------------------------------------------------------

    @operation
    def connect(self) -> Exchange[None]:
        """Be ready: reach the server within `connect_timeout`, check what is needed, by name, and make the group where it is not there."""
        yield from self._join()

    @operation
    def connect_and_listen(self) -> Exchange[None]:
        """Read and call handlers until `stop()`: the own pending entries first, then what is new.

        A handler that returned: the entry is acknowledged after. One that raised: it is tried again by the group's retry policy, `failed` is
        emitted, the loop goes on. Only `stop()`, a setup error and a `BaseException` of a handler that is no `Exception` end it.
        """
        self._need_listener("connect_and_listen()")
        self._take_for("listening")
        try:
            yield from self._join()
            self._hand.state = "listening"
            yield Do(lambda: self._runner.listen(never))
        finally:
            yield from self._part()

    @operation
    def drain(self, retries: bool = True) -> Exchange[int]:
        """Handle what is there and return; how many entries were settled.

        That is: until a read brings nothing, nothing is in hand, and (`retries=True`) what failed here was retried to success or buried.
        """
        self._need_listener("drain()")
        self._take_for("draining")
        hand = self._hand
        before = hand.settled
        try:
            yield from self._join()
            hand.state = "listening"
            while True:
                yield Do(lambda: self._runner.listen(lambda: self._dry_at(retries)))
                yield Do(lambda: self._driver.run_on(hand.side, sending(hand, hand.side)))
                if hand.stopping or not (retries and hand.timers):
                    break
        finally:
            yield from self._part()
        return hand.settled - before

    def _dry_at(self, retries: bool) -> float:
        """Until when a drain waits for news: now, or until what waits for a retry is due."""
        now = time.monotonic()
        return max(now, *self._hand.timers) + 0.02 if retries and self._hand.timers else now

    @operation
    def read(self, n: int = 1, timeout: Duration | None = None) -> Exchange[list[Message]]:
        """Up to `n` messages, as soon as there is one; none where none came within `timeout` seconds (None: wait).

        They are settled by hand: `ack()`, `nack()`, `bury()` or `with message:`. One that is dropped unsettled is given back.
        """
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ValueError(f"n must be a whole number, 1 or more, not {n!r}")
        until = None if timeout is None else time.monotonic() + seconds(timeout, "timeout")
        self._take_for("reading")
        hand = self._hand
        found: list[Message] = []

        def take() -> Any:
            return self._driver.run_on(hand.reading, next_message(hand, until))

        try:
            yield from self._join()
            while len(found) < n:
                hand.limit = n - len(found)
                message = yield Do(take)
                if message is None:
                    break
                found.append(guarded(message))
                until = 0.0  # what is there already, without waiting for more
        finally:
            hand.limit = None
            self._free()
        return found

    def __iter__(self: ConsumerGroupMember[Blocking]) -> BlockingLoop:
        if self._driver.asyncio:
            wrong(self, "for", "async for")
        return BlockingLoop(self)

    def __aiter__(self: ConsumerGroupMember[Asyncio]) -> AsyncioLoop:
        if not self._driver.asyncio:
            wrong(self, "async for", "for")
        return AsyncioLoop(self)

    # -- notes: plain functions in both colours, from anywhere -----------------------------------------------------------------------------

    def stop(self) -> None:
        """Read no more, finish what runs (`grace` seconds at most), settle, give back what has not started, and return.

        A read that waits is not cancelled: its reply would be lost. So this takes effect within `block` seconds. Where the member does not
        listen yet, the next loop returns at once.
        """
        if self._hand.state not in ("stopped", "closed", "forked"):
            self._hand.halt(stopping=True)

    def pause(self) -> None:
        """Start nothing and read nothing until `resume()`: what runs finishes, what waits in hand is given back."""
        self._hand.halt(paused=True)

    def resume(self) -> None:
        """Read again."""
        self._hand.halt(paused=False)

    # -- settling, looking, closing ---------------------------------------------------------------------------------------------------------

    @operation
    def flush(self) -> Exchange[None]:
        """Bring all settlements noted so far to the server now."""
        hand = self._hand
        if hand.acks or hand.notes:
            yield Do(lambda: self._driver.run_on(hand.side, sending(hand, hand.side)))

    @operation
    def info(self) -> Exchange[MemberInfo]:
        """What the member has in hand and has done. Nothing is asked of the server."""
        hand = self._hand
        return MemberInfo(
            id=self.id,
            group=self.group.name,
            topic=self.group.topic.name,
            state=hand.state,
            waiting=len(hand.fresh) + len(hand.taken),
            running=len(hand.running) + (hand.current is not None) + len(hand.held),
            notes=len(hand.acks) + len(hand.notes),
            prefetch=max(1, hand.prefetch.count(0)),
            handled=hand.handled,
            failed=hand.failures,
            claimed=hand.claims,
            connections=sum(line.connection is not None for line in (hand.reading, hand.side)),
        )
        yield

    def clone(self, id: str | None = None, **options: Unpack[MemberOptions]) -> ConsumerGroupMember[C]:
        """Another member of the same group with the same handlers and options, where `options` do not say otherwise."""
        handlers = options.pop("handlers", None)
        make: Any = ConsumerGroupMember
        other: ConsumerGroupMember[C] = make(self.group, id, **{**self._options, **options})
        for event, listeners in self._events.items():
            for function, listener in listeners.items():
                other._add_event_handler(event, function, listener)
        for event, handler in dict(handlers or {}).items():
            other._add_event_handler(event, handler, handler)
        return other

    @operation
    def close(self) -> Exchange[None]:
        """Stop, settle, give back what is in hand, and close the member's connections. A listener in another thread or task is waited for."""
        hand = self._hand
        if hand.state in ("closed", "forked"):
            return
        if self._user in ("listening", "draining"):
            self.stop()
            if not self._runner_is_me():
                yield Do(self._wait_idle)
        if hand.state != "stopped":
            yield from self._part()
        hand.state = "closed"

    def __enter__(self: ConsumerGroupMember[Blocking]) -> ConsumerGroupMember[Blocking]:
        if self._driver.asyncio:
            wrong(self, "with", "async with")
        self._in_block = True
        return self

    def __exit__(self: ConsumerGroupMember[Blocking], kind: Any, error: BaseException | None, trace: Any) -> None:
        self._verdict(error)
        self.close()

    async def __aenter__(self: ConsumerGroupMember[Asyncio]) -> ConsumerGroupMember[Asyncio]:
        if not self._driver.asyncio:
            wrong(self, "async with", "with")
        self._in_block = True
        return self

    async def __aexit__(self: ConsumerGroupMember[Asyncio], kind: Any, error: BaseException | None, trace: Any) -> None:
        self._verdict(error)
        await self.close()

    def _verdict(self, error: BaseException | None) -> None:
        """The end of the `with` block decides about the messages whose loops were left."""
        hand, self._in_block = self._hand, False
        messages = [*hand.undecided, *([] if hand.current is None else [hand.current])]
        hand.undecided, hand.current = [], None
        for message in messages:
            released(hand, message) if error is not None else succeeded(hand, message)

    # -- within -------------------------------------------------------------------------------------------------------------------------

    @operation
    def _enter(self, loop: Any) -> Exchange[None]:
        """Let this loop have the member; a RuntimeError where another one has it."""
        if loop.begun:
            return
        self._take_for("iterating")
        try:
            yield from self._join()
        except BaseException:
            self._free()
            raise
        loop.begun, self._hand.state = True, "iterating"

    @operation
    def _exit(self, loop: Any) -> Exchange[None]:
        """The loop ended because the member stopped."""
        loop.begun = False
        yield from self._part()

    def _join(self) -> Exchange[None]:
        hand = self._hand
        if hand.state == "closed":
            raise RuntimeError(f"member {self.id!r} is closed; use clone()")
        if hand.state == "forked":
            raise RuntimeError(f"member {self.id!r} was made in another process; use clone() in this one")
        if hand.state in ("new", "stopped") and not hand.stopping:
            try:
                yield Do(lambda: self._driver.run_on(hand.reading, joining(hand)))
            except BaseException:
                yield Do(lambda: self._driver.drop(hand.reading))
                raise
            self._keeper.start()

    def _part(self) -> Exchange[None]:
        """Leave the group: settle, give back, close the lines."""
        hand = self._hand
        if hand.state not in ("new", "stopped", "forked"):
            yield Do(lambda: self._driver.run_on(hand.reading, leaving(hand)))
            yield Do(lambda: self._driver.drop(hand.reading))
            yield Do(self._keeper.stop)
            hand.empty()
            self.lifecycle.tell(hand.event("stopped"))
        if hand.state != "forked":
            hand.state = "stopped"
        hand.halt(stopping=False)
        self._free()

    def _take_for(self, use: str) -> None:
        if self._user:
            raise RuntimeError(f"member {self.id!r} is {self._user} already: one loop at a time; use clone() for another")
        self._user = use
        self._idle.clear()
        self._thread = threading.get_ident()

    def _free(self) -> None:
        self._user = ""
        if self._hand.state in ("listening", "iterating"):
            self._hand.state = "ready"
        self._idle.set()

    def _runner_is_me(self) -> bool:
        """Whether this is called from inside the listening itself (a handler)."""
        if self._is_asyncio:
            return self._hand.current is not None or asyncio.current_task() in self._runner.tasks
        return self._thread == threading.get_ident()

    def _wait_idle(self) -> Any:
        if not self._is_asyncio:
            return self._idle.wait()

        async def wait() -> None:
            while not self._idle.is_set():
                await asyncio.sleep(0.01)

        return wait()

    def _need_listener(self, what: str) -> None:
        if not self.any_listener():
            raise ValueError(f"nothing listens on member {self.id!r}: add a handler with on(type, fn) before {what}")

    def _settings_for_check(self) -> None:
        """Take no place of the group's `max`."""
        self._hand.settings = replace(self._hand.settings, max=None)

    def _after_fork(self) -> None:
        """In a forked child: nothing is in hand, and nothing is said on the parent's connections."""
        self._hand.empty()
        self._hand.state, self._user = "forked", ""
        self._hand.reading.connection = self._hand.side.connection = None
        self._hand.reading.lock = self._hand.side.lock = None


def never() -> None:
    """Listen for ever."""


def default_id() -> str:
    """Host name, process id and a random part."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


def checked_prefetch(prefetch: int | str) -> int | str:
    """`prefetch`, or an error where it is neither "auto" nor a whole number."""
    if prefetch == "auto" or (isinstance(prefetch, int) and not isinstance(prefetch, bool) and 0 <= prefetch <= 100 * MOST):
        return prefetch
    raise ValueError(f"prefetch must be 'auto' or a whole number from 0 to {100 * MOST}, not {prefetch!r}")


def start_task(awaitable: Any) -> None:
    """Run what a coroutine lifecycle listener returned."""
    task = asyncio.ensure_future(awaitable)
    running.add(task)
    task.add_done_callback(finished)


running: set[asyncio.Future[Any]] = set()


def finished(task: asyncio.Future[Any]) -> None:
    """Log what a lifecycle listener raised."""
    from .emitter import log

    running.discard(task)
    if not task.cancelled() and task.exception() is not None:
        log.error("a lifecycle listener raised", exc_info=task.exception())
