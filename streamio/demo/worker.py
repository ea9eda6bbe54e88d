"""A worker of the demo: a member of a group that can be paused, and can crash as a process does.

A crash is as real as it gets inside one process. The worker takes its next n entries and does nothing with them; then its member is abandoned:
nothing is acknowledged or given back, nobody renews what it had. So the entries stay pending under its name, with growing idle time, as after
`kill -9`. It comes back under its name when nothing is left there, because somebody claimed it, or when it is told to: then it takes its own first.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from redis.exceptions import RedisError

from ..colour import Asyncio
from ..errors import Abandoned, StreamioError
from ..group import ConsumerGroupTopic
from ..member import ConsumerGroupMember
from ..message import Message
from ..reports import Event
from .errors import Refused

Work = Callable[[Message[Any]], None]
LOOKS = 0.5  # seconds between two looks of a crashed worker whether its entries were taken over
BLOCK = 0.5  # seconds one read waits: how soon hand-backs of others are seen, and how long an idle worker may take to stop
RECENT = 20
log = logging.getLogger("streamio.demo")


class Worker:
    """One worker, by name.

    `tell(what, id)` is called when it acknowledged an entry ("ack"), failed at it ("fail"), put it aside ("bury"), dropped it ("drop"), took it over
    ("claim"), or found it trimmed ("gone"). `work` is what it does with one; `failing` are those that failed before, at whomever's hands.
    """

    def __init__(
        self, group: ConsumerGroupTopic[Asyncio, Any], name: str, latency: float, tell: Callable[[str, str], None], work: Work, failing: set[str]
    ) -> None:  # fmt: skip
        self.group, self.name, self.latency, self.tell, self.work, self.failing = group, name, latency, tell, work, failing
        self.processed = self.reaped = self.crashed = self.crash_queued = 0
        self.paused, self.alive, self.fault = False, False, ""
        self.recent: deque[dict[str, str]] = deque(maxlen=RECENT)
        self.dropped: list[Message[Any]] = []  # what it holds and does nothing with
        self.own: set[str] = set()  # what it dropped, and may get again when it comes back
        self.left = 0  # entries pending under its name since it crashed
        self.idle = 0.0  # for how long the oldest of them lies there
        self.member: ConsumerGroupMember[Asyncio, Any] | None = None
        self._revived = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    # -- levers -----------------------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to work."""
        self._wake_up()
        self._task = asyncio.create_task(self._live(), name=f"demo {self.name}")

    async def stop(self) -> None:
        """Finish what runs and leave the group. What a crashed worker left stays pending."""
        task, self._task = self._task, None
        self._revived.set()
        if self.member is not None:
            self.member.stop()
        if task is not None:
            await task

    def crash(self, count: int) -> None:
        """Drop the next `count` entries, and end with them in hand."""
        if not self.alive:
            raise Refused(f"{self.name} is down already", "down")
        self.crash_queued += count

    def pause(self) -> None:
        """Read nothing more until `resume()`. What is pending stays."""
        if not self.alive or self.member is None:
            raise Refused(f"{self.name} is down: there is nothing to pause", "down")
        self.paused = True
        self.member.pause()

    def resume(self) -> None:
        """Go on reading; come back, where it crashed."""
        self.paused = False
        if self.alive and self.member is not None:
            self.member.resume()
        else:
            self._revived.set()

    # -- its life -----------------------------------------------------------------------------------------------------------------------

    async def _live(self) -> None:
        """Life after life."""
        while self.member is not None:
            try:
                await self.member.connect_and_listen()
            except Abandoned:
                log.info("%s crashed with %d entries in hand", self.name, len(self.dropped))
                await self._lie_down(self._gone)
            except (RedisError, StreamioError, OSError) as error:
                self.fault = str(error)
                log.warning("%s ended: %s", self.name, error)
                await self._lie_down(self._never)
            self.alive = False
            if self._task is None:
                return
            self._wake_up()

    def _wake_up(self) -> None:
        """A new life begins."""
        self._revived.clear()
        self.member = self._made()
        self.alive, self.fault, self.left, self.idle = True, "", 0, 0.0

    def _made(self) -> ConsumerGroupMember[Asyncio, Any]:
        """A member that settles by hand and reads nothing ahead: it dies with exactly what was handed to it."""
        member = self.group.member(self.name, ack="manual", prefetch=0, block=BLOCK, grace=1)
        member.on("*", self._handle)
        member.lifecycle.on("missing", self._missed)
        member.lifecycle.on("buried", self._buried)
        return member

    async def _handle(self, message: Message[Any]) -> None:
        if self.crash_queued:
            await self._drop(message)
            return
        await asyncio.sleep(self.latency)
        try:
            self.work(message)
        except ValueError:
            self._happened(message, "fail")
            raise
        message.ack()
        self.processed += 1
        if message.id in self.failing:
            self.failing.discard(message.id)
        elif message.deliveries > 1 and message.id not in self.own:  # another worker had it before
            self.reaped += 1
            self.tell("claim", message.id)
        self._happened(message, "ack")

    async def _drop(self, message: Message[Any]) -> None:
        """Do nothing with it, and end where it was the last one to drop. What was acknowledged before is brought to the server first."""
        self.dropped.append(message)
        self.own.add(message.id)
        self.crash_queued -= 1
        self.crashed += 1
        self._happened(message, "drop")
        if not self.crash_queued and self.member is not None:
            await self.member.flush()
            self.member.abandon()

    def _happened(self, message: Message[Any], what: str) -> None:
        self.recent.append({"id": message.id, "type": message.type, "what": what, "deliveries": str(message.deliveries)})
        self.tell(what, message.id)

    def _buried(self, event: Event) -> None:
        """What failed too often was put aside."""
        if event.message is not None:
            self.tell("bury", event.message.id)

    def _missed(self, event: Event) -> None:
        """What was pending is not in the stream any more."""
        for each in event.ids:
            self.tell("gone", each)

    async def _lie_down(self, is_over: Callable[[], Any]) -> None:
        """Be dead until told to come back, or until it is over."""
        self.alive, self.paused = False, False
        self.dropped.clear()
        if self.member is not None:
            await self.member.close()
        while not self._revived.is_set() and not await is_over():
            try:
                await asyncio.wait_for(self._revived.wait(), LOOKS)
            except TimeoutError:
                log.debug("%s is still down", self.name)

    async def _never(self) -> bool:
        return False

    async def _gone(self) -> bool:
        """Whether nothing is pending under its name any more."""
        try:
            rows = await self.group.pending(consumer=self.name)
        except (RedisError, OSError) as error:
            self.fault = str(error)
            return False
        self.left, self.idle = len(rows), max((row.idle for row in rows), default=0.0)
        self.own.intersection_update(row.id for row in rows)
        return not rows

    def state(self) -> dict[str, Any]:
        """The worker as JSON."""
        return {
            "name": self.name, "processed": self.processed, "reaped": self.reaped, "crashed": self.crashed, "crash_queued": self.crash_queued,
            "paused": self.paused, "alive": self.alive, "left": self.left, "idle": self.idle, "fault": self.fault,
            "recent": list(self.recent)[:-4:-1],
        }  # fmt: skip
