"""Between a member and its server: killed, frozen, busy, full or loading servers, replies that are lost, late or in pieces, logins that change.

One event for each change of state, attempts ever further apart, nothing handled twice without need, nothing lost.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

from streamio import PublishUncertain, RetryPolicy
from streamio.protocol.recovering import backoff
from streamio.scripts import BURY, GAP, LEAVE, PARK, RENEW, TAKE

from ..contract.gates import Failing, Gate
from ..proxy import Proxy
from ..servers import RedisServer, free_port
from ..topologies import world
from ..watched import Watched
from ..world import World

pytestmark = [pytest.mark.asyncio, pytest.mark.slow, pytest.mark.real]
MADE = ("group_created", "new")
ONCE = [MADE, "disconnected", "reconnected"]


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A server that forgets nothing and can be told to sleep."""
    made = RedisServer("appendonly yes", "appendfsync always", "enable-debug-command yes").start()
    yield made
    made.remove()


@pytest_asyncio.fixture(params=["blocking", "asyncio"])
async def w(request: pytest.FixtureRequest, server: RedisServer) -> AsyncIterator[World]:
    """A world of each colour on that server."""
    async with world(request.param, server.port) as made:
        yield made


@pytest_asyncio.fixture
async def duo(server: RedisServer) -> AsyncIterator[list[World]]:
    """Both worlds at once, for what takes long."""
    async with world("blocking", server.port) as w, world("asyncio", server.port) as other:
        yield [w, other]


@asynccontextmanager
async def waiting(members: list[Watched]) -> AsyncIterator[None]:
    """While the block runs, the members listen; each has handled one entry and waits for the next."""
    async with AsyncExitStack() as stack:
        for watched in members:
            await stack.enter_async_context(watched.w.listening(watched.member))
        for watched in members:
            await watched.handles()
            await watched.settled()
        await members[0].w.until(lambda: members[0].w.raw.info("clients")["blocked_clients"] == len(members))
        yield


@pytest.fixture
def proxy(server: RedisServer) -> Iterator[Proxy]:
    """A proxy before that server, which knows the scripts already."""
    with server.client() as raw:
        for script in (TAKE, PARK, BURY, RENEW, LEAVE, GAP):
            raw.script_load(script.body)
    made = Proxy(server.port)
    yield made
    made.close()


def client(w: World, port: int, **options: Any) -> Any:
    """A client of the world's colour."""
    made = (redis.asyncio.Redis if w.asyncio else redis.Redis)(host="127.0.0.1", port=port, **options)
    w.clients.append(made)
    return made


@asynccontextmanager
async def configured(w: World, name: str, value: Any) -> AsyncIterator[None]:
    """While the block runs, the server has this setting."""
    before = w.raw.config_get(name)[name]
    w.raw.config_set(name, value)
    try:
        yield
    finally:
        w.raw.config_set(name, before)


# -- the server goes and comes back ----------------------------------------------------------------------------------------------------


async def test_a_server_that_is_killed_is_used_again_within_two_seconds(w: World, server: RedisServer) -> None:
    watched = Watched(w)
    async with w.listening(watched.member):
        await watched.handles()
        await watched.blocked()
        server.kill()
        await w.until(lambda: "disconnected" in watched.told)
        await asyncio.sleep(0.7)  # an outage that is longer than the first attempts
        server.start()
        began = time.monotonic()
        await watched.handles()
        assert time.monotonic() - began < 2
    assert watched.told == ONCE
    assert max(watched.runs.values()) == 1
    assert w.pending(watched.group) == []


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_a_handler_that_runs_while_the_server_is_killed_runs_once(w: World, server: RedisServer, concurrency: int) -> None:
    gate = Gate(w)
    watched = Watched(w, handler=gate.handler, member={"concurrency": concurrency})
    ids = [await watched.publish() for _ in range(concurrency)]
    async with w.listening(watched.member):
        await w.until(lambda: gate.inside == concurrency)
        server.kill()
        gate.open()
        await w.until(lambda: "disconnected" in watched.told and len(gate.left) == concurrency)
        server.start()
        await watched.settled()
        ids.append(await watched.publish())
        await w.until(lambda: len(gate.left) == len(ids))
    assert sorted(message.id for message in gate.seen) == ids
    assert {message.deliveries for message in gate.seen} == {1}
    assert watched.told == ONCE


