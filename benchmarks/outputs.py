"""What an output for each entry costs: pipes and replies against the same handler without output, everybody in turn, in one run."""

from __future__ import annotations

from typing import Any

from .arena import Arena
from .job import OUT
from .participants import OUTPUTS, PLAIN, Participant
from .sections import Cell, Effort, Section, Table
from .throughput import Runs

ENTRIES = 100_000
COLUMNS = ["who", "entries/s", "against plain handling", "CPU µs per entry", "server µs per entry"]
NOTE = "An entry of four short fields goes out for each that comes in, in one step with its acknowledgement; a reply has its correlation id besides."


def measure(arena: Arena, effort: Effort) -> Section:
    """Both colours."""
    entries = effort.entries(ENTRIES)
    found = {each.name: Runs(each, entries) for each in OUTPUTS}
    for number in range(effort.rounds + 1):
        for runs in found.values():
            run = produced(arena, runs.participant, entries)
            if number:
                runs.runs.append(run)
    arena.raw.delete(OUT)
    return Section([Table("One output for each entry", COLUMNS, rows(found), NOTE)], figures(found))


def produced(arena: Arena, participant: Participant, entries: int) -> Any:
    """One run. An error where not all outputs are there, or one of them twice."""
    arena.raw.delete(OUT)
    run = arena.run(participant, entries, "fields")
    wanted = entries if participant.puts_out else 0
    orders = {fields["order_id"] for fields in everything(arena.raw)}
    if arena.raw.xlen(OUT) != wanted or len(orders) != wanted:
        raise RuntimeError(f"{participant.name!r} wrote {arena.raw.xlen(OUT)} outputs for {len(orders)} orders, and there were {wanted}")
    return run


def everything(raw: Any) -> Any:
    """The fields of every output."""
    start = "-"
    while page := raw.xrange(OUT, start, "+", 10_000):
        yield from (fields for _, fields in page)
        start = f"({page[-1][0]}"


def rows(found: dict[str, Runs]) -> list[list[Cell]]:
    """A row for each."""
    return [
        [name, runs.speed, f"{runs.against(found[PLAIN[runs.participant.colour]]):.2f} ×", f"{runs.cpu:.1f}", f"{runs.server:.2f}"]
        for name, runs in found.items()
    ]


def figures(found: dict[str, Runs]) -> dict[str, float]:
    """Each against plain handling in its colour."""
    figures = {}
    for name, runs in found.items():
        figures[f"{name}: entries/s"] = runs.speed
        figures[f"{name}: CPU µs per entry"] = runs.cpu
        figures[f"{name}: server µs per entry"] = runs.server
        figures[f"{name}: against plain"] = runs.against(found[PLAIN[runs.participant.colour]])
    return figures
