"""`@member.once_per(key)`: handlers whose effect is outside of Redis and must not be had twice."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, Literal, TypeVar, overload

from .colour import Asyncio, Blocking, C, Coloured
from .commands import Command
from .drivers.results import finished, refuse_awaitable, refuse_generator
from .drivers.running import is_denied
from .effects import Exchange
from .emitter import Listener
from .guards import BUSY, DOUBT, GO, begin, finish, take_back
from .ids import Duration, seconds
from .keys import checked, side_key
from .message import Message, Origin
from .protocol.asking import BROKEN, call

InDoubt = Literal["bury", "run", "skip"]
IN_DOUBT = ("bury", "run", "skip")
AGAIN = 1.0  # seconds until an entry is looked at again whose key another entry is busy with
M = TypeVar("M", bound=Message[Any])
R = TypeVar("R")


class Guard:
    """What guards one handler."""

    def __init__(self, name: str, key: str | Callable[[Any], Any], window: float, in_doubt: str) -> None:
        self.name, self.key, self.window, self.in_doubt = name, key, window, in_doubt

    def key_of(self, message: Any) -> str:
        """The Redis key of the guard for this message; an error where the message has no key, or is none."""
        if not isinstance(message, Message):
            raise TypeError(f"{self.name}, which once_per guards, is called with one message, not with {message!r}")
        if isinstance(message._hand, Origin):
            raise RuntimeError(f"message {message.id} was read without a group, and {self.name} is guarded in a group")
        found = self.key(message) if callable(self.key) else message[self.key]
        if isinstance(found, bytes):
            found = found.decode("utf-8", "backslashreplace")
        if isinstance(found, bool) or not isinstance(found, (str, int)) or found == "":
            raise ValueError(f"the key of once_per must be a str or an int and not empty, not {found!r}")
        s = message._hand.settings
        return side_key.__wrapped__(s.topic, "once", s.group, self.name, str(found))  # not from the cache: such keys are many

    def beginning(self, message: Any, key: str) -> Exchange[tuple[bool, Any]]:
        """Whether the handler is to run now; else the message is settled, or to be acknowledged, and the handler came to this before."""
        runs, hand, s = self.in_doubt == "run", message._hand, message._hand.settings
        state, result = yield from call(begin((key, s.topic), s.group, s.lease, message.id, message.deliveries, runs, self.window))
        if state == BUSY and hand.park(message, min(AGAIN, hand.settings.lease), message.before):
            message._denied = hand.event("retrying", message=message, delay=AGAIN, reason="another entry with its key is being handled")
        elif state == DOUBT and self.in_doubt == "bury":
            message.bury("in doubt: an earlier delivery began and left no word")
        return state == GO, result

    def failing(self, message: Any, key: str) -> Exchange[None]:
        """The handler raised, or asked for another try or for the dead letters: the guard stands no more."""
        yield from again(take_back(key, message.id))

    def ending(self, message: Any, key: str, result: Any, is_denied: bool) -> Exchange[None]:
        """The handler returned: its effect was had, whatever becomes of the entry; unless it has just asked for another try itself."""
        if is_denied:
            yield from self.failing(message, key)
        else:
            yield from again(finish(key, message.id, result, self.window))


def again(command: Command[int]) -> Exchange[None]:
    """Do it, on another connection where this one was lost: a handler may take long, and servers close what is idle."""
    try:
        yield from call(command)
    except BROKEN:  # doing it twice does no harm
        yield from call(command)


class Guarding(Coloured[C]):
    """A member whose handlers may be guarded."""

    @overload
    def once_per(
        self: Coloured[Blocking],
        key: str | Callable[[Any], Any],
        *,
        window: Duration = 86400,
        in_doubt: InDoubt = "bury",
        name: str | None = None,
    ) -> Callable[[Callable[[M], R]], Callable[[M], R]]: ...
    @overload
    def once_per(
        self: Coloured[Asyncio],
        key: str | Callable[[Any], Any],
        *,
        window: Duration = 86400,
        in_doubt: InDoubt = "bury",
        name: str | None = None,
    ) -> Callable[[Callable[[M], Any]], Callable[[M], Coroutine[Any, Any, Any]]]: ...
    def once_per(
        self: Any,
        key: str | Callable[[Any], Any],
        *,
        window: Duration = 86400,
        in_doubt: InDoubt = "bury",
        name: str | None = None,
    ) -> Any:
        """A decorator for a handler whose effect is not to be had twice: `@member.on("order.placed")`, below it `@member.once_per("order")`.

        For each handler and key there is a guard in Redis: that the handler began is written before it runs, that it is through right after it
        returned. An entry whose key was done already, by another delivery or by another entry, is not handled again: what the handler returned then
        is given back (None where that was no JSON, or more than 10 000 bytes of it), as the reply or to the next step of a pipe.

        key       a field of the data, or a function of the message
        window    seconds for which a key is remembered (default: a day)
        in_doubt  what becomes of an entry whose handler began and left no word (its process was killed, it was cancelled, or its lease was lost and
                  it still runs): nobody knows whether its effect was had. "bury" it (the default; redrive it when you have looked), "run" it again,
                  or "skip" it
        name      the handler's name in its guards (default: the function's own). Another name is another handler, which begins anew; handlers that
                  are given one name share their guards

        One that raises may be tried again: its guard is taken back. While an entry is being handled, others with its key wait. It costs two round
        trips for each entry, one for those that are done already.
        """
        if not callable(key) and not (isinstance(key, str) and key):
            raise TypeError(f"key must be the name of a field or a function of the message, not {key!r}")
        if in_doubt not in IN_DOUBT:
            raise ValueError(f"in_doubt must be one of {', '.join(map(repr, IN_DOUBT))}, not {in_doubt!r}")
        if name is not None:
            checked(name, "name of once_per")
        if self._hand.settings.ack != "auto":
            raise ValueError(f"once_per needs a member with ack='auto', not {self._hand.settings.ack!r}")
        length = checked_window(window)

        def guard(function: Any) -> Any:
            self._check_guarded(function)
            made = Guard(self._named(function, name), key, length, in_doubt)
            handler: Any = (guarded_asyncio if self._is_asyncio else guarded)(function, made)
            handler.takes_one = True  # `on_batch` refuses it
            return handler

        guard.needs_a_handler = True  # type: ignore[attr-defined]  # `on` refuses it
        return guard

    def _check_guarded(self: Any, function: Any) -> None:
        """Refuse what cannot be guarded."""
        if not callable(function) or getattr(function, "needs_a_handler", False) is True:
            raise TypeError(f'once_per guards a function, not {function!r}: write @member.once_per("field") above it')
        if not self._is_asyncio and inspect.iscoroutinefunction(function):
            raise TypeError(f"{function!r} is a coroutine function, and this member belongs to a blocking client: use a plain `def`")
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{function!r} is a generator function (it has a yield): what it does is not done when it returns")
        for emitter in self._relatives():
            events = [event for event in [*emitter.event_names()] if function in emitter.listeners(event)]
            if events:
                raise TypeError(f"{function!r} listens to {events[0]!r} already, unguarded: write once_per below on, next to the function")

    def _named(self, function: Any, name: str | None) -> str:
        """The handler's name in its guards. Two functions that happen to have one name would skip what the other has done."""
        found = getattr(function, "__name__", None) if name is None else name
        if not found:
            raise TypeError(f"{function!r} has no name of its own, which its guards need: give once_per(..., name=...)")
        known: dict[str, tuple[Any, bool]] = self.__dict__.setdefault("_guarded", {})
        other, was_given = known.setdefault(found, (function, name is not None))
        if other != function and not (was_given and name is not None):
            raise ValueError(f"another handler that is guarded here has the name {found!r}, too: give once_per(..., name=...)")
        return str(found)