async def test_a_handler_that_outlasts_the_outage_runs_once_though_others_are_free(w: World, server: RedisServer) -> None:
    gate = Gate(w)
    watched = Watched(w, handler=gate.handler, member={"concurrency": 3})
    ids = [await watched.publish()]
    async with w.listening(watched.member):
        await w.until(lambda: gate.inside)
        server.kill()
        await w.until(lambda: "disconnected" in watched.told)
        server.start()
        await w.until(lambda: "reconnected" in watched.told)
        ids.append(await watched.publish())
        await w.until(lambda: len(gate.seen) == 2)
        gate.open()
        await watched.settled()
    assert [message.id for message in gate.seen] == ids
    assert watched.told == ONCE


async def test_connections_that_are_killed_at_random_make_nothing_run_twice(w: World) -> None:
    gate = Gate(w, opened=True, seconds=0.002)
    watched = Watched(w, handler=gate.handler)
    ids = await w.do(watched.group.topic.publish_many([("x", {"i": i}) for i in range(150)]))
    async with w.listening(watched.member):
        for handled in range(20, 120, 30):
            await w.until(lambda handled=handled: len(gate.left) > handled)
            w.raw.client_kill_filter(_type="normal", skipme=True)
        await w.until(lambda: len(gate.left) >= len(ids))
        await watched.settled()
        await w.until(lambda: watched.told[-1] == "reconnected")
    assert Counter(message.id for message in gate.seen) == Counter(ids)
    told = [name for name in watched.told if name in ("disconnected", "reconnected")]
    assert all(name == ("disconnected", "reconnected")[place % 2] for place, name in enumerate(told))  # (one more may be found as the member stops)
    assert set(watched.told) == set(ONCE)


async def test_a_server_that_loads_its_data_is_waited_for() -> None:
    slow = RedisServer("loading-process-events-interval-bytes 1024").start()
    try:
        async with world("blocking", slow.port) as w, world("asyncio", slow.port) as other:
            with w.raw.pipeline(transaction=False) as pipe:
                for number in range(1000):
                    pipe.set(f"key:{number}", "x" * 100)
                pipe.execute()
            members = [Watched(w), Watched(other)]
            async with waiting(members):
                w.raw.save()
                slow.kill()
                slow.options += ("key-load-delay 700",)
                slow.start(ready=False)
                await w.until(lambda: is_loading(slow))
                for watched in members:
                    await watched.w.do(watched.w.member(watched.group).connect())
                    await watched.handles()
            assert [watched.told for watched in members] == [ONCE, ONCE]
    finally:
        slow.remove()


def is_loading(server: RedisServer) -> bool:
    """Whether the server answers, and says that it loads."""
    with server.client(retry=Retry(NoBackoff(), 0)) as raw:
        try:
            raw.ping()
        except redis.BusyLoadingError:
            return True
        except redis.ConnectionError:
            return False
    return False


# -- a server, or a way to it, that is silent or slow ------------------------------------------------------------------------------------


async def test_replies_that_never_come_end_the_read_and_lose_nothing(w: World, proxy: Proxy) -> None:
    watched = Watched(w, client(w, proxy.port), lease=0.9)
    async with w.listening(watched.member):
        await watched.handles()
        await watched.settled()
        await watched.blocked()
        began, proxy.deaf = time.monotonic(), True
        entry_id = await watched.publish()
        await w.until(lambda: proxy.swallowed)
        proxy.deaf = False  # for connections to come: those that are open stay deaf
        await w.until(lambda: watched.seen[-1] == entry_id)
        assert time.monotonic() - began < 4  # the read's own time and a margin of 2 s
    assert watched.told == ONCE
    assert max(watched.runs.values()) == 1


