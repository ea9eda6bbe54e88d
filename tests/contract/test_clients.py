"""Whatever client is injected, streamio works beside it, on real servers, and the client stays the caller's."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import fakeredis
import pytest
import pytest_asyncio
import redis
import redis.asyncio
import redis.asyncio.retry
import redis.asyncio.sentinel
import redis.sentinel
from redis.backoff import ExponentialBackoff
from redis.cache import CacheConfig
from redis.credentials import UsernamePasswordCredentialProvider

from streamio import AtLeastOnce, ClaimResult, ConsumerGroupTopic, RetryPolicy, Topic
from streamio.observing import Observer

from ..topologies import Cluster, Hub, SentinelGroup, world
from ..world import World
from .test_group_consumers import fill

pytestmark = [pytest.mark.asyncio, pytest.mark.slow, pytest.mark.real]


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    """A server with every door. The user `eve` has the password `secret` and all rights."""
    server = Hub().start()
    with server.client() as client:
        client.acl_setuser("eve", enabled=True, passwords=["+secret"], commands=["+@all"], keys=["*"])
    yield server
    server.remove()


@pytest.fixture(scope="module")
def sentinels() -> Iterator[SentinelGroup]:
    """A master, its replica and their sentinel."""
    group = SentinelGroup().start()
    yield group
    group.remove()


@pytest.fixture
def own_sentinels() -> Iterator[SentinelGroup]:
    """The same for one test, which may turn it round."""
    group = SentinelGroup().start()
    yield group
    group.remove()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Three masters."""
    servers = Cluster().start()
    yield servers
    servers.remove()


@pytest_asyncio.fixture(params=["blocking", "asyncio"])
async def w(request: pytest.FixtureRequest, hub: Hub) -> AsyncIterator[World]:
    """A world of each colour on the hub."""
    async with world(request.param, hub.port) as made:
        yield made


@pytest.fixture(params=["blocking", "asyncio"])
def colour(request: pytest.FixtureRequest) -> str:
    """Each colour."""
    return str(request.param)


def room(w: World) -> Any:
    """The package of the colour: redis or redis.asyncio."""
    return redis.asyncio if w.asyncio else redis


# -- the caller's client ---------------------------------------------------------------------------------------------------------------


def settings(owner: Any) -> dict[str, str]:
    """Copies of all that a pool, a cluster client or a cluster's node makes connections with."""
    return {name: repr(value) for name, value in owner.connection_kwargs.items()}


def connections(pool: Any) -> list[int]:
    """The connections that a pool holds, free or not."""
    places = ("_available_connections", "_in_use_connections", "_connections")
    return sorted(id(c) for name in places for c in getattr(pool, name, ()) if c is not None)


@asynccontextmanager
async def untouched(w: World, client: Any) -> AsyncIterator[Any]:
    """The client is used before; after the block it has the same settings and connections, and works. It is closed at the end."""
    w.clients.append(client)
    await w.do(client.ping())
    pool = client.connection_pool
    before = settings(pool), connections(pool), repr(client)
    yield client
    assert (settings(pool), connections(pool), repr(client)) == before
    assert await w.do(client.ping())
    assert connections(pool) == before[1]


async def small_job(w: World, client: Any, name: str | None = None) -> None:
    """40 entries and a delayed one for two members that listen, 10 for a loop: each is handled once, and nothing stays pending."""
    topic: Any = Topic(name or w.key(), client)
    group = ConsumerGroupTopic(topic, "group")
    seen: list[str] = []
    group.on("*", lambda message: seen.append(message.id))
    ids = await w.do(topic.publish_many([("x", {"i": i, "ü": "é"}) for i in range(20)]))
    assert (await w.do(topic.publish("x", delay=0.02))).startswith("delayed-")
    first, second, third = (w.member(group, f"m{i}") for i in range(3))
    async with w.listening(first, second):
        ids += [await w.do(topic.publish("x", i=i)) for i in range(20)]
        await w.until(lambda: len(seen) == 41)
    ids += set(seen).difference(ids)
    ids += await w.do(topic.publish_many([("x", {"i": i}) for i in range(10)]))
    loop = w.loop(third)
    seen += [(await w.next(loop)).id for _ in range(10)]
    third.stop()
    assert await w.next(loop) is None
    assert sorted(seen) == sorted(ids)
    assert w.pending(group) == []
    await w.do(topic.close())


