"""Two flavours of pyee's EventEmitter: `Handlers` for entries by type, `Lifecycle` for what happens to a member.

1. A type may be a pattern: `order.*` matches every type that begins with `order.`; `*` matches all. (`fnmatch` signs `?` and `[` are plain.)
2. No name is special: `error` and `new_listener` are types like others, so that no producer can do harm by writing them.
3. A `once` listener stays until its entry succeeded; `settled()` then removes it.
4. What listeners return is kept by whoever calls them: `listeners_of` gives the functions, in order.
5. A type has either listeners, which are called with one entry, or one batch handler, which is called with many. Where their patterns overlap, the
   listeners win; of several batch handlers the first does, the group's before the member's.
6. What stands around handlers (`arounds`) is entered before them and left after them, the group's first. (`drivers.scopes`)
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from inspect import iscoroutinefunction
from threading import RLock
from typing import Any
from weakref import WeakSet

from pyee import EventEmitter

from .logbook import MEMBER as log
from .logbook import about_event
from .reports import EVENTS, Event
from .watching import present

Listener = Callable[..., Any]
MOST_TYPES = 1000  # producers choose types: what is remembered of them is bounded


class Once:
    """A listener for one entry: while it is busy with one, others do not get it; it leaves when that one succeeded."""

    def __init__(self, function: Listener) -> None:
        self.function, self.entry = function, ""
        self.gone = False  # its entry succeeded

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def take(self, entry: str) -> bool:
        """Whether it is this entry's."""
        if self.gone:
            return False
        if not self.entry:
            self.entry = entry
        return self.entry == entry


class Batched:
    """A batch handler: called with up to `size` entries, no later than `wait` seconds after the first of them was gathered."""

    def __init__(self, function: Listener, size: int, wait: float) -> None:
        self.function, self.size, self.wait = function, size, wait


