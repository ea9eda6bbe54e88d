"""What a run must have been like: a pure function from its logs to what was broken.

1. Every publish that was acknowledged is in the stream, once; twice only where the first try was uncertain.
2. Every entry of the stream was handled to the end, or is a dead letter.
3. What ran twice did so because of a fault: one that was done to the server, or to a member that had the entry, between its receipt and its last
   start.
4. No more than the faults account for: `concurrency + prefetch` for a member that was killed or frozen for longer than its lease, the
   concurrency of all for a server that broke the connections. A killed member had no more than that in hand.
5. Nothing starts after another member's acknowledgement of it, unless it was received less than a lease before.
6. A member leaves in order when it is told to, with nothing pending under its name; and for nothing else. Where nothing but that happened, nothing
   ran twice. (Where the connection broke just before, its record and what was in a reply that was lost may stay for a while.)
7. (Order by key belongs to partitioned groups; there are none to soak.)
8. At the end nothing is pending, no consumer is listed but those killed or cut off of late, the dead letters are those that were meant, and no member
   has grown.
9. No entry waits while none is through for longer than lease + claim interval + 5 s; what a killed member had is through within lease + claim
   interval where nothing else disturbs.
10. Where members are pipes, the two outputs of every entry stand in their stream, once each; none of an entry that is a dead letter, or unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .evidence import Evidence, Ran
from .pipes import PARTS
from .records import WAITING, Fault, Life, Run

SWEPT: float | None = 3.0  # after how many leases the record of a killed member must be gone; None: it may stay
GROWTH = 1.3  # how much more memory a member may have at its end than after ten seconds
SETTLED = 10.0
PROGRESS = 5.0
SLACK = 2.0  # seconds for handlers that run, pages that wait and a machine that is busy
# seconds before and after a fault of the server in which what runs twice does so because of it
NEAR = {"server": (0.0, 2.5), "cut": (0.0, 0.1), "pause": (0.0, 0.2), "sleep": (0.0, 0.2), "stop": (0.0, 0.2), "kill": (0.0, 0.0), "exit": (0.5, 0.0)}
JUST = 0.1  # seconds after a freeze in which a handler starts that was about to when the freeze came


@dataclass(frozen=True)
class Break:
    """A rule that was broken, and how."""

    rule: int
    text: str


def check(run: Run) -> list[Break]:
    """Everything that was broken; nothing where the run was as it must be."""
    evidence = Evidence(run)
    return [Break(rule, text) for rule, find in RULES.items() for text in find(evidence)]


# -- 1, 2: nothing is lost ---------------------------------------------------------------------------------------------------------------


def unpublished(evidence: Evidence) -> Iterator[str]:
    """Rule 1."""
    run = evidence.run
    for _, n, entry in run.published:
        if run.stream.get(entry) != n:
            yield f"entry {entry} (n={n}) was acknowledged and is not in the stream"
    for n, times in Counter(run.stream.values()).items():
        if n >= 0 and times > 1 + run.uncertain.get(n, 0):
            yield f"n={n} is in the stream {times} times, and its publishing was uncertain {run.uncertain.get(n, 0)} times"


def lost(evidence: Evidence) -> Iterator[str]:
    """Rule 2."""
    for entry, n in evidence.run.stream.items():
        if entry not in evidence.handled and entry not in evidence.run.dead:
            yield f"entry {entry} (n={n}) was lost: {'started and never through' if entry in evidence.runs else 'never started'}"


# -- 3, 4, 5: what ran twice -------------------------------------------------------------------------------------------------------------


def excuses(fault: Fault, runs: list[Ran], received: float) -> bool:
    """Whether the fault may have made an entry with these runs run again."""
    before, after = NEAR[fault.kind]
    is_near = fault.start - before <= runs[-1].start.at and fault.end + after >= received
    return is_near and (fault.life is None or fault.life in {ran.life.number for ran in runs})


def unexcused(evidence: Evidence) -> Iterator[str]:
    """Rule 3."""
    for entry, runs in evidence.repeated.items():
        received = min(evidence.received(ran) for ran in runs)
        if not any(excuses(fault, runs, received) for fault in evidence.run.faults):
            lives = ", ".join(f"{ran.life.name} ({ran.life.style}) at {ran.start.at:.2f}" for ran in runs)
            yield f"entry {entry} ran {len(runs)} times without a fault: {lives}"


def share(evidence: Evidence, fault: Fault) -> int:
    """How many entries may run once more because of this fault."""
    run = evidence.run
    if fault.kind in ("server", "cut"):
        return sum(life.concurrency for life in run.lives if is_alive(life, fault))
    if fault.life is None or (fault.kind == "stop" and fault.end - fault.start < run.lease * 2 / 3):
        return 0
    most = run.lives[fault.life].most
    return in_hand(evidence, fault) if most is None else most


def is_alive(life: Life, fault: Fault) -> bool:
    """Whether the life had begun and not ended when the fault came."""
    return life.joined is not None and life.joined <= fault.end and (life.ended is None or life.ended >= fault.start)


def in_hand(evidence: Evidence, fault: Fault) -> int:
    """How many entries were pending under the name of the fault's member when it came; where that is not known, as many as it could ever read."""
    assert fault.life is not None
    sample = next(evidence.samples_from(fault.start), None)
    return 1000 if sample is None else len(sample.pending.get(evidence.run.lives[fault.life].name, ()))


