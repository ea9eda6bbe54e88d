"""Member processes of one group, to be killed, frozen and stopped, and the log that they all write."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..servers import RedisServer

STYLES = ("on", "for", "on-asyncio", "for-asyncio")
ROOT = Path(__file__).parents[2]
topics = itertools.count(1)


@dataclass(frozen=True)
class Line:
    """One line of the log."""

    what: str
    time: float
    member: str
    entry: str
    number: str


class Crew:
    """The processes. `settings` are those of all members."""

    def __init__(self, server: RedisServer, folder: Path, **settings: Any) -> None:
        self.client = server.client(decode_responses=True)
        self.topic, self.log = f"crew{next(topics)}", folder / "log"
        self.settings = {"url": server.url, "topic": self.topic, "log": str(self.log), "lease": 1.0, **settings}
        self.errors = folder / "errors"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.client.xgroup_create(self.topic, "group", "0", mkstream=True)

    def start(self, style: str, id: str, **options: Any) -> None:
        """Start a member; `options` are its own."""
        settings = json.dumps({**self.settings, "style": style, "id": id, "options": options})
        with open(self.errors, "ab") as errors:
            self.processes[id] = subprocess.Popen([sys.executable, "-m", "tests.faults.member", settings], cwd=ROOT, stderr=errors)

    def ready(self, *ids: str) -> None:
        """Wait until these members are connected, as often as they were started."""
        self.until(lambda: set(ids) <= {line.member for line in self.lines("ready")})

    def send(self, number: int, *ids: str) -> None:
        """Send a signal to these members."""
        for each in ids:
            self.processes[each].send_signal(number)

    def kill(self, *ids: str) -> float:
        """SIGKILL; when that was."""
        self.send(signal.SIGKILL, *ids)
        now = time.monotonic()
        for each in ids:
            self.processes.pop(each).wait(10)
        return now

    def stop(self, *ids: str) -> list[int]:
        """SIGTERM, once they are connected; the exit codes."""
        names = ids or tuple(self.processes)
        self.ready(*names)
        self.send(signal.SIGTERM, *names)
        return [self.processes.pop(each).wait(20) for each in names]

    def publish(self, seconds: Iterable[float], type: str = "work") -> list[str]:
        """Add an entry for each of these sitting times, in one step; their ids."""
        with self.client.pipeline() as pipe:
            for n, each in enumerate(seconds):
                pipe.xadd(self.topic, {"type": type, "n": n, "seconds": each})
            return pipe.execute()

    def lines(self, *what: str) -> list[Line]:
        """The log's lines of these kinds, in the order of their writing."""
        text = self.log.read_text() if self.log.exists() else ""
        words = [line.split() for line in text.splitlines()]
        return [Line(each[0], float(each[1]), *each[2:]) for each in words if each[0] in what]

    def times(self, what: str) -> Counter[str]:
        """How often each entry began, or ended."""
        return Counter(line.entry for line in self.lines(what))

    def pending(self, member: str | None = None) -> dict[str, tuple[str, int]]:
        """What is pending: {entry: (consumer, deliveries)}."""
        rows = self.client.xpending_range(self.topic, "group", "-", "+", 10_000, member)
        return {row["message_id"]: (row["consumer"], row["times_delivered"]) for row in rows}

    def consumers(self) -> set[str]:
        """The members that the server knows."""
        return {row["name"] for row in self.client.xinfo_consumers(self.topic, "group")} - {"~waiting"}

    def ended(self) -> list[str]:
        """The members that ended by themselves since this was last asked."""
        names = [name for name, process in self.processes.items() if process.poll() is not None]
        for name in names:
            del self.processes[name]
        return names

    def until(self, holds: Callable[[], Any], timeout: float = 20, deadly: bool = False) -> Any:
        """Wait until the condition holds; no member may end by itself meanwhile, unless it is `deadly`."""
        end = time.monotonic() + timeout
        while not (found := holds()):
            dead = [] if deadly else self.ended()
            if dead:
                raise AssertionError(f"{dead} died: {self.errors.read_text()}")
            if time.monotonic() > end:
                raise AssertionError(f"did not come true within {timeout} s")
            time.sleep(0.005)
        return found

    def close(self) -> None:
        """End what still runs, and forget the topic."""
        for process in self.processes.values():
            process.kill()
            process.wait(10)
        for key in self.client.scan_iter(f"{self.topic}*"):
            self.client.delete(key)
        self.client.close()
