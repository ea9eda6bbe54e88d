"""The client decides the colour: `operation` makes of a method that is written once, as an exchange, a blocking or an awaitable one.

`Coloured[Blocking]` and `Coloured[Asyncio]` carry the colour in the types; the two overloads of `operation.__get__` are the only place
where they part. At run time the wrong keyword is a TypeError that names the right one.

What carries messages has a second type argument, `D`: what their `data` is. It may be left out, and is Any then.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import opcode
import sys
from collections.abc import Callable, Coroutine
from types import FrameType, MethodType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, NoReturn, ParamSpec, TypeVar, overload

from .effects import Exchange

if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault

    D = TypeVarWithDefault("D", covariant=True, default=Any)
else:
    D = TypeVar("D", covariant=True)  # (typing_extensions takes 3 ms to import; `Coloured` sees to the default)

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", covariant=True)
X = TypeVar("X")  # D, where a constructor finds it


class Blocking:
    """The colour of what belongs to a `redis.Redis`."""


class Asyncio:
    """The colour of what belongs to a `redis.asyncio.Redis`."""


class Coloured(Generic[C]):
    """What has a driver, and so a colour."""

    _driver: Any

    if not TYPE_CHECKING:

        def __class_getitem__(cls, given: Any) -> Any:
            """`Topic[Asyncio]` at run time: what is left out is Any."""
            given = given if isinstance(given, tuple) else (given,)
            missing = len(cls.__parameters__) - len(given) if len(cls.__parameters__) == 2 else 0
            return super().__class_getitem__((*given, *[Any] * missing))

    @property
    def _is_asyncio(self) -> bool:
        return bool(self._driver.asyncio)


class operation(Generic[P, R]):
    """A method written as an exchange. On a blocking object it is called, on an asyncio one awaited."""

    def __init__(self, exchange: Callable[Concatenate[Any, P], Exchange[R]]) -> None:
        self.exchange = exchange
        self.__doc__ = exchange.__doc__
        gives = str(exchange.__annotations__.get("return", ""))
        exchange.__annotations__["return"] = gives.removeprefix("Exchange[").removesuffix("]")  # what help() and signature() tell

        @functools.wraps(exchange)
        def blocking(obj: Any, *args: Any, **kwargs: Any) -> Any:
            if is_awaited(sys._getframe(1)):
                wrong(obj, f"await ….{self.name}()", f"….{self.name}()")
            return obj._driver.run(exchange(obj, *args, **kwargs))

        @functools.wraps(exchange)
        async def awaited(obj: Any, *args: Any, **kwargs: Any) -> Any:
            return await obj._driver.run(exchange(obj, *args, **kwargs))

        self.blocking, self.awaited = blocking, awaited

    def __set_name__(self, owner: Any, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, obj: Coloured[Blocking], owner: Any = None) -> Callable[P, R]: ...
    @overload
    def __get__(self, obj: Coloured[Asyncio], owner: Any = None) -> Callable[P, Coroutine[Any, Any, R]]: ...
    def __get__(self, obj: Any, owner: Any = None) -> Any:
        if obj is None:
            return self.exchange
        return MethodType(self.awaited if obj._driver.asyncio else self.blocking, obj)


def wrong(obj: Any, used: str, right: str) -> NoReturn:
    """Raise the TypeError that names the right keyword."""
    kind = type(obj).__name__
    mine, client = ("an asyncio", "redis.Redis") if obj._driver.asyncio else ("a blocking", "redis.asyncio.Redis")
    raise TypeError(f"{kind} belongs to {mine} client: write `{right}` instead of `{used}`, or give its Topic a {client}")


GET_AWAITABLE = opcode.opmap.get("GET_AWAITABLE", -1)


JUMPS = {opcode.opmap["JUMP_FORWARD"]}  # to the end of `a if b else c`
CACHES = opcode.opmap.get("CACHE", 0)
RETURN, COPY = opcode.opmap["RETURN_VALUE"], opcode.opmap.get("COPY", -1)
NAMES = {opcode.opmap[name] for name in ("STORE_FAST", "STORE_NAME", "STORE_GLOBAL", "STORE_DEREF")}  # of `(a := b)`
SUSPENDED = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR


def is_awaited(frame: FrameType | None) -> bool:
    """Whether the call that this frame is at is the operand of an `await`. (CPython: the next instruction tells; elsewhere never.) Where a plain
    function returns it at once (`lambda: topic.publish("a")`), it is whether that one's call is."""
    if asyncio._get_running_loop() is None:
        return False
    while frame is not None:
        following = next_of(frame)
        if following != RETURN or frame.f_code.co_flags & SUSPENDED:
            return following == GET_AWAITABLE
        frame = frame.f_back
    return False


def next_of(frame: FrameType) -> int:
    """The instruction that takes the value of the call that this frame is at; -1 at the end. Names that the value gets on the way do not count."""
    code, place, copied = frame.f_code.co_code, frame.f_lasti + 2, False
    while place < len(code):
        step, argument = code[place], code[place + 1]
        place += 2
        if step in JUMPS:
            place += 2 * argument
        elif step == COPY:
            copied = True
        elif not (step == CACHES or (copied and step in NAMES)):
            return step
    return -1
