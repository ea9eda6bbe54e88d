"""How listeners are added, typed by colour: a coroutine function cannot listen on a blocking object, for the type checkers and at run time."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, ClassVar, Generic, Protocol, TypeVar, overload

from .colour import Asyncio, Blocking, C, Coloured, D, R
from .drivers.results import called, finished, refuse_awaitable
from .drivers.scopes import scope_of, surrounded, surrounded_asyncio
from .emitter import Batched, Handlers, Listener
from .ids import Duration, seconds
from .message import Message
from .watching import Watches


class Dataclass(Protocol):
    """Any dataclass instance."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


# What a handler may return on a blocking object. Its value says nothing (returned: acknowledged), but it must not be a coroutine, and Python's
# types cannot say "anything but".
Plain = None | bool | int | float | str | bytes | Mapping[Any, Any] | Iterable[Any] | Dataclass | Message[Any]
G = TypeVar("G", bound=Plain)
# What a batch handler says is done: None or True all, False nothing, else these ids or messages.
Done = None | bool | Iterable[str | Message[Any]]
S = TypeVar("S", bound=Done)
# What stands around handlers: it gives a context manager, or has one `yield`.
Scoped = TypeVar("Scoped", bound=AbstractContextManager[Any] | Iterator[Any])
AnyScoped = TypeVar("AnyScoped", bound=AbstractContextManager[Any] | Iterator[Any] | AbstractAsyncContextManager[Any] | AsyncIterator[Any])
T = TypeVar("T", bound=Done | Awaitable[Done])


class InThread:
    """A plain function that an asyncio member calls in a thread, so that it does not hold up the event loop."""

    in_thread = True  # it goes on where it is cancelled

    def __init__(self, function: Listener) -> None:
        self.function = function

    def __call__(self, message: Message[Any]) -> Any:
        return asyncio.to_thread(self.called, message)

    def called(self, message: Message[Any]) -> Any:
        """What the function gives, in the thread: an awaitable would be awaited by nobody."""
        result = self.function(message)
        if result is not None:
            refuse_awaitable(result, self.function, "in a thread, where nothing awaits it: leave thread=True out")
        return result