class Handlers(EventEmitter):
    """Listeners for entries by type. `above` is an emitter whose listeners come first (a group, to its members)."""

    def __init__(self, above: Handlers | None = None) -> None:
        super().__init__()
        self._lock: Any = RLock()  # looking a type up takes the lock again
        self.above = above
        self.table: dict[str, Listener] = {}
        self.batches: dict[str, Batched] = {}
        self.arounds: dict[Listener, Listener] = {}  # what was added, and what gives its context manager
        self.batch_arounds: dict[Listener, Listener] = {}
        self.scoped: tuple[Listener, ...] | None = None  # what stands around listeners, here and above, as it was looked up
        self.gatherers: dict[str, Batched | None] = {}  # by type, as they were looked up
        self.found: dict[str, tuple[Listener, ...]] = {}  # likewise
        self.family: WeakSet[Handlers] = WeakSet() if above is None else above.family
        self.family.add(self)

    def _add_event_handler(self, event: str, k: Listener, v: Listener) -> None:
        self._check(event, k)
        if any(event in each.batches for each in self._relatives()):
            raise ValueError(f"{event!r} has a batch handler: a type has either listeners or a batch handler")
        with self._lock:
            self._events.setdefault(event, OrderedDict())[k] = v
        self._forget()

    def _add_batch_handler(self, event: str, batched: Batched) -> None:
        self._check(event, batched.function)
        for each in self._relatives():
            if event in each.batches or event in each._events:
                kind = "a batch handler" if event in each.batches else "listeners"
                raise ValueError(f"{event!r} has {kind} already: a type has either listeners or one batch handler")
        self.batches[event] = batched
        self._forget()

    def _relatives(self) -> list[Handlers]:
        """Those who have listeners for the same entries: a member and its group, a group and all its members."""
        return present(self.family) if self.above is None else [self, self.above]

    def _check(self, event: str, function: Listener) -> None:
        """Refuse what cannot be a listener."""
        if not isinstance(event, str):
            raise TypeError(f"the type to listen to must be a str, not {event!r}")
        if not callable(function):
            raise TypeError(f"the listener for {event!r} must be callable, not {function!r}")

    def once(self, event: str, f: Any = None) -> Any:
        """As `on`, for one entry: the listener is removed when that entry succeeded."""

        def add(function: Listener) -> Listener:
            self._add_event_handler(event, function, Once(function))
            return function

        return add if f is None else add(f)

    def remove_listener(self, event: str, f: Listener) -> None:
        """Remove the listener; a KeyError where it does not listen to this type. Entries that wait for a retry find it gone, too."""
        with self._lock:
            if event in self.batches and self.batches[event].function == f:
                del self.batches[event]
                return self._forget()
            listeners = self._events.get(event)
            if listeners is None or listeners.pop(f, None) is None:
                raise KeyError(f"{f!r} does not listen to {event!r}")
            if not listeners:
                del self._events[event]
        self._forget()

    def remove_all_listeners(self, event: str | None = None) -> None:
        """Remove all listeners, or all of one type."""
        with self._lock:
            for found in (self._events, self.batches):
                found.clear() if event is None else found.pop(event, None)
        self._forget()

    def listeners(self, event: str) -> list[Listener]:
        """The functions that were added for exactly this type or pattern, here."""
        return [*super().listeners(event), *([self.batches[event].function] if event in self.batches else [])]

    def event_names(self) -> set[str]:
        """The types and patterns that anything listens to, here."""
        return {*self._events, *self.batches}

    def emit(self, event: str, *args: Any, **kwargs: Any) -> bool:
        """Call the listeners of a type here and now; whether there were any. Nothing is read or acknowledged: this is for tests."""
        found, batched = self.listeners_of(event), self.batch_of(event)
        for listener in found:
            listener(*args, **kwargs)
        if batched is not None:
            batched.function([*args], **kwargs)
        return bool(found or batched)

    def any_listener(self) -> bool:
        """Whether anything listens, here or above."""
        return bool(self._events or self.batches) or (self.above is not None and self.above.any_listener())

    def remove_around(self, f: Listener) -> None:
        """Remove what `around` or `around_batch` added; a KeyError where it stands around nothing here."""
        if f not in self.arounds and f not in self.batch_arounds:
            raise KeyError(f"{f!r} does not stand around handlers here")
        self.arounds.pop(f, None)
        self.batch_arounds.pop(f, None)
        self._forget()

    def scopes(self) -> tuple[Listener, ...]:
        """What gives the context managers that stand around listeners, the outermost first."""
        found = self.scoped
        if found is None:
            found = self.scoped = (*(self.above.scopes() if self.above is not None else ()), *self.arounds.values())
        return found

    def batch_scopes(self) -> tuple[Listener, ...]:
        """The same around batch handlers."""
        return (*(self.above.batch_scopes() if self.above is not None else ()), *self.batch_arounds.values())

    def most_gathered(self) -> int:
        """The size of the greatest batch, here or above; 0 where there is no batch handler."""
        above = self.above.most_gathered() if self.above is not None else 0
        return max([above, *(batched.size for batched in [*self.batches.values()])])

    def batch_of(self, type: str) -> Batched | None:
        """The batch handler that an entry of this type is for, remembered in `gatherers`; None where there is none, or where listeners want it."""
        known = self.gatherers
        try:
            return known[type]
        except KeyError:
            found = None if self.listeners_of(type) else self._batch_matching(type)
        if len(known) >= MOST_TYPES:
            known.clear()
        known[type] = found
        return found

    def listeners_of(self, type: str) -> tuple[Listener, ...]:
        """The listeners that an entry of this type is for, in the order in which they run."""
        known = self.found  # where listeners change meanwhile, there is a new one
        found = known.get(type)
        if found is None:
            if len(known) >= MOST_TYPES:
                known.clear()
            found = known[type] = tuple(self._matching(type))
        return found

    def caller_of(self, type: str) -> Listener | None:
        """One function that calls all listeners of this type, remembered in `table`; None where there are none, or where some are `once`."""
        known, listeners = self.table, self.listeners_of(type)
        if not listeners or any(isinstance(each, Once) for each in listeners):
            return None
        if len(known) >= MOST_TYPES:
            known.clear()
        found = known[type] = listeners[0] if len(listeners) == 1 and not self.scopes() else self.join(listeners)
        return found

    def join(self, listeners: tuple[Listener, ...]) -> Listener:
        """One function for several listeners, within what stands around them; how they are called depends on the colour."""
        raise NotImplementedError

    def listeners_for(self, type: str, entry: str) -> tuple[Listener, ...]:
        """As `listeners_of`, without the `once` listeners that are busy with another entry."""
        if type in self.table:  # none of them is `once`
            return self.listeners_of(type)
        with self._lock:
            return tuple(each for each in self.listeners_of(type) if not isinstance(each, Once) or each.take(entry))

    def over(self, listeners: tuple[Listener, ...], entry: str, succeeded: bool) -> None:
        """The entry is done: its `once` listeners leave where it succeeded, and are free for another where it failed."""
        for once in [each for each in listeners if isinstance(each, Once) and each.entry == entry]:
            if succeeded:
                once.gone = True
                self._remove_once(once)
            once.entry = ""

    def _remove_once(self, once: Once) -> None:
        for emitter in (self, self.above):
            if emitter is not None:
                emitter._remove_value(once)

    def _remove_value(self, once: Once) -> None:
        with self._lock:
            for event, key in [(event, key) for event, found in self._events.items() for key, value in found.items() if value is once]:
                del self._events[event][key]
                if not self._events[event]:
                    del self._events[event]
        self._forget()

    def _matching(self, type: str) -> Iterable[Listener]:
        if self.above is not None:
            yield from self.above._matching(type)
        with self._lock:
            found = [listener for event, listeners in self._events.items() if matches(event, type) for listener in listeners.values()]
        yield from found

    def _batch_matching(self, type: str) -> Batched | None:
        above = self.above._batch_matching(type) if self.above is not None else None
        found = (batched for event, batched in [*self.batches.items()] if matches(event, type))
        return above if above is not None else next(found, None)

    def _forget(self) -> None:
        """Listeners changed: what was looked up before holds no more, here and below."""
        for emitter in present(self.family):
            emitter._look_again()

    def _look_again(self) -> None:
        self.table, self.found, self.gatherers, self.scoped = {}, {}, {}, None


