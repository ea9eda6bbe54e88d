"""From publishing to the first line of the handler, on an idle stream: against a raw blocked XREADGROUP, everybody in turn."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from functools import partial

from . import apart
from .apart import Outcome
from .arena import Arena
from .job import GROUP, KEY, Job
from .sections import Cell, Effort, Section, Table

RAW = {"blocking": "a raw blocked XREADGROUP", "asyncio": "a raw blocked XREADGROUP in asyncio"}
PLACES = {
    RAW["blocking"]: ("blocking", "arriving:raw"),
    "streamio: on(type, handler)": ("blocking", "arriving:on"),
    "streamio: for message in member": ("blocking", "arriving:loop"),
    RAW["asyncio"]: ("asyncio", "arriving:raw_asyncio"),
    "streamio: on(type, coroutine)": ("asyncio", "arriving:on_asyncio"),
}
PACES = {
    "one at a time": (
        "sending:one_by_one",
        500,
        "The next entry is published when the reader waits again, 2 ms after the one before at the soonest.",
    ),
    "1000/s": ("sending:evenly", 800, "Evenly spaced, whether the reader waits or not."),
}
WARMING = 100  # first entries that are not counted


def measure(arena: Arena, effort: Effort) -> Section:
    """Both paces."""
    tables: list[Table] = []
    figures: dict[str, float] = {}
    for pace, (publisher, full, note) in PACES.items():
        entries = effort.entries(full) + WARMING
        found = apart.alternating(effort.rounds, list(PLACES), partial(run, arena, publisher, entries))
        rows = [row_of(name, found) for name in PLACES]
        tables.append(Table(f"Published to handler started, {pace}", COLUMNS, rows, f"{effort.rounds} × {entries - WARMING} entries each. {note}"))
        figures |= figures_of(pace, found)
    return Section(tables, figures)


def run(arena: Arena, publisher: str, entries: int, name: str) -> Outcome:
    """One run: a reader and a publisher in processes of their own. An error where not everything came, or was acknowledged."""
    arena.raw.delete(KEY)
    arena.filled = None
    arena.raw.xgroup_create(KEY, GROUP, id="0", mkstream=True)
    job, place = Job(arena.port, entries, "fields"), PLACES[name][1]
    reader = apart.started(place, job)
    try:
        apart.run(publisher, job)
    except BaseException:
        if reader.poll() is not None:
            apart.ended(reader, place)  # raises what the reader failed with
        reader.kill()
        raise
    outcome = apart.ended(reader, place)
    arena.check(name, entries)
    if len(outcome.gave) != entries:
        raise RuntimeError(f"{name!r} handled {len(outcome.gave)} of {entries}")
    return outcome


COLUMNS = ["who", "p50 µs", "p99 µs", "p50 against raw", "p99 against raw", "CPU µs per entry"]


def percentile(outcome: Outcome, percent: int) -> float:
    """Microseconds, of the entries after the first ones."""
    took: list[int] = outcome.gave[WARMING:]
    found: float = statistics.quantiles(took, n=100, method="inclusive")[percent - 1]
    return found / 1000


def both(runs: Sequence[Outcome]) -> list[list[float]]:
    """p50 and p99, round by round."""
    return [[percentile(outcome, percent) for outcome in runs] for percent in (50, 99)]


def cpu(runs: Sequence[Outcome]) -> float:
    """Microseconds of the reader's CPU for each entry, its start included."""
    return statistics.median(outcome.cpu / len(outcome.gave) for outcome in runs) * 1e6


def row_of(name: str, found: dict[str, list[Outcome]]) -> list[Cell]:
    """One row."""
    mine, raw = both(found[name]), both(found[RAW[PLACES[name][0]]])
    ratios = [f"{apart.ratio(a, b):.2f} ×" for a, b in zip(mine, raw, strict=True)]
    return [name, *(f"{statistics.median(each):.0f}" for each in mine), *ratios, f"{cpu(found[name]):.0f}"]


def figures_of(pace: str, found: dict[str, list[Outcome]]) -> dict[str, float]:
    """Each against the raw reader of its colour."""
    figures = {}
    for name, runs in found.items():
        for which, mine, raw in zip(("p50", "p99"), both(runs), both(found[RAW[PLACES[name][0]]]), strict=True):
            figures[f"{pace}: {name}: {which} µs"] = statistics.median(mine)
            figures[f"{pace}: {name}: {which} against raw"] = apart.ratio(mine, raw)
        figures[f"{pace}: {name}: CPU µs per entry"] = cpu(runs)
    return figures
