"""What a member is before anything is read: its settings, its hand, its driver and keeper, and who has it: one loop, listener or read at a time."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from weakref import proxy

from .colour import C, D, operation
from .drivers import keepers, tasks, workers
from .drivers.background import start_task
from .effects import Do, Exchange
from .emitter import Handlers, Lifecycle
from .emitting import Emitting
from .enveloped import classes_for
from .errors import Abandoned
from .forking import kept
from .group import ConsumerGroupTopic, one_of, positive
from .ids import seconds
from .keys import checked_consumer
from .logbook import MEMBER as log
from .logbook import about
from .protocol.hand import Hand
from .protocol.joining import is_owing, joining, leaving, looking_at_outlets
from .protocol.keeping import catching_up, is_behind
from .protocol.outcomes import released, succeeded
from .protocol.prefetch import MOST, Prefetch
from .protocol.settings import Settings
from .protocol.settling import delivering
from .sinks import Sink, sink_of

ACK = ("auto", "manual", "none")


class Membership(Emitting[C, D]):
    """A member without its face."""

    def __init__(self, group: ConsumerGroupTopic[C, D], id: str | None, options: Mapping[str, Any]) -> None:
        super().__init__(group)
        self.group = group
        self.id = checked_consumer(default_id() if id is None else id, "member id")
        self._options = options
        self._hand = Hand(settings_of(group, self.id, options), prefetch_of(options), *classes_for(group.topic.codec))
        self.lifecycle = Lifecycle(start_task if group._is_asyncio else None)
        self._hand.watches, self.lifecycle.onlookers = group._watches, group._onlookers
        self._driver = group._driver.beside(self.lifecycle)
        self._hand.wake = self._driver.wake
        room: Any = tasks if self._is_asyncio else workers
        self._runner = (room.Tasks if self._is_asyncio else room.Workers)(self._hand, self._driver, proxy(self), self.lifecycle)
        keeper: Any = self._driver.keeper or (keepers.TimerKeeper if self._is_asyncio else keepers.ThreadKeeper)
        self._keeper = keeper(self._hand, self._driver)
        self._replies = sink_of(options.get("reply_to"), group.topic)
        self._handle_with(None)
        self._user = ""  # who has the hand: a loop, a listener, a read; nobody
        self._listener: Any = None  # the thread or task that had it last
        self._idle = threading.Event()
        self._idle.set()
        self._in_block = self._closing = False
        if self._is_asyncio:
            me = proxy(self)
            self._driver.on_new_loop = lambda: me._on_new_loop()

    def __del__(self) -> None:
        hand = getattr(self, "_hand", None)
        if hand is not None and hand.state in ("ready", "listening", "iterating"):
            hand.abandoned = True
            hand.bell.ring()

    def _handle_with(self, handlers: Handlers | None, sink: Sink | None = None) -> None:
        """Let these have what is read, which put out to this sink; None: the member's own listeners, and its replies."""
        if handlers is not None and self._user:
            raise RuntimeError(f"member {self.id!r} is {self._user} already; use clone() for another")
        hand, replies = self._hand, self._replies if handlers is None else None
        hand.source, hand.driver = self._driver.source, self._driver
        near = replies is not None and replies.reaches(hand)
        self._runner.handlers = proxy(self) if handlers is None else handlers
        self._runner.elsewhere = replies.reply if replies is not None and not near else None
        hand.reply_to = replies.outlet if replies is not None and near else None
        hand.is_clustered = hand.source.cluster
        hand.replies = handlers is None
        self._put_out_to(sink, replies)

    def _put_out_to(self, *sinks: Sink | None) -> None:
        """What is put out goes to these: their keys are looked at before anything is read."""
        self._hand.outlets = tuple(each.outlet.key for each in sinks if each is not None and each.reaches(self._hand))

    def _verdict(self, error: BaseException | None) -> None:
        """The end of the `with` block decides about the messages whose loops were left."""
        hand, self._in_block = self._hand, False
        messages = [*hand.undecided]
        if hand.current is not None and self._user == "iterating" and not self._runs_elsewhere():  # what runs elsewhere decides by itself
            messages.append(hand.current)
            hand.current = None
        hand.undecided = []
        for message in messages:
            released(hand, message) if error is not None or message is hand.halfway else succeeded(hand, message)

    @operation
    def _enter(self, loop: Any) -> Exchange[None]:
        """Let this loop have the member; a RuntimeError where another one has it."""
        if loop.begun and self._hand.state not in ("forked", "new"):
            self._listener = here(self._is_asyncio)  # a loop may go from hand to hand
            return
        self._take_for("iterating")
        self._put_out_to(loop.sink, self._replies)
        try:
            yield from self._join()
        except BaseException:
            self._free()
            raise
        loop.begun = True
        self._become("iterating")

    @operation
    def _exit(self, loop: Any) -> Exchange[None]:
        """The loop ended because the member stopped."""
        loop.begun = False
        yield from self._part()

    def _join(self) -> Exchange[None]:
        hand = self._hand
        self._need_open()
        if hand.state in ("new", "stopped") and not hand.stopping:
            try:
                yield Do(lambda: self._driver.run_on(hand.reading, joining(hand)))
            except BaseException:
                yield Do(lambda: self._driver.drop(hand.reading))
                raise
            self._keeper.start()
        elif not hand.sound.issuperset(hand.outlets):
            yield Do(lambda: self._driver.run_on(hand.side, looking_at_outlets(hand, hand.side)))

    def _part(self) -> Exchange[None]:
        """Leave the group. Where that is cancelled, what was in hand is left to its leases, and the member may be used again."""
        try:
            yield from self._parting()
        except Abandoned:
            raise
        except BaseException as error:
            if self._hand.quitting and isinstance(error, asyncio.CancelledError):
                yield from self._quit()  # abandoned while it was leaving
            self._hand.finished, self._hand.state = True, "closed" if self._closing else "stopped"
            self._hand.empty(forgets_running=False)
            self._hand.halt(stopping=self._closing, displaced=False)
            self._free()
            raise

    def _parting(self) -> Exchange[None]:
        """Leave the group: settle, give back, close the lines."""
        hand = self._hand
        if hand.state in ("closed", "forked"):
            return self._free()
        if hand.quitting:
            yield from self._quit()
        elif hand.state not in ("new", "stopped"):
            if self._user == "iterating" and hand.current is not None and not self._runs_elsewhere():
                released(hand, hand.current)
            yield Do(lambda: self._driver.run_on(hand.reading, leaving(hand)))
            yield Do(lambda: self._driver.drop(hand.reading))
            yield Do(self._keeper.stop)
            hand.empty(forgets_running=False)
            self.lifecycle.tell(hand.event("stopped"))
        elif hand.state == "stopped" and self._closing:
            yield from self._settle_late()
        hand.state = "closed" if self._closing else "stopped"
        hand.halt(stopping=self._closing, displaced=False)  # a loop that goes on after `close()` ends
        self._free()

    def _settle_late(self) -> Exchange[None]:
        """Bring to the server what was settled after the member had stopped."""
        hand = self._hand
        if is_owing(hand):
            yield Do(lambda: self._driver.run_on(hand.reading, leaving(hand)))
        yield Do(lambda: self._driver.drop(hand.reading))
        yield Do(lambda: self._driver.drop(hand.side))

    def _quit(self) -> Exchange[None]:
        """End without a word: what is in hand stays pending, and its lease ends."""
        hand, self._closing = self._hand, True
        for _ in range(2):  # a task that is abandoned is cancelled, and that may come as late as here
            try:
                yield Do(lambda: self._driver.drop(hand.reading))
                yield Do(self._keeper.stop)
                break
            except asyncio.CancelledError as late:
                log.debug("cancelled while it was abandoned: %r", late, extra=about(member=self.id))
        self._let_go()
        hand.state = "closed"
        self.lifecycle.tell(hand.event("stopped", reason="abandoned"))
        raise Abandoned

    def _bring(self) -> Exchange[None]:
        """Bring what is noted to the server; what was written before it is answered first."""
        hand, driver = self._hand, self._driver
        if is_behind(hand):
            yield Do(lambda: driver.run_if_free(hand.reading, catching_up(hand)))
        if hand.is_noted or hand.flying:
            yield Do(lambda: driver.run_on(hand.side, delivering(hand, hand.side)))

    def _need_open(self) -> None:
        if self._hand.state == "closed":
            raise RuntimeError(f"member {self.id!r} is closed; use clone()")
        if self._hand.state == "forked":
            raise RuntimeError(f"member {self.id!r} was made in another process; use clone() in this one")

    def _take_for(self, use: str) -> None:
        self._need_open()
        if self._user:
            raise RuntimeError(f"member {self.id!r} is {self._user} already: one loop at a time; use clone() for another")
        self._user = use
        self._idle.clear()
        self._listener = here(self._is_asyncio)

    def _free(self) -> None:
        self._user = ""
        if self._hand.state in ("listening", "iterating"):
            self._become("ready")
        self._idle.set()

    def _become(self, state: str) -> None:
        self._hand.state = state

    def _is_within(self) -> bool:
        """Whether this is called from inside the listening itself (a handler)."""
        return here(self._is_asyncio) in (self._listener, *self._runner.places)

    def _runs_elsewhere(self) -> bool:
        """Whether a loop's body has an entry in another thread or task, which has not ended."""
        where = self._listener
        if self._user != "iterating" or self._hand.current is None or self._is_within() or where is None:
            return False
        return not where.done() if self._is_asyncio else any(thread.ident == where for thread in threading.enumerate())

    def _wait_idle(self, most: float | None = None) -> Any:
        if not self._is_asyncio:
            return self._idle.wait(most)

        async def wait() -> None:
            end = None if most is None else time.monotonic() + most
            while not self._idle.is_set() and (end is None or time.monotonic() < end):
                await asyncio.sleep(0.01)

        return wait()

    def _need_listener(self, what: str) -> None:
        if not self._runner.handlers.any_listener():
            raise ValueError(f"nothing listens on member {self.id!r}: add a handler with on(type, fn) before {what}")

    def _settings_for_check(self) -> None:
        """Take no place of the group's `max`."""
        self._hand.settings = replace(self._hand.settings, max=None)

    def _after_fork(self) -> None:
        """In a forked child: nothing is in hand, and nothing is said on the parent's connections."""
        if self._is_asyncio:
            kept((self._hand.reading.connection, self._hand.side.connection))
        self._let_go()
        self._hand.state = "forked"

    def _on_new_loop(self) -> None:
        """The event loop was closed under the member: it begins afresh, with what stands under its name, as after a crash."""
        self._let_go()
        if self._hand.state not in ("closed", "forked"):
            self._hand.state = "new"

    def _let_go(self) -> None:
        """Nothing in hand, no connection, and nobody has the member; no I/O."""
        hand, self._user = self._hand, ""
        hand.empty()
        hand.reading.connection = hand.side.connection = hand.reading.lock = hand.side.lock = None
        self._idle.set()


