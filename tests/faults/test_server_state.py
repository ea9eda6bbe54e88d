"""What becomes of the server's data and will to write under a running member: groups gone, keys replaced, memory full, masters demoted, rights taken.

A member goes on as soon as it can, tells each change once, keeps the server no busier than its backoff, and stops only where waiting heals nothing.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import pytest_asyncio
import redis
import redis.asyncio

from streamio import RetryPolicy, SetupError, scripts

from ..contract.gates import Gate
from ..servers import RedisServer, free_port
from ..topologies import world
from ..watched import Watched
from ..world import World

pytestmark = [pytest.mark.asyncio, pytest.mark.slow, pytest.mark.real]
MADE = ("group_created", "new")
LOST = ("group_created", "lost")
LARGEST = 2**64 - 1


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A server of its own: its settings are changed."""
    made = RedisServer().start()
    yield made
    made.remove()


@pytest_asyncio.fixture(params=["blocking", "asyncio"])
async def w(request: pytest.FixtureRequest, server: RedisServer) -> AsyncIterator[World]:
    """A world of each colour on that server."""
    async with world(request.param, server.port) as made:
        yield made


def as_user(w: World, name: str, *rules: str) -> Any:
    """A client of a user who may do everything but what the rules forbid."""
    w.raw.execute_command("ACL", "SETUSER", name, "reset", "on", "nopass", "~*", "+@all", *rules)
    made = (redis.asyncio.Redis if w.asyncio else redis.Redis)(host="127.0.0.1", port=w.port, username=name, password="")
    w.clients.append(made)
    return made


@contextmanager
def setting(w: World, **settings: Any) -> Iterator[None]:
    """While the block runs, the server has these settings."""
    names = {name: name.replace("_", "-") for name in settings}
    before = {name: w.raw.config_get(real)[real] for name, real in names.items()}
    for name, value in settings.items():
        w.raw.config_set(names[name], value)
    try:
        yield
    finally:
        for name, value in before.items():
            w.raw.config_set(names[name], value)


# -- the group is gone -------------------------------------------------------------------------------------------------------------------


async def test_a_destroyed_group_is_made_again_and_all_that_the_stream_holds_comes_again(w: World) -> None:
    watched = Watched(w)
    async with w.listening(watched.member):
        ids = [await watched.publish() for _ in range(3)]
        await w.until(lambda: watched.seen == ids)
        await watched.settled()
        await watched.blocked()
        w.raw.xgroup_destroy(watched.topic.name, "group")
        await w.until(lambda: watched.seen == ids + ids)
        await watched.settled()
    assert watched.told == [MADE, LOST]


@pytest.mark.parametrize("w", ["blocking"], indirect=True)
async def test_a_group_that_is_lost_again_and_again_is_made_again_without_haste(w: World) -> None:
    watched = Watched(w)
    async with w.listening(watched.member):
        await watched.blocked()
        commands, polls, end = watched.commands(), 0, time.monotonic() + 0.8
        while time.monotonic() < end:
            w.raw.delete(watched.topic.name)
            polls += 1
            await asyncio.sleep(0.01)
        assert watched.commands() - commands - polls < 50
        assert watched.told.count(LOST) <= 5
        await watched.handles()
    assert set(watched.told) == {MADE, LOST}


async def test_a_key_that_becomes_another_type_ends_the_member_and_is_named(w: World) -> None:
    watched = Watched(w)
    with pytest.raises(SetupError, match=rf"{watched.topic.name}.*WRONGTYPE"):
        async with w.listening(watched.member) as (listening,):
            await watched.handles()
            await watched.blocked()
            w.raw.set(watched.topic.name, "x")
            await w.until(listening.done, 3)


@pytest.mark.parametrize("w", ["asyncio"], indirect=True)
async def test_an_evicted_stream_is_made_again_when_there_is_room(w: World) -> None:
    watched = Watched(w)
    async with w.listening(watched.member):
        await watched.handles()
        await watched.blocked()
        with setting(w, maxmemory_policy="allkeys-lru", maxmemory=1):
            await w.until(lambda: not w.raw.exists(watched.topic.name))
            commands = watched.commands()
            await asyncio.sleep(0.5)  # nothing may be tried in a tight loop meanwhile
            assert watched.commands() - commands < 30
        await watched.handles()
    assert watched.told[0] == MADE
    assert watched.told.count(LOST) == 1
    assert watched.told.count("disconnected") == watched.told.count("reconnected") <= 1
    assert "error" not in watched.told


