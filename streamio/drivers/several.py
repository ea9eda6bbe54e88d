"""Running the handlers of a member of several topics: one loop, one bound, and for each topic the runner of a plain member."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from ..effects import Exchange
from ..protocol.conducting import conducting
from ..protocol.hand import SOON
from ..protocol.reading import refilling
from ..protocol.score import TURN, Choir, Part, Score
from .source import Source
from .tasks import Tasks
from .threads import Pool, in_thread
from .workers import Workers

LOGIN = ("host", "port", "path", "db", "username", "password")


def place_of(source: Source, key: str, group: str, slot: int) -> tuple[Any, ...]:
    """What is equal for topics that can stand in one read: the server, the slot in a cluster, and the group's name."""
    if source.cluster:
        return group, id(source.client), slot
    pool = source.client.connection_pool
    if hasattr(pool, "service_name"):  # Sentinel's: the client alone knows where it goes
        return group, id(source.client)
    kind, settings = pool.connection_class, pool.connection_kwargs
    if settings.get("server") is not None:  # an embedded one
        return group, id(settings["server"]), settings.get("db")
    return group, kind, id(settings.get("credential_provider")), *(settings.get(name) for name in LOGIN)


class Relay:
    """A part's bell. Who rests on it waits for this part alone; a ring wakes the member's loop, too."""

    def __init__(self, own: Any, whole: Any) -> None:
        self.own, self.whole = own, whole

    def ring(self) -> None:
        """Wake both."""
        self.own.ring()
        self.whole.ring()

    def rest(self, seconds: float | None) -> Any:
        """Wait for a ring, `seconds` at most."""
        return self.own.rest(seconds)


class Sharing:
    """What a part's runner does otherwise: it goes on no longer than a turn."""

    hand: Any
    score: Score
    part: Part
    clock: Callable[[], float]

    def turn_ends(self) -> float:
        """Until when what is in hand may start without a look at the other parts."""
        ends: float = self.hand.renewed_at + self.hand.settings.lease
        return min(ends, self.clock() + TURN) if len(self.score.parts) > 1 else ends

    def may_follow(self) -> bool:
        """Whether a place may go on by itself: neither its listener nor another part has to be looked after."""
        follows: bool = super().may_follow()  # type: ignore[misc]
        return follows and self.score.may_go_on(self.part, self.clock())


class PartWorkers(Sharing, Workers):
    """A part's runner in blocking code."""


class PartTasks(Sharing, Tasks):
    """A part's runner in asyncio."""


class Ensemble:
    """What both colours share of the member's loop."""

    hand: Any
    driver: Any
    places: set[Any]
    fault: BaseException | None
    score: Score
    runners: dict[Part, Any]
    gathering = False

    def compose(self, score: Score) -> None:
        """Play these parts."""
        self.score, self.runners = score, {}

    def add(self, part: Part, runner: Any) -> None:
        """One more part."""
        runner.score, runner.part, runner.places = self.score, part, self.places
        self.runners = {**self.runners, part: runner}
        if self.gathering:
            runner.begin_gathering()

    def remove(self, part: Part) -> None:
        """One part less."""
        self.runners = {each: runner for each, runner in self.runners.items() if each is not part}

    def begin_gathering(self) -> None:
        """From now on what is read may wait for its batch handler."""
        self.gathering, self.ending = True, False
        for runner in self.runners.values():
            runner.fault = None
            runner.begin_gathering()

    def end_gathering(self) -> None:
        """Nobody listens any more; what ended a part's handlers ends the member."""
        self.gathering = False
        for runner in self.runners.values():
            runner.end_gathering()
            self.fault = self.fault or runner.fault

    def running(self) -> int:
        """How many places are taken."""
        return sum(len(part.hand.running) for part in self.runners)

    def end(self) -> None:
        """No place goes on by itself any more."""
        self.ending = True
        for part, runner in self.runners.items():
            runner.ending = True
            if self.score.stopping:
                part.hand.halt(stopping=True)

    def low(self) -> Any:
        """The runner of a part that has read ahead, and may soon lack entries; None where there is none."""
        return next((runner for part, runner in self.runners.items() if not part.choir.busy and runner.is_low()), None)


