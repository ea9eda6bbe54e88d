"""A function in a process of its own, measured, and several of them in turn: `python -m benchmarks.apart module:function JOB`."""

from __future__ import annotations

import importlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from .job import Job

ROOT = Path(__file__).parent.parent
LIMIT = 120  # seconds that one may take
S = TypeVar("S", bound=Hashable)


@dataclass(frozen=True)
class Outcome:
    """Seconds of wall and of the process' CPU from call to return, what the function gave, and, where it was metered, the server's seconds."""

    wall: float
    cpu: float
    gave: Any
    server: float = 0.0


def started(place: str, job: Job) -> subprocess.Popen[str]:
    """The process that runs `module:function`, of the participants, with this job."""
    words = [sys.executable, "-m", "benchmarks.apart", place, json.dumps(asdict(job))]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str], place: str) -> Outcome:
    """What came of it, when it is through. An error where it failed or took too long."""
    try:
        said, wrong = process.communicate(timeout=LIMIT)
    finally:
        process.kill()  # harmless where it has ended
    if process.returncode:
        raise RuntimeError(f"{place} failed:\n{wrong[-3000:]}")
    return Outcome(**json.loads(said.splitlines()[-1]))


def run(place: str, job: Job) -> Outcome:
    """One run, from start to end."""
    return ended(started(place, job), place)


def alternating(rounds: int, sides: Sequence[S], job: Callable[[S], Outcome]) -> dict[S, list[Outcome]]:
    """What each side's runs came to, round by round: everybody in turn, every other round backwards. One round more than is counted comes first."""
    found: dict[S, list[Outcome]] = {side: [] for side in sides}
    for number in range(rounds + 1):
        for side in reversed(sides) if number % 2 else sides:
            outcome = job(side)
            if number:
                found[side].append(outcome)
    return found


def ratio(mine: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of what mine is to theirs, round by round."""
    return statistics.median(a / b for a, b in zip(mine, theirs, strict=True))


def main() -> None:
    """Call the function, measured."""
    place, job = sys.argv[1], Job(**json.loads(sys.argv[2]))
    module, name = place.split(":")
    function = getattr(importlib.import_module(f"benchmarks.participants.{module}"), name)
    began, cpu = time.perf_counter(), time.process_time()
    gave = function(job)
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    print(json.dumps({"wall": wall, "cpu": cpu, "gave": gave}))


if __name__ == "__main__":
    main()
