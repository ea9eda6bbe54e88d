"""Everything in one go, on a server of its own: `python -m benchmarks`. Prints tables, and writes them as JSON and as a picture where asked to."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from pathlib import Path

from .arena import Arena
from .sections import Effort, Section

SECTIONS = ["throughput"]


def main() -> None:
    """As the head of this file says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"all unless named: {', '.join(SECTIONS)}")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each alternating comparison")
    parser.add_argument("--scale", type=float, default=1.0, help="so many times the usual number of entries")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    options = parser.parse_args()
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"there is no section {unknown.pop()!r}; there are {', '.join(SECTIONS)}")
    measured: dict[str, Section] = {}
    with Arena() as arena:
        for name in options.sections or SECTIONS:
            began = time.monotonic()
            measured[name] = importlib.import_module(f"benchmarks.{name}").measure(arena, Effort(options.rounds, options.scale))
            print("\n\n".join(table.text() for table in measured[name].tables), flush=True)
            print(f"\n({name}: {time.monotonic() - began:.0f} s)\n", file=sys.stderr, flush=True)
    if options.json:
        options.json.write_text(json.dumps({name: section.figures for name, section in measured.items()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
