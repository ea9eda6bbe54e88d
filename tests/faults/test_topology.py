"""Servers that take each other's place under a running member: Sentinel's failover, a promoted replica that lags, a cluster whose nodes die."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel

from streamio import ConsumerGroupTopic, PublishUncertain, RetryPolicy, Topic
from streamio.keys import side_key
from streamio.observing import Observer

from ..contract.gates import Failing, Gate
from ..proxy import Proxy
from ..servers import RedisServer
from ..topologies import Cluster, ReplicatedCluster, SentinelGroup, is_copied, wait_until, world
from ..watched import Watched
from ..world import World

pytestmark = [pytest.mark.asyncio, pytest.mark.slow, pytest.mark.real]
MADE = ("group_created", "new")
ONCE = [MADE, "disconnected", "reconnected"]


@pytest.fixture(params=["blocking", "asyncio"])
def colour(request: pytest.FixtureRequest) -> str:
    """Each colour."""
    return str(request.param)


def room(w: World) -> Any:
    """The package of the colour."""
    return redis.asyncio if w.asyncio else redis


# -- Sentinel ----------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sentinels() -> Iterator[SentinelGroup]:
    """A master, its replica and their sentinel; each test turns them round."""
    group = SentinelGroup().start()
    yield group
    group.remove()


@asynccontextmanager
async def guarded(colour: str, sentinels: SentinelGroup) -> AsyncIterator[tuple[World, Watched]]:
    """A world on the master, and a member that asks the sentinel for it."""
    async with world(colour, sentinels.master.port) as w:
        sentinel = room(w).sentinel.Sentinel([("127.0.0.1", sentinels.sentinel.port)], socket_timeout=0.5)
        w.clients += sentinel.sentinels
        made = sentinel.master_for(sentinels.name)
        w.clients.append(made)
        yield w, Watched(w, made, lease=0.9)


async def published(w: World, topic: Any) -> str:
    """The id of an entry that the master of the moment took; a failover is sat out."""
    for _ in range(100):
        try:
            return str(await w.do(topic.publish("x")))
        except (PublishUncertain, redis.ConnectionError, redis.ResponseError):
            await asyncio.sleep(0.05)
    raise AssertionError("no master took it")


@asynccontextmanager
async def both(sentinels: SentinelGroup) -> AsyncIterator[tuple[World, list[Watched]]]:
    """A member of each colour, which listens, has handled one entry and waits for the next."""
    async with (
        guarded("blocking", sentinels) as (w, one),
        guarded("asyncio", sentinels) as (other, two),
        w.listening(one.member),
        other.listening(two.member),
    ):
        for watched in (one, two):
            await watched.handles()
            await watched.settled()
        await w.until(lambda: w.raw.info("clients")["blocked_clients"] == 2)
        yield w, [one, two]


async def test_a_failover_in_the_middle_of_a_blocked_read_runs_nothing_twice(sentinels: SentinelGroup) -> None:
    async with both(sentinels) as (w, members):
        await asyncio.to_thread(sentinels.fail_over)
        for watched in members:
            last = await published(watched.w, watched.topic)
            await w.until(lambda watched=watched, last=last: watched.seen[-1] == last)
    for watched in members:
        assert max(watched.runs.values()) == 1
        assert watched.told[0] == MADE
        assert watched.told[1:] in (
            [],
            ["disconnected", "reconnected"],
            ["disconnected", "reconnected"] * 2,
        )  # as often as it was between two masters
    wait_until(sentinels.replica_is_in_step)


async def test_a_master_that_hangs_is_left_for_its_replica_and_not_missed_when_it_is_back(sentinels: SentinelGroup) -> None:
    async with both(sentinels) as (w, members):
        wait_until(lambda: is_copied(w.raw.info("replication")))
        sentinels.master.send(signal.SIGSTOP)
        with sentinels.sentinel.client() as sentinel:
            await w.until(lambda: sentinel.sentinel_master(sentinels.name)["port"] == sentinels.replica.port, 20)
        for watched in members:
            last = await published(watched.w, watched.topic)
            await w.until(lambda watched=watched, last=last: watched.seen[-1] == last)
        sentinels.master.send(signal.SIGCONT)
        w.raw.replicaof("127.0.0.1", sentinels.replica.port)  # what a sentinel takes 10 s to do
        sentinels.master, sentinels.replica = sentinels.replica, sentinels.master
        for watched in members:
            last = await published(watched.w, watched.topic)
            await w.until(lambda watched=watched, last=last: watched.seen[-1] == last)
    for watched in members:
        assert max(watched.runs.values()) == 1
        assert watched.told == ONCE
    wait_until(sentinels.replica_is_in_step)


# -- a replica that lags -----------------------------------------------------------------------------------------------------------------


async def test_a_lagging_replica_that_is_promoted_gets_all_that_it_has_handled(colour: str) -> None:
    """What the replica did not hear of is lost; acknowledgements among it mean another run; the group's place goes back."""
    master = RedisServer("repl-diskless-sync-delay 0").start()
    between, before = Proxy(master.port), Proxy(master.port)
    replica = RedisServer(f"replicaof 127.0.0.1 {between.port}").start()
    try:
        async with world(colour, master.port) as w:
            client = room(w).Redis(host="127.0.0.1", port=before.port)
            w.clients.append(client)
            gate = Gate(w)
            watched = Watched(w, client, gate.handler, member={"concurrency": 2})
            wait_until(lambda: is_copied(w.raw.info("replication")))
            async with w.listening(watched.member):
                ids = [await watched.publish() for _ in range(2)]
                await w.until(lambda: gate.inside == 2)
                wait_until(lambda: is_copied(w.raw.info("replication")))
                between.deaf = True
                gate.open()
                lost = await watched.publish()
                await w.until(lambda: lost in [message.id for message in gate.left])
                await watched.settled()
                await promote(before, master, replica)
                with replica.client(decode_responses=True) as raw:
                    ids.append(raw.xadd(watched.topic.name, {"type": "x"}))
                    await w.until(lambda: ids[2] in [message.id for message in gate.left])
                    await w.until(lambda: raw.xpending(watched.topic.name, "group")["pending"] == 0)
                    assert [entry_id for entry_id, _ in raw.xrange(watched.topic.name)] == ids
            runs = [message.id for message in gate.left]
            assert [runs.count(entry_id) for entry_id in (*ids, lost)] == [2, 2, 1, 1]
            assert watched.told == ONCE
    finally:
        for thing in (replica, master):
            thing.remove()
        for proxy in (between, before):
            proxy.close()


