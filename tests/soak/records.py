"""What a soak writes down and reads back. Nothing of it is kept in Redis, so that a server that loses something cannot hide it.

A process has a log of its own: lines of a sign, the time (CLOCK_MONOTONIC, the same for all processes of a machine) and words.

    B style concurrency prefetch   the member has joined         P n id   published, and the reply came
    R id      the message came out of the library                U n      uncertain: it may be written, and is published again
    S id n    its handler starts                                 F n      refused: it is not written, and is published again
    E id n    its handler is through
    X id      its handler raises, on purpose
    V event   a lifecycle event
    Q         the member left in order

The library tells neither when the server gave out an entry nor when the server took its acknowledgement. Both are read off `Sample`s: what is
pending, under whose name, asked of the server twenty times a second. An entry was received after the last sample in which it was not pending
under the member's name yet; it is acknowledged (`A`) by the end of the first sample after an `E` in which it is not pending any more.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

WAITING = "~waiting"  # the consumer name under which entries stand that are in nobody's hand
Record = tuple[str, float, list[str]]


class Log:
    """Appends records, each by one `os.write` to an O_APPEND file: what was written before a SIGKILL is there."""

    def __init__(self, path: str | Path) -> None:
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, sign: str, *words: object) -> None:
        """Append one record."""
        text = " ".join(str(word) for word in words).replace("\n", " ")
        os.write(self.file, f"{sign} {time.monotonic():.6f} {text}\n".encode())


def records(path: Path) -> Iterator[Record]:
    """The records of a log."""
    for line in path.read_text().splitlines() if path.exists() else ():
        sign, at, *words = line.split(" ")
        yield sign, float(at), words


@dataclass
class Start:
    """A handler that ran: which entry, when it started, and when it was through (None: never)."""

    id: str
    at: float
    end: float | None = None
    raised: bool = False


@dataclass
class Life:
    """One member process from start to end. Two lives may have the same name, one after the other."""

    name: str
    number: int
    style: str = "on"
    concurrency: int = 1
    prefetch: int | None = 8  # None: "auto"
    joined: float | None = None
    left: float | None = None  # in order, by its own word
    starts: list[Start] = field(default_factory=list)
    events: list[tuple[float, str]] = field(default_factory=list)
    memory: list[tuple[float, int]] = field(default_factory=list)  # (time, resident kB)
    asked: float | None = None  # when SIGTERM was sent
    ended: float | None = None
    code: int | None = None
    said: str = ""  # on stderr, at its end

    @property
    def most(self) -> int | None:
        """How many entries it may have in hand; None where it decides by itself."""
        return None if self.prefetch is None else self.concurrency + self.prefetch


@dataclass(frozen=True)
class Fault:
    """Something done to a member (`life`: its number) or to the server (None), from `start` to `end`."""

    kind: str
    start: float
    end: float
    life: int | None = None


@dataclass(frozen=True)
class Sample:
    """What was pending under whose name, at some moment between `start` and `end`."""

    start: float
    end: float
    pending: dict[str, frozenset[str]]

    def has(self, entry: str) -> bool:
        """Whether the entry is pending under any name."""
        return any(entry in ids for ids in self.pending.values())


@dataclass
class Run:
    """All that the checker looks at."""

    lives: list[Life]
    published: list[tuple[float, int, str]]  # (time, n, id)
    uncertain: dict[int, int]  # n: how often its publishing was uncertain
    faults: list[Fault]
    samples: list[Sample]
    stream: dict[str, int]  # id: n (-1: an entry that does not decode)
    dead: dict[str, str]  # id: reason
    pending: dict[str, int]  # at the end, by name
    consumers: list[str]  # at the end
    finished: float
    lease: float = 2.0
    claim_interval: float = 1.0
    only_stops: bool = False  # nothing but clean stops was done: nothing may run twice
    expected_dead: dict[str, str] = field(default_factory=dict)
    outputs: list[tuple[str, int]] | None = None  # of pipes: (the entry that it is of, which of the two it is); None: there are none


def read_life(life: Life, path: Path) -> None:
    """Fill in what the member wrote."""
    open_starts: dict[str, Start] = {}
    for sign, at, words in records(path):
        if sign == "B":
            life.joined = at
        elif sign == "Q":
            life.left = at
        elif sign == "S":
            open_starts[words[0]] = Start(words[0], at)
            life.starts.append(open_starts[words[0]])
        elif sign == "E":
            open_starts[words[0]].end = at
        elif sign == "X":
            open_starts[words[0]].raised = True
        elif sign == "V":
            life.events.append((at, " ".join(words)))


def read_published(paths: list[Path]) -> tuple[list[tuple[float, int, str]], dict[int, int]]:
    """What the producers wrote: (time, n, id) each, and how often an n was uncertain."""
    published: list[tuple[float, int, str]] = []
    uncertain: dict[int, int] = {}
    for path in paths:
        for sign, at, words in records(path):
            if sign == "P":
                published.append((at, int(words[0]), words[1]))
            elif sign == "U":
                uncertain[int(words[0])] = uncertain.get(int(words[0]), 0) + 1
    return sorted(published), uncertain
