"""Running members and pipes until a signal comes: in the main thread, in threads, or in tasks, as their colour is."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from ..drivers.side_by_side import listen_in_tasks, listen_in_threads, stop_all
from ..errors import Abandoned
from .loading import NotLoaded, Wish, awaited, member_of, workers

log = logging.getLogger("streamio.run")
SIGNALS = (signal.SIGTERM, signal.SIGINT)
LATE = 1.0  # seconds that members have for what they cut off themselves, in tasks and pools, to go back in order


class One:
    """A member or a pipe that is to listen, or (`burst`) to work off what is there."""

    def __init__(self, thing: Any, burst: bool) -> None:
        self.thing, self.burst, self.id = thing, burst, member_of(thing).id

    def connect_and_listen(self) -> Any:
        """Its work; in asyncio what is to be awaited."""
        thing = self.thing
        if self.burst:
            return thing.drain()
        return thing.run() if thing is not member_of(thing) else thing.connect_and_listen()

    def stop(self) -> None:
        """Let it end in order."""
        member_of(self.thing).stop()


class Crew:
    """All that runs in this process. The first signal stops it, the second one abandons it; so does what outlasts `patience` seconds after the first
    (None: the members' own)."""

    def __init__(self, things: Sequence[Any], burst: bool, patience: float | None) -> None:
        self.ones = [One(each, burst) for each in things]
        self._driver = things[0]._driver
        self.members = [member_of(each) for each in things]
        self.patience: float = max(each._hand.settings.grace for each in self.members) if patience is None else patience
        self.signal: int | None = None
        self.abandoned = False
        self.timer: threading.Timer | None = None
        self.closing = ExitStack()  # what ends with it

    def stop(self) -> None:
        """Stop all; what still runs when the time is over is abandoned."""
        log.info("stopping: what runs is finished, a second signal abandons it")
        if self.timer is None:
            self.timer = threading.Timer(self.patience + LATE, self.give_up)
            self.timer.daemon = True
            self.timer.start()
        stop_all(self.ones)

    def give_up(self) -> None:
        """The time is over: as by a second signal, which ends what runs in the main thread, too."""
        log.warning("abandoned after %g s: what was in hand stays pending until its lease ends", self.patience)
        os.kill(os.getpid(), signal.SIGTERM)

    def abandon(self) -> None:
        """End at once."""
        self.abandoned = True
        for member in self.members:
            member.abandon()

    def note(self, number: int) -> bool:
        """A signal came; whether it is the first."""
        first, self.signal = self.signal is None, number
        self.stop() if first else self.abandon()
        return first

    def listen(self) -> None:
        """Run blocking ones: one in this thread, several in threads of their own."""
        with listening_to_signals(self.interrupt):
            try:
                self.ones[0].connect_and_listen() if len(self.ones) == 1 else listen_in_threads(self.ones)
            finally:
                self.rest()

    def interrupt(self, number: int, frame: object) -> None:
        """A signal came, in the main thread."""
        if not self.note(number):
            raise Abandoned

    async def listen_asyncio(self) -> None:
        """Run asyncio ones, each in a task."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self.note, number)
        try:
            await listen_in_tasks(self.ones)
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)
            self.rest()

    def rest(self) -> None:
        """Nothing runs any more."""
        if self.timer is not None:
            self.timer.cancel()
        self.closing.close()


@contextmanager
def listening_to_signals(handle: Callable[[int, Any], Any]) -> Generator[None, None, None]:
    """Meanwhile this handles SIGTERM and SIGINT."""
    before = [(number, signal.signal(number, handle)) for number in SIGNALS]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


Ready = Callable[[Crew], None]


def run_here(found: Any, target: str, wish: Wish, burst: bool, ready: Ready) -> int | None:
    """Run it until it ends; the signal that ended it. `ready` is told when all is loaded and about to begin."""
    if inspect.isawaitable(found):
        return asyncio.run(run_asyncio(found, target, wish, burst, ready))
    things = workers(found, target, wish)
    if things[0]._driver.asyncio:
        return asyncio.run(run_tasks(things, wish, burst, ready))
    crew = Crew(things, burst, wish.grace)
    ready(crew)
    crew.listen()
    return crew.signal


async def run_asyncio(coming: Any, target: str, wish: Wish, burst: bool, ready: Ready) -> int | None:
    """Run what an async function gives."""
    things = workers(await awaited(coming, target), target, wish)
    if things[0]._driver.asyncio:
        return await run_tasks(things, wish, burst, ready)
    raise NotLoaded(f"{target} is an async function that gives blocking members: give them from a plain one, or use an asyncio client")


async def run_tasks(things: Sequence[Any], wish: Wish, burst: bool, ready: Ready) -> int | None:
    """Run asyncio members in this loop."""
    crew = Crew(things, burst, wish.grace)
    ready(crew)
    await crew.listen_asyncio()
    return crew.signal
