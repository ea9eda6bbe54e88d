"""Running handlers in blocking code: in the listening thread (`concurrency=1`), or in threads; and the keeper's thread.

The loop body for one entry is kept to one popleft, one clock, one call for each listener, one slot deletion, one append.
"""

from __future__ import annotations

import inspect
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Thread, current_thread, get_ident
from typing import Any

from redis.exceptions import RedisError

from ..effects import Emit
from ..emitter import Handlers, Lifecycle
from ..errors import StreamioError
from ..protocol.hand import SOON, Hand
from ..protocol.holding import guarded
from ..protocol.joining import leaving
from ..protocol.keeping import Watch, is_hoarding, is_left, keeping, letting_go
from ..protocol.outcomes import failed, succeeded, unhandled
from ..protocol.reading import BROKEN, next_message
from ..protocol.recovering import backoff
from .blocking import Bell, Blocking


class Workers:
    """Calls a member's handlers."""

    def __init__(self, hand: Hand, driver: Blocking, handlers: Handlers, lifecycle: Lifecycle) -> None:
        self.hand, self.driver, self.handlers, self.lifecycle = hand, driver, handlers, lifecycle
        self.fault: BaseException | None = None
        self.places: set[int] = set()  # the threads that handlers run in

    def listen(self, until: Callable[[], float | None]) -> None:
        """Handle entries until the member stops, or until none came by the time that `until` tells."""
        self.fault = None
        if self.hand.settings.concurrency == 1:
            self.listen_inline(until)
        else:
            self.listen_pooled(until)
        if self.fault is not None:
            raise self.fault

    def next(self, until: float | None) -> Any:
        """The next message, or None."""
        return self.driver.run_on(self.hand.reading, next_message(self.hand, until))

    def listen_inline(self, until: Callable[[], float | None]) -> None:
        """One after the other, in this thread."""
        hand, lifecycle = self.hand, self.lifecycle
        while True:
            hand.current = message = None
            message = self.next(until())
            if message is None:
                return
            hand.current = message
            self.handle(message)
            if lifecycle.watched or hand.settings.ack != "auto":
                self.handle_each()
            else:
                self.handle_many()

    def handle_each(self) -> None:
        """Handle what is in hand and may start."""
        hand, fresh, clock, lease = self.hand, self.hand.fresh, time.monotonic, self.hand.settings.lease
        while fresh and not hand.halted and clock() - hand.renewed_at <= lease:
            try:
                hand.current = fresh.popleft()
            except IndexError:  # the keeper gave them back
                return
            self.handle(hand.current)

    def handle_many(self) -> None:
        """As `handle_each`, where nobody watches: for each entry one clock, one call, one deletion, one append."""
        hand, fresh, clock, lease = self.hand, self.hand.fresh, time.monotonic, self.hand.settings.lease
        callers, note, done = self.handlers.table, hand.acks.append, 0
        try:
            while fresh and not hand.halted and (began := clock()) - hand.renewed_at <= lease:
                try:
                    hand.current = message = fresh.popleft()
                except IndexError:  # the keeper gave them back
                    return
                call = callers.get(message.type) or self.handlers.caller_of(message.type)
                if call is None:
                    self.handle(message)
                    continue
                try:
                    result = call(message)
                    if result is not None:
                        refuse_awaitable(result, call)
                except Exception as error:
                    self.failed(message, error, clock() - began)
                    continue
                except BaseException:
                    hand.park(message, 0.0, message.before)
                    raise
                done += 1
                try:
                    del message._open
                except AttributeError:  # the handler settled it
                    continue
                note(message.id)
                if hand.asleep:
                    hand.bell.ring()
        finally:
            hand.handled += done

    def listen_pooled(self, until: Callable[[], float | None]) -> None:
        """Side by side, in threads."""
        hand, most = self.hand, self.hand.settings.concurrency
        pool = ThreadPoolExecutor(most, thread_name_prefix=f"streamio-{hand.settings.me}")
        try:
            while True:
                message = None
                while len(hand.running) >= most and not hand.stopping:
                    self.driver.wake.rest(None)
                message = self.next(until())
                if message is None and (hand.stopping or not hand.running):
                    break
                if message is not None:
                    hand.running[message.id] = message
                    pool.submit(self.work, message)
                else:
                    self.driver.wake.rest(SOON)
        finally:
            self.finish()
            pool.shutdown(wait=False, cancel_futures=True)

    def finish(self) -> None:
        """Wait for what runs, `grace` seconds at most."""
        end = time.monotonic() + self.hand.settings.grace
        while self.hand.running and (left := end - time.monotonic()) > 0:
            self.driver.wake.rest(left)

    def work(self, message: Any) -> None:
        """Handle one message in a thread of the pool."""
        began = time.monotonic()
        self.places.add(get_ident())
        try:
            self.handle(message)
        except BaseException as error:
            self.fault = error
            self.hand.halt(stopping=True)
        finally:
            self.hand.prefetch.took(1, time.monotonic() - began)
            self.hand.running.pop(message.id, None)
            self.driver.wake.ring()

    def handle(self, message: Any) -> None:
        """Call the listeners of one message and note what became of it."""
        hand, lifecycle = self.hand, self.lifecycle
        listeners = self.handlers.listeners_for(message.type, message.id)
        if not listeners:
            lifecycle.tell(unhandled(hand, message))
            return
        if hand.settings.ack == "manual":
            guarded(message)
        if lifecycle.watched:
            lifecycle.tell(hand.event("started", message=message))
        began = time.monotonic()
        try:
            for listener in listeners:
                result = listener(message)
                if result is not None:
                    refuse_awaitable(result, listener)
        except Exception as error:
            self.handlers.over(listeners, message.id, False)
            self.failed(message, error, time.monotonic() - began)
            return
        except BaseException:
            hand.park(message, 0.0, message.before)
            raise
        self.handlers.over(listeners, message.id, True)
        succeeded(hand, message)
        if lifecycle.watched:
            lifecycle.tell(hand.event("succeeded", message=message, duration=time.monotonic() - began))

    def failed(self, message: Any, error: Exception, duration: float) -> None:
        """A handler raised."""
        retrying = failed(self.hand, message, error, random.random())
        self.lifecycle.tell(self.hand.event("failed", message=message, error=error, duration=duration))
        if retrying is not None:
            self.lifecycle.tell(retrying)


