"""Processes beside the benchmark: each plays a role, begins when it is told to, and ends with a report."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).parent.parent
LIMIT = 120  # seconds that a role may take to end


class Child:
    """A process that plays `module:function` of `benchmarks.roles`."""

    def __init__(self, place: str, **facts: Any) -> None:
        self.place = place
        words = [sys.executable, "-m", "benchmarks.role", place, json.dumps(facts)]
        self.process = subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ready(self) -> Child:
        """Wait until it is there and waits itself."""
        if self.line() != "ready":
            raise RuntimeError(f"{self.place} was not ready")
        return self

    def line(self) -> str:
        """The next line that it says."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.place} ended without a word, with {self.process.wait(LIMIT)}")
        return line.strip()

    def say(self, word: str = "") -> None:
        """Tell it to go on."""
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def report(self) -> Any:
        """Its report, when it ends by itself."""
        report = json.loads(self.line())
        if code := self.process.wait(LIMIT):
            raise RuntimeError(f"{self.place} failed with {code}")
        return report

    def end(self) -> None:
        """Let it not outlive the benchmark, whatever happened."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


class Children(list[Child]):
    """Several, ended together."""

    def __init__(self, children: Sequence[Child] = ()) -> None:
        super().__init__(children)

    def __enter__(self) -> Children:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for child in self:
            child.end()

    def go(self) -> None:
        """Wait for all, and let all begin."""
        for child in self:
            child.ready()
        for child in self:
            child.say("go")

    def reports(self) -> list[Any]:
        """Tell all to stop; what they report."""
        for child in self:
            child.say("stop")
        return [child.report() for child in self]
