"""`connect_and_listen(until=event)`: listening ends when the event is set, as by `stop()`."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
from typing import Any

import pytest

from ..world import World
from .gates import Gate

pytestmark = pytest.mark.asyncio


def event_of(w: World) -> Any:
    """An event of this world's colour."""
    return asyncio.Event() if w.asyncio else threading.Event()


def helpers() -> list[Any]:
    """The threads and tasks that wait for events."""
    tasks = [task for task in asyncio.all_tasks() if "Event.wait" in repr(task.get_coro())]
    return [*tasks, *(thread for thread in threading.enumerate() if thread.name == "streamio-until")]


def listener(w: World, handler: Any = None, **options: Any) -> Any:
    """A member that listens."""
    member = w.member(block=30, **options)
    member.on("*", handler or (lambda message: None))
    return member


async def test_the_event_ends_listening_while_a_read_waits(w: World) -> None:
    member, event = listener(w), event_of(w)
    future = w.start(lambda: member.connect_and_listen(until=event))
    await w.until(lambda: member._hand.blocked)
    event.set()
    await asyncio.wait_for(future, 5)
    await w.until(lambda: not helpers(), 2)


async def test_the_event_ends_a_member_of_several_topics(w: World) -> None:
    member, event = w.member([w.group(w.topic("a")), w.group(w.topic("b"))]), event_of(w)
    seen: list[Any] = []
    member.on("*", seen.append)
    await w.do(member.group.topic.publish("x"))
    future = w.start(lambda: member.connect_and_listen(until=event))
    await w.until(lambda: seen)
    event.set()
    await asyncio.wait_for(future, 5)
    await w.until(lambda: not helpers(), 2)


async def test_what_runs_is_finished_and_acknowledged(w: World) -> None:
    gate, event = Gate(w), event_of(w)
    member = listener(w, gate.handler)
    await w.do(member.group.topic.publish_many([("x", {"n": n}) for n in range(3)]))
    future = w.start(lambda: member.connect_and_listen(until=event))
    await w.until(lambda: gate.inside)
    event.set()
    await w.until(lambda: member._hand.stopping)
    assert not future.done()
    gate.open()
    await asyncio.wait_for(future, 5)
    assert len(gate.left) == 1
    assert gate.left[0].id not in [entry_id for entry_id, _, _ in w.pending(member.group)]
    await w.do(member.drain())
    assert len(gate.left) == 3


@pytest.mark.parametrize("w", ["blocking-real", "asyncio-real"], indirect=True)
async def test_set_already_returns_without_a_word_to_the_server(w: World) -> None:
    member, event = listener(w), event_of(w)
    member.group.on("*", print)
    event.set()
    before = w.raw.info("stats")["total_connections_received"]
    await w.do(member.group.connect_and_listen(until=event))
    await w.do(member.connect_and_listen(until=event))
    assert w.raw.info("stats")["total_connections_received"] == before
    assert not helpers()


async def test_a_pool_ends_with_the_event_and_listens_again(w: World) -> None:
    group, seen = w.group(), list[Any]()
    group.on("*", seen.append)
    for number in range(2):
        event = event_of(w)
        future = w.start(lambda event=event: group.connect_and_listen(members=2, until=event))
        await w.do(group.topic.publish("x"))
        await w.until(lambda number=number: len(seen) == number + 1)
        event.set()
        await asyncio.wait_for(future, 5)
    await w.until(lambda: not helpers(), 2)


async def test_nobody_waits_for_the_event_when_listening_ended_before(w: World) -> None:
    member, event = listener(w), event_of(w)
    for _ in range(2):
        future = w.start(lambda: member.connect_and_listen(until=event))
        await w.until(lambda: member._hand.blocked)
        assert len(helpers()) >= 1
        member.stop()
        await asyncio.wait_for(future, 5)
        if w.asyncio:
            assert not helpers()
    async with w.listening(member):
        await w.until(lambda: not helpers(), 2)  # and the last of them stops nothing on its way
        await w.do(member.group.topic.publish("x"))
        await w.until(lambda: member._hand.handled == 1)
        event.set()
        await w.do(member.group.topic.publish("x"))
        await w.until(lambda: member._hand.handled == 2)


async def test_nobody_waits_for_the_event_when_a_pool_ended_before(w: World) -> None:
    group, event = w.group(), event_of(w)
    group.on("*", lambda message: None)
    future = w.start(lambda: group.connect_and_listen(until=event))
    await w.until(lambda: [member for member in list(group._members) if member._hand.blocked])
    group.stop()
    await asyncio.wait_for(future, 5)
    await w.until(lambda: not helpers(), 2)


async def test_nobody_waits_for_the_event_when_listening_failed(w: World) -> None:
    member, event = listener(w), event_of(w)
    w.raw.set(member.group.topic.name, "no stream")
    with pytest.raises(Exception, match="something else than a stream"):
        await asyncio.wait_for(w.start(lambda: member.connect_and_listen(until=event)), 5)
    await w.until(lambda: not helpers(), 2)


@pytest.mark.parametrize("thing", [5, "soon", True, threading.Event, object()])
async def test_what_is_no_event_is_refused(w: World, thing: Any) -> None:
    member = listener(w)
    right = "an asyncio.Event" if w.asyncio else "a threading.Event"
    for call in (member.connect_and_listen, member.group.connect_and_listen):
        member.group.on("*", print)
        with pytest.raises(TypeError, match=f"until must be {right}"):
            await w.do(call(until=thing))


@pytest.mark.parametrize("w", ["blocking-embedded"], indirect=True)
async def test_a_blocking_member_refuses_an_asyncio_event_and_takes_one_of_another_process(w: World) -> None:
    member = listener(w)
    with pytest.raises(TypeError, match="must be a threading.Event, not <asyncio"):
        member.connect_and_listen(until=asyncio.Event())
    event = multiprocessing.get_context("spawn").Event()
    future = w.start(lambda: member.connect_and_listen(until=event))
    await w.until(lambda: member._hand.blocked)
    event.set()
    await asyncio.wait_for(future, 5)


@pytest.mark.parametrize("w", ["asyncio-embedded"], indirect=True)
async def test_an_asyncio_member_may_be_ended_by_an_event_of_threads(w: World) -> None:
    member, event = listener(w), threading.Event()
    task = asyncio.ensure_future(member.connect_and_listen(until=event))
    await w.until(lambda: member._hand.blocked)
    threading.Thread(target=event.set).start()
    await asyncio.wait_for(task, 5)
    await w.until(lambda: not helpers(), 2)


@pytest.mark.parametrize("w", ["asyncio-embedded"], indirect=True)
async def test_an_event_of_another_loop_is_an_error_and_not_silence(w: World) -> None:
    event = asyncio.Event()

    async def bound() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(event.wait(), 0.01)

    await asyncio.to_thread(asyncio.run, bound())
    with pytest.raises(RuntimeError, match="different event loop"):
        await asyncio.wait_for(listener(w).connect_and_listen(until=event), 5)


@pytest.mark.parametrize("w", ["asyncio-embedded"], indirect=True)
async def test_a_cancelled_member_leaves_no_task(w: World) -> None:
    member, event = listener(w), asyncio.Event()
    task = asyncio.ensure_future(member.connect_and_listen(until=event))
    await w.until(lambda: member._hand.blocked)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert not helpers()