# -- the server has no memory ------------------------------------------------------------------------------------------------------------


async def test_members_begin_and_go_on_while_the_server_has_no_memory(w: World) -> None:
    seen: list[str] = []

    def handler(message: Any) -> None:
        if message.type == "bad":
            raise ValueError("never")
        seen.append(message.id)

    watched = Watched(w, handler=handler, lease=0.4, retry=RetryPolicy(max_deliveries=1))
    await w.do(watched.group.create())
    good = [await watched.publish() for _ in range(3)]
    bad = await watched.publish("bad")
    letters = f"{watched.topic.name}:dead:{{{watched.topic.name}}}:group"
    with setting(w, maxmemory=1):
        async with w.listening(watched.member):
            await w.until(lambda: seen == good and [row[0] for row in w.pending(watched.group)] == [bad])
            with pytest.raises(redis.OutOfMemoryError):
                await watched.publish()
            await w.until(lambda: "error" in watched.told)
            assert [row[0] for row in w.pending(watched.group)] == [bad]
            w.raw.config_set("maxmemory", 0)
            await watched.settled()
    assert [fields["dead:id"] for _, fields in w.raw.xrange(letters)] == [bad]
    assert "disconnected" not in watched.told


# -- the server does not write -----------------------------------------------------------------------------------------------------------


@contextmanager
def demoted(w: World, server: RedisServer) -> Iterator[None]:
    """The server is a replica of nobody who is there."""
    w.raw.replicaof("127.0.0.1", free_port())
    yield
    w.raw.replicaof("NO", "ONE")


@contextmanager
def without_replicas(w: World, server: RedisServer) -> Iterator[None]:
    """The server wants a replica to write to."""
    with setting(w, min_replicas_to_write=1):
        yield


@contextmanager
def without_disk(w: World, server: RedisServer) -> Iterator[None]:
    """The server could not save, and stops writing."""
    dump = os.path.join(server.folder, "dump.rdb")
    with setting(w, save="3600 1000000"):
        if os.path.exists(dump):
            os.remove(dump)
        os.mkdir(dump)
        w.raw.bgsave()
        while w.raw.info("persistence")["rdb_last_bgsave_status"] != "err":
            time.sleep(0.01)
        yield
        os.rmdir(dump)
    w.raw.save()


@contextmanager
def in_a_script(w: World, server: RedisServer) -> Iterator[None]:
    """The server runs a script without end."""
    with setting(w, busy_reply_threshold=50):
        asyncio.get_running_loop().run_in_executor(None, endless, server)
        while not is_busy(w):
            time.sleep(0.01)
        yield
        w.raw.script_kill()
        while is_busy(w):
            time.sleep(0.01)


def endless(server: RedisServer) -> None:
    """Run it."""
    with server.client() as other, pytest.raises(redis.ResponseError):
        other.eval("while true do end", 0)


def is_busy(w: World) -> bool:
    """Whether the server says that a script runs."""
    try:
        w.raw.ping()
    except redis.ResponseError as error:
        return "BUSY" in str(error)
    return False


REFUSALS: dict[str, Callable[[World, RedisServer], Any]] = {
    "demoted": demoted,
    "without replicas": without_replicas,
    "without disk": without_disk,
    "in a script": in_a_script,
}


@pytest.mark.parametrize("why", REFUSALS)
async def test_a_server_that_refuses_writes_for_a_while_is_waited_for(server: RedisServer, why: str) -> None:
    async with world("blocking", server.port) as w, world("asyncio", server.port) as other:
        gates = [Gate(w), Gate(other)]
        members = [Watched(each.w, handler=each.handler) for each in gates]
        async with w.listening(members[0].member), other.listening(members[1].member):
            for watched in members:
                await watched.publish()
            await w.until(lambda: all(gate.inside for gate in gates))
            with REFUSALS[why](w, server):
                for watched, gate in zip(members, gates):
                    with pytest.raises(redis.ResponseError):
                        await watched.publish()
                    gate.open()
                await w.until(lambda: all("disconnected" in watched.told for watched in members))
                before = connections(w, why)
                await asyncio.sleep(0.6)  # nothing may be tried in a tight loop meanwhile
                assert connections(w, why) - before < 20
            for watched, gate in zip(members, gates):
                await watched.settled()
                await watched.publish()
                await w.until(lambda gate=gate: len(gate.left) == 2)
                await watched.settled()
        for watched, gate in zip(members, gates):
            assert len(gate.seen) == 2
            assert watched.told == [MADE, "disconnected", "reconnected"]


