"""Whether members live and get on: `Health(member, …)`, for probes. It looks when it is asked; nobody pays in between.

1. A member gets on where a read was answered (one that brought nothing, too), or an entry was settled. So an idle member is healthy.
2. It does not live where a handler runs for longer than `longest`, where its event loop stands still, where nothing is read although nothing runs, or
   where it stopped. How long something runs is counted from when it was first seen running: probes come every few seconds.
3. It is ready where it lives, is connected, and listens or is looped over. A server that is away makes it unready, and does not let it die, unless
   `outage` says so: a new process would not find it either.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .group import ConsumerGroupTopic
from .ids import Duration, seconds
from .member import ConsumerGroupMember
from .protocol.gathering import each_of
from .telemetry.serving import Server, serving
from .watching import present

SLACK = 5.0  # seconds that a read may last longer than it should
WORKS = ("listening", "iterating")
ENDED = ("stopped", "closed", "forked")


@dataclass(frozen=True)
class MemberHealth:
    """One member: its state in words, whether it lives and is ready, what is wrong (empty: nothing), and when it last got on (since 1970)."""

    member: str
    state: str
    alive: bool
    ready: bool
    reason: str
    last_progress: float


class Health:
    """The health of members and of groups' members in this process.

    longest   seconds that a handler, or a loop's body, may run (default 10 minutes; None: for ever)
    outage    seconds that a server may be away (None, the default: for ever)
    loop      seconds that an event loop may need to answer a probe
    """

    def __init__(
        self, *members: ConsumerGroupMember[Any, Any] | ConsumerGroupTopic[Any, Any],
        longest: Duration | None = 600, outage: Duration | None = None, loop: Duration = 5,
    ) -> None:  # fmt: skip
        for each in members:
            if not isinstance(each, (ConsumerGroupMember, ConsumerGroupTopic)):
                raise TypeError(f"health is that of ConsumerGroupMembers or of a ConsumerGroupTopic's, not of {each!r}")
        self.members = members
        self.longest = None if longest is None else seconds(longest, "longest")
        self.outage = None if outage is None else seconds(outage, "outage")
        self.loop = seconds(loop, "loop")
        self._looking, self._made = threading.Lock(), time.time()
        self._watched: dict[int, Watched] = {}

    @property
    def alive(self) -> bool:
        """Whether every member lives; where there is none yet, too."""
        return all(each.alive for each in self.look())

    @property
    def ready(self) -> bool:
        """Whether there are members, and every one is at work."""
        found = self.look()
        return bool(found) and all(each.ready for each in found)

    @property
    def last_progress(self) -> float:
        """When the member that is furthest behind last got on, in seconds since 1970."""
        return min((each.last_progress for each in self.look()), default=self._made)

    def look(self) -> list[MemberHealth]:
        """Each member's health, now."""
        with self._looking:
            members = all_members(self.members)
            known = self._watched
            self._watched = {id(member): known.get(id(member)) or Watched(member) for member in members}
            return [self._watched[id(member)].look(member, self) for member in members]

    def as_json(self) -> dict[str, Any]:
        """All of it, as plain JSON."""
        found = self.look()
        return {
            "alive": all(each.alive for each in found),
            "ready": bool(found) and all(each.ready for each in found),
            "last_progress": min((each.last_progress for each in found), default=self._made),
            "members": [asdict(each) for each in found],
        }

    def serve(self, port: int, host: str = "127.0.0.1") -> Server:
        """Answer GET /healthz (200 where all live, else 503) and /readyz, with `as_json()`, in a daemon thread; `close()` ends it. Port 0: any free
        one, `port` says which."""
        health = self

        class Probe(Answering):
            """Answers for this health."""

            def found(self) -> dict[str, Any]:
                return health.as_json()

        return serving(Quiet((host, port), Probe), "streamio-health")


