"""A run, looked at from all sides: who started which entry when, when it was received and acknowledged, what a killed member had in hand."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from .records import WAITING, Fault, Life, Run, Sample, Start


@dataclass(frozen=True)
class Ran:
    """One start of an entry's handler, and the life it happened in."""

    start: Start
    life: Life


@dataclass(frozen=True)
class Kill:
    """A member that was killed: what was pending under its name just after, and how long each of these entries took to be through elsewhere."""

    fault: Fault
    life: Life
    held: frozenset[str]
    recovery: dict[str, float]
    repeated: int  # how many of them it had started, and somebody started again
    is_followed: bool  # whether its successor had the same name


class Evidence:
    """See the head of this file."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.moments = [sample.start for sample in run.samples]

    @cached_property
    def runs(self) -> dict[str, list[Ran]]:
        """Every entry's starts, in order."""
        found: defaultdict[str, list[Ran]] = defaultdict(list)
        for life in self.run.lives:
            for start in life.starts:
                found[start.id].append(Ran(start, life))
        return {entry: sorted(each, key=lambda ran: ran.start.at) for entry, each in found.items()}

    @cached_property
    def handled(self) -> dict[str, float]:
        """When each entry was first through."""
        ends = ((entry, [ran.start.end for ran in runs if ran.start.end is not None]) for entry, runs in self.runs.items())
        return {entry: min(found) for entry, found in ends if found}

    @cached_property
    def repeated(self) -> dict[str, list[Ran]]:
        """The entries that ran more than once without having been asked to: handlers that raised, and poison, are meant to run again."""
        counted = {entry: [ran for ran in runs if not ran.start.raised] for entry, runs in self.runs.items()}
        return {entry: runs for entry, runs in counted.items() if len(runs) > 1 and entry not in self.run.expected_dead}

    @property
    def extra(self) -> int:
        """How often an entry was started once more than needed."""
        return sum(len(runs) - 1 for runs in self.repeated.values())

    def samples_from(self, moment: float) -> Iterator[Sample]:
        """The samples begun after this moment."""
        return iter(self.run.samples[bisect_left(self.moments, moment) :])

    def received(self, ran: Ran) -> float:
        """When this life got the entry, at the earliest: the last sample without it under the life's name, before those with it."""
        entry, name = ran.start.id, ran.life.name
        began = ran.life.joined or 0.0
        earlier = [sample for sample in self.run.samples[: bisect_left(self.moments, ran.start.at)] if sample.start >= began]
        while earlier and entry not in earlier[-1].pending.get(name, ()):
            if not any(entry in sample.pending.get(name, ()) for sample in earlier[-100:]):  # it came and went between two samples
                return earlier[-1].start
            earlier.pop()
        while earlier and entry in earlier[-1].pending.get(name, ()):
            earlier.pop()
        return earlier[-1].start if earlier else began

    def acknowledged(self, entry: str) -> float | None:
        """By when the server surely had the acknowledgement; None where it is not known."""
        end = self.handled.get(entry)
        if end is None:
            return None
        return next((sample.end for sample in self.samples_from(end) if not sample.has(entry)), None)

    def successor(self, life: Life) -> Life | None:
        """The next life of the same name."""
        return next((each for each in self.run.lives[life.number + 1 :] if each.name == life.name), None)

    def after(self, life: Life, moment: float) -> Sample | None:
        """The first sample after this moment that nobody who has the life's name since can have changed."""
        sample = next(self.samples_from(moment), None)
        heir = self.successor(life)
        heir_came = None if heir is None else heir.joined if heir.joined is not None else heir.ended
        return None if sample is None or (heir_came is not None and sample.end > heir_came - 0.05) else sample

    @cached_property
    def kills(self) -> list[Kill]:
        """The members that were killed, where it is known what they had in hand."""
        found = []
        for fault in self.run.faults:
            if fault.kind in ("kill", "exit") and fault.life is not None:
                life = self.run.lives[fault.life]
                sample = self.after(life, fault.end)
                if sample is not None:
                    found.append(self.killed(fault, life, sample.pending.get(life.name, frozenset())))
        return found

    def killed(self, fault: Fault, life: Life, held: frozenset[str]) -> Kill:
        """One of them."""
        recovery = {}
        for entry in held - self.run.expected_dead.keys():
            ends = [ran.start.end for ran in self.runs.get(entry, ()) if ran.start.end is not None and ran.start.end > fault.end]
            if ends:
                recovery[entry] = min(ends) - fault.start
        own = {start.id for start in life.starts}
        again = {entry for entry in held & own if any(ran.start.at > fault.end for ran in self.runs[entry])}
        return Kill(fault, life, held, recovery, len(again - self.run.expected_dead.keys()), self.successor(life) is not None)

    def inherited(self, life: Life) -> frozenset[str]:
        """What was pending under the life's name before it joined: an earlier life's."""
        before = bisect_left(self.moments, life.joined or 0.0)
        return self.run.samples[before - 1].pending.get(life.name, frozenset()) if before else frozenset()

    @cached_property
    def undisturbed(self) -> list[tuple[Kill, float]]:
        """The recovery times that no other fault can have made longer."""
        times = [(kill, entry, seconds) for kill in self.kills for entry, seconds in kill.recovery.items()]
        free = [time for time in times if not self.was_handed_back(time[0], time[1])]
        return [(kill, seconds) for kill, entry, seconds in free if not any(self.delays(fault, kill, entry) for fault in self.run.faults)]

    def was_handed_back(self, kill: Kill, entry: str) -> bool:
        """Whether the entry waited for whoever is free on its way: whoever had taken it over was told to leave."""
        until = kill.fault.start + kill.recovery[entry]
        return any(entry in sample.pending.get(WAITING, ()) for sample in self.samples_from(kill.fault.start) if sample.start <= until)

    def delays(self, fault: Fault, kill: Kill, entry: str) -> bool:
        """Whether another fault can have made the recovery of this entry longer: one of the server, or of a member that had the entry meanwhile."""
        is_meanwhile = fault.start <= kill.fault.start + kill.recovery[entry] and fault.end >= kill.fault.start
        if fault is kill.fault or not is_meanwhile:
            return False
        return fault.life is None or fault.life in {ran.life.number for ran in self.runs[entry]} or self.had(fault, entry)

    def had(self, fault: Fault, entry: str) -> bool:
        """Whether the entry was pending under the name of the member that the fault was done to."""
        name = self.run.lives[fault.life].name if fault.life is not None else ""
        near = list(self.samples_from(fault.start - 0.2))[:1]
        return any(entry in sample.pending.get(name, ()) for sample in near)

    @cached_property
    def biggest_gap(self) -> float:
        """The longest time in which an entry waited and none was through."""
        published = {entry: at for at, _, entry in self.run.published if entry not in self.run.dead}
        through = sorted((self.handled.get(entry, self.run.finished), at) for entry, at in published.items())
        oldest = [float("inf")] * (len(through) + 1)  # of those that are not through yet
        for place in range(len(through) - 1, -1, -1):
            oldest[place] = min(oldest[place + 1], through[place][1])
        gaps = [end - max(oldest[place], through[place - 1][0] if place else 0.0) for place, (end, _) in enumerate(through)]
        return max([0.0, *gaps])

    @cached_property
    def slowest(self) -> float:
        """The longest time from an entry's publication until it was through."""
        return max([0.0, *(self.handled[entry] - at for at, _, entry in self.run.published if entry in self.handled)])
