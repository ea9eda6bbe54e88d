"""A real server of the benchmark's own, streams to consume, and runs of participants whose work is checked."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Set
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tests.servers import RedisServer

from .job import GROUP, KEY, Run, fields_of
from .participants import Participant

ROOT = Path(__file__).parent.parent
INSIDE = {"xclaim", "xpending", "xrange"}  # what streamio's scripts call
WRITING = {"xadd", "xack"}  # what is in the time of a script or of an EXEC where outputs are written
LIMIT = 300  # seconds that one run may take


class Arena(AbstractContextManager["Arena"]):
    """The server, and one stream on it."""

    def __init__(self) -> None:
        self.server = RedisServer("appendonly no").start()
        self.raw: Any = self.server.client(decode_responses=True)
        self.filled: tuple[str, int] | None = None

    def __exit__(self, *_: Any) -> None:
        self.server.remove()

    @property
    def port(self) -> int:
        """The server's."""
        return self.server.port

    def fill(self, entries: int, payload: str = "fields") -> None:
        """Let the stream hold so many entries, and a group that has read none of them."""
        if self.filled != (payload, entries):
            filled = f"filled:{payload}:{entries}"
            if not self.raw.exists(filled):
                self.add(entries, payload, filled)
            self.raw.copy(filled, KEY, replace=True)
            self.filled = (payload, entries)
        self.raw.xgroup_destroy(KEY, GROUP)
        self.raw.xgroup_create(KEY, GROUP, id="0")

    def add(self, entries: int, payload: str = "fields", key: str = KEY) -> None:
        """Add entries."""
        pipe = self.raw.pipeline(transaction=False)
        for n in range(entries):
            pipe.xadd(key, fields_of(payload, n))
            if len(pipe) == 1000:
                pipe.execute()
        pipe.execute()

    def run(self, participant: Participant, entries: int, payload: str) -> Run:
        """One run in a process of its own, on a group of its own. An error where not everything was read and acknowledged."""
        self.fill(entries, participant.wire or payload)
        words = [sys.executable, "-m", "benchmarks.participant", participant.name]
        words += ["--port", str(self.port), "--entries", str(entries), "--payload", payload]
        inside = INSIDE | WRITING if participant.puts_out else INSIDE
        measured, server = self.metered(lambda: subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT), inside)
        if measured.returncode:
            raise RuntimeError(f"{participant.name!r} failed:\n{measured.stderr[-3000:]}")
        self.check(participant.name, entries)
        return Run(server=server, **json.loads(measured.stdout.splitlines()[-1]))

    def metered(self, job: Callable[[], Any], inside: Set[str] = INSIDE) -> tuple[Any, float]:
        """What the job gives, and the seconds that the server worked on commands meanwhile; those `inside` of others are in the others' time."""
        self.raw.config_resetstat()
        came = job()
        spent = {name.removeprefix("cmdstat_"): facts["usec"] for name, facts in self.raw.info("commandstats").items()}
        return came, sum(usec for name, usec in spent.items() if name not in inside) / 1e6

    def check(self, name: str, entries: int) -> None:
        """Everything was read, and everything acknowledged."""
        (group,) = self.raw.xinfo_groups(KEY)
        if group["pending"] or group["entries-read"] != entries:
            raise RuntimeError(f"{name!r} left work: {group['pending']} pending, {group['entries-read']} of {entries} read")
