"""`Observer`: looks at streams and their groups, again and again. It only reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, overload

from redis.typing import AsyncClientProtocol, SyncClientProtocol

from ..colour import Asyncio, Blocking, C, Coloured, operation, wrong
from ..drivers.embedded import client_from
from ..effects import Exchange, Now
from ..forking import closed_in_children, kept
from ..ids import Duration, seconds
from ..keys import checked, is_side_stream
from ..protocol.servers import told
from ..protocol.watching import StreamFacts
from .nodes import Nodes
from .rates import Seen
from .seeing import Eye, seen, topic_view
from .views import Sample, TopicView

GLOB = frozenset("*?[\\")
WEIGHED = 5  # topics whose memory is asked for in one look
PATIENCE = 2.0  # seconds for which the names that were found are good
SHARE = 20  # of the time, one part goes into finding names


class Observer(Coloured[C], Generic[C]):
    """Looks at streams. With a `redis.Redis` or a URL everything is called, with a `redis.asyncio.Redis` awaited.

    client    as for `Topic`; it is never closed, changed or used itself. In a Redis Cluster all nodes are looked at
    topics    names, and patterns as Redis writes them (`orders:*`; a `\\` before a sign that is meant itself)
    most      at how many topics it looks at once, by name; how many more there are the sample says
    lease     the groups' lease in seconds: what is pending and idle for longer is left behind
    limit     seconds that a group may be behind before it is called so
    """

    @overload
    def __init__(
        self: Observer[Blocking], client: SyncClientProtocol | str | None = None, *,
        topics: Sequence[str] = ("*",), most: int = 100, lease: Duration = 30, limit: Duration = 10,
    ) -> None: ...  # fmt: skip
    @overload
    def __init__(
        self: Observer[Asyncio], client: AsyncClientProtocol, *,
        topics: Sequence[str] = ("*",), most: int = 100, lease: Duration = 30, limit: Duration = 10,
    ) -> None: ...  # fmt: skip
    def __init__(
        self, client: Any = None, *, topics: Sequence[str] = ("*",), most: int = 100, lease: Duration = 30, limit: Duration = 10
    ) -> None:  # fmt: skip
        self.topics, self.most = checked_names(topics, "topics"), checked_most(most)
        self.lease, self.limit = seconds(lease, "lease"), seconds(limit, "limit")
        self._owned = client_from(client, False) if client is None or isinstance(client, str) else None
        self._nodes = Nodes(self._owned or client)
        self._driver = self._nodes.driver
        self._found: list[str] = []
        self._find_at = 0.0
        self._seen: dict[str, Seen] = {}
        self._memory: dict[str, int] = {}
        self._turn = 0
        self._closed = False
        closed_in_children(self)

    def __repr__(self) -> str:
        return f"<Observer of {', '.join(map(repr, self.topics))}>"

    @operation
    def find(self, *, side_streams: bool = False) -> Exchange[list[str]]:
        """The names of the streams that there are, sorted. `side_streams`: those that streamio keeps beside topics (dead letters, replies), too."""
        self._check_open()
        return (yield from self._finding(side_streams))

    @operation
    def look(self, names: Sequence[str] | None = None) -> Exchange[Sample]:
        """What there is to see now: of these topics or, without names, of all that the observer was made for.

        Two round trips (more only where there are hundreds of groups). Rates are since the last look at the same topic. A topic that is gone, is no
        stream, or that this user may not look at, is there with its `error`. A server that cannot be reached is redis-py's error.
        """
        self._check_open()
        began: float = yield Now()
        wanted = [*dict.fromkeys(checked_names(names, "names"))] if names is not None else (yield from self._known(began))
        chosen = wanted[: self.most] if names is None else wanted
        server, facts = yield from self._nodes.watching(chosen, self._weighed(chosen))
        topics = tuple(self._view(each, server.at) for each in facts)
        if any(each.stream is None for each in facts):
            self._find_at = 0.0
        self._forget(chosen)
        ended: float = yield Now()
        version = told(server.server, self._nodes.source.version) or ""
        return Sample(server.at, ended - began, version, server.memory, topics, len(wanted) - len(chosen))

    @operation
    def close(self) -> Exchange[None]:
        """Close the observer's own connections (and the client, where it made it from a URL). The caller's client stays open."""
        self._closed = True
        yield from self._nodes.close()
        if self._owned is not None:
            self._owned.close()

    def _finding(self, side_streams: bool) -> Exchange[list[str]]:
        """The names; those without side streams are remembered."""
        began: float = yield Now()
        patterns = [name for name in self.topics if GLOB.intersection(name)]
        exact = [name for name in self.topics if not GLOB.intersection(name)]
        found = yield from self._nodes.finding(patterns, exact)
        ended: float = yield Now()
        names = [name for name in found if side_streams or name in exact or not is_side_stream(name)]
        if not side_streams:
            self._found, self._find_at = names, ended + max(PATIENCE, SHARE * (ended - began))
        return names

    def _known(self, now: float) -> Exchange[list[str]]:
        """The names to look at: those found a moment ago, or found now; what was named exactly is among them even where it is not there."""
        if now >= self._find_at:
            yield from self._finding(False)
        return sorted({*self._found, *(name for name in self.topics if not GLOB.intersection(name))})

    def _weighed(self, names: Sequence[str]) -> list[str]:
        """Whose memory is asked for this time: the next few in turn."""
        self._turn += WEIGHED
        return [names[(self._turn + place) % len(names)] for place in range(min(WEIGHED, len(names)))]

    def _view(self, facts: StreamFacts, at: float) -> TopicView:
        """The topic as it is now; what the next look wants to know of it is remembered."""
        before = self._seen.get(facts.name)
        if facts.stream is None:
            self._seen.pop(facts.name, None)
            self._memory.pop(facts.name, None)
        else:
            self._seen[facts.name] = seen(facts, at)
        if facts.memory is not None:
            self._memory[facts.name] = facts.memory
        return topic_view(facts, Eye(at, before, self.lease, self.limit), self._memory.get(facts.name))

    def _forget(self, names: Sequence[str]) -> None:
        """Do not remember for ever what was looked at once."""
        if len(self._seen) > 4 * max(self.most, len(names)):
            kept = {*names}
            self._seen = {name: value for name, value in self._seen.items() if name in kept}
            self._memory = {name: value for name, value in self._memory.items() if name in kept}

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError("the observer is closed")

    def __enter__(self: Observer[Blocking]) -> Observer[Blocking]:
        if self._driver.asyncio:
            wrong(self, "with", "async with")
        return self

    def __exit__(self: Observer[Blocking], *error: object) -> None:
        self.close()

    async def __aenter__(self: Observer[Asyncio]) -> Observer[Asyncio]:
        if not self._driver.asyncio:
            wrong(self, "async with", "with")
        return self

    async def __aexit__(self: Observer[Asyncio], *error: object) -> None:
        await self.close()

    def _after_fork(self) -> None:
        for driver in self._nodes.drivers.values():
            if driver.asyncio:
                kept(dict(driver.pool))
            driver.pool.clear()


def checked_names(names: Sequence[str], what: str) -> tuple[str, ...]:
    """The names, or an error that says which is wrong."""
    if isinstance(names, (str, bytes)) or not isinstance(names, Sequence):
        raise TypeError(f"{what} must be a list of names, not {names!r}")
    return tuple(checked(name, f"name in {what}") for name in names)


def checked_most(most: int) -> int:
    """The number, or an error."""
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise ValueError(f"most must be a whole number, 1 or more, not {most!r}")
    return most
