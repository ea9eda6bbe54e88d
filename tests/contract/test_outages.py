"""What happens to a member while it waits in a blocked read: the connection goes, the server goes, the reply is lost, the group is gone."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
import redis
import redis.asyncio

from streamio import ConsumerGroupTopic, GroupLost, Topic

from ..proxy import Proxy
from ..servers import RedisServer
from ..topologies import world
from ..watched import Watched
from ..world import World

pytestmark = [pytest.mark.slow, pytest.mark.real]


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A server that forgets nothing."""
    made = RedisServer("appendonly yes", "appendfsync always").start()
    yield made
    made.remove()


@pytest_asyncio.fixture(params=["blocking", "asyncio"])
async def w(request: pytest.FixtureRequest, server: RedisServer) -> AsyncIterator[World]:
    """A world of each colour on that server."""
    async with world(request.param, server.port) as made:
        yield made


@pytest.mark.asyncio
async def test_a_killed_connection_is_opened_again_and_told_once(w: World) -> None:
    watched = Watched(w)
    async with w.listening(watched.member):
        await watched.handles()
        await watched.blocked()
        w.raw.client_kill_filter(_type="normal", skipme=True)
        await w.until(lambda: "reconnected" in watched.told)
        await watched.handles()
    assert watched.told == [("group_created", "new"), "disconnected", "reconnected"]
    assert len(watched.seen) == 2
    assert w.pending(watched.group) == []


@pytest.mark.asyncio
async def test_a_server_that_restarts_is_waited_for_and_told_once(w: World, server: RedisServer) -> None:
    watched = Watched(w)
    async with w.listening(watched.member):
        await watched.handles()
        await watched.blocked()
        server.stop()
        await w.until(lambda: "disconnected" in watched.told)
        server.start()
        ids = [await watched.publish() for _ in range(5)]
        await w.until(lambda: len(watched.seen) == 6)
    assert watched.seen[1:] == ids
    assert watched.told == [("group_created", "new"), "disconnected", "reconnected"]
    assert w.pending(watched.group) == []


@pytest.mark.asyncio
async def test_a_server_that_is_killed_and_forgets_everything_gets_its_group_again(w: World) -> None:
    forgetful = RedisServer().start()
    try:
        async with world(w.colour, forgetful.port) as there:
            watched = Watched(there)
            async with there.listening(watched.member):
                await watched.handles()
                await watched.blocked()
                forgetful.kill()
                await there.until(lambda: "disconnected" in watched.told)
                forgetful.start()
                await watched.handles()
            assert watched.told == [("group_created", "new"), "disconnected", ("group_created", "lost"), "reconnected"]
    finally:
        forgetful.remove()


@pytest.mark.asyncio
async def test_a_reply_that_is_lost_on_the_wire_comes_again_within_seconds(w: World) -> None:
    proxy = Proxy(w.port or 0)
    client = (redis.asyncio.Redis if w.asyncio else redis.Redis)(host="127.0.0.1", port=proxy.port)
    w.clients.append(client)
    try:
        watched = Watched(w, client)
        async with w.listening(watched.member):
            await watched.handles()
            await w.until(lambda: not w.pending(watched.group))
            await watched.blocked()  # the read that is cut comes after this one
            proxy.cut(b"XREADGROUP", lost=watched.topic.name.encode())
            await w.until(lambda: proxy.cuts == 0)
            await watched.blocked()
            ids = [await watched.publish()]
            await w.until(lambda: len(watched.seen) == 2, timeout=4)
        assert watched.seen[1:] == ids
        assert watched.deliveries == [1, 2]
        assert watched.told == [("group_created", "new"), "disconnected", "reconnected"]
        assert w.pending(watched.group) == []
    finally:
        proxy.close()


# -- the group goes --------------------------------------------------------------------------------------------------------------------

