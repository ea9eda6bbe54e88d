"""Everything in one go, on a server of its own: `python -m benchmarks`. Prints tables, and writes them as JSON and as a picture where asked to."""

from __future__ import annotations

import argparse
import importlib
import json
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .arena import Arena
from .goals import reached
from .machine import installed, line, machine
from .participants import PARTICIPANTS
from .sections import Effort, Section

SECTIONS = ["throughput", "latency", "publishing", "outputs", "requests", "concurrency", "scale", "recovery", "idle", "fairness", "startup"]
INSTALL = "pip install -r benchmarks/requirements.txt"


def main() -> None:
    """As the head of this file says."""
    options = asked()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every server and every process is ended
    effort = Effort(options.rounds, options.scale, options.peers)
    with Arena() as arena:
        found = machine(arena.raw, {each.package for each in PARTICIPANTS if options.peers or each.kind != "other"})
        print(line(found), end="\n\n", flush=True)
        report = reported(found, {name: measured(name, arena, effort) for name in options.sections})
        print(reached(report["figures"]).text())
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    if options.picture:
        importlib.import_module("benchmarks.picture").draw(report, options.picture)


def asked() -> argparse.Namespace:
    """What was asked for, once everything is there that it takes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"all unless named: {', '.join(SECTIONS)}")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each alternating comparison")
    parser.add_argument("--scale", type=float, default=1.0, help="so many times the usual number of entries")
    parser.add_argument("--json", type=Path, help="write the machine, all figures and all tables to this file")
    parser.add_argument("--picture", type=Path, help="draw the throughput into this file (.svg)")
    parser.add_argument("--without-peers", dest="peers", action="store_false", help="leave out the other libraries")
    options = parser.parse_args()
    options.sections = list(dict.fromkeys(options.sections)) or SECTIONS
    if wrong := complaint(options):
        parser.error(wrong)
    return options


def complaint(options: argparse.Namespace) -> str:
    """What is in the way, if anything: said now, and not after minutes of measuring."""
    if unknown := set(options.sections) - set(SECTIONS):
        return f"there is no section {unknown.pop()!r}; there are {', '.join(SECTIONS)}"
    if options.rounds < 1 or options.scale <= 0:
        return "--rounds must be 1 or more, and --scale more than 0"
    if lost := [path for path in (options.json, options.picture) if path and not path.parent.is_dir()]:
        return f"there is no folder {str(lost[0].parent)!r}"
    if options.picture and "throughput" not in options.sections:
        return "--picture shows the section throughput, which is not among those named"
    if options.picture and not installed("matplotlib"):
        return f"--picture needs matplotlib. {INSTALL}"
    peers = {each.package for each in PARTICIPANTS if each.kind == "other"} if options.peers and "throughput" in options.sections else set()
    if missing := sorted(name for name in peers if not installed(name)):
        return f"not installed: {', '.join(missing)}. {INSTALL}; or leave the other libraries out: --without-peers"
    return ""


def measured(name: str, arena: Arena, effort: Effort) -> Section:
    """One section, printed."""
    began = time.monotonic()
    section: Section = importlib.import_module(f"benchmarks.{name}").measure(arena, effort)
    print("\n\n".join(table.text() for table in section.tables), flush=True)
    print(f"\n({name}: {time.monotonic() - began:.0f} s)\n", file=sys.stderr, flush=True)
    return section


def reported(found: dict[str, Any], sections: dict[str, Section]) -> dict[str, Any]:
    """The whole run as one JSON object."""
    figures = {name: section.figures for name, section in sections.items()}
    return {"machine": found, "figures": figures, "tables": {name: [asdict(table) for table in section.tables] for name, section in sections.items()}}


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
