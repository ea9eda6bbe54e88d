"""Handlers that sit, for tests of what happens meanwhile: written once, in the colour of their world."""

from __future__ import annotations

import asyncio
import time

from ..world import World


class Gate:
    """A handler that sits until `open()`. `seen` are the messages that came, `inside` how many sit there now, `most` how many ever did at once."""

    def __init__(self, w: World, opened: bool = False, seconds: float = 0) -> None:
        self.w, self.opened, self.seconds = w, opened, seconds
        self.seen, self.left, self.inside, self.most = [], [], 0, 0
        self.handler = self.sit_asyncio if w.asyncio else self.sit

    def open(self) -> None:
        """Let those inside go, and sit no more."""
        self.opened = True

    def enter(self, message) -> float:
        """Until when to sit at the latest, so that a test which fails does not hang."""
        self.seen.append(message)
        self.inside += 1
        self.most = max(self.most, self.inside)
        return time.monotonic() + 8

    def leave(self, message) -> None:
        """Through."""
        self.left.append(message)

    def sit(self, message) -> None:
        """The blocking handler."""
        end = self.enter(message)
        try:
            time.sleep(self.seconds)
            while not self.opened and time.monotonic() < end:
                time.sleep(0.002)
            self.leave(message)
        finally:
            self.inside -= 1

    async def sit_asyncio(self, message) -> None:
        """The asyncio handler."""
        end = self.enter(message)
        try:
            await asyncio.sleep(self.seconds)
            while not self.opened and time.monotonic() < end:
                await asyncio.sleep(0.002)
            self.leave(message)
        finally:
            self.inside -= 1


class Failing:
    """A handler that raises the first `times` times. `tries` are the deliveries it saw."""

    def __init__(self, times: int = 10**9) -> None:
        self.times, self.tries = times, []

    def __call__(self, message) -> None:
        self.tries.append(message.deliveries)
        if len(self.tries) <= self.times:
            raise ValueError("not this time")