def checked_window(window: Duration) -> float:
    """The window in seconds, more than 0."""
    least: Any = timedelta(0) if isinstance(window, timedelta) else 0
    if isinstance(window, (int, float, timedelta)) and not isinstance(window, bool) and window <= least:
        raise ValueError(f"window must be more than 0 seconds, not {window!r}")
    return seconds(window, "window")


def guarded(function: Listener, guard: Guard) -> Listener:
    """The handler behind its guard."""

    @functools.wraps(function)
    def handler(message: Any) -> Any:
        key = guard.key_of(message)
        run = message._hand.driver.run
        goes, result = run(guard.beginning(message, key))
        if not goes:
            return result
        was_denied = is_denied(message)
        try:
            result = function(message)
            refuse_awaitable(result, function)
        except Exception:
            run(guard.failing(message, key))
            raise
        run(guard.ending(message, key, result, is_denied(message) and not was_denied))
        return result

    return handler


def guarded_asyncio(function: Listener, guard: Guard) -> Listener:
    """As `guarded`, awaited."""

    @functools.wraps(function)
    async def handler(message: Any) -> Any:
        key = guard.key_of(message)
        run = message._hand.driver.run
        goes, result = await run(guard.beginning(message, key))
        if not goes:
            return result
        was_denied = is_denied(message)
        try:
            result = await finished(function(message), function)
            refuse_generator(result, function)
        except Exception:
            await run(guard.failing(message, key))
            raise
        await run(guard.ending(message, key, result, is_denied(message) and not was_denied))
        return result

    return handler
