"""What `import streamio` takes in a fresh process; redis-py's own import is the greater part. Bytecode is there, as after an installation."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile

from .arena import ROOT, Arena
from .sections import Effort, Section, Table

TIMES = 5  # processes of each in a round
CODE = "import time; began = time.perf_counter(); import {}; print(time.perf_counter() - began)"


def measure(arena: Arena, effort: Effort) -> Section:
    """Both imports in turn, medians."""
    found: dict[str, list[float]] = {"redis": [], "streamio": []}
    with tempfile.TemporaryDirectory() as folder:
        settings = {**os.environ, "PYTHONPYCACHEPREFIX": folder, "PYTHONDONTWRITEBYTECODE": ""}
        for number in range(effort.rounds * TIMES + 1):
            for name, taken in found.items():
                done = subprocess.run([sys.executable, "-c", CODE.format(name)], cwd=ROOT, env=settings, capture_output=True, text=True, check=True)
                if number:  # the first ones write the bytecode
                    taken.append(float(done.stdout) * 1000)
    middle = {name: statistics.median(taken) for name, taken in found.items()}
    figures = {f"import {name}: ms": taken for name, taken in middle.items()}
    figures["import streamio: against redis"] = middle["streamio"] / middle["redis"]
    return Section([Table("Start-up", ["import", "ms"], [[name, taken] for name, taken in middle.items()])], figures)
