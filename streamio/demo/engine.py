"""`Demo`: a shop's orders, two groups of workers, and everything that can happen to them. Nothing here knows of the web.

1. All of it is on keys that the demo marked as its own (`marks`); they are removed when it stops.
2. Acts happen one after the other; what is not done is a `Refused` that says why, and changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from redis.exceptions import RedisError

from ..colour import Asyncio
from ..errors import StreamioError
from ..ids import Duration, Position, seconds
from ..keys import side_key
from ..retry import RetryPolicy
from ..topic import Topic, from_url
from .acts import Act, entries, one_by_one
from .amounts import Amounts, nothing
from .errors import Refused, whole, wrong
from .marks import LIVES, Marks
from .orders import Orders, Producer, checked_rate, checked_type
from .story import Story
from .team import Team
from .telling import state_of

KEY = "streamio:demo:orders"
TEAMS = {"notifications": ("worker-a", "worker-b"), "analytics": ("worker-c",)}
LATENCY = 0.02  # seconds that a worker takes for one order
LEASES = 5  # claim idle times in a lease: after that long a peer takes over by itself
log = logging.getLogger("streamio.demo")


class Demo:
    """The shop. `start()`, then acts, then `stop()`; or `async with Demo() as demo:`.

    url         the server; `memory://name` is one inside this process
    key         the stream's key. It must not exist, but for what a demo left that was killed
    maxlen      about how many orders the stream keeps
    claim_idle  seconds after which an entry of a silent worker may be claimed by hand
    rate        orders per second that come by themselves
    seed        for the same orders each time
    latency     seconds that a worker takes for one order
    lives       seconds without a word after which other demos take this one for killed
    """

    def __init__(
        self, url: str = "memory://demo", *, key: str = KEY, maxlen: int = 2000, claim_idle: Duration = 5, rate: float = 2.0,
        seed: int | None = None, latency: float = LATENCY, lives: float = LIVES,
    ) -> None:  # fmt: skip
        self.client = from_url(url, asyncio=True)
        self.topic: Topic[Asyncio, Any] = Topic(key, self.client, maxlen=maxlen)
        self.maxlen = maxlen
        self.claim_idle = seconds(claim_idle, "claim_idle")
        if self.claim_idle <= 0:
            raise ValueError(f"claim_idle must be more than 0 seconds, not {claim_idle!r}")
        self.lease = LEASES * self.claim_idle
        self.rate, self.seed, self.latency = checked_rate(rate), seed, latency
        self.marks = Marks(self.client, key, lives)
        self.turn = asyncio.Lock()
        self.left_over = False  # a demo that was killed had left its data, which goes on here
        self.fault = ""  # why nothing more is done
        self.beat: asyncio.Task[None] | None = None
        self._ending, self._closed = asyncio.Event(), False
        self._set_up()

    def _set_up(self) -> None:
        """The seed state: nothing happened yet."""
        self.story = Story()
        self.amounts = Amounts()
        retry = RetryPolicy(backoff=(self.claim_idle / 20, self.claim_idle / 5))
        options: dict[str, Any] = {"lease": self.lease, "claim_interval": min(0.5, self.claim_idle / 2), "retry": retry}
        groups = {name: self.topic.group(name, **options) for name in TEAMS}
        works = {"notifications": nothing, "analytics": self.amounts.add}
        self.teams = {name: Team(groups[name], workers, self.latency, self.story, works[name]) for name, workers in TEAMS.items()}
        self.producer = Producer(self.topic, Orders(self.seed), self.rate)

    # -- beginning and ending -----------------------------------------------------------------------------------------------------------

    async def start(self) -> Demo:
        """Have the keys, make the groups, let all begin; the demo. A SetupError where the keys are somebody else's."""
        try:
            self.left_over = await self.marks.take(TEAMS)
            self.beat = asyncio.create_task(self._live(), name="demo heartbeat")
            await self._begin()
        except BaseException:
            await self.stop()
            raise
        return self

    @property
    def running(self) -> bool:
        """Whether it was started and not stopped."""
        return self.beat is not None

    async def _begin(self) -> None:
        for team in self.teams.values():
            await team.group.create("0")
            team.start()
        self.producer.start()

    async def _end(self) -> None:
        await self.producer.stop()
        await asyncio.gather(*(team.stop() for team in self.teams.values()))

    async def stop(self) -> None:
        """Let all finish, remove the demo's own keys and close the connections."""
        if self._closed:
            return
        self._closed, beat, self.beat = True, self.beat, None
        self._ending.set()
        try:
            if beat is not None:
                await asyncio.wait({beat})
                await self._end()
                await self.marks.wipe(await self._groups(), marker=True)
        except (RedisError, StreamioError, OSError) as error:
            log.warning("the demo's keys were not removed: %s", error)
        finally:
            await self.topic.close()
            await self.client.aclose()

    async def __aenter__(self) -> Demo:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _groups(self) -> set[str]:
        """The groups that the stream has, and those it should have."""
        return {*TEAMS, *(each.name for each in await self.topic.groups())}

    async def _live(self) -> None:
        """Say again and again that the demo lives, and see what its story needs."""
        while not await self._told_to_end(self.marks.lives / 8):
            try:
                if not await self.marks.renew():
                    self.fault = f"{self.topic.name!r} was deleted, or another demo has it: this one stopped"
                    log.error(self.fault)
                    return await self._end()
            except (RedisError, OSError) as error:
                log.warning("the demo cannot say that it lives: %s", error)
            self._look()

    async def _told_to_end(self, within: float) -> bool:
        """Whether the demo is to end, or will be within so many seconds. (Cancelling would do, but what is asked of the server may swallow that.)"""
        try:
            return await asyncio.wait_for(self._ending.wait(), within)
        except TimeoutError:
            return False

    def _look(self) -> None:
        self.story.worked(min(team.acked for team in self.teams.values()))
        for team in self.teams.values():
            for worker in team.workers.values():
                if worker.left:
                    self.story.down(worker.idle, self.claim_idle)

    # -- acts ---------------------------------------------------------------------------------------------------------------------------

    @one_by_one
    async def produce(self, count: int = 10, type: str | None = None) -> Act:
        """Publish 1 to 500 orders at once, of one type or of any."""
        self._need_keys()
        ids = await self.producer.publish(whole(count, "count", 1, 500), checked_type(type))
        self.story.produced(len(ids))
        what = "1 order" if count == 1 else f"{count} orders"
        command = f"XADD {self.topic.name} MAXLEN ~ {self.maxlen} * type {type or 'order.placed'} …"
        return Act(f"{what} published", command + (f" ({count} times, in one go)" if count > 1 else ""), {"ids": ids})

    @one_by_one
    async def flow(self, paused: bool | None = None, rate: float | None = None) -> Act:
        """Pause the producer or let it go on, and how many orders per second it publishes."""
        if paused is not None and not isinstance(paused, bool):
            raise wrong("paused", "true or false", paused)
        self.producer.set(paused=paused, rate=rate)
        says = "the producer rests" if self.producer.paused else f"{self.producer.rate:g} orders per second come by themselves"
        return Act(says, "", {"paused": self.producer.paused, "rate": self.producer.rate})

    @one_by_one
    async def crash(self, group: str, worker: str, count: int = 3) -> Act:
        """Let a worker crash with its next 1 to 100 entries in hand."""
        found = self.team(group).get(worker)
        found.crash(whole(count, "count", 1, 100))
        return Act(f"{worker} crashes with its next {found.crash_queued} entries in hand", "", {"crash_queued": found.crash_queued})

    @one_by_one
    async def spoil(self, count: int = 3) -> Act:
        """Let the next 1 to 100 orders have amounts with a comma, at which the handler of analytics fails again and again."""
        self._need_keys()
        orders = self.producer.orders
        orders.to_spoil = whole(count, "count", 1, 100)
        return Act(f"the next {orders.to_spoil} orders have a comma in their amount", "", {"queued": orders.to_spoil})

    @one_by_one
    async def mend(self, mended: bool = True) -> Act:
        """Let the handler of analytics understand commas, or (False) no more."""
        if not isinstance(mended, bool):
            raise wrong("mended", "true or false", mended)
        self.amounts.mended = mended
        return Act("analytics understands commas now" if mended else "analytics does not understand commas any more", "", {"mended": mended})

    @one_by_one
    async def redrive(self) -> Act:
        """Bring the dead letters of analytics back to it."""
        self._need_keys()
        done = await self.teams["analytics"].group.dead_letters.redrive()
        what = "1 dead letter" if done.count == 1 else f"{done.count} dead letters"
        command = f"XCLAIM {self.topic.name} analytics ~waiting 0 … FORCE JUSTID; XDEL {side_key(self.topic.name, 'dead', 'analytics')} …"
        return Act(f"{what} brought back to analytics", command, {"count": done.count})

    @one_by_one
    async def pause(self, group: str, worker: str) -> Act:
        """Let a worker read nothing until `resume`."""
        self.team(group).get(worker).pause()
        self.story.paused()
        return Act(f"{worker} is paused: it reads nothing, what is pending stays")

    @one_by_one
    async def resume(self, group: str, worker: str) -> Act:
        """Let a paused worker read again, a crashed one come back."""
        found = self.team(group).get(worker)
        was_paused = found.paused
        found.resume()
        if was_paused:
            self.story.resumed()
        return Act(f"{worker} works again" if was_paused else f"{worker} comes back, and takes what is pending under its name first")

    @one_by_one
    async def add_worker(self, group: str, name: str) -> Act:
        """Add a worker to a group."""
        self._need_keys()
        worker = self.team(group).add(name)
        return Act(f"{worker.name} joined {group}", f"XREADGROUP GROUP {group} {worker.name} COUNT 1 BLOCK 500 STREAMS {self.topic.name} >")

    @one_by_one
    async def remove_worker(self, group: str, name: str) -> Act:
        """Remove a worker: what is pending under its name is handed over to a peer first."""
        peer, moved = await self.team(group).remove(name)
        self.story.removed()
        command = f"XGROUP DELCONSUMER {self.topic.name} {group} {name}"
        return Act(f"{name} left {group}; {entries(moved)} handed over to {peer.name}", command, {"heir": peer.name, "moved": moved})

    @one_by_one
    async def claim(self, group: str, to: str, idle: Duration | None = None) -> Act:
        """Let a worker have what nobody touched for so long (None: `claim_idle`); what was trimmed meanwhile is told."""
        team = self.team(group)
        worker, least = team.get(to), self.claim_idle if idle is None else seconds(idle, "idle")
        if not worker.alive:
            raise Refused(f"{to} is down: choose a worker that lives", "down")
        done = await team.group.claim(to, idle=least)
        for each in done.deleted:
            self.story.gone(f"{group} {each}")
        gone = f"; {entries(len(done.deleted))} gone: trimmed while pending" if done.deleted else ""
        command = f"XAUTOCLAIM {self.topic.name} {group} {to} {round(least * 1000)} 0-0"
        return Act(f"{entries(len(done.claimed))} claimed for {to}{gone}", command, {"claimed": list(done.claimed), "deleted": list(done.deleted)})

    @one_by_one
    async def replay(self, start: Position = "-", end: Position = "+", count: int = 20) -> Act:
        """What the stream holds, 1 to 500 entries of it; no group notices."""
        most = whole(count, "count", 1, 500)
        try:
            found = [{"id": each.id, "type": each.type, "data": dict(each.data)} async for each in self.topic.replay(start, end, count=most)]
        except (TypeError, ValueError) as error:
            raise Refused(str(error), "bad-input", 400) from error
        self.story.replayed()
        return Act(f"{entries(len(found))} read again", f"XRANGE {self.topic.name} {start} {end} COUNT {most}", {"entries": found})

    @one_by_one
    async def trim(self, maxlen: int = 100, preview: bool = False) -> Act:
        """Keep the newest orders only; with `preview`: what would go, and what of it is not acknowledged yet."""
        self._need_keys()
        most = whole(maxlen, "maxlen", 0, 1_000_000)
        command = f"XTRIM {self.topic.name} MAXLEN = {most}"
        seen = await self.topic.preview_trim(maxlen=most, exact=True)
        facts: dict[str, Any] = {"entries": seen.entries, "pending": dict(seen.pending), "undelivered": dict(seen.undelivered)}
        open_ = sum(facts["pending"].values()) + sum(facts["undelivered"].values())
        if preview:
            return Act(f"{entries(seen.entries)} would go, {open_} of them not acknowledged yet", command, facts)
        done = await self.topic.trim(maxlen=most, exact=True)
        return Act(f"{entries(done.removed)} trimmed, {open_} of them not acknowledged yet", command, {**facts, "removed": done.removed})

    @one_by_one
    async def reset(self) -> Act:
        """The seed state again: the demo's own data goes, all counts are 0, the workers are those of the beginning."""
        self._need_keys()
        await self._end()
        gone = await self.marks.wipe(await self._groups())
        self._set_up()
        await self._begin()
        return Act("everything is as at the beginning", f"DEL {self.topic.name} …", {"keys": gone})

    # -- looking ------------------------------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """The demo as JSON. Nothing is asked of the server."""
        self._look()
        return state_of(self)

    def team(self, group: object) -> Team:
        """The workers of a group, or a refusal."""
        if not isinstance(group, str) or group not in self.teams:
            raise Refused(f"group must be one of {', '.join(self.teams)}, not {group!r}", "not-found", 404)
        return self.teams[group]

    def _need_keys(self) -> None:
        if self.fault:
            raise Refused(self.fault, "stopped")
