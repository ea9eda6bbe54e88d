"""Requests: round trips of `topic.request` against XADD and XREAD BLOCK by hand, each with the same two who answer; and very many at once."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Sequence
from typing import NamedTuple

from . import apart
from .apart import Outcome
from .arena import Arena
from .job import GROUP, KEY, Job
from .participants.asking import ANSWERS
from .sections import Cell, Effort, Section, Table

TRIPS, WARMING, AT_ONCE = 400, 50, 1000
PATIENCE = 30  # seconds that whoever answers has to begin
ANSWERERS = {"a member": "answering:member", "a raw loop": "answering:raw"}
ASKERS = {
    "by hand: XADD, XREAD BLOCK": ("blocking", "asking:by_hand"),
    "streamio: topic.request": ("blocking", "asking:request"),
    "by hand in asyncio: XADD, XREAD BLOCK": ("asyncio", "asking:by_hand_asyncio"),
    "streamio in asyncio: topic.request": ("asyncio", "asking:request_asyncio"),
}
BY_HAND = {colour: name for name, (colour, _) in ASKERS.items() if name.startswith("by hand")}
CROWDS = {"streamio: 1000 threads": "asking:many", "streamio in asyncio: 1000 tasks": "asking:many_asyncio"}
COLUMNS = ["who asks", "who answers", "p50 µs", "p99 µs", "p50 against by hand", "p99 against by hand", "CPU µs of who asks"]


class Pair(NamedTuple):
    """Who asks, and who answers."""

    asker: str
    answerer: str

    @property
    def by_hand(self) -> Pair:
        """The same answerer, asked by hand in the same colour."""
        return Pair(BY_HAND[ASKERS[self.asker][0]], self.answerer)


def measure(arena: Arena, effort: Effort) -> Section:
    """One after the other, and all at once."""
    trips = effort.entries(TRIPS) + WARMING
    pairs = [Pair(asker, answerer) for answerer in ANSWERERS for asker in ASKERS]
    found = apart.alternating(effort.rounds, pairs, lambda pair: run(arena, ASKERS[pair.asker][1], ANSWERERS[pair.answerer], trips))
    crowds = apart.alternating(effort.rounds, list(CROWDS), lambda name: run(arena, CROWDS[name], ANSWERERS["a member"], AT_ONCE))
    arena.raw.delete(ANSWERS)
    trips_table = Table(
        "Requests, one after the other", COLUMNS, [row(pair, found) for pair in pairs], "The answerers are blocking and the same for all."
    )
    return Section([trips_table, crowd_table(crowds)], figures(found) | crowd_figures(crowds))


def run(arena: Arena, asker: str, answerer: str, requests: int) -> Outcome:
    """One run: who asks and who answers in processes of their own. An error where not every answer came, and for whom it was."""
    arena.raw.delete(KEY, ANSWERS)
    arena.filled = None
    arena.raw.xgroup_create(KEY, GROUP, id="0", mkstream=True)
    job = Job(arena.port, requests, "fields")
    process = apart.started(answerer, job)
    try:
        wait(arena, process)
        outcome = apart.run(asker, job)
    except BaseException:
        if process.poll() is not None:
            apart.ended(process, answerer)  # raises what it failed with
        process.kill()
        raise
    apart.ended(process, answerer)
    arena.check(f"{asker} and {answerer}", requests)
    return outcome


def wait(arena: Arena, process: subprocess.Popen[str]) -> None:
    """Until whoever answers waits for requests."""
    end = time.monotonic() + PATIENCE
    while not arena.raw.info("clients")["blocked_clients"]:
        if process.poll() is not None or time.monotonic() > end:
            raise TimeoutError("nobody waits for requests")
        time.sleep(0.005)


def percentiles(runs: Sequence[Outcome]) -> list[list[float]]:
    """p50 and p99 in microseconds, round by round, of the trips after the first ones."""
    cut = [statistics.quantiles(outcome.gave[WARMING:], n=100, method="inclusive") for outcome in runs]
    return [[each[percent - 1] / 1000 for each in cut] for percent in (50, 99)]


def cpu(runs: Sequence[Outcome]) -> float:
    """Microseconds of the asker's CPU for each request, its start included."""
    return statistics.median(outcome.cpu / len(outcome.gave) for outcome in runs) * 1e6


def row(pair: Pair, found: dict[Pair, list[Outcome]]) -> list[Cell]:
    """One row."""
    mine, theirs = percentiles(found[pair]), percentiles(found[pair.by_hand])
    ratios = [f"{apart.ratio(a, b):.2f} ×" for a, b in zip(mine, theirs, strict=True)]
    return [*pair, *(f"{statistics.median(each):.0f}" for each in mine), *ratios, f"{cpu(found[pair]):.0f}"]


def figures(found: dict[Pair, list[Outcome]]) -> dict[str, float]:
    """Each against the pair by hand of its colour and its answerer."""
    said = {}
    for pair, runs in found.items():
        name = f"{pair.asker}, answered by {pair.answerer}"
        for which, mine, theirs in zip(("p50", "p99"), percentiles(runs), percentiles(found[pair.by_hand]), strict=True):
            said[f"{name}: {which} µs"] = statistics.median(mine)
            said[f"{name}: {which} against by hand"] = apart.ratio(mine, theirs)
        said[f"{name}: CPU µs per request"] = cpu(runs)
    return said


def crowd_table(found: dict[str, list[Outcome]]) -> Table:
    """What came of very many at once."""
    rows: list[list[Cell]] = [[name, *median_of(runs)] for name, runs in found.items()]
    return Table(f"{AT_ONCE} requests at once", ["who asks", "answered, each with its own", "seconds", "connections, at most"], rows)


def median_of(runs: Sequence[Outcome]) -> tuple[int, float, int]:
    """The fewest that were answered in a run, the median of the seconds, and the most connections."""
    gave = [outcome.gave for outcome in runs]
    seconds = statistics.median(each["seconds"] for each in gave)
    return min(each["answered"] for each in gave), seconds, max(each["connections"] for each in gave)


def crowd_figures(found: dict[str, list[Outcome]]) -> dict[str, float]:
    """The same, for goals."""
    said: dict[str, float] = {}
    for name, runs in found.items():
        answered, seconds, connections = median_of(runs)
        said |= {f"{name}: answered": answered, f"{name}: seconds": seconds, f"{name}: connections": connections}
    return said
