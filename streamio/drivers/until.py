"""`until=event`: something stops when a caller's event is set, as an AbortSignal would have it.

The helper that waits for the event (a thread, or a task) is there only while something listens.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from typing import Any, Protocol

from ..effects import Do, Exchange

LOOK = 0.1  # seconds between a thread's looks whether it is still wanted: an event cannot wake its waiters otherwise


class Flag(Protocol):
    """A `threading.Event`, an `asyncio.Event`, or what is like one (`multiprocessing.Event`)."""

    def is_set(self) -> bool:
        """Whether it is set."""
        ...

    def wait(self, *args: Any, **kwargs: Any) -> Any:
        """Wait until it is set."""
        ...


class Waiter:
    """Calls `stop` when the event is set; nothing where there is no event."""

    def __init__(self, event: Flag | None, asyncio_: bool, stop: Callable[[], None]) -> None:
        self.event: Any = event
        self.stop = stop
        self.task: asyncio.Future[Any] | None = None
        self.lock, self.over = threading.Lock(), False
        self.in_task = asyncio_ and isinstance(event, asyncio.Event)
        if event is not None and not self.in_task and (isinstance(event, asyncio.Event) or not is_event(event)):
            right = "an asyncio.Event (or a threading.Event)" if asyncio_ else "a threading.Event"
            raise TypeError(f"until must be {right}, not {event!r}")

    @property
    def is_set(self) -> bool:
        """Whether the event is set already."""
        return self.event is not None and bool(self.event.is_set())

    def begin(self) -> None:
        """Wait for the event."""
        if self.in_task:
            task = self.task = asyncio.ensure_future(self.event.wait())
            task.add_done_callback(self.came)
        elif self.event is not None:
            threading.Thread(target=self.wait, name="streamio-until", daemon=True).start()

    def came(self, task: asyncio.Future[Any]) -> None:
        """The event is set, or cannot be waited for."""
        if not task.cancelled():
            self.stop()

    def wait(self) -> None:
        """In the thread."""
        while not self.event.wait(LOOK) and not self.over:
            pass
        with self.lock:
            if not self.over:
                self.stop()

    def ending(self) -> Exchange[None]:
        """Wait no more. What the waiting raised is raised."""
        with self.lock:
            self.over = True
        task = self.task
        if task is not None:
            yield Do(lambda: self.ended(task))

    async def ended(self, task: asyncio.Future[Any]) -> None:
        """The task is gone."""
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()


def is_event(value: Any) -> bool:
    """Whether this is an event that a thread can wait for (of `threading`, or of `multiprocessing`)."""
    if isinstance(value, type) or not all(callable(getattr(value, name, None)) for name in ("is_set", "wait")):
        return False
    return not inspect.iscoroutinefunction(value.wait)