def bound(evidence: Evidence) -> int:
    """How many entries may have run once more in all."""
    return sum(share(evidence, fault) for fault in evidence.run.faults)


def too_many(evidence: Evidence) -> Iterator[str]:
    """Rule 4."""
    if evidence.extra > bound(evidence):
        yield f"{evidence.extra} starts too many, and the faults account for {bound(evidence)}"
    for kill in evidence.kills:
        own = kill.held - evidence.inherited(kill.life)
        if kill.life.most is not None and len(own) > kill.life.most:
            yield f"{kill.life.name} ({kill.life.style}) had {len(own)} entries when it was killed, and may have {kill.life.most}"


def zombies(evidence: Evidence) -> Iterator[str]:
    """Rule 5."""
    spared: Counter[Fault] = Counter()
    for entry, runs in evidence.repeated.items():
        acknowledged = evidence.acknowledged(entry)
        first = min(runs, key=lambda ran: ran.start.end or float("inf"))
        for ran in runs:
            if acknowledged is None or ran.life is first.life or ran.start.at < acknowledged:
                continue
            age = ran.start.at - evidence.received(ran)
            if age >= evidence.run.lease and not is_caught(evidence.run, ran, spared):
                late = ran.start.at - acknowledged
                yield f"{ran.life.name} ({ran.life.style}) started {entry} {late:.2f} s after its acknowledgement, {age:.2f} s old"


def is_caught(run: Run, ran: Ran, spared: Counter[Fault]) -> bool:
    """Whether the freeze came between the member's look at the clock and the handler's first line: once for each handler side by side."""
    for fault in run.faults:
        if fault.kind == "stop" and fault.life == ran.life.number and 0 <= ran.start.at - fault.end <= JUST:
            spared[fault] += 1
            return spared[fault] <= ran.life.concurrency
    return False


# -- 6, 8, 9: members, what is left, progress -----------------------------------------------------------------------------------------------


def disorderly(evidence: Evidence) -> Iterator[str]:
    """Rule 6."""
    ended_by = {fault.life for fault in evidence.run.faults if fault.kind in ("kill", "exit")}
    for life in evidence.run.lives:
        if life.asked is None and life.ended is not None and life.number not in ended_by:
            yield f"{life.name} ({life.style}) ended by itself, code {life.code}: {life.said}"
        if life.asked is not None and (life.left is None or life.code != 0):
            yield f"{life.name} ({life.style}) did not leave in order, code {life.code}: {life.said}"
        if life.left is not None:
            yield from left_over(evidence, life, life.left)
    if evidence.run.only_stops and evidence.repeated:
        yield f"{len(evidence.repeated)} entries ran twice, though members only left in order"


