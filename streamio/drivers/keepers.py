"""The keeper's two bodies: a thread in blocking code, a timer of the event loop in asyncio. They hold the hand, not the member, and end with it."""

from __future__ import annotations

import asyncio
from threading import Thread, current_thread, get_ident

from ..effects import Emit
from ..protocol.asking import BROKEN
from ..protocol.hand import NEVER, SOON, Hand
from ..protocol.joining import leaving
from ..protocol.keeping import Watch, keeping, on_reading_line
from ..protocol.recovering import backoff
from .asyncio import Asyncio
from .blocking import Bell, Blocking


class ThreadKeeper:
    """The keeper's thread. It holds the hand, not the member, and ends with it."""

    def __init__(self, hand: Hand, driver: Blocking) -> None:
        self.hand, self.driver, self.bell, self.watch = hand, driver, Bell(), Watch()
        self.thread: Thread | None = None
        hand.bell = self.bell

    def start(self) -> None:
        """Start the thread, where it does not run."""
        self.hand.finished = False
        if self.thread is None or not self.thread.is_alive():
            self.thread = Thread(target=self.keep, name=f"streamio-keeper-{self.hand.settings.me}", daemon=True)
            self.thread.start()

    def stop(self) -> None:
        """End the thread, and close the side line."""
        self.hand.finished = True
        self.bell.ring()
        if self.thread is not None and self.thread.is_alive() and self.thread is not current_thread():  # (not begun, where `start` was interrupted)
            self.thread.join(5)

    def keep(self) -> None:
        """Turn after turn."""
        hand, attempt = self.hand, 0
        while not hand.finished:
            try:
                pause, attempt = self.turn(), 0
            except BROKEN:
                pause, attempt = backoff(attempt, 0.5), attempt + 1
            except Exception as error:  # whatever it is: without a keeper nothing is renewed
                self.driver.perform(Emit(hand.event("error", error=error, reason="keeper")))
                pause, attempt = backoff(attempt, 0.5), attempt + 1
            if hand.finished:
                break
            hand.asleep = pause is None or pause > SOON
            if hand.asleep and hand.is_noted:  # noted while this turn ended
                pause = SOON
            hand.wakes_at = NEVER if pause is None else self.driver.clock.monotonic() + pause
            self.bell.rest(pause)
            hand.asleep, hand.wakes_at = False, NEVER
        self.driver.drop(hand.side)

    def turn(self) -> float | None:
        """One turn; how long to rest."""
        hand, driver = self.hand, self.driver
        if hand.abandoned and not hand.held:
            driver.run_on(hand.reading, leaving(hand))
            for line in hand.lines():
                driver.drop(line)
            hand.finished = True
            return None
        exchange = on_reading_line(hand, driver.clock.monotonic())
        if exchange is not None:
            try:
                driver.run_if_free(hand.reading, exchange)
            except BROKEN:
                hand.reading.cut = True  # the listener's to mend; what is in hand is renewed all the same
        return driver.run_on(hand.side, keeping(hand, self.watch))


turns: set[asyncio.Task[None]] = set()  # the loop knows its tasks weakly, and of a member that was dropped nobody else knows this one


class TimerKeeper:
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
        self.hand.asleep, self.hand.wakes_at = False, NEVER
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
        except Exception as error:  # whatever it is: without a keeper nothing is renewed
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
        if hand.asleep and (hand.is_noted or self.again):
            pause, hand.asleep = SOON, False
        hand.wakes_at = NEVER if pause is None else self.driver.clock.monotonic() + pause
        if pause is not None:
            self.timer = self.loop.call_later(pause, self.poke)

    async def turn(self) -> float | None:
        """One turn; how long to rest."""
        hand, driver = self.hand, self.driver
        if hand.abandoned and not hand.held:
            await driver.run_on(hand.reading, leaving(hand))
            for line in (*hand.lines(), hand.side):
                await driver.drop(line)
            hand.finished = True
            return None
        exchange = on_reading_line(hand, driver.clock.monotonic())
        if exchange is not None:
            try:
                await driver.run_if_free(hand.reading, exchange)
            except BROKEN:
                hand.reading.cut = True  # the listener's to mend; what is in hand is renewed all the same
        return await driver.run_on(hand.side, keeping(hand, self.watch))

    async def stop(self) -> None:
        """Keep no more, and close the side line."""
        self.hand.finished = True
        if self.timer is not None:
            self.timer.cancel()
        if self.task is not None and self.task is not asyncio.current_task():
            await asyncio.wait([self.task], timeout=5)
        await self.driver.drop(self.hand.side)
