"""What listeners return: the reply, where one is wanted. Work undone must not be dropped with it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from ..protocol.gathering import Batch
from ..protocol.notes import Effects

HARMLESS = frozenset({Effects, dict, list, tuple, str, bytes, int, float, bool})  # the usual ones, told at a glance
BLOCKING = "on a blocking member: use a redis.asyncio client, or a plain function"


def refuse_awaitable(result: Any, listener: Any, where: str = BLOCKING) -> None:
    """What a plain function returned may be a reply, but an awaitable or a generator would be work undone."""
    if type(result) in HARMLESS:
        return
    refuse_unawaited(result, listener, where)
    refuse_generator(result, listener)


def refuse_unawaited(result: Any, listener: Any, where: str = BLOCKING) -> None:
    """Nobody awaits here."""
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        raise TypeError(f"{listener!r} returned an awaitable {where}")


def refuse_generator(result: Any, listener: Any) -> None:
    """A generator that a listener returned has not run."""
    if inspect.isgenerator(result) or inspect.isasyncgen(result):
        raise TypeError(f"{listener!r} is a generator function (it has a yield): its body would never run")


async def result_of(batch: Batch, messages: list[Any]) -> Any:
    """What a batch handler gives, awaited where it is to be."""
    result = batch.listener.function(messages)
    return await result if hasattr(result, "__await__") else result


async def finished(result: Any, listener: Any) -> Any:
    """What a listener gives, awaited where it is to be."""
    if hasattr(result, "__await__"):
        return await result
    refuse_generator(result, listener)
    return result


def called(listeners: Sequence[Any], message: Any) -> Any:
    """What the listeners of one message give, called one after the other: the last value that is not None. Nobody awaits."""
    given = None
    for listener in listeners:
        result = listener(message)
        if result is not None:
            refuse_awaitable(result, listener)
            given = result
    return given
