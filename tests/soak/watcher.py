"""Asks the server twenty times a second what is pending under whose name, through all outages."""

from __future__ import annotations

import time
from collections import defaultdict
from threading import Event, Thread
from typing import Any

import redis

from .profiles import GROUP, TOPIC
from .records import Sample

EACH = 0.05  # seconds
MOST = 20_000  # pending entries in a sample


def pending(client: Any) -> dict[str, frozenset[str]]:
    """The ids that are pending now, by name."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for row in client.xpending_range(TOPIC, GROUP, "-", "+", MOST):
        found[row["consumer"]].add(row["message_id"])
    return {name: frozenset(ids) for name, ids in found.items()}


class Watcher:
    """A thread with a client of its own."""

    def __init__(self, client: Any) -> None:
        self.client, self.samples, self.stopped = client, list[Sample](), Event()
        self.error: BaseException | None = None
        self.thread = Thread(target=self.watch)

    def __enter__(self) -> Watcher:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self.thread.join()
        self.client.close()
        if self.error is not None:
            raise self.error

    def watch(self) -> None:
        """Sample after sample. What is no outage is raised at the end."""
        while not self.stopped.wait(EACH):
            began = time.monotonic()
            try:
                now = pending(self.client)
            except (redis.ConnectionError, redis.TimeoutError):
                continue
            except BaseException as error:
                self.error = error
                return
            self.samples.append(Sample(began, time.monotonic(), now))

    def since(self, moment: float, wait: float) -> Sample | None:
        """The first sample that was begun after this moment; None where there is none within `wait` seconds."""
        end = time.monotonic() + wait
        while time.monotonic() < end:
            if self.samples and self.samples[-1].start >= moment:
                return next(sample for sample in self.samples if sample.start >= moment)
            time.sleep(0.005)
        return None
