"""Signals where the user asks for them: the first one stops, the second one abandons."""

from __future__ import annotations

import asyncio
import signal
from typing import Any, Protocol

from .errors import Abandoned


class Stoppable(Protocol):
    """A member, or a group with its members of this process."""

    _driver: Any

    def stop(self) -> None:
        """End in order."""

    def abandon(self) -> None:
        """End at once."""


class Stopping:
    """What a signal does: the first one stops, any further one abandons."""

    def __init__(self, thing: Stoppable, numbers: tuple[int, ...]) -> None:
        self.thing, self.came = thing, 0
        if thing._driver.asyncio:
            loop = asyncio.get_running_loop()
            for number in numbers:
                loop.add_signal_handler(number, self.note)
        else:
            for number in numbers:
                signal.signal(number, self.interrupt)

    def note(self) -> bool:
        """Whether this was the first."""
        self.came += 1
        if self.came == 1:
            self.thing.stop()
        else:
            self.thing.abandon()
        return self.came == 1

    def interrupt(self, number: int, frame: Any) -> None:
        """In the main thread, wherever that is: a second signal ends a handler that runs there."""
        if not self.note():
            raise Abandoned


def stop_on(thing: Stoppable, numbers: tuple[int, ...]) -> None:
    """Let these signals (none given: SIGTERM and SIGINT) stop it."""
    Stopping(thing, numbers or (signal.SIGTERM, signal.SIGINT))