def matches(event: str, type: str) -> bool:
    """Whether a listener of `event` is for entries of this type."""
    if "*" not in event:
        return event == type
    first, *rest = event.split("*")
    if not type.startswith(first):
        return False
    place = len(first)
    for part in rest[:-1]:
        place = type.find(part, place)
        if place < 0:
            return False
        place += len(part)
    return type.endswith(rest[-1]) and len(type) - len(rest[-1]) >= place


class Lifecycle(EventEmitter):
    """A member's own events (`EVENTS`), apart from entry types. A listener that raises is logged and harms nothing.

    On an asyncio member a listener may be a coroutine function; `start` is what runs what it returned.
    """

    def __init__(self, start: Callable[[Any], None] | None = None) -> None:
        super().__init__()
        self.start = start
        self._onlookers: tuple[Callable[[Event], None], ...] = ()
        self.watched = False  # whether anything wants `started` or `succeeded`, which come once for each entry

    def _add_event_handler(self, event: str, k: Listener, v: Listener) -> None:
        if event not in EVENTS:
            raise ValueError(f"{event!r} is no lifecycle event; there are {', '.join(sorted(EVENTS))}")
        if not callable(k):
            raise TypeError(f"the listener for {event!r} must be callable, not {k!r}")
        if self.start is None and iscoroutinefunction(k):
            raise TypeError(f"{k!r} is a coroutine function, and this member belongs to a blocking client: use a plain `def`")
        with self._lock:
            self._events.setdefault(event, OrderedDict())[k] = v
        self.watched = self.watched or event in ("started", "succeeded")

    @property
    def onlookers(self) -> tuple[Callable[[Event], None], ...]:
        """Who is told of every event without listening: of those for each entry where somebody listens, or where an onlooker says `entries`."""
        return self._onlookers

    @onlookers.setter
    def onlookers(self, onlookers: tuple[Callable[[Event], None], ...]) -> None:
        """These are told from now on."""
        self._onlookers = onlookers
        self.watched = self.watched or any(getattr(each, "entries", False) for each in onlookers)

    def tell(self, event: Event) -> None:
        """Call the event's listeners."""
        for look in self._onlookers:
            look(event)
        self.emit(event.name, event)

    def _emit_run(self, f: Listener, args: Any, kwargs: Any) -> None:
        try:
            result = f(*args, **kwargs)
            if self.start is not None and hasattr(result, "__await__"):
                self.start(result)
        except Exception:
            event = next((each for each in args if isinstance(each, Event)), None)
            log.exception("a lifecycle listener for %r raised", event and event.name, extra=about_event(event) if event else None)

    def _emit_handle_potential_error(self, event: str, error: Any) -> None:
        """An `error` that nobody listens to is logged, not raised; where an onlooker logs them, by that one."""
        if event == "error" and not any(getattr(each, "logs", False) for each in self._onlookers):
            log.error("%s: %s (%s)", error.member, error.error, error.reason, extra=about_event(error))
