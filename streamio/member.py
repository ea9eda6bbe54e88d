"""`ConsumerGroupMember`: one reader of a consumer group: an iterable, an emitter, and what a pipe begins with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, Unpack, overload

from .colour import Asyncio, Blocking, C, D, X, operation, wrong
from .drivers.until import Flag, Waiter
from .effects import Do, Exchange
from .emitting import Plain
from .forking import closed_in_children
from .group import ConsumerGroupTopic
from .grouping import Grouping, Groups
from .guarding import Guarding
from .ids import Duration, seconds
from .loop import AsyncioLoop, BlockingLoop
from .message import ENDED, Message
from .options import Ack, MemberOptions, MemberSettings
from .pipes import Piping
from .protocol.holding import guarded
from .protocol.reading import next_message
from .protocol.servers import CHOSEN
from .protocol.settling import delivering
from .readable import Readable
from .reports import MemberInfo
from .signals import stop_on
from .topic import Topic


class ConsumerGroupMember(Readable[C], Piping[C], Guarding[C], Grouping[C, D]):
    """One member of a consumer group.

    topic            the group, a `ConsumerGroupTopic`; several of one colour as a list, or as a mapping {group: priority} (`add_group`)
    group_member_id  the member's name in the group; None: host name, process id and a random part
    handlers         {type: handler}, as `on` adds them
    concurrency      how many handlers may run at once: threads in blocking code, tasks in asyncio
    prefetch         how many entries may wait in hand beside those; "auto" aims at 100 ms of work, 1000 entries and 8 MB at most
    block            seconds one read may wait at most (default 2); also how soon a retry or a hand-back of another member is seen
    ack              "auto": acknowledge after success; "manual": the user settles each message; "none": the server forgets each entry as it is read
                     (at most once)
    grace            seconds that `stop()` gives to handlers that run (default 30)
    connect_timeout  seconds to wait for a server that is not there (default 10)
    handler_timeout  seconds that a handler, or a loop's body, may take; one that takes longer has failed with `HandlerTimeout`. In asyncio a handler
                     is cancelled then; a thread cannot be ended: what it does later means nothing, and it keeps its place until it returns
    reply_to         a topic: what handlers return, but None, is written there as a reply, in one step with the acknowledgement. (What is published
                     with a header `reply_to`, as `topic.request()` does, is replied to in any case, where that says.)
    standby          where the group's `max` places are taken: wait for one instead of raising `GroupFull`; a dead member's is free after a lease

    Everything pending under the member's name is renewed while the process lives and, in asyncio, its event loop turns. So handlers may take
    longer than the group's lease; two living members must not share a name.
    """

    @overload
    def __init__(
        self: ConsumerGroupMember[Blocking, X], topic: Groups[Blocking, X], group_member_id: str | None = None, *,
        handlers: Mapping[str, Callable[[Message[X]], Plain]] | None = None, **options: Unpack[MemberSettings],
    ) -> None: ...  # fmt: skip
    @overload
    def __init__(
        self: ConsumerGroupMember[Asyncio, X], topic: Groups[Asyncio, X], group_member_id: str | None = None, *,
        handlers: Mapping[str, Callable[[Message[X]], object]] | None = None, **options: Unpack[MemberSettings],
    ) -> None: ...  # fmt: skip
    def __init__(
        self,
        topic: Groups[Any, Any],
        group_member_id: str | None = None,
        *,
        handlers: Mapping[str, Callable[[Message[Any]], object]] | None = None,
        concurrency: int = 1,
        prefetch: int | Literal["auto"] = "auto",
        block: Duration = 2,
        ack: Ack = "auto",
        grace: Duration = 30,
        connect_timeout: Duration = 10,
        handler_timeout: Duration | None = None,
        standby: bool = False,
        reply_to: Topic[Any] | None = None,
    ) -> None:
        if not isinstance(topic, ConsumerGroupTopic):
            raise TypeError(f"a member belongs to a ConsumerGroupTopic, or to a list or mapping of them, not to {topic!r}")
        options = {
            "concurrency": concurrency, "prefetch": prefetch, "block": block, "ack": ack, "grace": grace, "connect_timeout": connect_timeout,
            "handler_timeout": handler_timeout, "standby": standby, "reply_to": reply_to,
        }  # fmt: skip
        if handlers is not None and not isinstance(handlers, Mapping):
            raise TypeError(f"handlers must be a mapping of types to handlers, not {handlers!r}")
        super().__init__(topic, group_member_id, options)
        for event, handler in dict(handlers or {}).items():
            self._add_event_handler(event, handler, handler)
        topic._members.add(self)
        closed_in_children(self)

    def __repr__(self) -> str:
        return f"<ConsumerGroupMember {self.id!r} of group {self.group.name!r}, topic {self.group.topic.name!r}>"

    # -- listening ----------------------------------------------------------------------------------------------------------------------

    @operation
    def connect(self) -> Exchange[None]:
        """Be ready: reach the server within `connect_timeout`, check what is needed, by name, and make the group where it is not there."""
        yield from self._join()

    @operation
    def connect_and_listen(self, *, until: Flag | None = None) -> Exchange[None]:
        """Read and call handlers until `stop()`: the own pending entries first, then what is new.

        until   a `threading.Event`, in asyncio an `asyncio.Event`: when it is set, the member stops as by `stop()`; set already: nothing is begun

        A handler that returned: the entry is acknowledged after. One that raised: it is tried again by the group's retry policy, `failed` is
        emitted, the loop goes on. Only `stop()`, a setup error and a `BaseException` of a handler that is no `Exception` end it.
        """
        self._need_listener("connect_and_listen()")
        waiter = Waiter(until, self._is_asyncio, self.stop)
        if waiter.is_set:
            return
        self._take_for("listening")
        try:
            waiter.begin()
            yield from self._join()
            self._become("listening")
            yield Do(lambda: self._runner.listen(never))
        finally:
            try:
                yield from waiter.ending()
            finally:
                yield from self._part()

    @operation
    def drain(self, retries: bool = True) -> Exchange[int]:
        """Handle what is there and return; how many entries were settled.

        That is: until a read brings nothing, nothing is in hand, and (`retries=True`) what failed here was retried to success or buried. A server
        that goes away meanwhile is waited for, `connect_timeout` at most.
        """
        self._need_listener("drain()")
        self._take_for("draining")
        hand = self._hand
        before = hand.settled
        try:
            yield from self._join()
            hand.state = "listening"
            hand.look_again()
            while True:
                yield Do(lambda: self._runner.listen(lambda: self._dry_at(retries)))
                yield Do(lambda: self._driver.run_on(hand.side, delivering(hand, hand.side)))
                if hand.stopping or not (retries and hand.timers):
                    break
        finally:
            hand.draining = False
            yield from self._part()
        return hand.settled - before

    def _dry_at(self, retries: bool) -> float:
        """Until when a drain waits for news: now, or until what waits for a retry is due."""
        now: float = self._driver.clock.monotonic()
        return max(now, *self._hand.timers) + 0.02 if retries and self._hand.timers else now

    @operation
    def read(self, n: int = 1, timeout: Duration | None = None) -> Exchange[list[Message[D]]]:
        """Up to `n` messages, as soon as there is one; none where none came within `timeout` seconds (None: wait).

        They are settled by hand: `ack()`, `nack()`, `bury()` or `with message:`. One that is dropped unsettled is given back.
        """
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ValueError(f"n must be a whole number, 1 or more, not {n!r}")
        until = None if timeout is None else self._driver.clock.monotonic() + seconds(timeout, "timeout")
        self._take_for("reading")
        hand = self._hand
        found: list[Message[D]] = []

        def take() -> Any:
            return self._driver.run_on(hand.reading, next_message(hand, until))

        try:
            hand.patience = float("inf") if until is None else until
            yield from self._join()
            while len(found) < n:
                hand.limit = n - len(found)
                message = yield Do(take)
                if message is None:
                    break
                found.append(guarded(message))
                until = 0.0  # what is there already, without waiting for more
        finally:
            hand.limit, hand.patience = None, float("inf")
            self._free()
        return found

    def __iter__(self: ConsumerGroupMember[Blocking, D]) -> BlockingLoop[D]:
        if self._driver.asyncio:
            wrong(self, "for", "async for")
        return BlockingLoop(self)

    def __aiter__(self: ConsumerGroupMember[Asyncio, D]) -> AsyncioLoop[D]:
        if not self._driver.asyncio:
            wrong(self, "async for", "for")
        return AsyncioLoop(self)

    # -- notes: plain functions in both colours, from anywhere -----------------------------------------------------------------------------

    def stop(self) -> None:
        """Read no more, finish what runs (`grace` seconds at most), settle, give back what has not started, and return.

        A read that waits is not cancelled, because its reply would be lost: the server is asked to end it (`CLIENT UNBLOCK`). Where the user has
        no right to that, it lasts for `block` seconds at most. Where the member does not listen yet, the next loop returns at once.
        """
        if self._hand.state not in ENDED and (self._user or self._hand.state != "stopped"):
            self._hand.halt(stopping=True)
            self._runner.stopping()

    def abandon(self) -> None:
        """End at once: nothing is acknowledged any more, tasks are cancelled, and `connect_and_listen()` raises `Abandoned`.

        What was in hand stays pending under the member's name until its lease ends; then others handle it again, this delivery counted. A handler
        in a thread cannot be ended: it runs on, but the process need not wait for it.
        """
        hand = self._hand
        if hand.state not in ENDED and (self._user or hand.state not in ("new", "stopped")):
            hand.quitting = True
            hand.halt(stopping=True)
            self._runner.interrupt(self._listener if self._user in ("listening", "draining") else None)

    def stop_on(self, *signals: int) -> None:
        """Let these signals (none given: SIGTERM and SIGINT) `stop()` the member; a second one lets it `abandon()`.

        For blocking members call it in the main thread, for asyncio ones on the running loop.
        """
        stop_on(self, signals)

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
        yield from self._bring()

    @operation
    def info(self) -> Exchange[MemberInfo]:
        """What the member has in hand and has done. Nothing is asked of the server."""
        hand = self._hand
        return MemberInfo(
            id=self.id,
            group=self.group.name,
            topic=self.group.topic.name,
            state="standby" if hand.displaced else hand.state,
            waiting=len(hand.unstarted()),
            running=len({*hand.held, *(message.id for message in hand.started())}),
            notes=len(hand.acks) + len(hand.notes) + len(hand.outputs),
            prefetch=max(1, hand.prefetch.count(0)),
            handled=hand.handled,
            failed=hand.failures,
            claimed=hand.claims,
            connections=sum(line.connection is not None for line in (hand.reading, hand.side)),
            server=hand.server,
            commands=dict(CHOSEN),
        )
        yield

    def clone(self, id: str | None = None, **options: Unpack[MemberOptions[D]]) -> ConsumerGroupMember[C, D]:
        """Another member of the same group with the same handlers and options, where `options` do not say otherwise."""
        handlers = options.pop("handlers", None)
        make: Any = ConsumerGroupMember
        other: ConsumerGroupMember[C, D] = make(self._made_of, id, **{**self._options, **options})
        for event, listeners in self._events.items():
            for function, listener in listeners.items():
                other._add_event_handler(event, function, listener)
        for event, batched in self.batches.items():
            other._add_batch_handler(event, batched)
        other.arounds.update(self.arounds)
        other.batch_arounds.update(self.batch_arounds)
        for event, handler in dict(handlers or {}).items():
            other._add_event_handler(event, handler, handler)
        return other

    @operation
    def close(self) -> Exchange[None]:
        """Stop, settle, give back what is in hand, and close the member's connections.

        A listener in another thread or task is waited for; where one of its handlers calls this, it closes when that handler is through. The body
        of a loop in another thread or task has `grace` seconds to end; after that its entry is not given away, but stays pending under the member's
        name until its lease ends.
        """
        hand = self._hand
        if hand.state in ("closed", "forked"):
            return
        self._closing = True
        if self._user:
            self.stop()
        if self._user in ("listening", "draining"):
            if self._is_within():
                return  # called by a handler: the listener closes when that is through
            yield Do(self._wait_idle)
        elif self._runs_elsewhere() and not hand.quitting:
            yield Do(lambda: self._wait_idle(hand.settings.grace))
        yield from self._part()

    def __enter__(self: ConsumerGroupMember[Blocking, D]) -> ConsumerGroupMember[Blocking, D]:
        if self._driver.asyncio:
            wrong(self, "with", "async with")
        self._in_block = True
        return self

    def __exit__(self: ConsumerGroupMember[Blocking, D], kind: Any, error: BaseException | None, trace: Any) -> None:
        self._verdict(error)
        self.close()

    async def __aenter__(self: ConsumerGroupMember[Asyncio, D]) -> ConsumerGroupMember[Asyncio, D]:
        if not self._driver.asyncio:
            wrong(self, "async with", "with")
        self._in_block = True
        return self

    async def __aexit__(self: ConsumerGroupMember[Asyncio, D], kind: Any, error: BaseException | None, trace: Any) -> None:
        self._verdict(error)
        await self.close()


def never() -> None:
    """Listen for ever."""
