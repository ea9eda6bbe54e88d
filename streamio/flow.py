"""What becomes of one value on its way through a pipe's steps.

1. A step is called with one value. What it returns goes on; None drops it; an iterable fans out, each of its items but None goes on by itself.
2. One value each are: str, bytes, mappings, tuples, messages, numbers, and whatever is not iterable, or a model of pydantic.
3. In asyncio a step may be a coroutine function or an async generator function, too.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from itertools import islice
from typing import Any

from .message import Message

Step = Callable[[Any], Any]
MOST = 10_000  # values that one entry can put out
TURN = 100  # values after which others have the event loop
SINGLE = frozenset({dict, str, bytes, tuple, int, float, bool, Message})  # the usual ones, told at a glance


def is_single(value: Any) -> bool:
    """Whether this is one value and not several."""
    if type(value) in SINGLE or isinstance(value, (str, bytes, bytearray, memoryview, Mapping, tuple, Message)):
        return True
    return not isinstance(value, (Iterable, AsyncIterable)) or hasattr(type(value), "model_fields")


def flowing(value: Any, steps: Sequence[Step], place: int = 0) -> Iterator[Any]:
    """What comes out at the end of the steps, from this place on."""
    if value is None:
        return
    for at in range(place, len(steps)):
        step = steps[at]
        value = step(value)
        if value is None:
            return
        if type(value) in SINGLE:
            continue
        refuse_awaitable(value, step)
        if not is_single(value):
            for each in value:
                yield from flowing(each, steps, at + 1)
            return
    yield value


def through(value: Any, steps: Sequence[Step]) -> Sequence[Any]:
    """All that comes out at the end of the steps. As `flowing`, where most steps give one value."""
    for at, step in enumerate(steps):
        value = step(value)
        if value is None:
            return ()
        if type(value) not in SINGLE:
            refuse_awaitable(value, step)
            return counted(list(islice(flowing(value, (as_it_is, *steps[at + 1 :])), MOST + 1)))
    return (value,)


def refuse_awaitable(value: Any, step: Step) -> None:
    """Nobody awaits in a blocking pipe."""
    if inspect.isawaitable(value) or isinstance(value, AsyncIterable):
        if inspect.iscoroutine(value):
            value.close()
        raise TypeError(f"{step!r} returned {type(value).__name__} in a blocking pipe: use a plain function, or a redis.asyncio client")


def counted(values: Sequence[Any]) -> Sequence[Any]:
    """The values, which are to be written in one step: an error where they are too many for that, or never end."""
    if len(values) > MOST:
        raise ValueError(f"one entry can put out {MOST} values at most, because they are written in one step")
    return values


def as_it_is(value: Any) -> Any:
    """What a step has given already."""
    return value


async def through_asyncio(value: Any, steps: Sequence[Step]) -> Sequence[Any]:
    """As `through`, awaited."""
    for at, step in enumerate(steps):
        value = step(value)
        if hasattr(value, "__await__"):
            value = await value
        if value is None:
            return ()
        if type(value) not in SINGLE:
            return await gathered(flowing_asyncio(value, (as_it_is, *steps[at + 1 :])))
    return (value,)


async def gathered(values: AsyncGenerator[Any]) -> Sequence[Any]:
    """All of them, as `counted`; the event loop goes on meanwhile."""
    found: list[Any] = []
    async with aclosing(values):
        async for each in values:
            found.append(each)
            if len(found) % TURN == 0:
                await asyncio.sleep(0)
                counted(found)
    return counted(found)


async def flowing_asyncio(value: Any, steps: Sequence[Step], place: int = 0) -> AsyncGenerator[Any]:
    """As `flowing`, awaited."""
    if value is None:
        return
    for at in range(place, len(steps)):
        value = steps[at](value)
        if hasattr(value, "__await__"):
            value = await value
        if value is None:
            return
        if not is_single(value):
            async with aclosing(each_of(value)) as items:
                async for item in items:
                    async with aclosing(flowing_asyncio(item, steps, at + 1)) as found:
                        async for each in found:
                            yield each
            return
    yield value


async def each_of(values: Any) -> AsyncGenerator[Any]:
    """The items of an iterable of either kind."""
    if isinstance(values, AsyncIterable):
        async for each in values:
            yield each
        return
    for each in values:
        yield each


def checked_steps(steps: Sequence[Any], asyncio: bool) -> tuple[Step, ...]:
    """The steps, or a TypeError that names what is none."""
    for step in steps:
        if not callable(step):
            raise TypeError(f"a step of a pipe must be callable, not {step!r} (a Topic can only be the last one)")
        if not asyncio and (inspect.iscoroutinefunction(step) or inspect.isasyncgenfunction(step)):
            raise TypeError(f"{step!r} is for asyncio, and this pipe belongs to a blocking client: use a plain `def`, or a redis.asyncio client")
    return tuple(steps)