async def test_publishing_to_a_deaf_way_is_uncertain_within_the_socket_timeout(w: World, proxy: Proxy) -> None:
    topic = w.topic(client=client(w, proxy.port, socket_timeout=0.3))
    await w.do(topic.publish("x"))
    proxy.deaf = True
    began = time.monotonic()
    with pytest.raises(PublishUncertain):
        await w.do(topic.publish("x"))
    assert 0.25 < time.monotonic() - began < 0.8
    assert w.raw.xlen(topic.name) == 2


async def test_a_frozen_server_is_left_in_time_and_used_again(duo: list[World], server: RedisServer) -> None:
    members = [Watched(w, lease=0.9) for w in duo]
    topics = [w.topic("other", client=client(w, server.port, socket_timeout=0.3)) for w in duo]
    async with waiting(members):
        for w, topic in zip(duo, topics):
            await w.do(topic.publish("x"))
        server.send(signal.SIGSTOP)
        try:
            for w, topic in zip(duo, topics):
                began = time.monotonic()
                with pytest.raises(PublishUncertain):
                    await w.do(topic.publish("x"))
                assert 0.25 < time.monotonic() - began < 0.8
            await duo[0].until(lambda: all("disconnected" in watched.told for watched in members), 4)
        finally:
            server.send(signal.SIGCONT)
        for watched in members:
            await watched.handles()
    for watched in members:
        assert watched.told == ONCE
        assert max(watched.runs.values()) == 1


async def test_replies_that_come_byte_by_byte_are_understood(w: World, proxy: Proxy) -> None:
    watched = Watched(w, client(w, proxy.port))
    proxy.dribble = True
    async with w.listening(watched.member):
        ids = await w.do(watched.topic.publish_many([("x", {"name": "Zoë", "n": i}) for i in range(2)]))
        await w.until(lambda: watched.seen == ids)
        await watched.settled()
    assert watched.told == [MADE]


async def test_a_read_that_lasts_longer_than_asked_is_no_outage(w: World, proxy: Proxy) -> None:
    watched = Watched(w, client(w, proxy.port), member={"block": 0.3})
    async with w.listening(watched.member):
        await watched.handles()
        await watched.settled()
        before, connections, proxy.delay = looks(w), proxy.connections, 0.3
        await w.until(lambda: looks(w) > before + 1)  # there is one with each read that brings nothing
        await watched.handles()
        assert proxy.connections == connections
        proxy.delay = 0
    assert watched.told == [MADE]


def looks(w: World) -> int:
    """How often was looked at what waits for another try."""
    return int(w.raw.info("commandstats")["cmdstat_xpending"]["calls"])


async def test_a_server_that_sleeps_for_a_while_is_no_outage(duo: list[World], server: RedisServer) -> None:
    members = [Watched(w) for w in duo]
    async with waiting(members):
        with server.client() as other:
            await asyncio.to_thread(other.execute_command, "DEBUG", "SLEEP", "1.3")
        for watched in members:
            await watched.handles()
    for watched in members:
        assert watched.told == [MADE]
        assert max(watched.runs.values()) == 1


@pytest.mark.parametrize(("w", "kind"), [("blocking", "ALL"), ("asyncio", "WRITE")], indirect=["w"])
async def test_entries_come_once_when_a_pause_of_the_server_is_over(w: World, kind: str) -> None:
    watched = Watched(w)
    async with w.listening(watched.member):
        await watched.handles()
        await watched.blocked()
        w.raw.execute_command("CLIENT", "PAUSE", "700", kind)
        began = time.monotonic()
        await w.start(lambda: watched.group.topic.publish("x"))
        assert time.monotonic() - began > 0.6
        await w.until(lambda: len(watched.seen) == 2)
        await watched.settled()
    assert watched.told == [MADE]
    assert max(watched.runs.values()) == 1


# -- replies that are lost when the server has done it already ---------------------------------------------------------------------------


