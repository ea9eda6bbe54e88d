"""What an act of the demo gives, and that acts happen one after the other."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

if TYPE_CHECKING:
    from .engine import Demo

P = ParamSpec("P")


@dataclass(frozen=True)
class Act:
    """What was done: a sentence, the command that does the same by hand (empty: there is none), and the facts."""

    message: str
    command: str = ""
    result: dict[str, Any] = field(default_factory=dict)


def one_by_one(act: Callable[Concatenate[Demo, P], Coroutine[Any, Any, Act]]) -> Callable[Concatenate[Demo, P], Coroutine[Any, Any, Act]]:
    """The act, which waits for those before it."""

    @wraps(act)
    async def done(demo: Demo, /, *args: P.args, **kwargs: P.kwargs) -> Act:
        async with demo.turn:
            return await act(demo, *args, **kwargs)

    return done


def entries(count: int) -> str:
    """So many entries, in words."""
    return "1 entry" if count == 1 else f"{count} entries"
