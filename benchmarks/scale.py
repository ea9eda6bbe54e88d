"""How the cost grows with the backlog and with the members: over few and very many entries, memory over a million, members in processes."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from typing import Any

from .arena import LIMIT, ROOT, Arena
from .children import Child, Children
from .job import GROUP, KEY
from .participants import BY_NAME, YARDSTICK
from .sections import Cell, Effort, Section, Table
from .streams import add, fresh, is_done

MOST = 1_000_000
WAITING = [10_000, 100_000, 1_000_000]
SHARED = 200_000
TEAMS = [1, 2, 4]
HAND, OURS = YARDSTICK["blocking"], "streamio: on(type, handler)"
NAMES = ["hardly any", "few", "many", "very many"]  # entries waiting: a hundred, and the three of `WAITING`
ROUNDS = 3  # at most: a round over a million entries takes seconds


def measure(arena: Arena, effort: Effort) -> Section:
    """Backlogs, memory and teams."""
    parts = [backlogs(arena, effort), growth(arena, effort), teams(arena, effort)]
    arena.raw.delete(KEY)
    arena.filled = None
    return Section([table for part in parts for table in part.tables], {name: value for part in parts for name, value in part.figures.items()})


# -- backlogs ----------------------------------------------------------------------------------------------------------------------


def backlogs(arena: Arena, effort: Effort) -> Section:
    """The whole job over each backlog, in turn with the loop by hand over the same entries."""
    most = effort.entries(MOST)
    sizes = [100, *(effort.entries(size) for size in WAITING)]
    arena.raw.delete(KEY)
    starts = {most: "0"} | marks(arena, most, sizes)
    walls: dict[tuple[int, str], list[float]] = {(size, name): [] for size in sizes for name in (HAND, OURS)}
    for _ in range(min(effort.rounds, ROUNDS)):
        for size, name in walls:
            walls[size, name].append(one_job(arena, name, size, starts[size]))
    return backlogs_section(sizes, walls)


def marks(arena: Arena, most: int, sizes: list[int]) -> dict[int, str]:
    """Add the entries once; behind which id so many of them wait."""
    found, added = {}, 0
    for size in sorted(set(sizes) - {most}, reverse=True):
        found[size] = add(arena.raw, most - size - added)[-1]
        added = most - size
    add(arena.raw, most - added)
    return found


def one_job(arena: Arena, name: str, entries: int, start: str) -> float:
    """Seconds of one participant over the entries behind an id."""
    arena.raw.xgroup_destroy(KEY, GROUP)
    arena.raw.xgroup_create(KEY, GROUP, id=start)
    words = [sys.executable, "-m", "benchmarks.participant", BY_NAME[name].name, "--port", str(arena.port), "--entries", str(entries)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT)
    if done.returncode or not is_done(arena.raw):
        raise RuntimeError(f"{name!r} over {entries} entries failed:\n{done.stderr[-3000:]}")
    wall: float = json.loads(done.stdout.splitlines()[-1])["wall"]
    return wall


def backlogs_section(sizes: list[int], walls: dict[tuple[int, str], list[float]]) -> Section:
    """A row for each backlog. The first is so small that its time is that of the start."""
    rows: list[list[Cell]] = []
    figures: dict[str, float] = {}
    least = sizes[0]
    begins = {name: statistics.median(walls[least, name]) for name in (HAND, OURS)}
    for size, name in zip(sizes, NAMES, strict=True):
        ours, hand = (statistics.median(walls[size, who]) for who in (OURS, HAND))
        ratio = statistics.median(theirs / mine for mine, theirs in zip(walls[size, OURS], walls[size, HAND], strict=True))
        beyond = (ours - begins[OURS]) / (size - least) * 1e6 if size > least else 0.0
        rows.append([f"{size:,}", ours * 1000, size / ours, size / hand, f"{ratio:.2f} ×", f"{beyond:.2f}" if beyond else ""])
        figures[f"{name} waiting: entries/s"] = size / ours
        figures[f"{name} waiting: against by hand"] = ratio
        if beyond:
            figures[f"{name} waiting: µs per entry beyond the start"] = beyond
    figures["a start and a hundred entries: ms"] = begins[OURS] * 1000
    figures["µs per entry beyond the start, very many waiting against many"] = (
        figures["very many waiting: µs per entry beyond the start"] / figures["many waiting: µs per entry beyond the start"]
    )
    columns = ["entries waiting", "ms in all", "entries/s", "by hand, entries/s", "against by hand", "µs per entry beyond the start"]
    note = "One process from connecting to its end, one stream, the group set so that so many wait. By hand: COUNT 1000, one XACK per batch."
    return Section([Table("Backlogs", columns, rows, note)], figures)


# -- memory ------------------------------------------------------------------------------------------------------------------------


def growth(arena: Arena, effort: Effort) -> Section:
    """The memory of one member's process over all entries of the stream."""
    entries = effort.entries(MOST)
    rows: list[list[Cell]] = []
    figures: dict[str, float] = {}
    for colour in ("blocking", "asyncio"):
        arena.raw.xgroup_setid(KEY, GROUP, id="0")
        with Children([Child("growing:on", port=arena.port, entries=entries, asyncio=colour == "asyncio")]) as children:
            found = children[0].report()
        if not is_done(arena.raw):
            raise RuntimeError(f"{colour}: entries were left")
        points = found["points"]
        grown = max(*points, found["after"]) - found["before"]
        rows.append([colour, found["before"], points[0], points[len(points) // 2], points[-1], found["after"], grown, points[-1] - points[0]])
        figures[f"memory over very many entries, {colour}: MB grown"] = grown
        figures[f"memory over very many entries, {colour}: MB grown after the first tenth"] = max(points) - points[0]
    columns = [f"{entries:,} entries", "before", "at 1/10", "at 6/10", "at the last", "after", "most grown", "from 1/10 on"]
    return Section([Table("Memory of one member's process, MB", columns, rows, "Resident memory; before: connected to nothing yet.")], figures)


# -- teams -------------------------------------------------------------------------------------------------------------------------


def teams(arena: Arena, effort: Effort) -> Section:
    """One, two and four members in processes of their own over one backlog, in turn with as many loops by hand."""
    entries = effort.entries(SHARED)
    speeds: dict[tuple[int, str], list[float]] = {(size, role): [] for size in TEAMS for role in ("sharing:by_hand", "sharing:on")}
    for _ in range(min(effort.rounds, ROUNDS)):
        for size, role in speeds:
            speeds[size, role].append(entries / together(arena, size, role, entries))
    rows: list[list[Cell]] = []
    figures: dict[str, float] = {}
    for size in TEAMS:
        hand, ours = (statistics.median(speeds[size, role]) for role in ("sharing:by_hand", "sharing:on"))
        alone = statistics.median(speeds[1, "sharing:on"])
        rows.append([f"{size} in processes of their own", ours, hand, f"{ours / hand:.2f} ×", f"{ours / alone:.2f} ×"])
        figures |= {
            f"{size} members: entries/s together": ours,
            f"{size} members: against by hand": ours / hand,
            f"{size} members: against one": ours / alone,
        }
    note = f"{entries:,} entries waiting, 2 cores that the members share with the server; each entry was handled exactly once."
    return Section([Table("Members", ["members", "entries/s together", "by hand, entries/s", "against by hand", "against one"], rows, note)], figures)


def together(arena: Arena, size: int, role: str, entries: int) -> float:
    """Seconds from the word to begin until the last entry was handled, by all of them."""
    fresh(arena.raw, entries)
    with Children([Child(role, port=arena.port, name=f"member-{n}") for n in range(size)]) as children:
        children.go()
        began = time.monotonic()
        until_done(arena)
        reports = children.reports()
    checked_once(reports, entries)
    last: float = max(report["last"] for report in reports)
    return last - began


def until_done(arena: Arena, limit: float = 60) -> None:
    """Wait until all is read and acknowledged."""
    end = time.monotonic() + limit
    while not is_done(arena.raw):
        if time.monotonic() > end:
            raise RuntimeError(f"not done within {limit} s")
        time.sleep(0.02)


def checked_once(reports: list[dict[str, Any]], entries: int) -> None:
    """Each entry was handled by one of them, once."""
    seen = [order for report in reports for order in report["orders"]]
    if len(seen) != entries or len(set(seen)) != entries:
        raise RuntimeError(f"{len(seen)} handled, {len(set(seen))} different ones, of {entries}")