class SeveralWorkers(Ensemble, Workers):
    """The member's loop in blocking code."""

    def next(self, until: float | None) -> Any:
        """The next message, or None."""
        return self.driver.run(conducting(self.score, until))

    def aside(self, choir: Choir, exchange: Exchange[None]) -> None:
        """Perform it in a thread, and ring when it is over."""

        def perform() -> None:
            try:
                self.driver.run(exchange)
            except BaseException as error:
                self.score.fault = error
            finally:
                choir.busy = False
                self.driver.wake.ring()

        in_thread(f"streamio-wait-{self.hand.settings.me}", perform)

    def rest_of(self) -> None:
        """Until nobody waits beside the others any more."""
        while any(choir.busy for choir in self.score.choirs):
            self.driver.wake.rest(SOON)

    def listen_inline(self, until: Callable[[], float | None]) -> None:
        """One after the other, in this thread."""
        while (message := self.next(until())) is not None:
            runner = self.runners[self.score.last]  # type: ignore[index]
            hand = runner.hand
            hand.current, self.score.handed = message, None
            try:
                runner.way(message)(message)
                message = None
                if runner.is_plain() and not hand.gathered:
                    runner.handle_many()
                else:
                    runner.handle_each()
            finally:
                hand.current = None

    def listen_pooled(self, until: Callable[[], float | None]) -> None:
        """Side by side, in threads."""
        most = self.hand.settings.concurrency
        pool = Pool(most, f"streamio-{self.hand.settings.me}")
        try:
            while True:
                message = None
                while self.running() >= most and not self.score.stopping:
                    self.wait_for_place()
                message = self.next(until())
                if message is None and (self.score.stopping or not self.running()):
                    break
                if message is None:
                    self.driver.wake.rest(SOON)
                    continue
                runner = self.runners[self.score.last]  # type: ignore[index]
                thing, self.score.handed = runner.prepared(message), None
                if thing is not None:
                    pool.submit(runner.work, thing)
        finally:
            self.finish()
            pool.close()

    def wait_for_place(self) -> None:
        """Until a place may be free; meanwhile bring in what was read ahead."""
        runner = self.low()
        if runner is not None:
            runner.driver.run_on(runner.hand.reading, refilling(runner.hand))
        else:
            self.driver.wake.rest(None)

    def finish(self) -> None:
        """Wait for what runs, `grace` seconds at most."""
        self.end()
        end = self.clock() + self.hand.settings.grace
        while self.running() and not self.hand.quitting and (left := end - self.clock()) > 0:
            self.driver.wake.rest(left)


class SeveralTasks(Ensemble, Tasks):
    """The member's loop in asyncio."""

    waits: set[asyncio.Task[None]]

    async def next(self, until: float | None) -> Any:
        """The next message, or None."""
        return await self.driver.run(conducting(self.score, until))

    def aside(self, choir: Choir, exchange: Exchange[None]) -> None:
        """Perform it in a task, and ring when it is over."""

        async def perform() -> None:
            try:
                await self.driver.run(exchange)
            except BaseException as error:
                self.score.fault = error
            finally:
                choir.busy = False
                self.driver.wake.ring()

        task = asyncio.get_running_loop().create_task(perform())
        self.waits.add(task)
        task.add_done_callback(self.waits.discard)

    async def rest_of(self) -> None:
        """Until nobody waits beside the others any more."""
        while self.waits:
            await asyncio.wait(set(self.waits))

    async def listen_inline(self, until: Callable[[], float | None]) -> None:
        """One after the other, in this task."""
        while (message := await self.next(until())) is not None:
            runner = self.runners[self.score.last]  # type: ignore[index]
            hand = runner.hand
            hand.current, self.score.handed = message, None
            try:
                await runner.way(message)(message)
                message = None
                if runner.is_plain() and not hand.gathered:
                    await runner.handle_many()
                else:
                    await runner.handle_each()
            finally:
                hand.current = None

    async def listen_pooled(self, until: Callable[[], float | None]) -> None:
        """Side by side, as tasks."""
        most, context = self.hand.settings.concurrency, copy_context()
        try:
            while True:
                message = None
                while self.running() >= most and not self.score.stopping:
                    await self.wait_for_place()
                message = await self.next(until())
                if message is None and (self.score.stopping or not self.running()):
                    break
                if message is None:
                    await self.driver.wake.rest(SOON)
                    continue
                runner = self.runners[self.score.last]  # type: ignore[index]
                runner.context = context
                thing, self.score.handed = runner.prepared(message), None
                if thing is not None:
                    runner.begin(thing)
        except asyncio.CancelledError:
            for task in self.places:
                task.cancel()
            for runner in self.runners.values():
                runner.give_up_unbegun()
            raise
        finally:
            await self.finish()

    async def wait_for_place(self) -> None:
        """Until a place may be free; meanwhile bring in what was read ahead."""
        runner = self.low()
        if runner is not None:
            await runner.driver.run_on(runner.hand.reading, refilling(runner.hand))
        else:
            await self.driver.wake.rest(None)

    async def finish(self) -> None:
        """Wait for what runs, `grace` seconds at most."""
        self.end()
        end = self.clock() + self.hand.settings.grace
        while self.running() and not self.hand.quitting and (left := end - self.clock()) > 0:
            await self.driver.wake.rest(left)
        left_over = set(self.places)
        for task in left_over:
            task.cancel()
        if left_over:
            await asyncio.wait(left_over, timeout=SOON)