class Emitting(Handlers, Coloured[C], Generic[C, D]):
    """A group or a member as an emitter: listeners are for entries by their `type`; patterns are `order.*` and `*`."""

    _watches: Watches = ()

    @overload  # type: ignore[override]
    def on(self: Emitting[Blocking, D], event: str) -> Callable[[Callable[[Message[D]], G]], Callable[[Message[D]], G]]: ...
    @overload
    def on(self: Emitting[Blocking, D], event: str, f: Callable[[Message[D]], G]) -> Callable[[Message[D]], G]: ...
    @overload
    def on(self: Emitting[Asyncio, D], event: str, *, thread: bool = False) -> Callable[[Callable[[Message[D]], R]], Callable[[Message[D]], R]]: ...
    @overload
    def on(self: Emitting[Asyncio, D], event: str, f: Callable[[Message[D]], R], *, thread: bool = False) -> Callable[[Message[D]], R]: ...
    def on(  # pyright: ignore[reportIncompatibleMethodOverride]  (pyee's `on` takes any function; by colour is narrower, on purpose)
        self, event: str, f: Any = None, *, thread: bool = False
    ) -> Any:
        """Call `f` with every message of this type; as a call, or as a decorator.

        `f` returned: the message is acknowledged, whatever the value. It raised: the message is tried again by the retry policy. Several
        listeners of one type run in the order in which they were added, the group's first; a retry runs all of them again.
        On an asyncio object `f` may be a coroutine function; a plain one runs on the event loop, or in a thread with `thread=True`.
        """

        def add(function: Any) -> Any:
            self._add_event_handler(event, function, self._threaded(function) if thread else function)
            return function

        return add if f is None else add(f)

    @overload
    def on_batch(
        self: Emitting[Blocking, D], fn: None = None, size: int = 100, wait: Duration = 1, type: str = "*"
    ) -> Callable[[Callable[[list[Message[D]]], S]], Callable[[list[Message[D]]], S]]: ...
    @overload
    def on_batch(
        self: Emitting[Blocking, D], fn: Callable[[list[Message[D]]], S], size: int = 100, wait: Duration = 1, type: str = "*"
    ) -> Callable[[list[Message[D]]], S]: ...
    @overload
    def on_batch(
        self: Emitting[Asyncio, D], fn: None = None, size: int = 100, wait: Duration = 1, type: str = "*"
    ) -> Callable[[Callable[[list[Message[D]]], T]], Callable[[list[Message[D]]], T]]: ...
    @overload
    def on_batch(
        self: Emitting[Asyncio, D], fn: Callable[[list[Message[D]]], T], size: int = 100, wait: Duration = 1, type: str = "*"
    ) -> Callable[[list[Message[D]]], T]: ...
    def on_batch(self, fn: Any = None, size: int = 100, wait: Duration = 1, type: str = "*") -> Any:
        """Call `fn` with lists of messages of this type; as a call, or as a decorator: `@member.on_batch(size=100, wait=1)`.

        A list has `size` messages, or what came within `wait` seconds after the first of them. What `fn` returns says what is done and is
        acknowledged: None or True everything, an iterable of ids or messages these, False nothing. The others failed, as all do where `fn` raises:
        each is tried again by the retry policy. What `fn` settled itself (`ack()`, `nack()`, `bury()`) keeps that verdict.

        A type has either listeners or one batch handler (`ValueError`). Where patterns overlap, the listeners of `on` get the message; of several
        batch handlers the one that was added first does, the group's before the member's. A list takes one slot of `concurrency`. On an asyncio
        object `fn` may be a coroutine function. A message on its last permitted delivery comes in a list of its own.
        """
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ValueError(f"size must be a whole number, 1 or more, not {size!r}")
        longest = seconds(wait, "wait")
        if longest <= 0:
            raise ValueError(f"wait must be more than 0 seconds, not {wait!r}")

        def add(function: Any) -> Any:
            if getattr(function, "takes_one", False) is True:
                raise TypeError(f"{function!r} is guarded by once_per, which takes one message at a time: use it with on, not with on_batch")
            self._add_batch_handler(type, Batched(function, size, longest))
            return function

        return add if fn is None else add(fn)

    @overload  # type: ignore[override]
    def once(self: Emitting[Blocking, D], event: str) -> Callable[[Callable[[Message[D]], G]], Callable[[Message[D]], G]]: ...
    @overload
    def once(self: Emitting[Blocking, D], event: str, f: Callable[[Message[D]], G]) -> Callable[[Message[D]], G]: ...
    @overload
    def once(self: Emitting[Asyncio, D], event: str) -> Callable[[Callable[[Message[D]], R]], Callable[[Message[D]], R]]: ...
    @overload
    def once(self: Emitting[Asyncio, D], event: str, f: Callable[[Message[D]], R]) -> Callable[[Message[D]], R]: ...
    def once(self, event: str, f: Any = None) -> Any:
        """As `on`, for one message: the listener is removed when that message succeeded, not before."""
        return super().once(event, f)

    @overload  # type: ignore[override]
    def add_listener(self: Emitting[Blocking, D], event: str, f: Callable[[Message[D]], G]) -> Callable[[Message[D]], G]: ...
    @overload
    def add_listener(self: Emitting[Asyncio, D], event: str, f: Callable[[Message[D]], R]) -> Callable[[Message[D]], R]: ...
    def add_listener(self, event: str, f: Any) -> Any:
        """As `on(event, f)`."""
        return super().add_listener(event, f)

    @overload
    def around(self: Emitting[Blocking, D], f: Callable[[Message[D]], Scoped]) -> Callable[[Message[D]], Scoped]: ...
    @overload
    def around(self: Emitting[Asyncio, D], f: Callable[[Message[D]], AnyScoped]) -> Callable[[Message[D]], AnyScoped]: ...
    def around(self, f: Any) -> Any:
        """Let `f` stand around each delivery: a function of the message that gives a context manager, or a generator function with one `yield`.
        As a call, or as a decorator.

        It is entered before the message's listeners (all of them in one) and left after the last: for logging, timing, sessions of a database. What
        a listener raises passes through it; what it raises itself, at either end, is a failure of the delivery, and what it swallows is success.
        The group's stand outside of the member's, the first added outside of the next. It stands around a pipe's steps and around the body of a loop,
        too, where an error of the body is not seen: a loop that is left shows as `GeneratorExit`, and what is raised at either end is raised by the
        loop (the entry is tried again). What `read()` gives, and batch handlers
        (`around_batch`), have none. In asyncio it may be an async context manager or generator; not around loops. `remove_around(f)` takes it away.
        """
        self.arounds[f] = scope_of(f, self._is_asyncio)
        self._forget()
        return f

    @overload
    def around_batch(self: Emitting[Blocking, D], f: Callable[[list[Message[D]]], Scoped]) -> Callable[[list[Message[D]]], Scoped]: ...
    @overload
    def around_batch(self: Emitting[Asyncio, D], f: Callable[[list[Message[D]]], AnyScoped]) -> Callable[[list[Message[D]]], AnyScoped]: ...
    def around_batch(self, f: Any) -> Any:
        """As `around`, for batch handlers: `f` is called with the list of messages that they are called with."""
        self.batch_arounds[f] = scope_of(f, self._is_asyncio)
        return f

    def _threaded(self, function: Listener) -> Listener:
        if not self._is_asyncio:
            raise TypeError("thread=True is for asyncio objects; on a blocking member use concurrency=n")
        if inspect.iscoroutinefunction(function):
            raise TypeError("thread=True is for plain functions: a coroutine function runs on the event loop")
        return InThread(function)

    def join(self, listeners: tuple[Listener, ...]) -> Listener:
        """One function that runs the listeners in order; the first that raises ends it."""

        def all_blocking(message: Message[Any]) -> Any:
            return called(listeners, message)

        async def all_asyncio(message: Message[Any]) -> Any:
            given = None
            for listener in listeners:
                result = listener(message)
                if result is not None:
                    result = await finished(result, listener)
                    given = given if result is None else result
            return given

        joined: Listener = all_asyncio if self._is_asyncio else all_blocking
        if len(listeners) == 1:
            joined = listeners[0]
        for scope in reversed(self.scopes()):
            joined = (surrounded_asyncio if self._is_asyncio else surrounded)(joined, scope)
        return joined

    def _check(self, event: str, function: Listener) -> None:
        super()._check(event, function)
        if getattr(function, "needs_a_handler", False) is True:
            raise TypeError(f'once_per without a key guards nothing: write @member.once_per("field") below on({event!r})')
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{function!r} is a generator function (it has a yield): as a listener its body would never run")
        called = getattr(type(function), "__call__", None)  # noqa: B004  (an object whose call is a coroutine function)
        if not self._is_asyncio and (inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)):
            raise TypeError(
                f"{function!r} is a coroutine function, and {type(self).__name__} belongs to a blocking client: "
                "use a plain `def`, or give the Topic a redis.asyncio.Redis"
            )