def many_retries(w: World) -> Any:
    """A policy of the colour that tries often."""
    return (redis.asyncio.retry.Retry if w.asyncio else redis.retry.Retry)(ExponentialBackoff(cap=0.1), 20)


def blocked(w: World) -> int:
    """How many clients wait in a blocking read, by the server's own count."""
    return int(w.raw.info("clients")["blocked_clients"])


KINDS: dict[str, Callable[[World, Hub], Any]] = {
    "plain": lambda w, s: room(w).Redis(host="127.0.0.1", port=s.port),
    "from_url": lambda w, s: room(w).Redis.from_url(s.url),
    "pool": lambda w, s: room(w).Redis(connection_pool=room(w).ConnectionPool(host="127.0.0.1", port=s.port)),
    "one connection": lambda w, s: room(w).Redis(connection_pool=room(w).ConnectionPool(host="127.0.0.1", port=s.port, max_connections=1)),
    "blocking pool": lambda w, s: room(w).Redis(connection_pool=room(w).BlockingConnectionPool(host="127.0.0.1", port=s.port, max_connections=1)),
    "protocol 2": lambda w, s: room(w).Redis(host="127.0.0.1", port=s.port, protocol=2),
    "protocol 3": lambda w, s: room(w).Redis(host="127.0.0.1", port=s.port, protocol=3),
    "decode": lambda w, s: room(w).Redis(host="127.0.0.1", port=s.port, decode_responses=True),
    "latin-1": lambda w, s: room(w).Redis(host="127.0.0.1", port=s.port, encoding="latin-1", encoding_errors="replace"),
    "new shapes": lambda w, s: room(w).Redis(host="127.0.0.1", port=s.port, legacy_responses=False),
    "short timeout": lambda w, s: room(w).Redis(host="127.0.0.1", port=s.port, socket_timeout=0.05),
    "no timeout": lambda w, s: room(w).Redis(host="127.0.0.1", port=s.port, socket_timeout=None, socket_connect_timeout=None),
    "retries": lambda w, s: room(w).Redis(host="127.0.0.1", port=s.port, retry=many_retries(w), retry_on_error=[redis.ResponseError]),
    "single connection": lambda w, s: room(w).Redis(host="127.0.0.1", port=s.port, single_connection_client=True),
    "health checks": lambda w, s: room(w).Redis(host="127.0.0.1", port=s.port, health_check_interval=1),
    "unix socket": lambda w, s: room(w).Redis(unix_socket_path=s.path),
    "unix url": lambda w, s: room(w).Redis.from_url(f"unix://{s.path}"),
    "tls": lambda w, s: room(w).Redis(host="127.0.0.1", port=s.tls_port, ssl=True, ssl_ca_certs=s.ca),
    "tls url": lambda w, s: room(w).Redis.from_url(f"rediss://127.0.0.1:{s.tls_port}", ssl_ca_certs=s.ca, ssl_min_version=ssl.TLSVersion.TLSv1_3),
    "user": lambda w, s: room(w).Redis(host="127.0.0.1", port=s.port, username="eve", password="secret"),
    "credentials": lambda w, s: room(w).Redis(host="127.0.0.1", port=s.port, credential_provider=UsernamePasswordCredentialProvider("eve", "secret")),
    "client name": lambda w, s: room(w).Redis(host="127.0.0.1", port=s.port, client_name="billing"),
    "database": lambda w, s: room(w).Redis(host="127.0.0.1", port=s.port, db=1),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_any_client_does_the_job_and_stays_as_it_was(w: World, hub: Hub, kind: str) -> None:
    client = KINDS[kind](w, hub)
    if kind == "database":
        w.raw.close()
        w.raw = hub.client(db=1, decode_responses=True)
    async with untouched(w, client):
        await small_job(w, client)


async def test_a_client_with_its_own_cache_does_the_job(hub: Hub) -> None:
    """The client itself is not used: redis-py refuses its cache on servers before 7.4."""
    client = redis.Redis(host="127.0.0.1", port=hub.port, protocol=3, cache_config=CacheConfig())
    before = settings(client.connection_pool)
    async with world("blocking", hub.port) as w:
        await small_job(w, client)
    assert settings(client.connection_pool) == before
    client.close()


async def test_a_fakeredis_client_does_the_job(w: World) -> None:
    server = fakeredis.FakeServer(version=(7,))
    client = (fakeredis.FakeAsyncRedis if w.asyncio else fakeredis.FakeRedis)(server=server)
    w.raw.close()
    w.raw = fakeredis.FakeRedis(server=server, decode_responses=True)
    async with untouched(w, client):
        await small_job(w, client)


async def test_a_read_may_wait_longer_than_the_clients_socket_timeout(w: World) -> None:
    client = w.client(socket_timeout=0.5)
    member, seen, broken = w.member(w.group(w.topic(client=client)), block=1.5), [], []
    member.on("x", seen.append)
    member.lifecycle.on("disconnected", broken.append)
    async with w.listening(member):
        await w.until(lambda: blocked(w))
        await asyncio.sleep(2.2)  # idle on purpose: what must not happen needs the time in which it could
        await w.do(member.group.topic.publish("x"))
        await w.until(lambda: seen)
    assert broken == []
    assert member._hand.reading.opened == 1


# -- Sentinel --------------------------------------------------------------------------------------------------------------------------


async def test_a_sentinels_master_does_the_job(colour: str, sentinels: SentinelGroup) -> None:
    async with world(colour, sentinels.master.port) as w:
        sentinel: Any = room(w).sentinel.Sentinel([("127.0.0.1", sentinels.sentinel.port)])
        client = sentinel.master_for(sentinels.name)
        async with untouched(w, client):
            await small_job(w, client)
        w.clients += sentinel.sentinels


async def test_a_failover_is_followed_by_members_and_publishers(colour: str, own_sentinels: SentinelGroup) -> None:
    sentinels = own_sentinels
    async with world(colour, sentinels.master.port) as w:
        sentinel: Any = room(w).sentinel.Sentinel([("127.0.0.1", sentinels.sentinel.port)])
        w.clients += sentinel.sentinels
        client = sentinel.master_for(sentinels.name)
        w.clients.append(client)
        topic: Any = Topic(w.key(), client)
        member, seen, told = w.member(ConsumerGroupTopic(topic, "group", on_group_lost="raise"), block=1), [], []
        member.on("*", lambda message: seen.append(message.id))
        for name in ("disconnected", "reconnected", "error"):
            member.lifecycle.on(name, lambda event: told.append(event.name))
        async with w.listening(member):
            ids = [await w.do(topic.publish("x"))]
            await w.until(lambda: seen == ids and w.pending(member.group) == [])
            sentinels.fail_over()
            ids.append(await w.do(topic.publish("x")))
            await w.until(lambda: seen == ids)
        assert "error" not in told
        await w.do(topic.close())


# -- Cluster ---------------------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def on_cluster(colour: str, cluster: Cluster) -> AsyncIterator[tuple[World, Any]]:
    """A world on the cluster and a client of it."""
    raw = redis.RedisCluster(host="127.0.0.1", port=cluster.port, decode_responses=True)
    async with world(colour, cluster.port, raw) as w:
        kind = redis.asyncio.RedisCluster if w.asyncio else redis.RedisCluster
        client: Any = kind(host="127.0.0.1", port=cluster.port)
        w.clients.append(client)
        yield w, client


def held(client: Any) -> Any:
    """A cluster client's settings and the connections that it holds to each node."""
    manager = client.nodes_manager
    own = settings(client if isinstance(client, redis.asyncio.RedisCluster) else manager)
    nodes = sorted((node.name, node) for node in manager.nodes_cache.values())
    if isinstance(client, redis.asyncio.RedisCluster):
        return own, [(name, settings(node), [id(c) for c in node._connections]) for name, node in nodes]
    return own, [(name, connections(node.redis_connection.connection_pool)) for name, node in nodes if node.redis_connection]


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("pattern", ["orders:%d", "orders:{%d}:eu"], ids=["plain", "tagged"])
async def test_a_cluster_client_does_the_job_on_each_master(colour: str, cluster: Cluster, place: int, pattern: str) -> None:
    async with on_cluster(colour, cluster) as (w, client):
        key = next(cluster.keys_on(place, f"{w.name}:{pattern}"))
        for node in range(3):
            await w.do(client.get(next(cluster.keys_on(node, "k%d"))))
        before = held(client)
        await small_job(w, client, key)
        assert held(client) == before
        assert await w.do(client.exists(key))


async def test_a_cluster_client_that_was_never_used_does_the_job(colour: str, cluster: Cluster) -> None:
    async with on_cluster(colour, cluster) as (w, client):
        await small_job(w, client)


async def test_topics_of_one_slot_are_read_together_and_others_beside_them(colour: str, cluster: Cluster) -> None:
    async with on_cluster(colour, cluster) as (w, client):
        tag, other = next(cluster.keys_on(0, w.name + ":%d")), next(cluster.keys_on(2, w.name + ":%d"))
        groups = [ConsumerGroupTopic(Topic(key, client), "group") for key in (f"{{{tag}}}:a", f"{{{tag}}}:b", other)]
        w.things += [group.topic for group in groups]
        member, seen = w.member(groups, "me", block=5), []
        member.on("x", lambda message: seen.append(message.topic))
        async with w.listening(member):
            for n, group in enumerate(groups * 2, 1):
                await w.until(lambda: [blocked_on(cluster, place) for place in range(3)] == [1, 0, 1])
                await w.do(group.topic.publish("x"))
                await w.until(lambda n=n: len(seen) == n, 1)
            member.stop()
            await w.until(lambda: not any(w.raw.xinfo_consumers(group.topic.name, "group") for group in groups), 2)
        assert seen == [group.topic.name for group in groups * 2]
        assert [w.raw.xpending(group.topic.name, "group")["pending"] for group in groups] == [0, 0, 0]


def blocked_on(cluster: Cluster, place: int) -> int:
    """How many clients wait for a reply of this master."""
    return int(cluster.ask(place, "INFO", "clients").split("blocked_clients:")[1].split()[0])


async def test_a_pipe_within_a_slot_is_exactly_once_also_where_it_moves_and_one_to_another_slot_warns(colour: str, cluster: Cluster) -> None:
    async with on_cluster(colour, cluster) as (w, client):
        tag, other = next(cluster.keys_on(0, w.name + ":%d")), next(cluster.keys_on(2, w.name + ":%d"))
        topics = [Topic(key, client) for key in (f"{{{tag}}}:in", f"{{{tag}}}:out", other)]
        source, near, far = topics
        w.things += topics
        member = w.member(source.group("group", retry=RetryPolicy(max_deliveries=1)))
        pipe = member.pipe(lambda message: {"n": message["n"]}, near)
        with pytest.warns(AtLeastOnce, match="another slot of the cluster"):
            elsewhere = member.pipe(lambda message: {"n": message["n"]}, far)
        assert (pipe.is_exactly_once, elsewhere.is_exactly_once) == (True, False)
        running = w.start(pipe.run)
        for n, (here, there) in enumerate(((0, 1), (1, 0))):
            await w.do(source.publish("a", n=n))
            await w.until(lambda n=n: w.raw.xlen(near.name) == n + 1)
            cluster.move(source.name, here, there)
        await w.do(source.publish("a", n=2))
        await w.until(lambda: w.raw.xlen(near.name) == 3)
        pipe.stop()
        await running
        await w.do(source.publish("a", n=3))
        assert await w.do(elsewhere.drain()) == 1
        assert [fields["n"] for key in (near.name, far.name) for _, fields in w.raw.xrange(key)] == ["0", "1", "2", "3"]
        await w.do(source.publish("a", {"n": 4}, headers={"reply_to": far.name}))
        errors: list[str] = []
        member.lifecycle.on("error", lambda event: errors.append(str(event.error)))
        member.on("a", lambda message: 1)
        assert await w.do(member.drain()) == 1
        assert ["not in the slot" in each for each in errors] == [True] and w.raw.xpending(source.name, "group")["pending"] == 0
        assert w.raw.xlen(near.name) == 3 and w.raw.xlen(far.name) == 1


async def test_a_moved_slot_is_followed_by_members_and_publishers(colour: str, cluster: Cluster) -> None:
    async with on_cluster(colour, cluster) as (w, client):
        topic = Topic(next(cluster.keys_on(0, w.name + ":%d")), client)
        member, seen = w.member(ConsumerGroupTopic(topic, "group"), block=1), []
        events: list[Any] = []
        member.on("*", lambda message: seen.append(message.id))
        for name in ("group_created", "lease_lost", "error"):
            member.lifecycle.on(name, events.append)
        ids = []
        async with w.listening(member):
            for source, target in ((0, 1), (1, 0)):
                ids.append(await w.do(topic.publish("x")))
                await w.until(lambda: len(seen) == len(ids))
                cluster.move(topic.name, source, target)
                ids.append(await w.do(topic.publish("x")))
                await w.until(lambda: len(seen) == len(ids))
        assert seen == ids
        assert w.raw.xpending(topic.name, "group")["pending"] == 0
        assert [event.reason for event in events] == ["new"]
        await w.do(topic.close())


async def test_an_idempotency_key_is_kept_when_its_slot_moves(colour: str, cluster: Cluster) -> None:
    async with on_cluster(colour, cluster) as (w, client):
        topic = Topic(next(cluster.keys_on(0, w.name + ":%d")), client)
        first = await w.do(topic.publish("x", idempotency_key="k"))
        cluster.move(topic.name, 0, 1)
        try:
            assert await w.do(topic.publish("x", idempotency_key="k")) == first
            assert await w.do(topic.publish("x", idempotency_key="l")) != first
            assert w.raw.xlen(topic.name) == 2
        finally:
            cluster.move(topic.name, 1, 0)
        await w.do(topic.close())


async def test_a_moved_slot_is_followed_by_renewals(colour: str, cluster: Cluster) -> None:
    async with on_cluster(colour, cluster) as (w, client):
        group = ConsumerGroupTopic(Topic(next(cluster.keys_on(0, w.name + ":%d")), client), "group", lease=0.6)
        member, errors = w.member(group, "me"), []
        member.lifecycle.on("error", errors.append)
        await w.do(group.topic.publish("x"))
        [message] = await w.do(member.read())
        for source, target in ((0, 0), (0, 1), (1, 0)):
            if source != target:
                cluster.move(group.topic.name, source, target)
            w.age(group, "me", 60)
            await w.until(lambda: idle(w, group) < 10)
        assert message.ack()
        await w.until(lambda: w.pending(group) == [])
        assert errors == []
        await w.do(group.topic.close())


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_dead_letters_on_a_cluster_follow_a_moved_slot_and_go_back(colour: str, cluster: Cluster, place: int) -> None:
    async with on_cluster(colour, cluster) as (w, client):
        group = ConsumerGroupTopic(Topic(next(cluster.keys_on(place, w.name + ":%d")), client), "group")
        ids = await w.do(group.topic.publish_many([("x", {"i": i}) for i in range(4)]))
        member = w.member(group, "me")
        for message in await w.do(member.read(4, timeout=0)):
            message.bury("by hand")
        await w.do(member.flush())
        letters = [letter async for letter in w.each(group.dead_letters)]
        assert sorted(letter.entry_id for letter in letters) == sorted(ids)
        await w.do(group.topic.delete(letters[0].entry_id))
        cluster.move(group.topic.name, place, (place + 1) % 3)
        result = await w.do(group.dead_letters.redrive(letters[:3]))
        assert (result.copied, result.redriven) == ([letters[0].id], [letter.id for letter in letters[1:3]])
        assert await w.do(group.dead_letters.purge()) == 1
        assert sorted(m["i"] for m in await w.do(member.read(3, timeout=5))) == sorted(letter["i"] for letter in letters[:3])
        cluster.move(group.topic.name, (place + 1) % 3, place)
        await w.do(member.close())
        await w.do(group.topic.close())


def idle(w: World, group: Any) -> float:
    """For how many seconds the oldest pending entry has not been renewed."""
    return max(row["time_since_delivered"] for row in w.raw.xpending_range(group.topic.name, group.name, "-", "+", 10)) / 1000


async def test_a_cluster_client_that_knows_only_a_dead_node_is_led_on_by_the_others(colour: str, cluster: Cluster) -> None:
    async with on_cluster(colour, cluster) as (w, client):
        topic = Topic(next(cluster.keys_on(0, w.name + ":%d")), client)
        await w.do(client.exists(topic.name))
        cluster.move(topic.name, 0, 1)
        cluster.servers[0].stop()
        try:
            entry_id = await w.do(topic.publish("x"))
            loop = w.loop(w.member(ConsumerGroupTopic(topic, "group")))
            assert (await w.next(loop)).id == entry_id
            assert cluster.ask(1, "XINFO", "GROUPS", topic.name)
        finally:
            cluster.servers[0].start()
            cluster.wait()
            cluster.move(topic.name, 1, 0)
        await w.do(topic.close())


async def test_a_look_sees_all_nodes_of_a_cluster_follows_what_moved_and_survives_a_node(colour: str, cluster: Cluster) -> None:
    async with on_cluster(colour, cluster) as (w, client):
        names = [next(cluster.keys_on(place, w.name + ":%d")) for place in range(3)]
        for name in names:
            topic = Topic(name, client)
            w.things.append(topic)
            group: Any = ConsumerGroupTopic(topic, "group")
            ids = fill(w, group, 1, "a", "b")
            assert await w.do(group.claim("c", ids[0])) == ClaimResult(ids[:1], [])
            assert (await w.do(group.nack(ids[0])), await w.do(group.bury(ids[1]))) == (1, 1)
            assert (await w.do(topic.preview_trim(maxlen=0))).pending == {"group": 1}
        eye = Observer(client, topics=[f"{w.name}:*"])
        w.things.append(eye)
        assert await w.do(eye.find()) == sorted(names)
        for source, target in ((0, 1), (1, 0)):
            seen = (await w.do(eye.look())).topics
            assert [(each.name, each.groups[0].waiting, each.groups[0].dead) for each in seen] == [(name, 1, 1) for name in sorted(names)]
            cluster.move(names[0], source, target)
        assert [each.error for each in (await w.do(eye.look())).topics] == [None] * 3
        cluster.servers[2].stop()
        try:
            assert [each.error is None for each in (await w.do(eye.look(names))).topics] == [True, True, False]
        finally:
            cluster.servers[2].start()
            cluster.wait()


async def test_a_client_that_its_owner_closed_stays_closed(colour: str, cluster: Cluster) -> None:
    async with on_cluster(colour, cluster) as (w, client):
        topic = Topic(next(cluster.keys_on(0, w.name + ":%d")), client)
        member = w.member(ConsumerGroupTopic(topic, "group"))
        await w.do(member.connect())
        await w.do(client.aclose() if w.asyncio else client.close())
        nodes = dict(client.nodes_manager.nodes_cache)
        for node in range(3):
            cluster.ask(node, "CLIENT", "KILL", "TYPE", "normal")
        await w.do(topic.publish("x"))
        assert len(await w.do(member.read())) == 1
        assert client.nodes_manager.nodes_cache == nodes
        await w.do(topic.close())