async def promote(before: Proxy, master: RedisServer, replica: RedisServer) -> None:
    """The master dies, the replica is the master, and the address leads to it."""
    master.kill()
    with replica.client() as raw:
        raw.replicaof("NO", "ONE")
    before.server = ("127.0.0.1", replica.port)


# -- Cluster -----------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster() -> Iterator[ReplicatedCluster]:
    """Three masters, the first one with a replica."""
    servers = ReplicatedCluster().start()
    yield servers
    servers.remove()


@asynccontextmanager
async def on_cluster(colour: str, cluster: Cluster) -> AsyncIterator[tuple[World, Any]]:
    """A world on the cluster, and a client of it."""
    raw = redis.RedisCluster(host="127.0.0.1", port=cluster.servers[1].port, decode_responses=True)
    async with world(colour, cluster.servers[1].port, raw) as w:
        made = room(w).RedisCluster(host="127.0.0.1", port=cluster.servers[1].port)
        w.clients.append(made)
        yield w, made


class Member:
    """A member on a key of the cluster: what it handled, and what it told."""

    def __init__(self, w: World, key: str, client: Any, handler: Any = None, **options: Any) -> None:
        self.w, self.seen, self.told = w, [], []
        self.topic: Any = Topic(key, client)
        w.things.append(self.topic)
        self.group: Any = ConsumerGroupTopic(self.topic, "group", **options)
        self.member = w.member(self.group, block=1)
        self.member.on("*", handler or (lambda message: self.seen.append(message.id)))
        for name in ("group_created", "disconnected", "reconnected", "error", "lease_lost"):
            self.member.lifecycle.on(name, lambda event: self.told.append(event.name))

    async def handles(self) -> None:
        """Publish, and wait until it is handled."""
        entry_id = await published(self.w, self.topic)
        await self.w.until(lambda: self.seen[-1:] == [entry_id])


