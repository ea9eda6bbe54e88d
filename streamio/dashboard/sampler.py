"""The one look at the server that all viewers share.

1. It looks every `interval` seconds while somebody watches, at once when the first one comes, and not at all when nobody does.
2. Never are two looks under way: who asks meanwhile waits for that one, and shares it.
3. It rests longer where a look takes long (it takes a tenth of the server's time at most) and while the server cannot be reached.
4. A viewer has no queue: it is told that there is something new, and takes what is newest then.
5. It needs no lifespan events: what it holds is given back when nobody has watched for `LINGER` seconds, or when its loop ends.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from redis.exceptions import RedisError

from ..errors import StreamioError
from ..observing import Sample

LINGER = 5.0  # seconds
SHARE = 10  # a look is followed by a rest of so many times its length
SOON = 0.5  # seconds: where looks take longer, none is made out of turn
FARTHEST = 30.0  # seconds between two attempts to reach a server that is away
AWAY = (RedisError, StreamioError, OSError)
logger = logging.getLogger("streamio.dashboard")


class Viewer:
    """One who watches: woken when there is something new, or when it is over."""

    def __init__(self) -> None:
        self.news = asyncio.Event()
        self.over = False

    def end(self) -> None:
        """Let the viewer go."""
        self.over = True
        self.news.set()


class Sampler:
    """Looks while somebody watches.

    sample    the last one that there was; None before the first
    version   how often something changed
    since     when the server was last seen, in seconds since 1970, while it cannot be reached now (`reason`); None while it can
    """

    def __init__(self, look: Callable[[], Awaitable[Sample]], interval: float, idle: Callable[[], Awaitable[None]]) -> None:
        self.look, self.interval, self.idle = look, interval, idle
        self.sample: Sample | None = None
        self.version = 0
        self.since: float | None = None
        self.reason: str | None = None
        self.viewers: set[Viewer] = set()
        self.failures = 0
        self.took = 0.0
        self.last = float("-inf")  # when a look last ended, by the monotonic clock
        self.used = float("-inf")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    # -- watching -------------------------------------------------------------------------------------------------------------------

    def watch(self, viewer: Viewer) -> None:
        """The viewer watches from now on, until it leaves."""
        self.touch()
        self.viewers.add(viewer)
        self._bell.set()

    def leave(self, viewer: Viewer) -> None:
        """The viewer watches no more."""
        self.viewers.discard(viewer)

    def touch(self) -> None:
        """Somebody asks something: what is open stays so for a while, and the task that closes it is there."""
        loop = asyncio.get_running_loop()
        self.used = time.monotonic()
        if self._loop is not loop:
            self._loop, self._task = loop, None
            self._lock, self._bell = asyncio.Lock(), asyncio.Event()
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._run(), name="streamio dashboard")

    def tell(self) -> None:
        """Something is new: wake all who watch."""
        self.version += 1
        for viewer in self.viewers:
            viewer.news.set()

    def hurry(self) -> None:
        """Something was done: look soon, where looks do not take long. It may be the first that was ever asked for."""
        self.touch()
        if self.took < SOON and not self.failures:
            self.last = float("-inf")
        self.tell()
        self._bell.set()

    def end(self) -> None:
        """Let all viewers go."""
        for viewer in [*self.viewers]:
            viewer.end()

    async def close(self) -> None:
        """Let all viewers go and give everything back."""
        self.end()
        task = self._task
        if task is not None and self._loop is asyncio.get_running_loop() and not task.done():
            task.cancel()
            await asyncio.wait([task])

    # -- looking --------------------------------------------------------------------------------------------------------------------

    async def fresh(self) -> Sample | None:
        """The last look, or a new one where that is older than `rest`; None where the server was never reached."""
        if asyncio.current_task() is not self._task:
            self.touch()
        async with self._lock:
            if time.monotonic() - self.last > self.rest:
                await self._look()
        return self.sample

    @property
    def rest(self) -> float:
        """Seconds between two looks now."""
        away = min(FARTHEST, self.interval * 2 ** min(self.failures, 10) / 2) if self.failures else 0.0
        return max(self.interval, away, min(FARTHEST, self.took * SHARE))

    async def _run(self) -> None:
        """Look while somebody watches; give back what is open when nobody does. Who comes while that is closed is looked for again."""
        try:
            while self.wanted:
                while self.wanted:
                    if self.viewers:
                        await self.fresh()
                    await self._pause()
                async with self._lock:
                    await self.idle()
        finally:
            await self.idle()

    @property
    def wanted(self) -> bool:
        """Whether somebody watches, or asked a moment ago."""
        return bool(self.viewers) or time.monotonic() - self.used < LINGER

    async def _pause(self) -> None:
        """Rest until the next look is due, or a viewer comes who has none."""
        self._bell.clear()
        left = self.last + self.rest - time.monotonic() if self.viewers else LINGER / 2
        try:
            async with asyncio.timeout(max(0.01, left)):
                await self._bell.wait()
        except TimeoutError:
            return

    async def _look(self) -> None:
        """One look. What it fails with is told to those who watch."""
        started = time.monotonic()
        try:
            self.sample = await self.look()
        except AWAY as error:
            self._failed(str(error) or type(error).__name__)
        except Exception as error:
            logger.exception("the dashboard could not look at the server")
            self._failed(f"{type(error).__name__}: {error}")
        else:
            self.since, self.reason, self.failures = None, None, 0
        self.last = time.monotonic()
        self.took = self.last - started if self.reason is None else 0.0
        self.tell()

    def _failed(self, reason: str) -> None:
        """Remember since when the server is away, and why."""
        self.failures += 1
        self.reason = reason
        if self.since is None:
            self.since = time.time() if self.sample is None else time.time() - (time.monotonic() - self.last)

    def staleness(self) -> dict[str, Any]:
        """Whether what is shown is old, since when, and why."""
        return {"stale": self.since is not None, "stale_since": self.since, "reason": self.reason}