def connections(w: World, why: str) -> int:
    """How many connections the server has taken; 0 where it does not say, because a script runs."""
    return int(w.raw.info("stats")["total_connections_received"]) if why != "in a script" else 0


async def test_a_retry_that_could_not_be_parked_is_not_forgotten(w: World, server: RedisServer) -> None:
    gate = Gate(w)
    watched = Watched(w, handler=gate.handler, member={"ack": "manual"})
    async with w.listening(watched.member):
        await watched.publish()
        await w.until(lambda: gate.inside)
        with without_replicas(w, server):
            began = time.monotonic()
            gate.seen[0].nack(delay=1)
            gate.open()
            await w.until(lambda: "disconnected" in watched.told)
        await w.until(lambda: len(gate.seen) == 2)
        assert time.monotonic() - began > 1
        gate.seen[1].ack()
        await watched.settled()
    assert [message.deliveries for message in gate.seen] == [1, 2]
    assert "error" not in watched.told


async def test_a_member_that_begins_while_the_server_refuses_writes_waits_for_it(w: World, server: RedisServer) -> None:
    member = w.member()
    with without_replicas(w, server):
        with pytest.raises(redis.ConnectionError, match="connect_timeout=0.3.*Not enough good replicas"):
            await w.do(w.member(member.group, connect_timeout=0.3).connect())
        connecting = w.start(member.connect)
        await asyncio.sleep(0.1)
        assert not connecting.done()
    await asyncio.wait_for(connecting, 3)


# -- rights ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["xreadgroup", "xack", "xpending", "evalsha"])
async def test_a_right_that_is_taken_from_a_running_member_ends_it_with_one_error(w: World, command: str) -> None:
    watched = Watched(w, as_user(w, "eve"), claim_interval=0.5)
    with pytest.raises(SetupError, match=command):
        async with w.listening(watched.member) as (listening,):
            await watched.handles()
            await watched.blocked()
            w.raw.execute_command("ACL", "SETUSER", "eve", f"-{command}")
            await watched.publish()
            await w.until(listening.done, 3)
    assert "disconnected" not in watched.told


def commands_of_scripts() -> list[str]:
    """Every command that the scripts of a member call."""
    bodies = [vars(scripts)[name].body for name in ("TAKE", "RENEW", "PARK", "BURY", "LEAVE", "SEAT", "GAP", "COUNT_STARTS")]
    return sorted({word.lower() for body in bodies for word in re.findall(r"redis\.call\('(\w+)'", body)})


async def test_every_right_that_a_members_scripts_need_is_named_at_the_beginning(w: World) -> None:
    group = w.group(max=2)
    for command in commands_of_scripts():
        limited = w.group(w.topic(client=as_user(w, "mallory", f"-{command}")), max=2)
        with pytest.raises(SetupError, match=rf"(?i)\b{command}\b"):
            await w.do(w.member(limited).connect())
    assert not w.raw.exists(group.topic.name)


# -- ids ---------------------------------------------------------------------------------------------------------------------------------


async def test_ids_from_the_far_future_disturb_nobody(w: World) -> None:
    watched = Watched(w)
    topic = w.topic(max_age=3600)
    with setting(w, stream_node_max_entries=1):  # so that trimming is exact
        ids = [await w.do(topic.publish("x")) for _ in range(2)]
        ids.append(await w.do(topic.publish("x", entry_id="99999999999999-1")))
        ids += [await w.do(topic.publish("x")) for _ in range(2)]
        assert ids[3:] == ["99999999999999-2", "99999999999999-3"]
        assert w.raw.xlen(topic.name) == 5  # no entry is taken for an old one
    async with w.listening(watched.member):
        await w.until(lambda: watched.seen == ids)
        last = await w.do(topic.publish("x", entry_id=f"{LARGEST}-{LARGEST}"))
        await w.until(lambda: watched.seen[-1] == last)
        with pytest.raises(redis.ResponseError, match="exhausted"):
            await w.do(topic.publish("x"))
        await watched.settled()
    assert max(watched.runs.values()) == 1
    assert watched.told == [MADE]
