"""Closing a member from where it is in use."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ..world import World

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
