"""A team: the workers of one group."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from redis.exceptions import RedisError

from ..colour import Asyncio
from ..errors import StreamioError
from ..group import ConsumerGroupTopic
from ..keys import checked_consumer
from .errors import Refused, wrong
from .story import Story
from .worker import Work, Worker

MOST = 12  # workers of a group
LONGEST = 60  # signs of a worker's name


class Team:
    """The workers of a group, by name, and what they did together, those that were removed included."""

    def __init__(self, group: ConsumerGroupTopic[Asyncio, Any], names: Sequence[str], latency: float, story: Story, work: Work) -> None:
        self.group, self.latency, self.story, self.work = group, latency, story, work
        self.acked = self.claimed = 0
        self.failing: set[str] = set()  # entries that failed and were not handled since
        self.workers = {name: self._made(name) for name in names}

    def _made(self, name: str) -> Worker:
        return Worker(self.group, name, self.latency, self.tell, self.work, self.failing)

    def tell(self, what: str, id: str) -> None:
        """Something happened to an entry: "ack", "fail", "bury", "drop", "gone" or "claim"."""
        key = self.key(id)
        if what == "ack":
            self.acked += 1
            self.story.handled(key)
        elif what == "fail":
            self.failing.add(id)
            self.story.failed(key)
        elif what == "bury":
            self.story.buried(key)
        elif what == "drop":
            self.story.crashed(key)
        elif what == "gone":
            self.story.gone(key)
        else:
            self.claimed += 1

    def key(self, id: str) -> str:
        """The entry as the story knows it."""
        return f"{self.group.name} {id}"

    @property
    def retried(self) -> int:
        """How many entries failed and are tried again: those put aside are not."""
        return sum(self.key(id) not in self.story.dead for id in self.failing)

    def start(self) -> None:
        """Let all begin."""
        for worker in self.workers.values():
            worker.start()

    async def stop(self) -> None:
        """Let all finish and leave."""
        await asyncio.gather(*(worker.stop() for worker in self.workers.values()))

    def get(self, name: object) -> Worker:
        """The worker of this name, or a refusal."""
        worker = self.workers.get(name) if isinstance(name, str) else None
        if worker is None:
            raise Refused(f"group {self.group.name!r} has no worker {name!r}", "not-found", 404)
        return worker

    def add(self, name: object) -> Worker:
        """A new worker, who begins at once."""
        checked = new_name(name)
        if checked in self.workers:
            raise Refused(f"group {self.group.name!r} has a worker {checked!r} already", "exists")
        if len(self.workers) >= MOST:
            raise Refused(f"group {self.group.name!r} has {MOST} workers: that is enough for a demo", "too-many")
        worker = self.workers[checked] = self._made(checked)
        worker.start()
        return worker

    def peer_of(self, name: str) -> Worker:
        """Who gets what this worker has: the first other one that works, else the first that is paused; or a refusal."""
        others = [each for each in self.workers.values() if each.name != name and each.alive]
        working = [each for each in others if not each.paused]
        if not others:
            raise Refused(f"{name} has no peer in group {self.group.name!r} that could take its entries over: it stays", "no-peer")
        return (working or others)[0]

    async def remove(self, name: object) -> tuple[Worker, int]:
        """Remove a worker; who got what was pending under its name, and how many entries that were. Nothing of it is lost."""
        if not isinstance(name, str) or name not in self.workers:
            raise Refused(f"group {self.group.name!r} has no worker {name!r}", "not-found")
        peer = self.peer_of(name)
        worker = self.workers[name]
        await worker.stop()
        try:
            moved = await self._handed_over(name, peer)
        except (RedisError, StreamioError, OSError) as error:
            worker.start()
            raise Refused(f"{name} was not removed, its entries could not be handed over: {error}", "handover-failed") from error
        del self.workers[name]
        return peer, moved

    async def _handed_over(self, name: str, peer: Worker) -> int:
        """How many entries were pending under the name. They are the peer's now, and the worker's record is gone."""
        count = len(await self.group.pending(consumer=name))
        await self.group.remove_consumer(name, peer.name)
        return count

    def state(self) -> list[dict[str, Any]]:
        """The workers as JSON."""
        return [worker.state() for worker in self.workers.values()]


def new_name(name: object) -> str:
    """The name of a new worker, or a refusal."""
    if not isinstance(name, str) or not name.strip() or len(name) > LONGEST or not name.isprintable():
        raise wrong("name", f"some text, {LONGEST} signs at most", name)
    try:
        return checked_consumer(name.strip(), "name")
    except ValueError as error:
        raise Refused(str(error), "bad-input", 400) from error
