"""What stands around the steps of a pipe that is iterated, where one raises."""

from __future__ import annotations

import traceback
from contextlib import suppress
from typing import Any

import pytest

from ..world import World
from .test_around import Seen, filled

pytestmark = pytest.mark.asyncio


async def test_a_step_that_raises_in_a_loop_leaves_its_traceback(w: World) -> None:
    _, member = await filled(w)
    member.around(Seen().around("x"))
    events: list[Any] = []
    member.lifecycle.on("failed", events.append)

    def step(message: Any) -> str:
        if message.deliveries == 1:
            raise ValueError("the step of this test")
        return "through"

    assert await w.next(w.loop(member.pipe(step))) == "through"
    assert "the step of this test" in str(events[0].error)
    assert traceback.extract_tb(events[0].error.__traceback__)[-1].name == "step"


async def test_what_stands_around_may_make_another_error_of_that_of_a_step_in_a_loop(w: World) -> None:
    _, member = await filled(w)
    events: list[Any] = []
    member.lifecycle.on("failed", events.append)

    @member.around
    def translated(message: Any) -> Any:
        try:
            yield
        except ValueError as error:
            raise LookupError("translated") from error

    assert await w.next(w.loop(member.pipe(lambda message: message.data if message.deliveries > 1 else int("x")))) == {"n": "0"}
    assert [type(event.error) for event in events] == [LookupError]


async def test_what_it_swallows_of_a_step_in_a_loop_is_success(w: World) -> None:
    group, member = await filled(w, 2)
    member.around(lambda message: suppress(ValueError))
    assert await w.next(w.loop(member.pipe(lambda message: message.data if message.data["n"] == "1" else int("x")))) == {"n": "1"}
    await w.do(member.close())
    assert [(entry.id, entry.deliveries) for entry in await w.do(group.pending())] == [(w.raw.xrevrange(group.topic.name)[0][0], 1)]


async def test_a_step_in_a_loop_that_is_interrupted_shows_at_once(w: World) -> None:
    _, member = await filled(w)
    seen = Seen()
    member.around(seen.around("x"))

    def step(message: Any) -> Any:
        raise KeyboardInterrupt

    loop = w.loop(member.pipe(step))
    with pytest.raises(KeyboardInterrupt):
        await w.next(loop)
    assert seen.what == ["x+", "x!KeyboardInterrupt"]
