"""The smallest end-to-end paths: an entry is published, handled and acknowledged."""

from __future__ import annotations

import pytest

from ..world import World

pytestmark = pytest.mark.asyncio


async def test_a_handled_entry_is_acknowledged(w: World) -> None:
    member = w.member()
    seen = []
    member.on("order.placed", lambda message: seen.append((message.id, message.data)))
    async with w.listening(member):
        entry_id = await w.do(member.group.topic.publish("order.placed", {"a": 1}, b="x"))
        await w.until(lambda: seen)
    assert seen == [(entry_id, {"a": "1", "b": "x"})]
    assert w.pending(member.group) == []


async def test_a_failed_entry_is_tried_again(w: World) -> None:
    from streamio import RetryPolicy

    group = w.group(retry=RetryPolicy(backoff=(0.05, 0.05)))
    member, tries = w.member(group), []

    @member.on("*")
    def handler(message):  # type: ignore[no-untyped-def]
        tries.append(message.deliveries)
        if len(tries) < 3:
            raise ValueError("not yet")

    async with w.listening(member):
        await w.do(group.topic.publish("x"))
        await w.until(lambda: len(tries) == 3)
    assert tries == [1, 2, 3]
    assert w.pending(group) == []


async def test_a_loop_acknowledges_when_the_next_is_asked_for(w: World) -> None:
    member = w.member(id="me")
    await w.do(member.group.topic.publish_many([("x", {"i": i}) for i in range(3)]))
    loop = w.loop(member)
    assert [(await w.next(loop))["i"] for _ in range(3)] == ["0", "1", "2"]
    member.stop()
    assert await w.next(loop) is None
    assert w.pending(member.group) == []
