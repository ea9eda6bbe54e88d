"""Closing a member from where it is in use."""

from __future__ import annotations

import asyncio
import threading
from contextlib import nullcontext
from typing import Any

import pytest

from streamio import RetryPolicy

from ..world import World
from .gates import Gate

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_a_handler_that_closes_its_member_is_acknowledged(w: World, concurrency: int) -> None:
    member = w.member(concurrency=concurrency)

    async def close_async(message: Any) -> None:
        await member.close()

    def close(message: Any) -> None:
        member.close()

    member.on("*", close_async if w.asyncio else close)
    await w.do(member.group.topic.publish("x"))
    await asyncio.wait_for(w.start(member.connect_and_listen), 10)
    assert w.pending(member.group) == []
    assert (await w.do(member.info())).state == "closed"


async def test_a_loop_whose_body_closes_the_member_gives_its_entry_back(w: World) -> None:
    member = w.member(id="me")
    await w.do(member.group.topic.publish("x"))
    loop = w.loop(member)
    message = await w.next(loop)
    await w.do(member.close())
    assert [row[1:] for row in w.pending(member.group)] == [("~waiting", 1)]
    assert not message.ack()


@pytest.mark.parametrize("flushes", [False, True])
async def test_what_is_settled_after_a_stop_reaches_the_server_as_the_member_closes(w: World, flushes: bool) -> None:
    member, kept = w.member(ack="manual"), []
    member.on("*", kept.append)
    await w.do(member.group.topic.publish("x"))
    async with w.listening(member):
        await w.until(lambda: kept)
    assert kept[0].ack()
    if flushes:
        await w.do(member.flush())
    await w.do(member.close())
    assert w.pending(member.group) == []
    assert (await w.do(member.info())).connections == 0


async def test_closing_waits_for_a_listener_elsewhere(w: World) -> None:
    member = w.member()
    member.on("*", lambda message: None)
    future = w.start(member.connect_and_listen)
    await w.until(lambda: member._user == "listening" and member._hand.state == "listening")
    if w.asyncio:
        await member.close()
    else:
        await asyncio.to_thread(member.close)
    await asyncio.wait_for(future, 5)
    with pytest.raises(RuntimeError, match="closed"):
        await w.do(member.read(1, timeout=0))


@pytest.mark.parametrize("raises", [False, True])
async def test_the_end_of_a_block_decides_nothing_about_an_entry_whose_handler_runs_elsewhere(w: World, raises: bool) -> None:
    group = w.group(retry=RetryPolicy(backoff=(60, 60)))
    member, gate, listening = w.member(group), Gate(w), []

    def fail(message: Any) -> None:
        if not raises:
            raise ValueError("the handler, not the block")

    member.on("*", gate.handler)
    member.on("*", fail)
    await w.do(group.create())
    await w.do(group.topic.publish("x"))

    async def leave() -> None:
        async with w.block(member):
            listening.append(w.start(member.connect_and_listen))
            await w.until(lambda: gate.inside)
            asyncio.get_running_loop().call_later(0.1, gate.open) if w.asyncio else threading.Timer(0.1, gate.open).start()
            if raises:
                raise ValueError("the block, not the handler")

    with pytest.raises(ValueError) if raises else nullcontext():
        await leave()
    await asyncio.wait_for(listening[0], 8)
    assert [row[1] for row in w.pending(group)] == ([] if raises else ["~waiting"])


async def looping(w: World, member: Any, gate: Gate) -> asyncio.Future[Any]:
    """A loop in another thread or task, whose body sits at the gate."""

    def consume() -> None:
        for message in member:
            gate.sit(message)

    async def consume_asyncio() -> None:
        async for message in member:
            await gate.sit_asyncio(message)

    await w.do(member.group.topic.publish("x"))
    future = w.start(consume_asyncio if w.asyncio else consume)
    await w.until(lambda: gate.inside)
    return future


@pytest.mark.parametrize("in_a_block", [False, True])
async def test_closing_lets_the_body_of_a_loop_elsewhere_end_and_acknowledges_its_entry(w: World, in_a_block: bool) -> None:
    member, gate = w.member(), Gate(w)
    future = await looping(w, member, gate)

    async def leave() -> None:
        async with w.block(member):
            pass

    closing = w.start((lambda: asyncio.run(leave())) if not w.asyncio else leave) if in_a_block else w.start(member.close)
    await w.until(lambda: member._hand.stopping)
    assert [row[1] for row in w.pending(member.group)] == [member.id]
    assert not closing.done()
    gate.open()
    await w.until(lambda: closing.done() and future.done())
    assert (closing.result(), future.result()) == (None, None)
    assert w.pending(member.group) == []
    assert (await w.do(member.info())).state == "closed"


async def test_closing_waits_for_the_body_of_a_loop_no_longer_than_grace_and_gives_its_entry_to_nobody(w: World) -> None:
    member, gate = w.member(grace=0.1), Gate(w)
    future = await looping(w, member, gate)
    await asyncio.wait_for(w.start(member.close), 5)
    assert gate.inside
    assert [row[1:] for row in w.pending(member.group)] == [(member.id, 1)]
    gate.open()
    await asyncio.wait_for(future, 5)


async def test_closing_does_not_wait_for_a_loop_whose_thread_or_task_has_ended(w: World) -> None:
    member = w.member()
    await w.do(member.group.topic.publish("x"))
    loop = w.loop(member)

    async def first() -> Any:
        return await w.next(loop)

    await w.start(first if w.asyncio else lambda: next(loop))
    await w.until(lambda: not [thread for thread in threading.enumerate() if thread.ident == member._listener])
    await asyncio.wait_for(w.start(member.close), 5)
    assert [row[1:] for row in w.pending(member.group)] == [("~waiting", 1)]