class Watched:
    """What is known of one member from the last time it was looked at."""

    def __init__(self, member: Any) -> None:
        self.counts, self.moved = counts_of(member), time.time()
        self.running: dict[Any, float] = {}  # since when these are known to run
        self.works_since: float | None = None  # by the member's clock

    def look(self, member: Any, health: Health) -> MemberHealth:
        """The member's health."""
        now, clock, hands = time.time(), member._driver.clock.monotonic(), hands_of(member)
        self.notice(member, hands, now)
        turned = [now - max(0.0, clock - hand.turned_at) for hand in (member._hand, *hands) if hand.turned_at and is_up(hand)]
        state = member._hand.state
        dead, unready = self.verdict(member, hands, health, now, clock), unreadiness(member, hands)
        reason = dead or unready
        return MemberHealth(member.id, state, not dead, not reason, reason, max([self.moved, *turned]))

    def notice(self, member: Any, hands: list[Any], now: float) -> None:
        """Compare with what was seen before."""
        counts = counts_of(member)
        if counts != self.counts:
            self.counts, self.moved = counts, now
        runs = {(message.id, message.deliveries) for hand in hands for thing in running_in(hand) for message in each_of(thing)}
        self.running = {each: self.running.get(each, now) for each in runs}

    def verdict(self, member: Any, hands: list[Any], health: Health, now: float, clock: float) -> str:
        """Why the member does not live; empty where it does."""
        if member._hand.state in ENDED:
            return f"it is {member._hand.state}"
        entry, since = min(self.running.items(), key=lambda item: item[1], default=(("", 0), now))
        if health.longest is not None and now - since > health.longest:
            return f"entry {entry[0]} has been running for {now - since:.0f} s"
        away = max((clock - hand.down_since for hand in hands if hand.down_since is not None), default=0.0)
        if health.outage is not None and away > health.outage:
            return f"its server has been away for {away:.0f} s"
        if stands_still(member, health.loop):
            return f"its event loop has not answered for {health.loop:g} s"
        return "" if self.running else self.unread(member, hands, clock)

    def unread(self, member: Any, hands: list[Any], clock: float) -> str:
        """That nothing is read although nothing runs; empty where that is not so."""
        works = member._user in WORKS and member._hand.state in WORKS and all(is_up(hand) and not hand.paused for hand in hands)
        self.works_since = (self.works_since or clock) if works else None
        quiet = clock - max(self.works_since or clock, *(hand.turned_at for hand in (member._hand, *hands)))
        settings = member._hand.settings
        return f"nothing has been read for {quiet:.0f} s" if works and quiet > settings.block + SLACK + settings.lease / 3 else ""


def unreadiness(member: Any, hands: list[Any]) -> str:
    """Why the member is not ready; empty where it is."""
    if not all(map(is_up, hands)):
        return "its server is away"
    if member._hand.state not in WORKS:
        return f"it is {member._hand.state}"
    return "it is stopping" if member._hand.stopping else ""


def is_up(hand: Any) -> bool:
    """Whether its connection holds, as far as is known."""
    return hand.down_since is None and hand.trouble is None


def hands_of(member: Any) -> list[Any]:
    """What the member has in hand: one for each of its topics."""
    return [share._hand for share in getattr(member, "_shares", (member,))]


def running_in(hand: Any) -> list[Any]:
    """What runs."""
    return [thing for thing in (*hand.running.values(), hand.current) if thing is not None]


def counts_of(member: Any) -> tuple[int, ...]:
    """What grows where the member gets on."""
    return tuple(count for hand in hands_of(member) for count in (hand.settled, hand.handled, hand.failures))


def stands_still(member: Any, patience: float) -> bool:
    """Whether the member's event loop does not answer in this time. (Asked on that loop itself, it turns.)"""
    loop = getattr(member._driver, "loop", None)
    if loop is None or loop.is_closed() or not loop.is_running() or asyncio._get_running_loop() is loop:
        return False
    turned = threading.Event()
    loop.call_soon_threadsafe(turned.set)
    return not turned.wait(patience)


def all_members(things: Iterable[Any]) -> list[Any]:
    """The members that these are, or have in this process."""
    return [each for thing in things for each in (present(thing._members) if isinstance(thing, ConsumerGroupTopic) else [thing])]


class Quiet(ThreadingHTTPServer):
    """A server that does not hold up the end of the process."""

    daemon_threads = True


class Answering(BaseHTTPRequestHandler):
    """Answers probes."""

    server_version, sys_version, timeout = "streamio", "", 10

    def found(self) -> dict[str, Any]:
        """The health, as JSON."""
        raise NotImplementedError

    def do_GET(self) -> None:
        """Answer one probe."""
        what = {"/healthz": "alive", "/readyz": "ready"}.get(self.path.split("?")[0])
        if what is None:
            return self.answer(404, {"error": "there are /healthz and /readyz"})
        found = self.found()
        self.answer(200 if found[what] else 503, found)

    do_HEAD = do_GET

    def answer(self, status: int, content: dict[str, Any]) -> None:
        """Send it."""
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in (("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: probes come all the time."""
