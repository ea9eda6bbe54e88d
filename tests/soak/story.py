"""Runs made by hand, for tests of the checker."""

from __future__ import annotations

from .checker import check
from .records import Fault, Life, Run, Sample, Start

MOMENTS = [step / 20 for step in range(400)]  # twenty seconds, twenty samples in each


class Story:
    """A run that is told: two members with room for 1 + 8 entries each, from 0 s to 20 s, that left in order at 19 s; nothing else happened yet."""

    def __init__(self) -> None:
        self.lives: list[Life] = []
        self.published: list[tuple[float, int, str]] = []
        self.held: list[tuple[str, str, float, float]] = []  # (name, entry, from, until): pending under that name
        self.faults: list[Fault] = []
        self.life("a")
        self.life("b")

    def life(self, name: str, joined: float = 0.0) -> Life:
        """Another life, that leaves in order at 19 s."""
        life = Life(name, len(self.lives), joined=joined, asked=18.9, left=19.0, ended=19.0, code=0, memory=[(joined + 11, 1000), (18.0, 1100)])
        self.lives.append(life)
        return life

    def publish(self, entry: str, at: float = 1.0) -> str:
        """An entry, acknowledged to its producer; its number is its place."""
        self.published.append((at, len(self.published), entry))
        return entry

    def handle(self, life: int, entry: str, got: float, began: float, ended: float | None, acked: float) -> None:
        """A life had the entry from `got` until `acked`, and ran it from `began` to `ended`."""
        self.lives[life].starts.append(Start(entry, began, ended))
        self.held.append((self.lives[life].name, entry, got, acked))

    def fault(self, kind: str, start: float, end: float, life: int | None = None) -> None:
        """A fault; a killed life ends there."""
        self.faults.append(Fault(kind, start, end, life))
        if life is not None and kind in ("kill", "exit"):
            dead = self.lives[life]
            dead.asked, dead.left, dead.ended, dead.code = None, None, end, -9

    def run(self) -> Run:
        """As the checker gets it."""
        return Run(
            lives=self.lives,
            published=self.published,
            uncertain={},
            faults=self.faults,
            samples=[Sample(at, at + 0.001, self.pending(at)) for at in MOMENTS],
            stream={entry: n for _, n, entry in self.published},
            dead={},
            pending={},
            consumers=["~waiting"],
            finished=18.5,
        )

    def pending(self, at: float) -> dict[str, frozenset[str]]:
        """What is pending at this moment."""
        names = {name for name, *_ in self.held}
        return {name: frozenset(entry for who, entry, start, end in self.held if who == name and start <= at < end) for name in names}


def broken(run: Run) -> list[int]:
    """The rules that were broken."""
    return sorted({each.rule for each in check(run)})


def repeated(story: Story, freeze: tuple[float, float] | None, second: float = 4.0) -> Run:
    """Entry 2-0 runs at member a from 3 s on, and at member b at `second`; a was frozen meanwhile, or not."""
    story.publish("2-0", 3.0)
    story.handle(0, "2-0", 3.0, 3.01, 7.0, second)
    story.handle(1, "2-0", second, second, second + 0.1, second + 0.3)
    if freeze is not None:
        story.fault("stop", *freeze, life=0)
    return story.run()
