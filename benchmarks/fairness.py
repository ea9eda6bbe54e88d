"""Whether members share the work: what each gets of few entries, what each holds of very many, and what is read ahead for fast and slow handlers."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

from .arena import Arena
from .children import Child, Children
from .job import GROUP, KEY
from .scale import checked_once, until_done
from .sections import Cell, Effort, Section, Table
from .streams import fresh

MEMBERS, SLOW = 4, 0.02  # seconds that a handler takes
FEW, DEEP = 400, 100_000
WHO = ["the least", "", "", "the most"]
SAMPLING = 4.0  # seconds to look at who holds how much
PHASES = [(1e-5, 1.5), (1e-3, 3.0), (0.05, 4.0), (1e-5, 1.5)]  # seconds that the handler takes, and for how long
DEPTH = 400_000
SPEEDS = ["10 µs", "1 ms", "50 ms", "10 µs again"]


def measure(arena: Arena, effort: Effort) -> Section:
    """Shares, hoards and the prefetch."""
    parts = [shares(arena, effort), hoards(arena, effort), prefetch(arena, effort)]
    arena.raw.delete(KEY)
    arena.filled = None
    return Section([table for part in parts for table in part.tables], {name: value for part in parts for name, value in part.figures.items()})


def team(arena: Arena) -> Children:
    """Four members in processes of their own."""
    return Children([Child("sharing:on", port=arena.port, name=f"member-{n}", seconds=SLOW) for n in range(MEMBERS)])


def shares(arena: Arena, effort: Effort) -> Section:
    """What each of four members gets of few entries."""
    runs = [shared(arena) for _ in range(effort.rounds)]
    even = FEW / MEMBERS
    slowest, wall = statistics.median(run[0] for run in runs), statistics.median(run[1] for run in runs)
    rows: list[list[Cell]] = [[f"{number + 1}", *run[2], f"{run[0] / even:.2f}", run[1]] for number, run in enumerate(runs)]
    columns = ["round", *WHO, "least, of even", "s in all"]
    note = f"{FEW} entries waiting, handlers of {SLOW * 1000:.0f} ms, a process for each member; at best {even * SLOW:.1f} s."
    worst = min(run[0] for run in runs)
    figures = {
        "least share, of even": slowest / even,
        "least share of all rounds, of even": worst / even,
        "s in all against the best": wall / (even * SLOW),
    }
    return Section([Table("Entries that each member handled", columns, rows, note)], figures)


def shared(arena: Arena) -> tuple[int, float, list[int]]:
    """The least that a member got, seconds in all, and what each got."""
    fresh(arena.raw, FEW)
    with team(arena) as children:
        children.go()
        began = time.monotonic()
        until_done(arena)
        reports = children.reports()
    checked_once(reports, FEW)
    counts = [report["count"] for report in reports]
    return min(counts), max(report["last"] for report in reports) - began, sorted(counts)


def hoards(arena: Arena, effort: Effort) -> Section:
    """How much each of four members holds of very many entries, sampled on the server."""
    entries = effort.entries(DEEP)
    fresh(arena.raw, entries)
    held: dict[str, list[int]] = {}
    with team(arena) as children:
        children.go()
        end = time.monotonic() + SAMPLING
        while time.monotonic() < end:
            for each in arena.raw.xinfo_consumers(KEY, GROUP):
                held.setdefault(each["name"], []).append(each["pending"])
            time.sleep(0.02)
        reports = children.reports()
    counts = [report["count"] for report in reports]
    members = [f"member-{n}" for n in range(MEMBERS)]
    rows: list[list[Cell]] = [[name, statistics.mean(held[name]), max(held[name]), count] for name, count in zip(members, counts, strict=True)]
    note = f"{entries:,} entries waiting, handlers of {SLOW * 1000:.0f} ms, {SAMPLING:.0f} s. Pending: what runs, too, and what is not told."
    figures = {
        "most entries that one member held": max(max(held[name]) for name in members),
        "entries that a member held, mean": statistics.mean(statistics.mean(held[name]) for name in members),
        "a deep backlog: least share, of even": min(counts) / (sum(counts) / MEMBERS),
    }
    return Section([Table("Entries that each member held", ["member", "mean", "most", "handled"], rows, note)], figures)


def prefetch(arena: Arena, effort: Effort) -> Section:
    """How much one member has in hand while its handler's speed changes."""
    fresh(arena.raw, DEPTH)
    with Children([Child("fair:on", port=arena.port, name="one", phases=PHASES, every=0.01)]) as children:
        children.go()
        pending = sampled(arena, children[0], sum(seconds for _, seconds in PHASES))
        found = children[0].report()
    rows: list[list[Cell]] = []
    figures: dict[str, float] = {}
    for name, (takes, seconds), phase in zip(SPEEDS, PHASES, found, strict=True):
        there = [(at - phase["began"], count) for at, count in pending if 0 <= at - phase["began"] < seconds]
        inside, outside = Settled(phase["samples"], seconds), Settled(there, seconds)
        ideal = min(1000, max(1, int(0.1 / takes)))
        rows.append([name, ideal, inside.median, inside.most, outside.median, outside.most, inside.adapted, phase["handled"]])
        figures |= {f"handlers of {name}: in hand": inside.median, f"handlers of {name}: most in hand": inside.most}
        figures |= {f"handlers of {name}: pending": outside.median, f"handlers of {name}: s to adapt": inside.adapted}
    columns = ["the handler takes", "100 ms are", "in hand", "most", "pending", "most pending", "s to adapt", "handled"]
    note = "One member, prefetch='auto', a deep backlog. In hand by its handler, pending by the server: medians of a phase's second half."
    return Section([Table("The prefetch follows the handler", columns, rows, note)], figures)


def sampled(arena: Arena, child: Child, seconds: float) -> list[tuple[float, int]]:
    """How many entries were pending, and when."""
    found, end = list[tuple[float, int]](), time.monotonic() + seconds
    while time.monotonic() < end and child.process.poll() is None:
        found += [(time.monotonic(), each["pending"]) for each in arena.raw.xinfo_consumers(KEY, GROUP) if each["name"] == "one"]
        time.sleep(0.01)
    return found


class Settled:
    """What there was in the second half of a phase, and how long it took to come to that."""

    def __init__(self, samples: Sequence[Sequence[float]], seconds: float) -> None:
        late = [count for since, count in samples if since >= seconds / 2]
        if not late:
            raise RuntimeError("nothing was handled in a phase")
        self.median, self.most = statistics.median(late), max(late)
        self.adapted = max((since for since, count in samples if count > 2 * self.median + 1), default=0.0)