def left_over(evidence: Evidence, life: Life, left: float) -> Iterator[str]:
    """What a member that left in order has pending."""
    sample = evidence.after(life, left)
    if sample is not None and sample.pending.get(life.name) and not is_cut_off(evidence.run, left):
        yield f"{life.name} ({life.style}) left in order and has {len(sample.pending[life.name])} entries pending"


def is_cut_off(run: Run, left: float) -> bool:
    """Whether the connections were broken when a member left."""
    return any(fault.kind in ("server", "cut") and fault.start <= left <= fault.end for fault in run.faults)


def left_at_end(evidence: Evidence) -> Iterator[str]:
    """Rule 8."""
    run = evidence.run
    for name, count in run.pending.items():
        yield f"{count} entries are pending under {name!r} at the end"
    for name in sorted(set(run.consumers) - {WAITING} - may_be_listed(run)):
        yield f"consumer {name!r} is still listed at the end"
    for entry in run.dead.keys() | run.expected_dead.keys():
        if run.dead.get(entry) != run.expected_dead.get(entry):
            yield f"entry {entry} is a dead letter for {run.dead.get(entry)!r}, and should be for {run.expected_dead.get(entry)!r}"
    for life in run.lives:
        yield from grown(life)


def may_be_listed(run: Run) -> set[str]:
    """The names of members whose last life was killed or cut off as it left, and not so long ago that their records must be gone."""
    killed = {fault.life for fault in run.faults if fault.kind in ("kill", "exit")}
    last = {life.name: life for life in run.lives}.values()
    silent = [life for life in last if life.number in killed or (life.left is not None and is_cut_off(run, life.left))]
    return {life.name for life in silent if not is_swept(run, life.ended or run.finished)}


def is_swept(run: Run, ended: float) -> bool:
    """Whether the record of a member that ended then must be gone. A server that starts again takes all members for just heard of (7.0.15)."""
    heard = max([ended, *(fault.end for fault in run.faults if fault.kind == "server")])
    return SWEPT is not None and run.finished - heard > SWEPT * run.lease + run.claim_interval


def grown(life: Life) -> Iterator[str]:
    """How a member's memory grew."""
    settled = [size for at, size in life.memory if size and life.joined is not None and at >= life.joined + SETTLED]
    if settled and settled[-1] > GROWTH * settled[0]:
        yield f"{life.name} ({life.style}) grew from {settled[0]} kB to {settled[-1]} kB"


def stuck(evidence: Evidence) -> Iterator[str]:
    """Rule 9."""
    run = evidence.run
    most = run.lease + run.claim_interval
    if evidence.biggest_gap > most + PROGRESS:
        yield f"entries waited and none was through for {evidence.biggest_gap:.1f} s"
    for kill, seconds in evidence.undisturbed:
        if seconds > most + SLACK:
            yield f"an entry of {kill.life.name} ({kill.life.style}) was through {seconds:.1f} s after it was killed"


# -- 10: what pipes put out -----------------------------------------------------------------------------------------------------------------


def misput(evidence: Evidence) -> Iterator[str]:
    """Rule 10."""
    run, found = evidence.run, Counter(evidence.run.outputs)
    if run.outputs is None:
        return
    wanted = {(entry, part) for entry in run.stream.keys() - run.dead.keys() for part in PARTS}
    for entry, part in sorted(wanted - found.keys()):
        yield f"output {part} of entry {entry} was never written"
    for (entry, part), times in found.items():
        if (entry, part) not in wanted:
            yield f"output {part} of entry {entry} was written, and that is {'a dead letter' if entry in run.dead else 'none of the stream'}"
        elif times > 1:
            lives = ", ".join(f"{ran.life.name} ({ran.life.style})" for ran in evidence.runs.get(entry, ()))
            yield f"output {part} of entry {entry} was written {times} times; it ran at {lives}"


RULES: dict[int, Callable[[Evidence], Iterator[str]]] = {
    1: unpublished,
    2: lost,
    3: unexcused,
    4: too_many,
    5: zombies,
    6: disorderly,
    8: left_at_end,
    9: stuck,
    10: misput,
}
