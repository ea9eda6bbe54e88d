"""What it costs to take over what a dead member left: by how much that is, while new entries keep flowing, and beside much that the living have."""

from __future__ import annotations

import statistics
import time
from typing import Any

from .arena import Arena
from .children import Child, Children
from .job import GROUP, KEY
from .scale import until_done
from .sections import Cell, Effort, Section, Table
from .streams import fresh, last_id, left_pending, spent

LEFT = {"few": 100, "many": 10_000, "very many": 100_000}
LIVING = 100_000  # entries in a living consumer's hand
LEASE, CLAIM_INTERVAL, RATE = 1.0, 0.5, 1000.0
ROUNDS = {"few": 3, "many": 3, "very many": 1}  # at most
LIVING_LEASE = 2.0
AFTERWARDS = 3.0  # seconds to look at what looking costs
LIMIT = 120  # seconds
SCRIPTS = ("evalsha", "eval", "xinfo|consumers")  # looking, taking over, and counting what starts


def measure(arena: Arena, effort: Effort) -> Section:
    """Few and very many of a dead one's; and a few of them beside very many of a living one's."""
    rows: list[list[Cell]] = []
    figures: dict[str, float] = {}
    for name, full in LEFT.items():
        entries = effort.entries(full)
        runs = [recovered(arena, entries) for _ in range(min(effort.rounds, ROUNDS[name]))]
        middle = {fact: statistics.median(run[fact] for run in runs) for fact in runs[0]}
        rows.append([f"{entries:,}", *(middle[fact] for fact in SHOWN)])
        figures |= {f"{name} left: {fact}": value for fact, value in middle.items()}
    figures["very many left against many: µs each"] = figures["very many left: µs each"] / figures["many left: µs each"]
    note = f"From when they may be taken until all are acknowledged. {RATE:.0f} new/s meanwhile. Lease {LEASE} s, a look each {CLAIM_INTERVAL} s."
    tables = [Table("A dead member's entries, handled by a living one", ["entries left", *SHOWN], rows, note)]
    beside, more = beside_living(arena, effort)
    arena.raw.delete(KEY)
    arena.filled = None
    return Section([*tables, beside], figures | more)


SHOWN = ["s in all", "entries/s", "µs each", "CPU µs each", "server µs each", "by hand, µs each", "new ones handled", "delay ms", "worst delay ms"]


def recovered(arena: Arena, entries: int) -> dict[str, float]:
    """One run: the dead one's entries are taken over while new ones are published."""
    fresh(arena.raw, entries)
    with Children([heir_of(arena, LEASE), Child("recovering:publish", port=arena.port, rate=RATE)]) as children:
        may, last = left(arena, children, entries, LEASE)
        server = taken_over(arena, children[0], may, last)
        took = time.monotonic() - may
        children[1].say("stop")
        news = children[1].report()
        until_done(arena)
        heir = stopped(children[0])
    checked(heir, entries)
    if heir["all news"] != news["count"]:
        raise RuntimeError(f"{heir['all news']} of {news['count']} new entries were handled")
    by = [took, entries / took, took / entries * 1e6, heir["cpu"] / entries * 1e6, server / entries, by_hand(arena, entries) / entries * 1e6]
    return dict(zip(SHOWN, [*by, heir["news"], heir["median"] * 1000, heir["worst"] * 1000], strict=True))


def heir_of(arena: Arena, lease: float) -> Child:
    """The member that takes over."""
    return Child("recovering:on", port=arena.port, name="heir", lease=lease, claim_interval=CLAIM_INTERVAL)


def left(arena: Arena, children: Children, entries: int, lease: float) -> tuple[float, str]:
    """All are there; so many entries are read by one that is silent from now on. When they may be taken, and the last id."""
    for child in children:
        child.ready()
    may, last = time.monotonic() + lease, last_id(arena.raw)
    left_pending(arena.raw, "dead", entries)
    for child in children:
        child.say("go")
    return may, last


