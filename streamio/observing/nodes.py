"""The drivers of an observer: one of the server or, in a Redis Cluster, one of each node.

1. Where a key is, the client's map of the cluster says, until a node says otherwise (MOVED): what it said is remembered. Which nodes hold keys
   one of them is asked: after a failover the map, which is the caller's, still has the old ones.
2. A node that cannot be reached hides its own streams only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from redis.exceptions import MovedError, RedisClusterException

from ..drivers import asyncio as asyncio_driver
from ..drivers import blocking as blocking_driver
from ..drivers.source import Source
from ..effects import Do, Exchange
from ..protocol.asking import BROKEN
from ..protocol.watching import ServerFacts, StreamFacts, finding, kinds_of, masters, watching

Place = tuple[str, int] | None  # a node's address; None: the only server
Look = tuple[ServerFacts, list[StreamFacts]]
Found = dict[str, StreamFacts]


class Nodes:
    """Runs exchanges on the nodes of a client."""

    def __init__(self, client: Any) -> None:
        self.client, self.source = client, Source(client)
        self.driver = self._made(self.source)
        self.drivers: dict[Place, Any] = {None: self.driver}
        self.moved: dict[str, Place] = {}

    def _made(self, source: Source) -> Any:
        kind = asyncio_driver.Asyncio if source.asyncio else blocking_driver.Blocking
        return kind(source, "observed")

    def on(self, place: Place) -> Any:
        """The node's driver."""
        if place not in self.drivers:
            source = Source(self.client)
            source.moved = {} if place is None else {"host": place[0], "port": place[1]}
            self.drivers[place] = self._made(source)
        return self.drivers[place]

    def places(self) -> Exchange[list[Place]]:
        """The addresses of all nodes that hold keys."""
        if not self.source.cluster:
            return [None]
        if self.source.asyncio and not self.client.get_primaries():
            yield Do(self.driver.initialized)
        return [(node.host, node.port) for node in self.client.get_primaries()]

    def place(self, name: str) -> Place:
        """The address of the node that has this key; that of any node where the client knows none: it says where to go."""
        if not self.source.cluster:
            return None
        if name in self.moved:
            return self.moved[name]
        try:
            node = self.client.get_node_from_key(name)
        except RedisClusterException:
            node = self.client.get_primaries()[0]
        return node.host, node.port

    def grouped(self, names: Sequence[str]) -> dict[Place, list[str]]:
        """The names by their node."""
        found: dict[Place, list[str]] = {}
        for name in names:
            found.setdefault(self.place(name), []).append(name)
        return found

    def run(self, place: Place, exchange: Callable[[], Exchange[Any]]) -> Exchange[Any]:
        """What the exchange comes to on this node."""
        driver = self.on(place)
        return (yield Do(lambda: driver.run(exchange())))

    # -- what an observer asks --------------------------------------------------------------------------------------------------------

    def finding(self, patterns: Sequence[str], exact: Sequence[str]) -> Exchange[list[str]]:
        """The streams that match a pattern, and those of the exact names that are there."""
        found: set[str] = yield from self._standing(exact)
        for place in (yield from self._now()) if patterns else ():
            found |= yield from self.run(place, lambda: finding(patterns))
        return sorted(found)

    def _now(self) -> Exchange[list[Place]]:
        """As `places`, as a node knows them."""
        places = yield from self.places()
        if not self.source.cluster:
            return places
        known: list[tuple[str, int]] = yield from self.run(None, masters)
        return [self.client.nodes_manager.remap_host_port(*each) for each in known] or places

    def _standing(self, names: Sequence[str]) -> Exchange[set[str]]:
        """Those of these keys that hold a stream."""
        left, found = [*names], set[str]()
        yield from self.places()
        for _ in range(2):  # (some may have moved)
            kinds: dict[str, Any] = {}
            for place, own in self.grouped(left).items():
                kinds |= yield from self.run(place, lambda own=own: kinds_of(own))  # type: ignore[misc]
            found |= {name for name, kind in kinds.items() if kind == "stream"}
            left = [name for name, kind in kinds.items() if self._has_moved(name, kind)]
        return found

    def watching(self, names: Sequence[str], weighed: Collection[str]) -> Exchange[Look]:
        """The facts of the server (of a cluster: of one node, and the memory of all) and of the streams."""
        places = yield from self.places()
        looks: dict[Place, ServerFacts] = {}
        found = yield from self._watched(self.grouped(names) or {places[0]: []}, weighed, looks)
        moved = [each.name for each in found.values() if self._has_moved(each.name, each.fault)]
        if moved:
            found |= yield from self._watched(self.grouped(moved), weighed, looks)
        facts = [*looks.values()]
        memory = [each.memory for each in facts if each.memory is not None]
        return ServerFacts(facts[0].at, facts[0].server, sum(memory) if memory else None), [found[name] for name in names]

    def _watched(
        self, grouped: dict[Place, list[str]], weighed: Collection[str], looks: dict[Place, ServerFacts]
    ) -> Exchange[dict[str, StreamFacts]]:
        """The streams' facts by name; the nodes' are put into `looks`. The error of a node where none can be reached."""
        found: Found = {}
        for place, names in grouped.items():
            own = [name for name in names if name in weighed]
            try:
                looks[place], streams = yield from self.run(place, lambda names=names, own=own: watching(names, own))  # type: ignore[misc]
            except BROKEN as error:
                if place is None or (not looks and place == [*grouped][-1]):
                    raise
                streams = [StreamFacts(name, fault=error) for name in names]
            found |= {each.name: each for each in streams}
        return found

    def _has_moved(self, name: str, fault: Any) -> bool:
        """Whether the node said that another one has the key; it is remembered which."""
        if not isinstance(fault, MovedError):
            return False
        old = self.place(name)
        self.moved[name] = (fault.host or (old[0] if old else ""), fault.port)
        return True

    def close(self) -> Exchange[None]:
        """Close all connections."""
        for driver in self.drivers.values():
            driver.source.closed = True
            yield Do(driver.close)