def settings_of(group: ConsumerGroupTopic[Any], me: str, options: Mapping[str, Any]) -> Settings:
    """The group's and the member's settings, checked; errors name what is wrong."""
    concurrency = options["concurrency"]
    if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
        raise ValueError(f"concurrency must be a whole number, 1 or more, not {concurrency!r}")
    return Settings(
        topic=group.topic.name,
        group=group.name,
        me=me,
        codec=group.topic.codec,
        start=group._start_id(round(group._driver.clock.time() * 1000)),
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
        standby=flag(options["standby"], "standby"),
        handler_timeout=None if options["handler_timeout"] is None else positive(options["handler_timeout"], "handler_timeout"),
    )


def flag(value: Any, name: str) -> bool:
    """The value, or an error where it is neither True nor False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, not {value!r}")
    return value


def here(asyncio_: bool) -> Any:
    """Where this runs: the task, or the thread."""
    return asyncio.current_task() if asyncio_ else threading.get_ident()


def default_id() -> str:
    """Host name, process id and a random part."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


def prefetch_of(options: Mapping[str, Any]) -> Prefetch:
    """How much to read ahead, or an error where `prefetch` is neither "auto" nor a whole number."""
    prefetch = options["prefetch"]
    if prefetch == "auto" or (isinstance(prefetch, int) and not isinstance(prefetch, bool) and 0 <= prefetch <= 100 * MOST):
        return Prefetch(prefetch, options["concurrency"])
    raise ValueError(f"prefetch must be 'auto' or a whole number from 0 to {100 * MOST}, not {prefetch!r}")
