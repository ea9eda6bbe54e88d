"""Whether members live and get on."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen
from weakref import WeakSet

import pytest
from prometheus_client import CollectorRegistry

from streamio.health import Health
from streamio.telemetry.logs import log_lifecycle
from streamio.telemetry.prometheus import measure

from ..servers import RedisServer
from ..world import World
from .conftest import embedded

pytestmark = pytest.mark.asyncio


def answer(port: int, path: str) -> tuple[int, Any]:
    """The status and the JSON of an answer."""
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}") as found:
            return found.status, json.load(found)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


async def asked(port: int, path: str) -> tuple[int, Any]:
    """The same, beside the event loop."""
    return await asyncio.to_thread(answer, port, path)


async def test_an_idle_member_is_healthy_and_gets_on(w: World) -> None:
    member = w.member()
    member.on("a", lambda message: None)
    health = Health(member)
    assert (health.alive, health.ready) == (True, False)
    async with w.listening(member):
        await w.until(lambda: health.ready)
        assert health.alive
        first = health.last_progress
        await w.until(lambda: health.last_progress > first)
        assert abs(health.last_progress - time.time()) < 5
    assert health.as_json()["members"][0]["reason"] == "it is stopped"
    assert (health.alive, health.ready) == (False, False)


async def test_a_group_is_its_members_of_this_process(w: World) -> None:
    group = w.group()
    health = Health(group)
    assert (health.alive, health.ready) == (True, False)
    members = [w.member(group, name) for name in ("one", "two")]
    group.on("a", lambda message: None)
    async with w.listening(*members):
        await w.until(lambda: health.ready)
        assert sorted(each["member"] for each in health.as_json()["members"]) == ["one", "two"]


@pytest.mark.parametrize("use", ["listener", "loop", "concurrent", "batch"])
async def test_what_runs_for_too_long_is_not_alive(w: World, use: str) -> None:
    topic = w.topic()
    member = w.member(w.group(topic), concurrency=2 if use == "concurrent" else 1)
    health, gate, hangs = Health(member, longest=0.05), threading.Event(), asyncio.Event()
    entry_id = await w.do(topic.publish("a"))

    def hang(message: Any) -> None:
        gate.wait(10)

    async def hang_asyncio(message: Any) -> None:
        await hangs.wait()

    def dead() -> bool:
        return not health.alive

    handler = hang_asyncio if w.asyncio else hang
    if use == "loop":
        loop = w.loop(member)
        message = await w.next(loop)
        assert message.id == entry_id
        await w.until(dead)
        assert entry_id in health.as_json()["members"][0]["reason"]
        return
    if use == "batch":
        member.on_batch(handler, size=1)
    else:
        member.on("a", handler)
    async with w.listening(member):
        await w.until(dead)
        assert entry_id in health.as_json()["members"][0]["reason"]
        gate.set()
        hangs.set()
        await w.until(lambda: health.alive and health.ready)


@embedded
async def test_an_event_loop_that_stands_still_is_not_alive(w: World) -> None:
    if not w.asyncio:
        pytest.skip("asyncio only")
    topic = w.topic()
    member = w.member(w.group(topic))
    health, seen = Health(member, loop=0.05), list[str]()
    await w.do(topic.publish("a"))
    ready = threading.Event()

    def watch() -> None:
        ready.wait(10)
        seen.append(health.as_json()["members"][0]["reason"])
        ready.clear()

    thread = threading.Thread(target=watch)
    thread.start()

    @member.on("a")
    def block(message: Any) -> None:
        ready.set()
        while ready.is_set():
            time.sleep(0.001)

    await w.do(member.drain())
    thread.join()
    assert seen == ["its event loop has not answered for 0.05 s"]


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    """A server that may be killed."""
    server = RedisServer().start()
    yield server
    server.remove()


@contextmanager
def away(member: Any) -> Any:
    """As while the server is away, as the reading line sees it."""
    hand = member._hand
    before, hand.down_since = hand.down_since, member._driver.clock.monotonic() - 1
    try:
        yield
    finally:
        hand.down_since = before


@embedded
async def test_a_server_that_is_away_makes_unready_and_dead_only_where_that_is_said(w: World) -> None:
    member = w.member()
    member.on("a", lambda message: None)
    health, strict = Health(member), Health(member, outage=0.5)
    async with w.listening(member):
        await w.until(lambda: health.ready)
        member.pause()
        with away(member):
            assert (health.alive, health.ready, strict.alive) == (True, False, False)
            assert "away" in strict.as_json()["members"][0]["reason"]
        member.resume()


@pytest.mark.real
async def test_a_server_that_went_is_seen(own_server: RedisServer) -> None:
    from streamio import Topic

    topic = Topic("t", own_server.url)
    member = topic.group("g").member(block=0.1)
    member.on("a", lambda message: None)
    health = Health(member)
    thread = threading.Thread(target=member.connect_and_listen)
    thread.start()
    wait_for(lambda: health.ready)
    own_server.kill()
    wait_for(lambda: not health.ready)
    assert health.alive
    assert health.as_json()["members"][0]["reason"] == "its server is away"
    own_server.start()
    wait_for(lambda: health.ready)
    member.stop()
    thread.join()
    topic.close()


def wait_for(holds: Any) -> None:
    """Wait until the condition holds."""
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)


@embedded
async def test_members_of_several_topics_are_seen_as_one(w: World) -> None:
    member = w.member([w.group(w.topic("one")), w.group(w.topic("two"))])
    member.on("a", lambda message: None)
    health = Health(member)
    async with w.listening(member):
        await w.until(lambda: health.ready)
        first = health.last_progress
        await w.until(lambda: health.last_progress > first)


@embedded
async def test_probes_are_answered(w: World) -> None:
    member = w.member()
    member.on("a", lambda message: None)
    health = Health(member)
    with health.serve(0) as server:
        assert (await asked(server.port, "/readyz"))[0] == 503
        async with w.listening(member):
            await w.until(lambda: health.ready)
            status, found = await asked(server.port, "/healthz")
            assert (status, found["alive"], found["ready"]) == (200, True, True)
            assert (await asked(server.port, "/readyz?x=1"))[0] == 200
            assert (await asked(server.port, "/elsewhere"))[0] == 404
        assert (await asked(server.port, "/healthz"))[0] == 503
    assert not any(thread.name == "streamio-health" for thread in threading.enumerate())


async def test_what_is_no_member_is_refused() -> None:
    with pytest.raises(TypeError, match="ConsumerGroupMember"):
        Health(object())  # type: ignore[arg-type]


async def test_a_member_that_another_thread_makes_meanwhile_is_in_nobodys_way(w: World) -> None:
    group = w.group()
    first, later = w.member(group), list[Any]()

    class Growing(WeakSet[Any]):
        """A member comes while it is first gone through."""

        def __iter__(self) -> Iterator[Any]:
            for each in super().__iter__():
                if not later:
                    later.append(w.member(group))
                yield each

    for use in (lambda: Health(group).look(), group.stop, lambda: measure(group, registry=CollectorRegistry()), lambda: log_lifecycle(group)):
        group._members = Growing([first])
        later.clear()
        use()
        assert len(later) == 1
