"""Running handlers in asyncio: in the listening task (`concurrency=1`), or as tasks; and the keeper's timer."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from threading import get_ident
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
from .asyncio import Asyncio
from .workers import refuse_generator


class Tasks:
    """Calls a member's handlers."""

    def __init__(self, hand: Hand, driver: Asyncio, handlers: Handlers, lifecycle: Lifecycle) -> None:
        self.hand, self.driver, self.handlers, self.lifecycle = hand, driver, handlers, lifecycle
        self.fault: BaseException | None = None
        self.places: set[asyncio.Task[None]] = set()  # the tasks that handlers run in

    async def listen(self, until: Callable[[], float | None]) -> None:
        """Handle entries until the member stops, or until none came by the time that `until` tells."""
        self.fault = None
        if self.hand.settings.concurrency == 1:
            await self.listen_inline(until)
        else:
            await self.listen_pooled(until)
        if self.fault is not None:
            raise self.fault

    async def next(self, until: float | None) -> Any:
        """The next message, or None."""
        return await self.driver.run_on(self.hand.reading, next_message(self.hand, until))

    async def listen_inline(self, until: Callable[[], float | None]) -> None:
        """One after the other, in this task."""
        hand, lifecycle = self.hand, self.lifecycle
        while True:
            hand.current = message = None
            message = await self.next(until())
            if message is None:
                return
            hand.current = message
            await self.handle(message)
            if lifecycle.watched or hand.settings.ack != "auto":
                await self.handle_each()
            else:
                await self.handle_many()

    async def handle_each(self) -> None:
        """Handle what is in hand and may start."""
        hand, fresh, clock, lease = self.hand, self.hand.fresh, time.monotonic, self.hand.settings.lease
        while fresh and not hand.halted and clock() - hand.renewed_at <= lease:
            try:
                hand.current = fresh.popleft()
            except IndexError:  # the keeper gave them back
                return
            await self.handle(hand.current)

    async def handle_many(self) -> None:
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
                    await self.handle(message)
                    continue
                try:
                    result = call(message)
                    if hasattr(result, "__await__"):  # (`finished`, without a coroutine of its own)
                        await result
                    elif result is not None:
                        refuse_generator(result, call)
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

    async def listen_pooled(self, until: Callable[[], float | None]) -> None:
        """Side by side, as tasks."""
        hand, most = self.hand, self.hand.settings.concurrency
        try:
            while True:
                message = None
                while len(hand.running) >= most and not hand.stopping:
                    await self.driver.wake.rest(None)
                message = await self.next(until())
                if message is None and (hand.stopping or not hand.running):
                    break
                if message is not None:
                    hand.running[message.id] = message
                    self.places.add(asyncio.create_task(self.work(message)))
                else:
                    await self.driver.wake.rest(SOON)
        except asyncio.CancelledError:
            for task in self.places:
                task.cancel()
            raise
        finally:
            await self.finish()

    async def finish(self) -> None:
        """Wait for what runs, `grace` seconds at most."""
        end = time.monotonic() + self.hand.settings.grace
        while self.hand.running and (left := end - time.monotonic()) > 0:
            await self.driver.wake.rest(left)
        left_over = set(self.places)
        for task in left_over:
            task.cancel()
        if left_over:
            await asyncio.wait(left_over, timeout=SOON)

    async def work(self, message: Any) -> None:
        """Handle one message in a task of its own."""
        began = time.monotonic()
        try:
            await self.handle(message)
        except asyncio.CancelledError:
            self.hand.halt(stopping=True)
        except BaseException as error:
            self.fault = error
            self.hand.halt(stopping=True)
        finally:
            self.hand.prefetch.took(1, time.monotonic() - began)
            self.hand.running.pop(message.id, None)
            self.places.discard(asyncio.current_task())
            self.driver.wake.ring()

    async def handle(self, message: Any) -> None:
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
                    await finished(result, listener)
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


