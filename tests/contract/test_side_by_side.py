"""Places that go on by themselves, and what is read behind what they handle."""

from __future__ import annotations

import asyncio
import time
from contextvars import ContextVar
from enum import Enum
from typing import Any

import pytest

from streamio import FlatCodec
from streamio.keys import WAITING

from ..world import World

ASYNC = pytest.mark.asyncio
IN_ASYNCIO = pytest.mark.parametrize("w", ["asyncio-embedded", "asyncio-real"], indirect=True)


class Left(BaseException):
    """What ends a listening from outside."""


@pytest.mark.parametrize("ack", ["auto", "none"])
@ASYNC
async def test_a_drain_misses_nothing_that_was_read_behind_an_empty_reply(w: World, ack: str) -> None:
    group, seen = w.group(), []
    member = w.member(group, prefetch=9, ack=ack)

    def handle(message: Any) -> None:
        seen.append(message["n"])
        if message["n"] == "8":
            w.raw.xadd(group.topic.name, {"type": "a", "n": 10})

    member.on("a", handle)
    await w.do(group.topic.publish_many(("a", {"n": n}) for n in range(10)))
    await w.do(member.drain())
    await w.do(member.drain())
    assert sorted(map(int, seen)) == list(range(11))
    assert w.pending(group) == []


@ASYNC
async def test_no_place_goes_on_where_the_listening_was_left(w: World) -> None:
    member, seen = w.member(concurrency=4, prefetch=200), []
    await w.do(member.group.topic.publish_many(("a", {"n": n}) for n in range(100)))
    wake, rest = member._driver.wake, member._driver.wake.rest

    def once() -> None:
        if len(seen) >= 20:
            wake.rest = rest
            raise Left

    if w.asyncio:

        async def slow(message: Any) -> None:
            seen.append(message.id)
            wake.ring()
            await asyncio.sleep(0.02)

        async def resting(seconds: float | None) -> None:
            once()
            await rest(seconds)
    else:

        def slow(message: Any) -> None:
            seen.append(message.id)
            wake.ring()
            time.sleep(0.02)

        def resting(seconds: float | None) -> None:
            once()
            rest(seconds)

    wake.rest = resting
    member.on("a", slow)
    with pytest.raises(Left):
        await asyncio.wait_for(w.start(member.connect_and_listen), 5)
    assert len(seen) <= 28, "what ran, and not what waited"


@IN_ASYNCIO
@ASYNC
async def test_a_handlers_context_variables_are_not_the_next_ones(w: World) -> None:
    mine: ContextVar[str] = ContextVar("mine", default="nobody's")
    member, found = w.member(concurrency=4), []

    async def handle(message: Any) -> None:
        found.append(mine.get())
        mine.set(message.id)
        await asyncio.sleep(0)

    member.on("a", handle)
    await w.do(member.group.topic.publish_many(("a", {"n": n}) for n in range(60)))
    await w.do(member.drain())
    assert found == ["nobody's"] * 60


@pytest.mark.parametrize("w", ["blocking-real", "asyncio-real"], indirect=True)
@ASYNC
async def test_who_may_not_end_a_read_still_sees_within_a_block_what_waits(w: World) -> None:
    w.raw.execute_command("ACL", "SETUSER", "tied", "on", "nopass", "~*", "&*", "+@all", "-client|unblock")
    member, told = w.member(w.group(w.topic(client=w.client(username="tied", password="any"))), block=0.5), []
    member.on("a", lambda message: told.append(message.deliveries))
    key = member.group.topic.name
    async with w.listening(member):
        await w.until(lambda: member._hand.dry and member._hand.blocked)
        pipe = w.raw.pipeline()
        pipe.xadd(key, {"type": "a"})
        pipe.xreadgroup("group", "another", {key: ">"})
        entry_id, _ = pipe.execute()
        w.raw.xclaim(key, "group", WAITING, 0, [entry_id], idle=60_000, retrycount=1)
        began = time.monotonic()
        await w.until(lambda: told)
        took = time.monotonic() - began
    assert told == [2] and took < 0.8


def test_names_that_are_equal_and_spelled_differently_stay_apart() -> None:
    class One(str, Enum):  # noqa: UP042
        X = "x"

    class Another(str, Enum):  # noqa: UP042
        X = "x"

    codec = FlatCodec()
    assert [codec.encode({name: 1}) for name in (One.X, Another.X, "x")] == [[(b"One.X", b"1")], [(b"Another.X", b"1")], [(b"x", b"1")]]