BLOCKING = "on a blocking member: use a redis.asyncio client, or a plain function"


def refuse_awaitable(result: Any, listener: Any, where: str = BLOCKING) -> None:
    """What a plain function returned is dropped, but an awaitable or a generator would be work undone."""
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        raise TypeError(f"{listener!r} returned an awaitable {where}")
    refuse_generator(result, listener)


def refuse_generator(result: Any, listener: Any) -> None:
    """A generator that a listener returned has not run."""
    if inspect.isgenerator(result) or inspect.isasyncgen(result):
        raise TypeError(f"{listener!r} is a generator function (it has a yield): its body would never run")


class Keeper:
    """The keeper's thread. It holds the hand, not the member, and ends with it."""

    def __init__(self, hand: Hand, driver: Blocking) -> None:
        self.hand, self.driver, self.bell, self.watch = hand, driver, Bell(), Watch()
        self.thread: Thread | None = None
        hand.bell = self.bell

    def start(self) -> None:
        """Start the thread, where it does not run."""
        if self.thread is None or not self.thread.is_alive():
            self.hand.finished = False
            self.thread = Thread(target=self.keep, name=f"streamio-keeper-{self.hand.settings.me}", daemon=True)
            self.thread.start()

    def stop(self) -> None:
        """End the thread, and close the side line."""
        self.hand.finished = True
        self.bell.ring()
        if self.thread is not None and self.thread is not current_thread():
            self.thread.join(5)

    def keep(self) -> None:
        """Turn after turn."""
        hand, attempt = self.hand, 0
        while not hand.finished:
            try:
                pause, attempt = self.turn(), 0
            except BROKEN:
                pause, attempt = backoff(attempt, 0.5), attempt + 1
            except (RedisError, StreamioError) as error:
                self.driver.perform(Emit(hand.event("error", error=error, reason="keeper")))
                pause, attempt = backoff(attempt, 0.5), attempt + 1
            if hand.finished:
                break
            hand.asleep = pause is None or pause > SOON
            if hand.asleep and (hand.acks or hand.notes):  # noted while this turn ended
                pause = SOON
            self.bell.rest(pause)
            hand.asleep = False
        self.driver.drop(hand.side)

    def turn(self) -> float | None:
        """One turn; how long to rest."""
        hand, driver = self.hand, self.driver
        if hand.abandoned:
            driver.run_on(hand.reading, leaving(hand))
            driver.drop(hand.reading)
            hand.finished = True
            return None
        if is_left(hand) or is_hoarding(hand, time.monotonic()):
            driver.run_if_free(hand.reading, letting_go(hand))
        return driver.run_on(hand.side, keeping(hand, self.watch))
