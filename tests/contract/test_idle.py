"""A member with nothing to do: what it costs the server, and how soon it is at work again."""

from __future__ import annotations

import time
from typing import Any

import pytest

from streamio.keys import WAITING

from ..world import World

REAL = pytest.mark.parametrize("w", ["blocking-real", "asyncio-real"], indirect=True)
pytestmark = [pytest.mark.asyncio, REAL]
BLOCK = 0.5


def calls(w: World) -> dict[str, int]:
    """How often each command was called since the counts were set back."""
    return {name.removeprefix("cmdstat_"): facts["calls"] for name, facts in w.raw.info("commandstats").items()}


async def idling(w: World, member: Any, reads: int) -> None:
    """Wait until the member has read in vain so many times."""
    w.raw.config_resetstat()
    await w.until(lambda: calls(w).get("xreadgroup", 0) >= reads)


async def test_an_idle_member_writes_once_in_a_block(w: World) -> None:
    member, writes = w.member(block=BLOCK), []
    member.on("a", print)
    write = member._driver.write
    member._driver.write = lambda line, commands: (writes.append((line.name, len(commands))), write(line, commands))[1]
    async with w.listening(member):
        await idling(w, member, 2)
        before, began = len(writes), time.monotonic()
        await idling(w, member, 3)
        took, made = time.monotonic() - began, writes[before:]
    assert {name for name, _ in made} == {"reading"} and max(commands for _, commands in made) <= 3
    assert len(made) <= took / BLOCK + 2


async def test_what_another_left_waiting_reaches_a_member_whose_read_blocks(w: World) -> None:
    group, told = w.group(), []
    member = w.member(group, block=BLOCK)
    member.on("a", lambda message: told.append((message.deliveries, time.monotonic())))
    key = group.topic.name
    async with w.listening(member):
        await idling(w, member, 3)  # the read that blocks now has looked already
        pipe = w.raw.pipeline()
        pipe.xadd(key, {"type": "a"})
        pipe.xreadgroup(group.name, "another", {key: ">"})
        entry_id, _ = pipe.execute()
        w.raw.xclaim(key, group.name, WAITING, 0, [entry_id], idle=60_000, retrycount=1)
        began = time.monotonic()
        await w.until(lambda: told)
    (deliveries, at) = told[0]
    assert deliveries == 2 and at - began < 1.6 * BLOCK, "the look came with the next read, and that read was ended"
