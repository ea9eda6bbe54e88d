"""What one dashboard knows and holds: the observer, the history, the journal, open topics."""

from __future__ import annotations

import inspect
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from starlette.requests import Request

from ..colour import Asyncio
from ..drivers.embedded import client_from
from ..drivers.source import Source
from ..observing import History, Observer, Sample
from ..topic import Topic
from .journal import Journal
from .patience import Patience
from .sampler import Sampler
from .settings import Settings
from .telling import GROUPS, told, trouble
from .views import json_text

TRACKED = 200  # groups whose history is kept
ASKED, BESIDE = 60.0, 10  # for how long a topic that was asked for is looked at, and how many of them are
MOST_ASKED = 100


class Board:
    """What the routes share."""

    def __init__(self, client: Any, settings: Settings) -> None:
        self.settings = settings
        self.owned: Any = client_from(client, True) if client is None or isinstance(client, str) else None
        self.client: Any = self.owned or client
        if not Source(self.client).asyncio:
            raise TypeError("the dashboard needs an asyncio client (redis.asyncio.Redis) or a URL, not a blocking client")
        self.observer: Observer[Asyncio] | None = None
        self.history = History(900, settings.interval)
        self.asked: dict[str, float] = {}  # topics, and when somebody last asked for them
        self.tracked: dict[tuple[str, str], None] = {}
        self.journal = Journal()
        self.patience = Patience()
        self.sampler = Sampler(self.look, settings.interval, self.rest)
        self._told: tuple[int, int, str] | None = None

    async def look(self) -> Sample:
        """A new sample; the history remembers it."""
        observer = self.observer = self.observer or observer_of(self.client, self.settings)
        sample = await observer.look()
        if beside := self.wanted_beside(sample):
            more = await observer.look(beside)
            there = [each for each in more.topics if each.error is None]
            sample = replace(sample, topics=tuple(sorted((*sample.topics, *there), key=lambda each: each.name)))
        self.history.add(self.tracking(sample))
        return sample

    def wanted_beside(self, sample: Sample) -> list[str]:
        """The topics that were asked for a moment ago and are not in the sample: they are new, or too many others are there."""
        now = time.monotonic()
        self.asked = {name: at for name, at in self.asked.items() if now - at < ASKED}
        there = {each.name for each in sample.topics}
        return [name for name in self.asked if name not in there][-BESIDE:]

    def tracking(self, sample: Sample) -> Sample:
        """The sample with the groups whose history is kept: those that are, as long as they are there, then the worst."""
        there = {(topic.name, group.name) for topic in sample.topics for group in topic.groups}
        self.tracked = {key: None for key in self.tracked if key in there}
        for topic in sample.topics:
            for group in sorted(topic.groups, key=trouble)[:GROUPS]:
                if len(self.tracked) < TRACKED:
                    self.tracked[(topic.name, group.name)] = None
        kept = [replace(each, groups=tuple(one for one in each.groups if (each.name, one.name) in self.tracked)) for each in sample.topics]
        return replace(sample, topics=tuple(kept))

    async def rest(self) -> None:
        """Give back what is open: nobody asks anything."""
        observer, self.observer = self.observer, None
        if observer is not None:
            await observer.close()

    async def close(self) -> None:
        """End what runs, and close what was opened."""
        await self.sampler.close()
        await self.rest()
        if self.owned is not None:
            await self.owned.aclose()

    def checked(self, topic: str) -> str:
        """The topic's name, where it may be seen and touched."""
        self.asked.pop(self.settings.checked(topic), None)
        self.asked[topic] = time.monotonic()
        if len(self.asked) > MOST_ASKED:
            del self.asked[next(iter(self.asked))]
        return topic

    async def busy(self, topic: str, what: str, most: int) -> list[str]:
        """The groups of the topic that have some `pending`, or some `dead`."""
        sample = await self.sampler.fresh()
        there = [each for one in (sample.topics if sample else ()) if one.name == topic for each in one.groups if getattr(each, what)]
        return [each.name for each in sorted(there, key=trouble)[:most]]

    async def lease(self, topic: str) -> float:
        """After how many seconds pending entries of this topic may be claimed."""
        extra = await self.extra() or {}
        idle: float = extra.get("claim_idle", self.settings.lease) if extra.get("topic") == topic else self.settings.lease
        return idle

    def note(self, request: Request, action: str, target: str, command: str, outcome: str, ok: bool = True) -> None:
        """Tell all who watch what was done, by whom, and look at what came of it. Extensions note their actions here, too."""
        client = request.client.host if request.client else "somebody"
        self.journal.add(getattr(request.state, "who", client), action, target, command, outcome, ok)
        self.sampler.hurry()

    @asynccontextmanager
    async def topic(self, name: str) -> AsyncGenerator[Topic[Asyncio, Any]]:
        """The topic of this name, open for the length of the block."""
        made: Topic[Asyncio, Any] = topic_of(name, self.client)
        async with made as topic:
            yield topic

    # -- telling --------------------------------------------------------------------------------------------------------------------

    async def state(self) -> dict[str, Any]:
        """What `/api/state` and the events tell."""
        sampler = self.sampler
        return {
            "sample": None if sampler.sample is None else told(sampler.sample, self.asked),
            "read_only": self.settings.read_only,
            "interval": self.settings.interval,
            **sampler.staleness(),
            "viewers": len(sampler.viewers),
            "topics": list(self.settings.topics),
            "demo": await self.extra(),
        }

    async def extra(self) -> dict[str, Any] | None:
        """What the extensions tell; None without any."""
        found: dict[str, Any] = {}
        for each in self.settings.extensions:
            came = each.state()
            found |= await came if inspect.isawaitable(came) else came
        return found if self.settings.extensions else None

    async def state_text(self) -> str:
        """The same as JSON, made once for all who watch."""
        key = (self.sampler.version, len(self.sampler.viewers))
        if self._told is None or self._told[:2] != key:
            self._told = (*key, json_text(await self.state()))
        return self._told[2]


def observer_of(client: Any, settings: Settings) -> Observer[Asyncio]:
    """An observer of what the settings allow."""
    make: Any = Observer
    made: Observer[Asyncio] = make(client, topics=settings.topics, lease=settings.lease)
    return made


def topic_of(name: str, client: Any) -> Topic[Asyncio, Any]:
    """The topic of an asyncio client."""
    make: Any = Topic
    made: Topic[Asyncio, Any] = make(name, client)
    return made
