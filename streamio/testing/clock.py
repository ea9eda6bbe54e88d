"""Time that is made: a clock that stands still until it is told to go on, for members (their driver asks it) and for the embedded server.

fakeredis asks the module `time`, by that name in several of its modules. There stands a `ServedTime` from the first stage of a process on: while a
stage's server performs a command it gives that stage's time, and the system's to everybody else. So stages do not see each other's time.
"""

from __future__ import annotations

import sys
import time
from contextvars import ContextVar
from typing import Any

HAIR = 1e-5  # seconds: fakeredis cuts off what is below a millisecond, and a float may stand a hair below one


class Clock:
    """A time of day in seconds that is the monotonic time, too."""

    def __init__(self, now: float) -> None:
        self.now = now

    def time(self) -> float:
        """Seconds since 1970."""
        return self.now

    monotonic = time

    def go_to(self, moment: float) -> None:
        """It is that time, to the millisecond; never earlier than it was."""
        self.now = max(self.now, round(moment, 3))


serving: ContextVar[Clock | None] = ContextVar("serving", default=None)  # the clock of the server that performs a command


class ServedTime:
    """What stands for the module `time` in fakeredis."""

    def time(self) -> float:
        """Seconds since 1970, by the clock of whose command this is."""
        clock = serving.get()
        return time.time() if clock is None else clock.now + HAIR

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


def serve_time() -> list[str]:
    """Let fakeredis ask for the time here; the names of its modules that do now. (A test holds which ones must be among them.)"""
    for name, module in [*sys.modules.items()]:
        if name.startswith("fakeredis.") and vars(module).get("time") is time:
            setattr(module, "time", served)  # noqa: B010  (the module's own name, which its types do not know)
    return [name for name, module in [*sys.modules.items()] if name.startswith("fakeredis.") and vars(module).get("time") is served]


served = ServedTime()
