"""What stands around handlers (`member.around`): a context manager for each delivery, entered before its handlers run and left after them.

1. The first one that was added is the outermost, the group's before the member's.
2. What a handler raises passes through it. What it raises itself, or lets pass, is the handler's failure; what it swallows is success.
3. In asyncio it may be an async one, too. Not around a loop's body: a loop that is left cannot await anything.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from typing import Any

from .results import called, finished

Scope = Callable[[Any], Any]


def scope_of(function: Any, asyncio: bool) -> Scope:
    """What gives a context manager for a delivery: the function itself, or what a generator function with one `yield` stands for."""
    if not callable(function):
        raise TypeError(f"what stands around handlers must be callable, not {function!r}")
    if inspect.isasyncgenfunction(function):
        if not asyncio:
            raise TypeError(f"{function!r} is an async generator function, and this object belongs to a blocking client: use a plain `def`")
        return asynccontextmanager(function)
    if inspect.iscoroutinefunction(function):
        raise TypeError(f"{function!r} is a coroutine function: what stands around handlers gives a context manager, or has one `yield`")
    return contextmanager(function) if inspect.isgeneratorfunction(function) else function


def is_async(scope: Any) -> bool:
    """Whether it can only be entered by `async with`."""
    return hasattr(scope, "__aenter__") and not hasattr(scope, "__enter__")


def surrounded(call: Callable[[Any], Any], scope: Scope) -> Callable[[Any], Any]:
    """The function within the scope, where nobody awaits."""

    def within(thing: Any) -> Any:
        with scope(thing):
            return called((call,), thing)

    return within


def surrounded_asyncio(call: Callable[[Any], Any], scope: Scope) -> Callable[[Any], Any]:
    """The function within the scope, awaited."""

    async def within(thing: Any) -> Any:
        around = scope(thing)
        if is_async(around):
            async with around:
                return await finished(call(thing), call)
        with around:
            return await finished(call(thing), call)

    return within


def call_within(scopes: Sequence[Scope], thing: Any, work: Callable[[], Any]) -> Any:
    """What the work gives, within all of these scopes."""
    if not scopes:
        return work()
    with entered(scopes, thing):
        return work()


def entered(scopes: Sequence[Scope], thing: Any) -> ExitStack:
    """All of these scopes, entered; those that cannot be entered here are a TypeError."""
    with ExitStack() as stack:
        for scope in scopes:
            around = scope(thing)
            if is_async(around):
                raise TypeError(f"{around!r} is an async context manager, and there is no `await` here: let {scope!r} give a plain one")
            stack.enter_context(around)
        return stack.pop_all()


def awaited_within(scopes: Sequence[Scope], thing: Any, work: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, Any]:
    """The work, within all of these scopes."""
    return inside(scopes, thing, work) if scopes else work


async def inside(scopes: Sequence[Scope], thing: Any, work: Coroutine[Any, Any, Any]) -> Any:
    """As `awaited_within`."""
    async with AsyncExitStack() as stack:
        try:
            for scope in scopes:
                around = scope(thing)
                await stack.enter_async_context(around) if is_async(around) else stack.enter_context(around)
        except BaseException:
            work.close()
            raise
        return await work
