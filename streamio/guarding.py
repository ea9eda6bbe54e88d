"""`@member.once_per(key)`: handlers whose effect is outside of Redis and must not be had twice."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Literal, TypeVar, overload

from .colour import Asyncio, Blocking, C, Coloured
from .drivers.results import finished
from .effects import Exchange
from .guards import BUSY, DONE, DOUBT, begin, finish, take_back
from .ids import Duration, seconds
from .keys import side_key
from .message import Message
from .protocol.asking import call
from .protocol.notes import Effects

InDoubt = Literal["bury", "run", "skip"]
IN_DOUBT = ("bury", "run", "skip")
AGAIN = 1.0  # seconds until an entry is looked at again whose key another entry is busy with
M = TypeVar("M", bound=Message[Any])
R = TypeVar("R")


class Guard:
    """What guards one handler."""

    def __init__(self, key: str | Callable[[Any], Any], window: float, in_doubt: str) -> None:
        self.key, self.window, self.in_doubt = key, window, in_doubt

    def name(self, message: Any) -> str:
        """The Redis key of the guard for this message; an error where the message has no key."""
        found = self.key(message) if callable(self.key) else message[self.key]
        if isinstance(found, bytes):
            found = found.decode("utf-8", "backslashreplace")
        if isinstance(found, bool) or not isinstance(found, (str, int)) or found == "":
            raise ValueError(f"the key of once_per must be a str or an int and not empty, not {found!r}")
        s = message._hand.settings
        return side_key.__wrapped__(s.topic, "once", s.group, str(found))  # not from the cache: such keys are many

    def beginning(self, message: Any) -> Exchange[bool]:
        """Whether the handler is to run now; else the message is settled, or to be acknowledged."""
        runs, hand = self.in_doubt == "run", message._hand
        state = yield from call(begin(self.name(message), message.id, message.deliveries, runs, self.window))
        if state == BUSY:
            hand.park(message, min(AGAIN, hand.settings.lease), message.before)
            message._denied = hand.event("retrying", message=message, delay=AGAIN, reason="another entry with its key is being handled")
        elif state == DOUBT and self.in_doubt == "bury":
            message.bury("in doubt: an earlier delivery began and left no word")
        return state not in (DONE, BUSY, DOUBT)

    def failing(self, message: Any) -> Exchange[None]:
        """The handler raised: the guard stands no more."""
        yield from call(take_back(self.name(message), message.id))

    def settling(self, message: Any) -> Exchange[None]:
        """The handler settled the message itself, so the guard follows behind."""
        denied = hasattr(message, "_denied")
        if denied:
            yield from call(take_back(self.name(message), message.id))
        else:
            yield from call(finish(self.name(message), message.id, self.window))

    def effects(self, message: Any, result: Any) -> Effects:
        """What goes out with the acknowledgement: the guard's last word."""
        return Effects([(finish(self.name(message), message.id, self.window).words, ())], result)


class Guarding(Coloured[C]):
    """A member whose handlers may be guarded."""

    @overload
    def once_per(
        self: Coloured[Blocking], key: str | Callable[[Any], Any], *, window: Duration = 86400, in_doubt: InDoubt = "bury"
    ) -> Callable[[Callable[[M], R]], Callable[[M], R]]: ...
    @overload
    def once_per(
        self: Coloured[Asyncio], key: str | Callable[[Any], Any], *, window: Duration = 86400, in_doubt: InDoubt = "bury"
    ) -> Callable[[Callable[[M], Any]], Callable[[M], Coroutine[Any, Any, Any]]]: ...
    def once_per(self: Any, key: str | Callable[[Any], Any], *, window: Duration = 86400, in_doubt: InDoubt = "bury") -> Any:
        """A decorator for a handler whose effect is not to be had twice: `@member.on("order.placed")`, below it `@member.once_per("order")`.

        For each key there is a guard in Redis: that a handler began is written before it runs, that it is through in one step with the
        acknowledgement. An entry whose key was done already, by another delivery or by another entry, is acknowledged and not handled.

        key       a field of the data, or a function of the message
        window    seconds for which a key is remembered (default: a day)
        in_doubt  what becomes of an entry whose handler began and left no word (its process was killed, it was cancelled, its lease was lost):
                  nobody knows whether its effect was had. "bury" it (the default; redrive it when you have looked), "run" it again, or "skip" it

        One that raises may be tried again: its guard is taken back. While an entry is being handled, others with its key wait. It costs a round
        trip for each entry.
        """
        if not callable(key) and not (isinstance(key, str) and key):
            raise TypeError(f"key must be the name of a field or a function of the message, not {key!r}")
        if in_doubt not in IN_DOUBT:
            raise ValueError(f"in_doubt must be one of {', '.join(map(repr, IN_DOUBT))}, not {in_doubt!r}")
        if self._hand.settings.ack != "auto":
            raise ValueError(f"once_per needs a member with ack='auto', not {self._hand.settings.ack!r}")
        guard = Guard(key, checked_window(window), in_doubt)
        return lambda function: (guarded_asyncio if self._is_asyncio else guarded)(function, guard)


def checked_window(window: Duration) -> float:
    """The window in seconds, more than 0."""
    value = seconds(window, "window")
    if value <= 0:
        raise ValueError(f"window must be more than 0 seconds, not {window!r}")
    return value


def guarded(function: Callable[[Any], Any], guard: Guard) -> Callable[[Any], Any]:
    """The handler behind its guard."""
    if inspect.iscoroutinefunction(function):
        raise TypeError(f"{function!r} is a coroutine function, and this member belongs to a blocking client: use a plain `def`")

    @functools.wraps(function)
    def handler(message: Any) -> Any:
        driver = message._hand.driver
        if not driver.run(guard.beginning(message)):
            return None
        try:
            result = function(message)
        except Exception:
            driver.run(guard.failing(message))
            raise
        return guard.effects(message, result) if message._is_open() else driver.run(guard.settling(message))

    return handler


def guarded_asyncio(function: Callable[[Any], Any], guard: Guard) -> Callable[[Any], Any]:
    """As `guarded`, awaited."""

    @functools.wraps(function)
    async def handler(message: Any) -> Any:
        driver = message._hand.driver
        if not await driver.run(guard.beginning(message)):
            return None
        try:
            result = await finished(function(message), function)
        except Exception:
            await driver.run(guard.failing(message))
            raise
        return guard.effects(message, result) if message._is_open() else await driver.run(guard.settling(message))

    return handler
