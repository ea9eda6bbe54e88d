"""What stands under a member's name never exceeds `concurrency + prefetch`, whatever becomes of it."""

from __future__ import annotations

from typing import Any

import pytest

from streamio import JSONCodec, RetryPolicy

from ..world import World

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("codec", [None, JSONCodec()])
async def test_entries_that_fail_do_not_make_room_before_they_are_put_aside(w: World, codec: Any) -> None:
    topic = w.topic(codec=codec)
    group, most = w.group(topic, retry=RetryPolicy(backoff=(60, 60))), []
    member = w.member(group, prefetch=5)

    def handle(message: Any) -> None:
        raise ValueError("not yet")

    def look(event: Any) -> None:
        most.append(sum(name == member.id for _, name, _ in w.pending(group)))

    member.on("a", handle)
    member.lifecycle.on("failed", look)
    w.raw.xgroup_create(topic.name, group.name, "0", mkstream=True)
    pipe = w.raw.pipeline(transaction=False)
    for n in range(150):
        pipe.xadd(topic.name, {"type": "a", "data": "{" if codec and n % 2 else "1"})
    pipe.execute()
    await w.do(member.drain(retries=False))
    assert most and max(most) <= 6
    await w.until(lambda: all(name != member.id for _, name, _ in w.pending(group)))