async def test_a_lost_reply_to_a_claim_loses_and_buries_nothing(w: World, proxy: Proxy) -> None:
    watched = Watched(w, client(w, proxy.port), lease=0.3, retry=RetryPolicy(max_deliveries=2))
    await w.do(watched.group.create())
    ids = [await watched.publish() for _ in range(3)]
    w.raw.xreadgroup("group", "long-gone", {watched.topic.name: ">"})
    await w.until(lambda: w.raw.xinfo_consumers(watched.topic.name, "group")[0]["idle"] > 300)
    proxy.cut(b"long-gone")
    async with w.listening(watched.member):
        await w.until(lambda: len(watched.seen) == 3, 4)
        await watched.settled()
    assert proxy.cuts == 0
    assert (sorted(watched.seen), watched.deliveries) == (ids, [2, 2, 2])
    assert not w.raw.keys(f"{watched.topic.name}:dead:*")
    assert watched.told == ["disconnected", "reconnected"]


async def test_a_lost_reply_to_an_acknowledgement_runs_nothing_again(w: World, proxy: Proxy) -> None:
    watched = Watched(w, client(w, proxy.port))
    async with w.listening(watched.member):
        await watched.blocked()
        proxy.cut(b"XACK")
        await watched.handles()
        await w.until(lambda: proxy.cuts == 0 and "reconnected" in watched.told)
        await watched.handles()
        await watched.settled()
        await w.until(lambda: not watched.member._hand.acks)
    assert watched.told == ONCE
    assert max(watched.runs.values()) == 1


async def test_a_lost_reply_to_a_burial_leaves_one_dead_letter(w: World, proxy: Proxy) -> None:
    handler = Failing()
    watched = Watched(w, client(w, proxy.port), handler, retry=RetryPolicy(max_deliveries=1))
    async with w.listening(watched.member):
        await watched.blocked()
        proxy.cut(BURY.sha.encode())
        entry_id = await watched.publish()
        await watched.settled()
        await w.until(lambda: proxy.cuts == 0 and "reconnected" in watched.told)
    letters = w.raw.xrange(f"{watched.topic.name}:dead:{{{watched.topic.name}}}:group")
    assert [fields["dead:id"] for _, fields in letters] == [entry_id]
    assert handler.tries == [1]


async def test_a_lost_reply_to_a_retrys_parking_makes_one_retry(w: World, proxy: Proxy) -> None:
    handler = Failing(1)
    watched = Watched(w, client(w, proxy.port), handler, retry=RetryPolicy(backoff=(0.2, 0.2)))
    async with w.listening(watched.member):
        await watched.blocked()
        proxy.cut(PARK.sha.encode())
        await watched.publish()
        await w.until(lambda: len(handler.tries) == 2, 4)
        await watched.settled()
    assert proxy.cuts == 0
    assert handler.tries == [1, 2]


# -- connections that are refused or closed ----------------------------------------------------------------------------------------------


async def test_what_the_server_closed_for_idleness_is_opened_again_unseen(w: World) -> None:
    gate = Gate(w)
    watched, topic = Watched(w, handler=gate.handler), w.topic("other")
    await w.do(topic.publish("x"))
    async with w.listening(watched.member):
        await watched.publish()
        await w.until(lambda: gate.inside)
        async with configured(w, "timeout", 1):
            await w.until(lambda: len(w.raw.client_list()) == 1)
        await w.do(topic.publish("x"))
        gate.open()
        await watched.publish()
        await w.until(lambda: len(gate.left) == 2)
        await watched.settled()
    assert w.raw.xlen(topic.name) == 2
    assert len(gate.seen) == 2
    assert "error" not in watched.told


async def test_a_server_with_too_many_clients_says_so_and_is_waited_for(w: World) -> None:
    watched = Watched(w)
    async with w.listening(watched.member):
        await watched.handles()
        async with configured(w, "maxclients", 1):
            w.raw.client_kill_filter(_type="normal", skipme=True)
            with pytest.raises(redis.ConnectionError, match="max number of clients reached"):
                await w.do(watched.group.topic.publish("x"))
            with pytest.raises(redis.ConnectionError, match="connect_timeout=0.3.*max number of clients reached"):
                await w.do(w.member(watched.group, connect_timeout=0.3).connect())
        await watched.handles()
    assert watched.told == ONCE
    assert len(watched.seen) == 2