LOSSES = {
    "the stream is deleted": lambda raw, topic: raw.delete(topic),
    "the group is destroyed": lambda raw, topic: raw.xgroup_destroy(topic, "group"),
    "everything is deleted": lambda raw, topic: raw.flushall(),
    "the stream is renamed": lambda raw, topic: raw.rename(topic, f"{topic}:old"),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("loss", LOSSES)
async def test_a_lost_group_is_made_again_at_the_beginning_and_told_once(w: World, loss: str) -> None:
    watched = Watched(w)
    async with w.listening(watched.member):
        await watched.blocked()
        commands = w.raw.info("stats")["total_commands_processed"]
        LOSSES[loss](w.raw, watched.topic.name)
        await w.until(lambda: ("group_created", "lost") in watched.told)
        await watched.handles()
        assert w.raw.info("stats")["total_commands_processed"] - commands < 60
    assert watched.told == [("group_created", "new"), ("group_created", "lost")]
    assert w.pending(watched.group) == []


@pytest.mark.asyncio
async def test_what_was_added_while_the_group_was_gone_is_not_missed(w: World) -> None:
    watched = Watched(w)
    topic = watched.topic.name
    async with w.listening(watched.member):
        await watched.blocked()
        with w.raw.pipeline(transaction=True) as pipe:
            new = pipe.delete(topic).xadd(topic, {"type": "x"}).execute()[1]
        await w.until(lambda: new in watched.seen)


@pytest.mark.asyncio
@pytest.mark.parametrize("loss", LOSSES)
async def test_a_lost_group_is_raised_where_that_is_asked_for(w: World, loss: str) -> None:
    watched = Watched(w, on_group_lost="raise")
    with pytest.raises(GroupLost, match="'group'"):
        async with w.listening(watched.member) as (listening,):
            await watched.blocked()
            LOSSES[loss](w.raw, watched.topic.name)
            await w.until(listening.done)
    assert watched.told == [("group_created", "new")]


# -- event loops -----------------------------------------------------------------------------------------------------------------------


FORGOTTEN = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # a closed loop's connections


@pytest.fixture
def group(server: RedisServer) -> Iterator[Any]:
    """An asyncio group that no event loop has used yet, on an empty server."""
    with server.client() as raw:
        raw.flushall()
    topic: Any = Topic("loops", redis.asyncio.Redis(host="127.0.0.1", port=server.port))
    yield ConsumerGroupTopic(topic, "group")
    gc.collect()


@pytest.mark.asyncio
async def test_a_second_event_loop_is_refused_by_name_while_the_first_is_open(group: Any) -> None:
    await group.topic.publish("x")
    for call in (lambda: group.topic.publish("x"), lambda: group.member().connect(), lambda: group.info()):
        with pytest.raises(RuntimeError, match="'loops'.*second event loop"):
            await asyncio.to_thread(lambda call=call: asyncio.run(awaited(call)))
    assert await group.topic.publish("x")
    await group.topic.close()


async def awaited(call: Any) -> Any:
    """What the call comes to, made on the loop that runs this."""
    return await call()


@FORGOTTEN
def test_a_topic_works_on_the_next_event_loop_when_the_first_is_closed(group: Any) -> None:
    async def work() -> int:
        await group.topic.publish("x")
        async with group.member() as member:
            [message] = await member.read()
            message.ack()
        return await group.topic.length()

    assert [asyncio.run(work()) for _ in range(3)] == [1, 2, 3]
    asyncio.run(group.topic.close())


@FORGOTTEN
def test_a_member_goes_on_on_the_next_event_loop(group: Any) -> None:
    """What it held when the first one was closed comes again, and settlements reach the server without another read."""
    member = group.member("me", block=0.1)

    async def leave_one_in_hand() -> str:
        await group.topic.publish_many([("x", {}), ("x", {})])
        async for message in member:
            return message.id
        raise AssertionError

    async def handle() -> list[str]:
        first, second = await member.read(), await member.read()
        for message in (*first, *second):
            message.ack()
        while await group.pending():
            await asyncio.sleep(0.01)
        return [message.id for message in (*first, *second)]

    left = asyncio.run(leave_one_in_hand())
    assert left in asyncio.run(asyncio.wait_for(handle(), 10))
    asyncio.run(member.close())
    asyncio.run(group.topic.close())
