"""The controller: a server, members and producers of its own, faults by a seeded random generator, a drain, and what is left at the end."""

from __future__ import annotations

import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from ..servers import RedisServer
from .faults import DOWN, FAULTS
from .pipes import put_out
from .processes import Process, started
from .profiles import ALWAYS_RAISE, EXIT, EXIT_CODE, GROUP, KINDS, OUT, PIPES, TOPIC, Profile
from .records import Fault, Life, Run, read_life, read_published
from .watcher import Watcher, pending

TICK = 0.01  # seconds
LEAVE = 10.0  # seconds that a member has to leave in
DEAD = f"{TOPIC}:dead:{{{TOPIC}}}:{GROUP}"


class Soak:
    """One soak: `with Soak(profile, seed) as soak: run = soak.run()`. At the end of the block no process and no folder of it is left."""

    def __init__(self, profile: Profile, seed: int = 1, mutant: str | None = None) -> None:
        self.profile, self.random, self.mutant = profile, random.Random(seed), mutant
        self.stack = ExitStack()
        self.folder = Path(tempfile.mkdtemp(prefix="streamio-soak-"))
        self.stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.server = RedisServer("appendonly yes", "appendfsync always", "enable-debug-command local")
        self.stack.callback(self.server.remove)
        self.lives: list[Life] = []
        self.members: dict[int, Process] = {}  # by life
        self.producers: list[Process] = []
        self.faults: list[Fault] = []
        self.later: list[tuple[float, Callable[[], None]]] = []
        self.frozen: set[int] = set()
        self.began = 0.0

    def __enter__(self) -> Soak:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            for process in [*self.members.values(), *self.producers]:
                process.end()
        finally:
            self.stack.close()

    # -- the course ------------------------------------------------------------------------------------------------------------------

    def run(self) -> Run:
        """Soak; all that the checker wants to know."""
        self.server.start()
        client = self.server.client(decode_responses=True, encoding_errors="backslashreplace")
        self.stack.callback(client.close)
        client.xgroup_create(TOPIC, GROUP, "0", mkstream=True)
        with Watcher(self.server.client(decode_responses=True, encoding_errors="backslashreplace")) as self.watcher:
            self.start_all()
            self.disturb()
            self.wait_for(lambda: not any(process.alive for process in self.producers), 60, "the producers to be through")
            self.wait_for(lambda: self.is_drained(client), self.profile.drain)
            finished = time.monotonic()
            self.stop_all()
            self.watcher.since(time.monotonic(), 1)
        return self.result(client, finished)

    def start_all(self) -> None:
        """Members first, then producers, then the clock."""
        for number in range(self.profile.members):
            self.start_member(f"m{number}")
        self.wait_for(lambda: all(self.has_joined(life) for life in self.lives), 30, "the members to join")
        for first, colour in enumerate(("blocking", "asyncio")):
            self.producers.append(started("producer", self.server.url, self.profile.name, colour, first, 2, self.folder / f"producer{first}"))
        self.began = time.monotonic()

    def disturb(self) -> None:
        """Faults for `seconds`; then what is frozen goes on, and nothing more happens."""
        kinds, due = self.profile.faults, self.began + self.random.uniform(*self.profile.gap)
        while time.monotonic() < self.began + self.profile.seconds:
            if kinds and time.monotonic() >= due:
                FAULTS[self.random.choices(list(kinds), list(kinds.values()))[0]](self)
                due = time.monotonic() + self.random.uniform(*self.profile.gap)
            self.tick()
        self.wait_for(lambda: not self.later, 30, "the last faults to end")

    def tick(self) -> None:
        """What is due, what became of the processes, and a rest."""
        for item in [item for item in self.later if item[0] <= time.monotonic()]:
            self.later.remove(item)
            item[1]()
        for number, process in list(self.members.items()):
            life, now = self.lives[number], time.monotonic()
            if not process.alive:
                self.follow(life, process)
            elif life.asked is not None and now - life.asked > LEAVE:
                process.send(signal.SIGKILL)
            elif not life.memory or now - life.memory[-1][0] > 1:
                life.memory.append((now, process.memory()))
        time.sleep(TICK)

    def wait_for(self, holds: Callable[[], bool], seconds: float, what: str | None = None) -> None:
        """Go on until it holds; where it does not in time, an error if there is a name for what was waited for."""
        end = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > end:
                if what is not None:
                    raise AssertionError(f"waited {seconds:g} s in vain for {what}: {self.complaints()}")
                return
            self.tick()

    def is_drained(self, client: Any) -> bool:
        """Whether nothing is unread and nothing pending."""
        try:
            (group,) = client.xinfo_groups(TOPIC)
            return bool(group["last-delivered-id"] == client.xinfo_stream(TOPIC)["last-generated-id"] and not group["pending"])
        except DOWN:
            return False

    def stop_all(self) -> None:
        """SIGTERM all members, and wait for them."""
        for number in self.members:
            self.ask_to_leave(self.lives[number])
        self.wait_for(lambda: not self.members, 2 * LEAVE, "the members to leave")

    def complaints(self) -> str:
        """What processes said on stderr."""
        return "\n".join(path.read_text(errors="replace")[-2000:] for path in sorted(self.folder.glob("*.errors")) if path.stat().st_size)

    # -- members ---------------------------------------------------------------------------------------------------------------------

    def start_member(self, name: str) -> None:
        """A new life."""
        number = len(self.lives)
        style = self.profile.styles[number % len(self.profile.styles)]
        concurrency, prefetch = KINDS[style]
        self.lives.append(Life(name, number, style, concurrency, prefetch))
        words = [self.server.url, self.profile.name, name, style, self.log_of(number), *([self.mutant] if self.mutant else [])]
        self.members[number] = started("member", *words)

    def log_of(self, number: int) -> Path:
        """Where a life writes."""
        return self.folder / f"life{number}"

    def has_joined(self, life: Life) -> bool:
        """Whether the member has written that it joined."""
        path = self.log_of(life.number)
        return path.exists() and path.stat().st_size > 0

    def follow(self, life: Life, process: Process) -> None:
        """A member ended: note how, and start who follows."""
        del self.members[life.number]
        life.ended, life.code, life.said = time.monotonic(), process.end(), process.said()
        is_poisoned = self.profile.poison and life.code == EXIT_CODE
        if is_poisoned:
            self.faults.append(Fault("exit", life.ended - 2 * TICK, life.ended, life.number))
        if is_poisoned or time.monotonic() < self.began + self.profile.seconds:
            is_same = self.random.random() < self.profile.same_name
            self.start_member(life.name if is_same else f"m{len(self.lives)}")

    def victim(self) -> Life | None:
        """A member that has joined and to whom nothing is being done; None where there is none."""
        lives = [self.lives[number] for number in self.members if number not in self.frozen]
        ready = [life for life in lives if life.asked is None and self.has_joined(life)]
        return self.random.choice(ready) if ready else None

    def ask_to_leave(self, life: Life) -> None:
        """SIGTERM. Who has not left in time is killed, and the checker sees it."""
        life.asked = time.monotonic()
        self.members[life.number].send(signal.SIGTERM)

    # -- what is left ----------------------------------------------------------------------------------------------------------------

    def result(self, client: Any, finished: float) -> Run:
        """All that the checker wants to know."""
        for life in self.lives:
            read_life(life, self.log_of(life.number))
        published, uncertain = read_published([self.folder / "producer0", self.folder / "producer1"])
        stream = {entry: number_of(fields) for entry, fields in everything(client, TOPIC)}
        return Run(
            lives=self.lives,
            published=published,
            uncertain=uncertain,
            faults=sorted(self.faults, key=lambda fault: fault.start),
            samples=self.watcher.samples,
            stream=stream,
            dead={fields["dead:id"]: fields["dead:reason"] for _, fields in everything(client, DEAD)},
            pending={name: len(ids) for name, ids in pending(client).items()},
            consumers=[each["name"] for each in client.xinfo_consumers(TOPIC, GROUP)],
            finished=finished,
            lease=self.profile.lease,
            claim_interval=self.profile.claim_interval,
            only_stops=set(self.profile.faults) <= {"term"},
            expected_dead=expected(stream) if self.profile.poison else {},
            outputs=put_out(everything(client, OUT)) if set(self.profile.styles) & PIPES.keys() else None,
        )


def everything(client: Any, key: str) -> list[tuple[str, dict[str, str]]]:
    """All entries of a stream."""
    found: list[tuple[str, dict[str, str]]] = []
    start = "-"
    while page := client.xrange(key, start, "+", 2000):
        found += page
        start = f"({page[-1][0]}"
    return found


def number_of(fields: dict[str, str]) -> int:
    """The number that a producer gave an entry; -1 where it does not decode."""
    if "n" in fields:
        return int(fields["n"])
    digits = fields["data"].removeprefix('{"n":').removesuffix("}")
    return int(digits) if digits.isdecimal() else -1


def expected(stream: dict[str, int]) -> dict[str, str]:
    """Which entries of a poisoned stream belong to the dead letters, and why."""
    reasons = {-1: "undecodable", **dict.fromkeys(EXIT, "poison"), **dict.fromkeys(ALWAYS_RAISE, "failed")}
    return {entry: reasons[n] for entry, n in stream.items() if n in reasons}
