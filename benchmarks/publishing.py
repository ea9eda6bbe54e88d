"""Publishing: `publish_many` against a pipeline of redis-py, `publish` against its `xadd`, everybody in turn."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from . import apart
from .apart import Outcome
from .arena import Arena
from .job import Job
from .participants.writing import WRITTEN, fields_of
from .sections import Cell, Effort, Section, Table


@dataclass(frozen=True)
class Side:
    """Who publishes, and whom it is compared with: the place of another one, or of itself."""

    name: str
    place: str
    other: str
    payload: str = "fields"
    full: int = 60_000

    def json(self) -> Side:
        """The same with 1 KB of JSON."""
        return replace(self, payload="json", full=20_000)


PIPELINE, PIPELINE_ASYNCIO, XADD, XADD_ASYNCIO = "writing:pipeline", "writing:pipeline_asyncio", "writing:xadd", "writing:xadd_asyncio"
MANY = [
    Side("redis-py: a pipeline of 1000", PIPELINE, PIPELINE),
    Side("streamio: publish_many", "writing:many", PIPELINE),
    Side("redis-py in asyncio: a pipeline of 1000", PIPELINE_ASYNCIO, PIPELINE_ASYNCIO),
    Side("streamio in asyncio: publish_many", "writing:many_asyncio", PIPELINE_ASYNCIO),
]
ONE = [
    Side("redis-py: xadd", XADD, XADD, full=6000),
    Side("streamio: publish", "writing:single", XADD, full=6000),
    Side("redis-py in asyncio: xadd", XADD_ASYNCIO, XADD_ASYNCIO, full=6000),
    Side("streamio in asyncio: publish", "writing:single_asyncio", XADD_ASYNCIO, full=6000),
]
TABLES = {"Publishing many, four short fields": MANY, "Publishing many, 1 KB of JSON": [side.json() for side in MANY], "Publishing one by one": ONE}
COLUMNS = ["who", "entries/s", "against redis-py", "CPU µs per entry", "CPU against redis-py", "server µs per entry"]


def measure(arena: Arena, effort: Effort) -> Section:
    """All three tables."""
    tables: list[Table] = []
    figures: dict[str, float] = {}
    for title, sides in TABLES.items():
        found = apart.alternating(effort.rounds, sides, lambda side: run(arena, side, effort.entries(side.full)))
        lines = {side: Line(side, found, effort.entries(side.full)) for side in sides}
        tables.append(Table(title, COLUMNS, [line.row() for line in lines.values()]))
        for side, line in lines.items():
            figures |= {f"publishing {side.payload}: {side.name}: {what}": value for what, value in line.figures().items()}
    arena.raw.delete(WRITTEN)
    return Section(tables, figures)


def run(arena: Arena, side: Side, entries: int) -> Outcome:
    """One run. An error where the stream does not hold all, or its last entry is another one."""
    arena.raw.delete(WRITTEN)
    outcome: Outcome
    outcome, server = arena.metered(lambda: apart.run(side.place, Job(arena.port, entries, side.payload)))
    held = arena.raw.xlen(WRITTEN)
    if held != entries or outcome.gave != entries:
        raise RuntimeError(f"{side.name!r} says that it wrote {outcome.gave} of {entries}, and the stream holds {held}")
    ((_, fields),) = arena.raw.xrevrange(WRITTEN, count=1)
    if fields != fields_of(side.payload, entries - 1):
        raise RuntimeError(f"{side.name!r} wrote something else: {fields}")
    return Outcome(outcome.wall, outcome.cpu, outcome.gave, server)


class Line:
    """One side's figures."""

    def __init__(self, side: Side, found: dict[Side, list[Outcome]], entries: int) -> None:
        self.name, self.entries, self.runs = side.name, entries, found[side]
        self.other = next(runs for other, runs in found.items() if other.place == side.other)

    def per_entry(self, seconds: Sequence[float]) -> float:
        """Microseconds for each entry."""
        return statistics.median(seconds) / self.entries * 1e6

    def figures(self) -> dict[str, float]:
        """By what they tell."""
        wall, other_wall = ([outcome.wall for outcome in runs] for runs in (self.runs, self.other))
        cpu, other_cpu = ([outcome.cpu for outcome in runs] for runs in (self.runs, self.other))
        return {
            "entries/s": 1e6 / self.per_entry(wall),
            "against redis-py": apart.ratio(other_wall, wall),
            "CPU µs per entry": self.per_entry(cpu),
            "CPU against redis-py": apart.ratio(cpu, other_cpu),
            "server µs per entry": self.per_entry([outcome.server for outcome in self.runs]),
        }

    def row(self) -> list[Cell]:
        """For the table."""
        speed, faster, cpu, dearer, server = self.figures().values()
        return [self.name, speed, f"{faster:.2f} ×", f"{cpu:.1f}", f"{dearer:.2f} ×", f"{server:.2f}"]
