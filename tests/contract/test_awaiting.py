"""`await` on a blocking object inside a running event loop: a TypeError that names the right keyword, before anything is done."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ..world import World

pytestmark = [pytest.mark.asyncio, pytest.mark.parametrize("w", ["blocking-embedded"], indirect=True)]
FIELDS = {"x": 1}


async def plain(topic: Any, member: Any) -> None:
    """`publish`, without keywords."""
    await topic.publish("a")


async def keywords(topic: Any, member: Any) -> None:
    """`publish`, with keywords."""
    await topic.publish("a", {"y": 2}, headers=None, x=1)


async def unpacked(topic: Any, member: Any) -> None:
    """`publish`, with what is unpacked."""
    await topic.publish(*("a",), **FIELDS)


async def kept(topic: Any, member: Any) -> Any:
    """`publish`, in an expression."""
    return [await topic.publish("a", x=1)]


async def write(topic: Any, member: Any) -> None:
    """`write`."""
    await topic.write(("a", {}))


async def write_typed(topic: Any, member: Any) -> None:
    """`write`, with keywords."""
    await topic.write({"x": 1}, type="a")


async def request(topic: Any, member: Any) -> None:
    """`request`."""
    await topic.request("a", timeout=0.01, x=1)


async def drain(topic: Any, member: Any) -> None:
    """A member's `drain`."""
    await member.drain()


async def drain_briefly(topic: Any, member: Any) -> None:
    """A member's `drain`, with keywords."""
    await member.drain(retries=False)


async def pipe(topic: Any, member: Any) -> None:
    """A pipe's `drain`."""
    await member.pipe(str).drain()


async def pipe_briefly(topic: Any, member: Any) -> None:
    """A pipe's `drain`, with keywords."""
    await member.pipe(str).drain(retries=False)


async def run(topic: Any, member: Any) -> None:
    """A pipe's `run`."""
    await member.pipe(str).run(until=None)


async def chosen(topic: Any, member: Any) -> None:
    """Where it is one of two."""
    await (topic.publish("a", x=1) if member else member.close())


async def named(topic: Any, member: Any) -> None:
    """Where it gets a name on the way."""
    await (_ := topic.publish("a", x=1))


async def through_a_lambda(topic: Any, member: Any) -> None:
    """Where a function returns it."""
    call: Any = lambda **fields: topic.publish("a", **fields)  # noqa: E731
    await call(x=1)


async def through_functions(topic: Any, member: Any) -> None:
    """Where a function of a function returns it."""

    def inner() -> Any:
        return topic.write(("a", {}), type=None)

    def outer() -> Any:
        return inner()

    await outer()


async def partly(topic: Any, member: Any) -> None:
    """Where some arguments are given before."""
    await functools.partial(topic.publish, "a")(x=1)


FORMS: list[Callable[[Any, Any], Awaitable[None]]] = [
    plain, keywords, unpacked, kept, write, write_typed, request, drain, drain_briefly, pipe, pipe_briefly, run, chosen, named, through_a_lambda,
    through_functions, partly,
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
async def test_it_is_refused_before_anything_is_done(w: World, form: Callable[[Any, Any], Awaitable[None]]) -> None:
    member = w.member()
    member.on("*", lambda message: None)
    topic = member.group.topic
    for _ in range(20):  # CPython changes its instructions on the way
        with pytest.raises(TypeError, match=r"write `….\w+\(\)` instead of `await ….\w+\(\)`, or give its Topic a redis.asyncio.Redis"):
            await form(topic, member)
    assert not w.raw.exists(topic.name) and member._hand.state == "new"


async def test_a_call_that_is_not_awaited_works_wherever_its_value_goes(w: World) -> None:
    topic = w.topic()

    def returned() -> Any:
        return topic.publish("a", x=1)

    async def awaited() -> Any:
        return topic.publish("a", x=1)

    def left() -> Any:
        found = topic.publish("a", x=1)
        return w.do(found)

    async def started() -> Any:
        coroutine: Any = awaited()
        try:
            await coroutine.send(None)
        except StopIteration as done:
            return done.value

    ids = [
        topic.publish("a"),
        returned(),
        await awaited(),
        await left(),
        await w.do(topic.publish("a", x=1)),
        *map(topic.publish, "ab"),
        await started(),
    ]
    assert [entry_id for entry_id, _ in w.raw.xrange(topic.name)] == ids