turns: set[asyncio.Task[None]] = set()  # the loop knows its tasks weakly, and of a member that was dropped nobody else knows this one


async def finished(result: Any, listener: Any) -> None:
    """What a listener returned, awaited where it is to be."""
    if hasattr(result, "__await__"):
        await result
    else:
        refuse_generator(result, listener)


class Keeper:
    """The keeper as a timer of the event loop: a task exists only while a turn is taken. It holds the hand, not the member."""

    def __init__(self, hand: Hand, driver: Asyncio) -> None:
        self.hand, self.driver, self.watch = hand, driver, Watch()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.thread = self.attempt = 0
        self.timer: asyncio.TimerHandle | None = None
        self.task: asyncio.Task[None] | None = None
        self.again = False
        hand.bell = self

    def start(self) -> None:
        """Keep from now on, on the running loop."""
        self.loop, self.thread = asyncio.get_running_loop(), get_ident()
        self.timer = self.task = None  # those of a closed loop never come
        self.hand.finished, self.hand.asleep = False, True
        if self.hand.seated:  # its place is to be kept from now on
            self.poke()

    def ring(self) -> None:
        """Take a turn soon. Allowed from anywhere."""
        if self.loop is None or self.loop.is_closed():
            return
        if get_ident() == self.thread:
            self.poke()
        else:
            self.loop.call_soon_threadsafe(self.poke)

    def poke(self) -> None:
        """Start a turn, or let the running one be followed by another."""
        if self.loop is None or self.loop.is_closed():
            return
        if self.task is not None:
            self.again = True
            return
        due = self.loop.time()
        if self.timer is not None:
            due = min(due, self.timer.when())
            self.timer.cancel()
        self.hand.asleep = False
        self.timer, self.again = None, False
        self.task = self.loop.create_task(self.keep(due))
        turns.add(self.task)
        self.task.add_done_callback(turns.discard)

    async def keep(self, due: float) -> None:
        """One turn, and the timer for the next; `lagging` where the event loop came to it too late."""
        hand, late = self.hand, asyncio.get_running_loop().time() - due
        if late > hand.settings.lease / 3 and self.driver.lifecycle is not None:
            self.driver.lifecycle.tell(hand.event("lagging", duration=late))
        try:
            pause = await self.turn()
            self.attempt = 0
        except BROKEN:
            pause, self.attempt = backoff(self.attempt, 0.5), self.attempt + 1
        except (RedisError, StreamioError) as error:
            await self.driver.perform(Emit(hand.event("error", error=error, reason="keeper")))
            pause, self.attempt = backoff(self.attempt, 0.5), self.attempt + 1
        finally:
            self.task = None
        self.schedule(pause)

    def schedule(self, pause: float | None) -> None:
        """Rest for so long; None: until rung for."""
        hand = self.hand
        if hand.finished or self.loop is None:
            return
        hand.asleep = pause is None or pause > SOON
        if hand.asleep and (hand.acks or hand.notes or self.again):
            pause, hand.asleep = SOON, False
        if pause is not None:
            self.timer = self.loop.call_later(pause, self.poke)

    async def turn(self) -> float | None:
        """One turn; how long to rest."""
        hand, driver = self.hand, self.driver
        if hand.abandoned:
            await driver.run_on(hand.reading, leaving(hand))
            await driver.drop(hand.reading)
            await driver.drop(hand.side)
            hand.finished = True
            return None
        if is_left(hand) or is_hoarding(hand, time.monotonic()):
            await driver.run_if_free(hand.reading, letting_go(hand))
        return await driver.run_on(hand.side, keeping(hand, self.watch))

    async def stop(self) -> None:
        """Keep no more, and close the side line."""
        self.hand.finished = True
        if self.timer is not None:
            self.timer.cancel()
        if self.task is not None and self.task is not asyncio.current_task():
            await asyncio.wait([self.task], timeout=5)
        await self.driver.drop(self.hand.side)
