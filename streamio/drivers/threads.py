"""Daemon threads for handlers and a pool's members: a process may end while one of them runs, which `concurrent.futures` does not let it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Any


def in_thread(name: str, function: Callable[[], Any]) -> Future[Any]:
    """A future of what the function comes to."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    Thread(target=run, name=name, daemon=True).start()
    return future


class Pool:
    """Up to `most` threads, started as they are needed, for work that never raises."""

    def __init__(self, most: int, name: str) -> None:
        self.most, self.name = most, name
        self.work: SimpleQueue[tuple[Callable[[Any], None], Any] | None] = SimpleQueue()
        self.threads: list[Thread] = []

    def submit(self, function: Callable[[Any], None], argument: Any) -> None:
        """Run this in one of the threads."""
        self.work.put((function, argument))
        if len(self.threads) < self.most:
            thread = Thread(target=self.run, name=f"{self.name}_{len(self.threads)}", daemon=True)
            self.threads.append(thread)
            thread.start()

    def run(self) -> None:
        """A thread's life."""
        while (item := self.work.get()) is not None:
            function, argument = item
            del item
            function(argument)
            del function, argument  # an idle thread keeps no message alive

    def close(self) -> None:
        """Let each thread end when it is through with what it does."""
        for _ in self.threads:
            self.work.put(None)
