"""Who watches what goes to the server and comes from there: `streamio.telemetry`. It is told once for each write and each batch, not for each entry,
and where nobody watches that costs nothing.

A watch may raise nothing: what it raised would end a read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from .effects import Exchange, Words
from .reports import Event

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Watch:
    """Does nothing; those that do something override."""

    def writing(self, topic: Any, operation: str) -> AbstractContextManager[Callable[[Any], None] | None]:
        """What stands around an operation of a topic that writes; what it gives is called with what the operation comes to."""
        return nullcontext()

    def headers(self, given: Mapping[str, Any], message: Any) -> Mapping[str, str]:
        """Headers for an entry that is being written, beside those that its producer gave, which win; `message`: the one that it is a reply to, or
        an output of."""
        return {}

    def encoded(self, words: Words) -> None:
        """The words of the entry that is being written."""

    def received(self, hand: Any, messages: Sequence[Any], since: float, claimed: bool) -> None:
        """A read or a claim brought these. `since`: when it was asked for, by the monotonic clock."""

    def acknowledged(self, hand: Any, ids: Sequence[str]) -> None:
        """The server acknowledged these."""


Watches = tuple[Watch, ...]


def stamped(watches: Iterable[Watch], headers: Mapping[str, Any] | None, message: Any = None) -> Mapping[str, Any] | None:
    """These headers, and those of whoever watches."""
    if headers is not None and not isinstance(headers, Mapping):
        return headers  # (an error names it)
    found = {**(headers or {})}
    for watch in watches:
        found = {**watch.headers(found, message), **found}
    return found or headers


def watched(method: Callable[P, Exchange[R]]) -> Callable[P, Exchange[R]]:
    """An exchange of a topic that writes, within what stands around it."""

    @wraps(method)
    def exchange(*args: P.args, **kwargs: P.kwargs) -> Exchange[R]:
        topic: Any = args[0]
        made = method(*args, **kwargs)
        return watching(topic, method.__name__, made) if topic._watches else made

    return exchange


def watching(topic: Any, operation: str, made: Exchange[R]) -> Exchange[R]:
    """What the exchange comes to."""
    with ExitStack() as stack:
        tell = [stack.enter_context(watch.writing(topic, operation)) for watch in topic._watches]
        result = yield from made
        for each in tell:
            if each is not None:
                each(result)
    return result


def present(things: Iterable[T]) -> list[T]:
    """What is in a weak set now. (Where another thread adds to it meanwhile, it is looked at again.)"""
    try:
        return list(things)
    except RuntimeError:
        return present(things)


def watch(obj: Any, each: Watch) -> None:
    """Let it watch a topic, a group with all its members, or a member."""
    obj._watches = (*obj._watches, each)
    refresh(obj)


def unwatch(obj: Any, each: Watch) -> None:
    """Let it watch no more."""
    obj._watches = tuple(other for other in obj._watches if other is not each)
    refresh(obj)


def onlook(obj: Any, look: Callable[[Event], None]) -> None:
    """Let it be told of every lifecycle event of a member, or of a group's: all that are here, and those that come."""
    if hasattr(obj, "_onlookers"):
        obj._onlookers = (*obj._onlookers, look)
    for member in present(getattr(obj, "_members", (obj,))):
        member.lifecycle.onlookers = (*member.lifecycle.onlookers, look)


def unlook(obj: Any, look: Callable[[Event], None]) -> None:
    """Let it be told no more."""
    if hasattr(obj, "_onlookers"):
        obj._onlookers = tuple(each for each in obj._onlookers if each != look)
    for member in present(getattr(obj, "_members", (obj,))):
        member.lifecycle.onlookers = tuple(each for each in member.lifecycle.onlookers if each != look)


def refresh(obj: Any) -> None:
    """Whoever has the group's entries, or the member's, in hand knows who watches."""
    for member in present(getattr(obj, "_members", (obj,))):
        for part in getattr(member, "_shares", (member,)):
            if hasattr(part, "_hand"):
                part._hand.watches = (*part.group._watches, *member._watches)