async def test_a_password_that_is_changed_ends_the_member_after_connect_timeout(w: World, server: RedisServer) -> None:
    w.raw.acl_setuser("eve", enabled=True, reset=True, passwords=["+old"], commands=["+@all"], keys=["*"])
    watched = Watched(w, client(w, server.port, username="eve", password="old"), member={"connect_timeout": 0.6})
    with pytest.raises(redis.AuthenticationError):
        async with w.listening(watched.member) as (listening,):
            await watched.handles()
            w.raw.acl_setuser("eve", enabled=True, reset_passwords=True, passwords=["+new"], commands=["+@all"], keys=["*"])
            commands, began = watched.commands(), time.monotonic()
            w.raw.client_kill_filter(_type="normal", skipme=True)
            await w.until(listening.done)
            assert 0.6 < time.monotonic() - began < 3
            assert watched.commands() - commands < 30
    assert watched.told == [MADE, "disconnected"]


async def test_a_password_that_is_changed_back_in_time_is_an_outage(w: World, server: RedisServer) -> None:
    w.raw.acl_setuser("eve", enabled=True, reset=True, passwords=["+old"], commands=["+@all"], keys=["*"])
    watched = Watched(w, client(w, server.port, username="eve", password="old"))
    async with w.listening(watched.member):
        await watched.handles()
        w.raw.execute_command("ACL", "SETUSER", "eve", "resetpass", ">new")
        w.raw.client_kill_filter(_type="normal", skipme=True)
        await w.until(lambda: watched.member._hand.refused_since is not None)
        w.raw.execute_command("ACL", "SETUSER", "eve", "resetpass", ">old")
        await watched.handles()
    assert watched.told == ONCE


# -- how often is tried ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("w", ["blocking"], indirect=True)
async def test_attempts_come_ever_later_and_by_chance(w: World, proxy: Proxy) -> None:
    watched = Watched(w, client(w, proxy.port))
    async with w.listening(watched.member):
        await watched.handles()
        await watched.settled()
        there, proxy.server = proxy.server, ("127.0.0.1", free_port())
        proxy.times.clear()
        w.raw.client_kill_filter(_type="normal", skipme=True)
        await w.until(lambda: len(proxy.times) == 4)
        proxy.server = there
        await watched.handles()
    gaps = [later - sooner for sooner, later in zip(proxy.times, proxy.times[1:4])]
    shares = [gap / longest for gap, longest in zip(gaps, (0.2, 0.4, 0.8))]
    assert all(0.45 < share < 1.2 for share in shares)
    assert watched.told == ONCE
    assert [backoff(attempt, 0) for attempt in (0, 1, 2, 9)] == [0.05, 0.1, 0.2, 1]
    assert [backoff(attempt, 1) for attempt in (0, 1, 2, 9)] == [0.1, 0.2, 0.4, 2]


@pytest.mark.parametrize("w", ["asyncio"], indirect=True)
async def test_connections_that_break_one_after_the_other_are_not_opened_in_a_tight_loop(w: World, proxy: Proxy) -> None:
    watched = Watched(w, client(w, proxy.port))
    async with w.listening(watched.member):
        await watched.handles()
        await watched.settled()
        await watched.blocked()
        proxy.times.clear()
        proxy.cut(b"XREADGROUP", times=4)
        entry_id = await watched.publish()
        await w.until(lambda: proxy.cuts == 0)
        await w.until(lambda: entry_id in watched.seen)
        await watched.handles()
    gaps = [later - sooner for sooner, later in zip(proxy.times, proxy.times[1:])]
    assert len(gaps) >= 4
    assert len([gap for gap in gaps if gap < 0.04]) <= 1  # (the first attempt may follow after 0.05 s, and the side line is opened once, too)
    assert watched.told.count("disconnected") == watched.told.count("reconnected")
