"""How fast a filled stream is consumed: everybody in turn, round by round, each in a process of its own; medians, and medians of ratios."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from .arena import Arena
from .job import Run
from .participants import FASTSTREAM, PARTICIPANTS, RECIPE, YARDSTICK, Participant
from .sections import Cell, Effort, Section, Table

ENTRIES = {"fields": 200_000, "json": 50_000}
TITLES = {"fields": "Four short fields", "json": "1 KB of JSON"}
PEERS = (
    "Other libraries as they come and in the best setting found. FastStream and taskiq-redis read the four fields in their own wrapping, "
    'FastStream\'s batches plain, where it is faster; its "no log" is logger=None, apply_types=False. '
    "walrus and coredis give bytes, the loops by hand str."
)


def measure(arena: Arena, effort: Effort) -> Section:
    """Throughput with both payloads."""
    tables: list[Table] = []
    figures: dict[str, float] = {}
    participants = [each for each in PARTICIPANTS if effort.peers or each.kind != "other"]
    for payload in ENTRIES:
        runs = alternating(arena, effort, payload, participants)
        tables.append(table(runs, payload))
        figures |= figures_of(runs, payload)
    return Section(tables, figures)


class Runs:
    """All runs of one participant, round by round, and how many entries each had."""

    def __init__(self, participant: Participant, entries: int) -> None:
        self.participant, self.entries = participant, entries
        self.runs: list[Run] = []

    @property
    def speed(self) -> float:
        """Entries per second."""
        return self.entries / statistics.median(run.wall for run in self.runs)

    @property
    def cpu(self) -> float:
        """Microseconds of the process' CPU for each entry."""
        return statistics.median(run.cpu for run in self.runs) / self.entries * 1e6

    @property
    def server(self) -> float:
        """Microseconds that the server worked for each entry."""
        return statistics.median(run.server for run in self.runs) / self.entries * 1e6

    @property
    def wall_share(self) -> float:
        """What part of the time the server was at work: 1 is as fast as it can."""
        return statistics.median(run.server / run.wall for run in self.runs)

    def against(self, other: Runs) -> float:
        """How many times as fast as the other."""
        return statistics.median(
            (theirs.wall / other.entries) / (ours.wall / self.entries) for ours, theirs in zip(self.runs, other.runs, strict=True)
        )


def alternating(arena: Arena, effort: Effort, payload: str, participants: Sequence[Participant] = PARTICIPANTS) -> dict[str, Runs]:
    """Everybody in turn, so that a change in the machine's speed meets them alike. One round more than is counted comes first."""
    entries = effort.entries(ENTRIES[payload])
    found = {each.name: Runs(each, max(100, int(entries * each.share))) for each in participants if payload in each.payloads}
    for number in range(effort.rounds + 1):
        for runs in found.values():
            run = arena.run(runs.participant, runs.entries, payload)
            if number:
                runs.runs.append(run)
    return found


def table(found: dict[str, Runs], payload: str) -> Table:
    """A row for each."""
    columns = ["who", "entries/s", "against the loop by hand", "CPU µs per entry", "server µs per entry", "server at work"]
    rows: list[list[Cell]] = []
    for name, runs in found.items():
        hand = found[YARDSTICK[runs.participant.colour]]
        rows.append([name, runs.speed, f"{runs.against(hand):.2f} ×", f"{runs.cpu:.1f}", f"{runs.server:.2f}", f"{runs.wall_share:.2f}"])
    peers = any(runs.participant.kind == "other" for runs in found.values())
    return Table(TITLES[payload], columns, rows, PEERS if peers else "")


def figures_of(found: dict[str, Runs], payload: str) -> dict[str, float]:
    """Each against the loop and the recipe of its colour."""
    figures = {}
    for name, runs in found.items():
        colour = runs.participant.colour
        figures[f"{payload}: {name}: entries/s"] = runs.speed
        figures[f"{payload}: {name}: CPU µs per entry"] = runs.cpu
        figures[f"{payload}: {name}: server at work"] = runs.wall_share
        figures[f"{payload}: {name}: against by hand"] = runs.against(found[YARDSTICK[colour]])
        if RECIPE[colour] in found:
            figures[f"{payload}: {name}: against the recipe"] = runs.against(found[RECIPE[colour]])
        theirs = [found[each] for each in FASTSTREAM if each in found]
        if theirs and runs.participant.kind == "ours":
            figures[f"{payload}: {name}: against FastStream's best per message"] = min(map(runs.against, theirs))
    return figures
