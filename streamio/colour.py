"""The client decides the colour: `operation` makes of a method that is written once, as an exchange, a blocking or an awaitable one.

`Coloured[Blocking]` and `Coloured[Asyncio]` carry the colour in the types; the two overloads of `operation.__get__` are the only place
where they part. At run time the wrong keyword is a TypeError that names the right one.

What carries messages has a second type argument, `D`: what their `data` is. It may be left out, and is Any then.
"""

from __future__ import annotations

import asyncio
import functools
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


def is_awaited(frame: FrameType) -> bool:
    """Whether the call that this frame is at is the operand of an `await`. (CPython: the next instruction tells; elsewhere never.)"""
    if asyncio._get_running_loop() is None:
        return False
    code, place = frame.f_code.co_code, frame.f_lasti + 2
    while place < len(code) and code[place] == 0:  # inline caches
        place += 2
    return place < len(code) and code[place] == GET_AWAITABLE
