"""A run in figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median

from .checker import Break, bound
from .evidence import Evidence, Kill
from .records import Run


def figures(run: Run, breaks: Sequence[Break], wall: float) -> dict[str, str]:
    """What a run came to, by name."""
    evidence = Evidence(run)
    rules = Counter(each.rule for each in breaks)
    kinds = Counter([*(fault.kind for fault in run.faults), *("term" for life in run.lives if life.asked is not None and life.asked < run.finished)])
    return {
        "messages": f"{len(run.stream)} in {len(run.lives)} lives of members",
        "faults": ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "none",
        "wall": f"{wall:.1f} s",
        "lost": str(rules[2]),
        "acknowledged and missing": str(rules[1]),
        "ran twice": f"{len(evidence.repeated)} ({evidence.extra} starts; the faults account for {bound(evidence)})",
        "unexcused": str(rules[3]),
        "zombie starts": str(rules[5]),
        **put_out(run),
        "pending at end": str(sum(run.pending.values())),
        "dead letters": str(len(run.dead)),
        "biggest gap": f"{evidence.biggest_gap:.2f} s; slowest entry {evidence.slowest:.2f} s",
        "recovery": recovery(evidence),
        "repeated by one kill": repeats(evidence),
        "broken rules": ", ".join(f"{rule} ({count})" for rule, count in sorted(rules.items())) or "none",
    }


def put_out(run: Run) -> dict[str, str]:
    """What pipes wrote."""
    if run.outputs is None:
        return {}
    distinct = len(set(run.outputs))
    wanted = 2 * len(run.stream.keys() - run.dead.keys())
    return {"outputs": f"{len(run.outputs)}: {distinct} distinct of {wanted}, {len(run.outputs) - distinct} doubled"}


def recovery(evidence: Evidence) -> str:
    """Seconds from a kill to the end of each of its entries: median and longest, by whether the successor had the same name."""
    said = []
    for word, wanted in (("same name", True), ("new name", False)):
        times = [seconds for kill, seconds in evidence.undisturbed if kill.is_followed is wanted]
        if times:
            said.append(f"{word} {median(times):.2f} s, at most {max(times):.2f} s ({len(times)} entries)")
    return f"{'; '.join(said) or 'nothing to recover'} [lease + claim interval {evidence.run.lease + evidence.run.claim_interval:g} s]"


def repeats(evidence: Evidence) -> str:
    """The kill after which most ran twice, and the one that came nearest to what a member may have in hand."""
    kills = evidence.kills
    if not kills:
        return "no kills"
    worst = max(kills, key=lambda kill: kill.repeated)
    fixed = [kill for kill in kills if kill.life.most is not None]
    fullest = max((len(kill.held - evidence.inherited(kill.life)) / (kill.life.most or 1) for kill in fixed), default=0.0)
    return f"at most {worst.repeated} of {most(worst)} ({worst.life.style}); fullest hand {fullest:.0%} of concurrency + prefetch"


def most(kill: Kill) -> str:
    """What a member may have in hand."""
    return "auto" if kill.life.most is None else str(kill.life.most)


def table(rows: dict[str, str]) -> str:
    """Names and figures, a line each."""
    width = max(map(len, rows))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())
