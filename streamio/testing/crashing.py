"""A scenario that is played once for each of its writes, and killed there."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import datetime
from inspect import iscoroutinefunction
from typing import Any, overload

from .stage import Acting, AsyncStage, Stage

MOST = 5000  # runs


@overload
def kill_at_every_effect(scenario: Callable[[AsyncStage], Coroutine[Any, Any, None]], *, now: datetime | None = None) -> Coroutine[Any, Any, int]: ...
@overload
def kill_at_every_effect(scenario: Callable[[Stage], None], *, now: datetime | None = None) -> int: ...
def kill_at_every_effect(scenario: Callable[[Any], Any], *, now: datetime | None = None) -> Any:
    """Run the scenario on a stage of its own for every write to the server that its plays make, and kill the process there: right before the write,
    and right after it, its reply unread; then once more without; how often it was killed.

    The scenario makes its topics, members and fakes, plays, lets others take over (`stage.settle(other)`) and asserts what must hold wherever it was
    killed. Only the first kill is made: whoever plays after that lives. A coroutine function is given an `AsyncStage`, and the whole is awaited.
    What fails is raised with a note that says where the process was killed. `now` is that of the stages.
    """
    if not callable(scenario):
        raise TypeError(f"a scenario is a function of a stage, not {scenario!r}")
    return each_asyncio(scenario, now) if iscoroutinefunction(scenario) else each_blocking(scenario, now)


def each_blocking(scenario: Callable[[Stage], Any], now: datetime | None) -> int:
    """As `kill_at_every_effect`."""
    place, lives = 0, False
    while not lives:
        place += 1
        with prepared(Stage(now=now, strict=False), place) as stage:
            try:
                scenario(stage)
            except Exception as error:
                explain(error, stage)
                raise
        lives = is_last(stage, place)
    return place - 1


async def each_asyncio(scenario: Callable[[AsyncStage], Any], now: datetime | None) -> int:
    """As `kill_at_every_effect`."""
    place, lives = 0, False
    while not lives:
        place += 1
        with prepared(AsyncStage(now=now, strict=False), place) as stage:
            try:
                await scenario(stage)
            except Exception as error:
                explain(error, stage)
                raise
        lives = is_last(stage, place)
    return place - 1


def prepared(stage: Any, place: int) -> Any:
    """The stage, which is to kill at this place."""
    stage._scene.kill_at = place
    return stage


def is_last(stage: Acting[Any], place: int) -> bool:
    """Whether the scenario came to its end alive. An error where there was nothing to kill, or no end of it."""
    scene = stage._scene
    if not scene.writes_seen:
        raise ValueError("the scenario never plays: call stage.play(member, ...) in it, or stage.settle(...)")
    if place >= MOST:
        raise ValueError(f"the scenario has more than {MOST} writes: make it smaller")
    return not scene.killed_at


def explain(error: Exception, stage: Acting[Any]) -> None:
    """Say in a note where the process was killed."""
    where = stage._scene.killed_at
    error.add_note(f"(the process was killed {where})" if where else "(nobody was killed in this run)")
    if "what happened on the stage" not in str(error):
        error.add_note(stage.trace.end())
