"""One run of one participant, in a process of its own: prints its wall, its CPU and what its memory grew by, as JSON."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from .job import Job
from .participants import BY_NAME


def memory() -> float:
    """This process' memory in MB."""
    words = Path("/proc/self/status").read_text().split()
    return int(words[words.index("VmRSS:") + 1]) / 1024


def main() -> None:
    """Do the job, measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--entries", type=int, required=True)
    parser.add_argument("--payload", default="fields")
    options = parser.parse_args()
    participant, job = BY_NAME[options.name].found(), Job(options.port, options.entries, options.payload)
    before, began, cpu = memory(), time.perf_counter(), time.process_time()
    over = participant(job) or time.perf_counter()
    print(json.dumps({"wall": over - began, "cpu": time.process_time() - cpu, "memory": memory() - before}))


if __name__ == "__main__":
    main()
