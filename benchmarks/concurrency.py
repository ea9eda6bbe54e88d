"""64 handlers of 5 ms side by side: a member's against the same handlers without Redis, everybody in turn."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from . import apart
from .apart import Outcome
from .arena import Arena
from .job import Job
from .participants.waiting import SECONDS, SIDE_BY_SIDE
from .sections import Cell, Effort, Section, Table

FULL = 25_000
BOUND = SIDE_BY_SIDE / SECONDS  # entries a second


@dataclass(frozen=True)
class Side:
    """Who handles, and the place of what it is compared with. Without Redis it is compared with itself."""

    name: str
    place: str
    other: str

    @property
    def is_plain(self) -> bool:
        """Whether it does without Redis."""
        return self.place == self.other


SIDES = [
    Side("asyncio without Redis: 64 workers on one iterator", "waiting:plain_asyncio", "waiting:plain_asyncio"),
    Side("streamio: on(type, coroutine), concurrency=64", "waiting:on_asyncio", "waiting:plain_asyncio"),
    Side("threads without Redis: ThreadPoolExecutor(64) on one iterator", "waiting:plain", "waiting:plain"),
    Side("streamio: on(type, handler), concurrency=64", "waiting:on", "waiting:plain"),
]
COLUMNS = ["who", "entries/s", "of 64 / 5 ms", "against without Redis", "CPU µs per entry"]


def measure(arena: Arena, effort: Effort) -> Section:
    """One table."""
    entries = effort.entries(FULL)
    found = apart.alternating(effort.rounds, SIDES, lambda side: run(arena, side, entries))
    figures = {side.name: figures_of(side, found, entries) for side in SIDES}
    rows: list[list[Cell]] = [[name, speed, f"{share:.2f}", f"{ratio:.2f} ×", f"{cpu:.1f}"] for name, (speed, share, ratio, cpu) in figures.items()]
    note = f"{entries:,} entries each, from the start of the member to its end; 64 / 5 ms = {BOUND:,.0f} entries/s"
    flat = {f"side by side: {name}: {what}": value for name, values in figures.items() for what, value in zip(COLUMNS[1:], values, strict=True)}
    return Section([Table("64 handlers of 5 ms side by side", COLUMNS, rows, note)], flat)


def run(arena: Arena, side: Side, entries: int) -> Outcome:
    """One run. An error where not everything was handled or, with Redis, acknowledged."""
    if not side.is_plain:
        arena.fill(entries)
    outcome = apart.run(side.place, Job(arena.port, entries, "fields"))
    if outcome.gave != entries:
        raise RuntimeError(f"{side.name!r} handled {outcome.gave} of {entries}")
    if not side.is_plain:
        arena.check(side.name, entries)
    return outcome


def figures_of(side: Side, found: dict[Side, list[Outcome]], entries: int) -> tuple[float, float, float, float]:
    """Entries a second, their share of what is possible, how many times as fast as without Redis, and microseconds of CPU for each."""
    mine = found[side]
    other = next(runs for each, runs in found.items() if each.place == side.other)
    speed = entries / statistics.median(outcome.wall for outcome in mine)
    ratio = apart.ratio([outcome.wall for outcome in other], [outcome.wall for outcome in mine])
    return speed, speed / BOUND, ratio, statistics.median(outcome.cpu for outcome in mine) / entries * 1e6
