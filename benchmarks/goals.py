"""What is to be reached, beside what was measured."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .sections import Cell, Table, spelled

ON, CORO, FOR, AFOR = (
    f"fields: streamio: {what}" for what in ("on(type, handler)", "on(type, coroutine)", "for message in member", "async for message in member")
)
ALONE = "one at a time: streamio: "
PUT_OUT = {
    "a pipe, an output for each entry": "streamio: a pipe into a topic, run",
    "a pipe in asyncio": "streamio in asyncio: a pipe into a topic, run",
    "a reply for each entry, `reply_to=topic`": "streamio: on(type, handler), reply_to=topic",
    "a reply for each entry in asyncio": "streamio: on(type, coroutine), reply_to=topic",
}


@dataclass(frozen=True)
class Goal:
    """A figure of a section, and how great it is to be at least, or at most."""

    what: str
    section: str
    figure: str
    bound: float
    at_most: bool = False
    unit: str = " ×"

    def row(self, runs: Sequence[Mapping[str, Mapping[str, float]]]) -> list[Cell] | None:
        """The goal, what each run measured, and whether all of that reaches it; None where a run did not measure it."""
        found = [figures.get(self.section, {}).get(self.figure) for figures in runs]
        measured = [figure for figure in found if figure is not None]
        if len(measured) < len(found):
            return None
        reached = [figure <= self.bound if self.at_most else figure >= self.bound for figure in measured]
        bound = f"{'≤' if self.at_most else '≥'} {spelled(self.bound)}{self.unit}"
        return [self.what, bound, *(f"{spelled(figure)}{self.unit}" for figure in measured), "yes" if all(reached) else "no"]


GOALS = [
    Goal("blocking `on(type, handler)`, against the loop by hand", "throughput", f"{ON}: against by hand", 1.3),
    Goal("asyncio `on(type, coroutine)`, against the same", "throughput", f"{CORO}: against by hand", 1.25),
    Goal("`for`, against the same", "throughput", f"{FOR}: against by hand", 1.3),
    Goal("`async for`, against the same", "throughput", f"{AFOR}: against by hand", 1.1),
    Goal("blocking `on`, against the documented recipe", "throughput", f"{ON}: against the recipe", 30),
    Goal("asyncio `on`, against the documented recipe", "throughput", f"{CORO}: against the recipe", 30),
    Goal("asyncio `on`, against FastStream's best with a handler per message", "throughput", f"{CORO}: against FastStream's best per message", 50),
    Goal("share of the time that the server works, blocking `on`", "throughput", f"{ON}: server at work", 0.6, unit=""),
    Goal("`publish_many`, against a pipeline of 1000", "publishing", "publishing fields: streamio: publish_many: against redis-py", 1.0),
    Goal("the same in asyncio", "publishing", "publishing fields: streamio in asyncio: publish_many: against redis-py", 1.0),
    *(Goal(f"{what}, against the same without output", "outputs", f"{figure}: against plain", 0.4) for what, figure in PUT_OUT.items()),
    Goal("published to handled on an idle stream, against a raw reader: p50", "latency", f"{ALONE}on(type, handler): p50 against raw", 1.15, True),
    Goal("the same: p99", "latency", f"{ALONE}on(type, handler): p99 against raw", 1.15, True),
    Goal("the same in asyncio: p50", "latency", f"{ALONE}on(type, coroutine): p50 against raw", 1.15, True),
    Goal("the same in asyncio: p99", "latency", f"{ALONE}on(type, coroutine): p99 against raw", 1.15, True),
    Goal(
        "64 coroutines of 5 ms side by side, against plain asyncio",
        "concurrency",
        "side by side: streamio: on(type, coroutine), concurrency=64: against without Redis",
        0.95,
    ),
    Goal(
        "64 threads of 5 ms, against a plain pool",
        "concurrency",
        "side by side: streamio: on(type, handler), concurrency=64: against without Redis",
        0.95,
    ),
    Goal("400 entries, four members: the least share", "fairness", "least share, of even", 0.8, unit=" of even"),
    Goal("a deep backlog, handlers of 20 ms: most that a member holds", "fairness", "most entries that one member held", 10, True, " entries"),
    Goal("idle member: CPU", "idle", "1 idle, blocking: CPU of each, % of a core", 0.2, True, " % of a core"),
    Goal("idle member in asyncio: CPU", "idle", "1 idle, asyncio: CPU of each, % of a core", 0.2, True, " % of a core"),
    Goal(
        "50 idle members: writes in a `block`, each (looks at silent members included)", "idle", "50 idle, blocking: writes per block", 1.4, True, ""
    ),
    Goal("50 idle members: keepers woken", "idle", "50 idle, blocking: keepers woken", 0, True, ""),
    Goal("a million entries through one member: memory grown", "scale", "memory over very many entries, blocking: MB grown", 20, True, " MB"),
    Goal("the same in asyncio", "scale", "memory over very many entries, asyncio: MB grown", 20, True, " MB"),
    Goal("10⁶ entries waiting, time for each, against 10⁵", "scale", "µs per entry beyond the start, very many waiting against many", 1.25, True),
    Goal("10⁵ entries of a dead member, time for each, against 10⁴", "recovery", "very many left against many: µs each", 1.25, True),
    Goal("`import streamio`", "startup", "import streamio: ms", 150, True, " ms"),
    Goal("the same, against `import redis`, which is the greater part of it", "startup", "import streamio: against redis", 1.43, True),
]


def reached(*runs: Mapping[str, Mapping[str, float]]) -> Table:
    """The goals that all of these runs measured."""
    rows = [row for goal in GOALS if (row := goal.row(runs)) is not None]
    names = ["measured"] if len(runs) == 1 else [f"run {number}" for number in range(1, len(runs) + 1)]
    return Table("To reach", ["what", "goal", *names, "reached"], rows)


def main() -> None:
    """The goals beside the figures of one or several runs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.goals", description=main.__doc__)
    parser.add_argument("figures", type=Path, nargs="+", help="what `python -m benchmarks --json` wrote")
    files = parser.parse_args().figures
    if missing := [str(file) for file in files if not file.is_file()]:
        parser.error(f"there is no file {missing[0]!r}")
    print(reached(*(json.loads(file.read_text())["figures"] for file in files)).text())


if __name__ == "__main__":
    main()