def taken_over(arena: Arena, heir: Child, may: float, last: str) -> float:
    """Wait until the dead one's entries were all acknowledged; the microseconds of the server's scripts meanwhile."""
    time.sleep(max(0.0, may - time.monotonic()))
    heir.say(repr(may))
    arena.raw.config_resetstat()
    while any(arena.raw.xpending_range(KEY, GROUP, "-", last, 1, name) for name in ("dead", "~waiting", "heir")):
        if time.monotonic() > may + LIMIT:
            raise RuntimeError(f"not taken over within {LIMIT} s")
        time.sleep(0.005)
    found = spent(arena.raw, *SCRIPTS)
    heir.say("done")
    return found


def stopped(heir: Child) -> dict[str, Any]:
    """Stop it; its report."""
    heir.say("stop")
    report: dict[str, Any] = heir.report()
    return report


def checked(heir: dict[str, Any], entries: int) -> None:
    """Each of the dead one's entries was handled once."""
    if len(heir["orders"]) != entries or len(set(heir["orders"])) != entries:
        raise RuntimeError(f"{len(heir['orders'])} handled, {len(set(heir['orders']))} different ones, of {entries}")


def by_hand(arena: Arena, entries: int) -> float:
    """Seconds of a loop of XAUTOCLAIM and XACK, which counts, checks and renews nothing, over the same."""
    fresh(arena.raw, entries)
    left_pending(arena.raw, "dead", entries)
    may = time.monotonic() + LEASE
    with Children([Child("recovering:by_hand", port=arena.port, name="heir", lease=LEASE)]) as children:
        children[0].ready()
        time.sleep(max(0.0, may + 0.01 - time.monotonic()))
        children[0].say("go")
        found = children[0].report()
    checked(found, entries)
    took: float = found["wall"]
    return took


# -- beside a living one -----------------------------------------------------------------------------------------------------------


def beside_living(arena: Arena, effort: Effort) -> tuple[Table, dict[str, float]]:
    """A few of a dead one's, beside few and very many that a living one has and renews."""
    few, many = LEFT["few"], effort.entries(LIVING)
    rows: list[list[Cell]] = []
    figures: dict[str, float] = {}
    for name, living in (("few", few), ("very many", many)):
        runs = [once_beside(arena, few, living) for _ in range(min(effort.rounds, 2))]
        middle = [statistics.median(run[i] for run in runs) for i in range(3)]
        rows.append([f"{living:,}", *middle])
        figures[f"few left beside {name} of the living: s"] = middle[0]
        figures[f"few left beside {name} of the living: server µs each"] = middle[1]
        figures[f"few left beside {name} of the living: server µs per s afterwards"] = middle[2]
    dear = figures["few left beside very many of the living: server µs each"] / figures["few left beside few of the living: server µs each"]
    figures["server µs each, beside very many of the living against few"] = dear
    columns = ["entries that a living one has", "s until taken over", "server µs each", "server µs per s afterwards"]
    note = f"{few} of a dead member; lease {LIVING_LEASE} s, claim_interval {CLAIM_INTERVAL} s. The living one's renewals are not counted."
    return Table("A dead member's entries beside a living one's", columns, rows, note), figures


def once_beside(arena: Arena, entries: int, living: int) -> tuple[float, float, float]:
    """Seconds until taken over, the server's microseconds for each, and its microseconds per second for looking afterwards."""
    fresh(arena.raw, living + entries)
    renewer = Child("recovering:renew", port=arena.port, name="living", entries=living, lease=LIVING_LEASE)
    with Children([heir_of(arena, LIVING_LEASE), renewer]) as children:
        may, last = left(arena, Children(children[::-1]), entries, LIVING_LEASE)
        server = taken_over(arena, children[0], may, last)
        took = time.monotonic() - may
        arena.raw.config_resetstat()
        time.sleep(AFTERWARDS)
        afterwards = spent(arena.raw, *SCRIPTS) / AFTERWARDS
        heir = stopped(children[0])
        children[1].say("stop")
        children[1].report()
    checked(heir, entries)
    return took, server / entries, afterwards