@asynccontextmanager
async def pair(cluster: Cluster, place: int) -> AsyncIterator[list[Member]]:
    """A member of each colour on keys of this master, to be listened with. The default node of their clients is the third master."""
    async with on_cluster("blocking", cluster) as (w, client), on_cluster("asyncio", cluster) as (other, awaited):
        members = []
        for world_, made in ((w, client), (other, awaited)):
            await world_.do(made.get("x"))
            made.set_default_node(made.get_node(host="127.0.0.1", port=cluster.servers[2].port))
            members.append(Member(world_, next(cluster.keys_on(place, world_.name + ":%d")), made))
        yield members


async def test_a_killed_master_is_left_for_its_promoted_replica(cluster: ReplicatedCluster) -> None:
    async with pair(cluster, 0) as (one, two):
        async with one.w.listening(one.member), two.w.listening(two.member):
            for watched in (one, two):
                await watched.handles()
                await one.w.until(lambda watched=watched: cluster.ask(0, "XPENDING", watched.topic.name, "group")[0] == 0)
            eyes = [(each, Observer(each.w.clients[0], topics=[name])) for each in (one, two) for name in (f"{each.w.name}:*", each.topic.name)]
            cluster.wait_for_replica()
            try:
                await asyncio.to_thread(cluster.kill_master)
                for watched in (one, two):
                    await watched.handles()
                    await watched.handles()
                for watched, eye in eyes:
                    assert await watched.w.do(eye.find()) == [watched.topic.name]
                    await watched.w.do(eye.close())
            finally:
                cluster.restore()
        for watched in (one, two):
            assert len(watched.seen) == len(set(watched.seen)) == 3
            assert watched.told == ["group_created", "disconnected", "reconnected"]


async def test_a_dead_default_node_does_not_touch_members_on_other_nodes(cluster: ReplicatedCluster) -> None:
    async with pair(cluster, 1) as (one, two):
        cluster.servers[2].kill()
        try:
            async with one.w.listening(one.member), two.w.listening(two.member):
                for watched in (one, two, one, two):
                    await watched.handles()
                assert one.told == two.told == ["group_created"]
                cluster.ask(1, "CLIENT", "KILL", "TYPE", "normal")
                for watched in (one, two):
                    await watched.handles()
            for watched in (one, two):
                assert watched.told == ["group_created", "disconnected", "reconnected"]
                assert len(watched.seen) == 3
        finally:
            cluster.servers[2].start()
            cluster.wait()


@pytest.mark.parametrize("pattern", ["orders:%d", "orders:{%d}:eu", "a{}b:%d"])
async def test_dead_letters_of_a_cluster_stand_on_the_topics_slot(colour: str, cluster: ReplicatedCluster, pattern: str) -> None:
    async with on_cluster(colour, cluster) as (w, client):
        key = next(cluster.keys_on(1, f"{w.name}:{pattern}"))
        watched = Member(w, key, client, Failing(), retry=RetryPolicy(max_deliveries=1))
        async with w.listening(watched.member):
            entry_id = await w.do(watched.topic.publish("x"))
            await w.until(lambda: w.raw.xlen(side_key(key, "dead", "group")))
        assert [fields["dead:id"] for _, fields in w.raw.xrange(side_key(key, "dead", "group"))] == [entry_id]
        assert w.raw.keyslot(side_key(key, "dead", "group")) == w.raw.keyslot(key)
        assert "error" not in watched.told
