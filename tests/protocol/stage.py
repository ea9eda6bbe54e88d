"""A stage on which listener and keeper of one member play together, effect by effect, on the embedded server, in a time that is made.

* A `Player` is a member without threads: its listener and its keeper are two `Actor`s, plain generators of effects.
* `Stage.play(choices)` lets them act one effect at a time. Where both could act, the script of `choices` says who does.
* Time stands still while they act, and jumps to the next moment somebody waits for. The server's clock is the same one.
* `kill()` drops a player as SIGKILL would: its connections are closed, nothing is said, nothing of it remains.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any

import fakeredis

from streamio import RetryPolicy
from streamio.codec import FlatCodec
from streamio.drivers.blocking import Blocking
from streamio.drivers.source import Source
from streamio.effects import Chance, Emit, Now, Rest, Write
from streamio.emitter import Lifecycle
from streamio.message import Message, Redelivered
from streamio.protocol.asking import BROKEN
from streamio.protocol.hand import Hand
from streamio.protocol.joining import joining, leaving
from streamio.protocol.keeping import Watch, keeping, on_reading_line
from streamio.protocol.outcomes import failed, succeeded
from streamio.protocol.prefetch import Prefetch
from streamio.protocol.reading import next_message
from streamio.protocol.settings import Settings

TOPIC, GROUP, LEASE = "topic", "group", 30.0


@dataclass(frozen=True)
class Lock:
    """Wait for the reading line, and have it."""


@dataclass(frozen=True)
class Unlock:
    """Give the reading line back."""


@dataclass(frozen=True)
class Sit:
    """A handler, or a loop body, takes its time."""

    seconds: float


@dataclass(frozen=True)
class Ran:
    """A handler began ("start") or is through ("end") with an entry."""

    what: str
    message: Any


class Ring:
    """Lets an actor that rests act at once; remembered where it does not rest yet."""

    def __init__(self) -> None:
        self.actor: Actor | None = None
        self.rung = False

    def ring(self) -> None:
        self.rung = True
        if self.actor is not None and self.actor.resting:
            self.actor.due, self.rung = 0.0, False


class Actor:
    """A generator of effects, stepped one at a time."""

    def __init__(self, player: Player, name: str, effects: Generator[Any, Any, Any]) -> None:
        self.player, self.name, self.effects = player, name, effects
        self.due = 0.0  # it does not act before
        self.came: Any = None
        self.step: Any = effects.send
        self.over = self.resting = False
        self.next: Any = None
        self.advance()

    def advance(self) -> None:
        """Run up to the next effect."""
        try:
            self.next = self.step(self.came)
        except StopIteration:
            self.over = True

    def can_act(self, now: float) -> bool:
        """Whether its next effect may be performed now."""
        if self.over or self.due > now:
            return False
        return not (isinstance(self.next, Lock) and self.player.locked not in (None, self))

    def act(self) -> None:
        """Perform the next effect."""
        self.resting = False
        try:
            self.step, self.came = self.effects.send, self.player.perform(self, self.next)
        except Exception as error:
            self.step, self.came = self.effects.throw, error
        self.advance()


class Player:
    """One member: hand, lines, listener and keeper."""

    def __init__(self, stage: Stage, name: str, prefetch: int | str = "auto", patient: bool = False) -> None:
        self.stage, self.name = stage, name
        self.hand = Hand(settings(name, stage.retry), Prefetch(prefetch, 1), Message, Redelivered)
        client = fakeredis.FakeRedis(server=stage.server)
        self.driver = Blocking(Source(client), TOPIC, Lifecycle())
        self.locked: Actor | None = None
        self.trace: list[str] = []
        self.events: list[Any] = []
        self.hand.bell, self.hand.wake = Ring(), Ring()
        self.watch = Watch()
        self.patient = patient
        self.listener = Actor(self, "listener", self.listening())
        self.keeper = Actor(self, "keeper", self.keeping())
        self.hand.wake.actor, self.hand.bell.actor = self.listener, self.keeper
        self.actors = [self.listener, self.keeper]

    # -- what they do --------------------------------------------------------------------------------------------------------------------

    def listening(self) -> Generator[Any, Any, None]:
        """As the workers' loop does: the next message, its handler, what became of it."""
        hand = self.hand
        yield from self.alone(joining(hand))
        hand.state = "listening"
        while True:
            hand.current = None
            message = yield from self.next_message()
            if message is None:
                break
            hand.current = message
            yield Ran("start", message)
            for seconds in self.stage.sits(message):
                yield Sit(seconds)
            yield Ran("end", message)
            if self.stage.fails(message):
                failed(hand, message, ValueError("as asked"), 0.0)
            else:
                succeeded(hand, message)
        yield from self.alone(leaving(hand))
        hand.finished = True

    def next_message(self) -> Generator[Any, Any, Any]:
        """A fresh one without the line where there is one, as the fast path does."""
        hand = self.hand
        if hand.fresh and not hand.halted and self.stage.now - hand.renewed_at <= LEASE:
            return hand.fresh.popleft()
        until = None if self.patient else self.stage.now
        return (yield from self.alone(next_message(hand, until)))

    def keeping(self) -> Generator[Any, Any, None]:
        """As the keeper's thread does."""
        hand = self.hand
        hand.asleep = True
        yield Rest(None)  # it begins with the first delivery
        hand.asleep = False
        while not hand.finished:
            pause: float | None = 0.5
            try:
                exchange = on_reading_line(hand, self.stage.now)
                if exchange is not None and self.locked is None:
                    yield from self.alone(exchange)
                pause = yield from keeping(hand, self.watch)
            except BROKEN:
                self.driver.drop(hand.side)
            hand.asleep = True
            if hand.is_noted:
                pause = 0.05 if pause is None else min(pause, 0.05)
            yield Rest(pause)
            hand.asleep = False

    def alone(self, exchange: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """The exchange, with the reading line to itself."""
        yield Lock()
        try:
            return (yield from exchange)
        finally:
            self.locked = None

    # -- what that comes to ----------------------------------------------------------------------------------------------------------------

    def perform(self, actor: Actor, effect: Any) -> Any:
        """One effect's answer. Nothing here waits: who would wait is due later."""
        self.trace.append(f"{actor.name}: {spelled(effect)}")
        match effect:
            case Lock():
                self.locked = actor
            case Now():
                return self.stage.now
            case Sit(seconds):
                actor.due = self.stage.now + seconds
            case Rest(seconds):
                bell: Any = self.hand.wake if actor.name == "listener" else self.hand.bell
                actor.resting, rung, bell.rung = True, bell.rung, False
                actor.due = self.stage.now if rung else float("inf") if seconds is None else self.stage.now + seconds
            case Ran(what, message):
                self.stage.ran(self, what, message)
            case Chance():
                return 0.0
            case Emit(event):
                self.events.append(event)
            case Write(line, commands):
                plain, waits = zip(*map(unblocked, commands))
                actor.due = self.stage.now + sum(waits)
                return self.driver.perform(Write(line, plain))
            case _:
                return self.driver.perform(effect)
        return None

    def kill(self) -> None:
        """As SIGKILL."""
        for line in (self.hand.reading, self.hand.side):
            self.driver.drop(line)
        for actor in self.actors:
            actor.effects.close()
            actor.over = True


class Stage:
    """A server, a clock, a stream with entries, and what ran."""

    def __init__(self, monkeypatch: Any, sits: dict[str, list[float]] | None = None, fails: dict[str, int] | None = None) -> None:
        self.now = 1_700_000_000.0
        for module in ("fakeredis._helpers.time", "fakeredis.model._stream.time", "fakeredis.commands_mixins.server_mixin.time"):
            monkeypatch.setattr(module, self)
        self.server = fakeredis.FakeServer(version=(7,))
        self.raw = fakeredis.FakeRedis(server=self.server, decode_responses=True)
        self.sitting, self.failing = sits or {}, fails or {}
        self.retry = RetryPolicy(backoff=(1, 60), jitter=0)
        self.started: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.order: list[str] = []
        self.players: list[Player] = []
        self.hooks: list[Callable[[Player], None]] = []
        self.make: type[Player] = Player

    def time(self) -> float:
        """The server's clock."""
        return self.now

    def sits(self, message: Any) -> list[float]:
        """How long an entry's handler sits, in parts."""
        return self.sitting.get(message["n"], [])

    def fails(self, message: Any) -> bool:
        """Whether this delivery's handler raises."""
        return message.deliveries <= self.failing.get(message["n"], 0)

    def publish(self, count: int) -> list[str]:
        """Add entries numbered from 0."""
        self.raw.xgroup_create(TOPIC, GROUP, "0", mkstream=True)
        return [self.raw.xadd(TOPIC, {"type": "x", "n": str(n)}) for n in range(count)]

    def player(self, name: str, **options: Any) -> Player:
        """A new member."""
        player = self.make(self, name, **options)
        self.players.append(player)
        return player

    def ran(self, player: Player, what: str, message: Any) -> None:
        """Write down what a handler did."""
        if what == "start":
            self.started[message.id] += 1
            self.order.append(message["n"])
        elif not self.fails(message):
            self.ended[message.id] += 1

    def play(self, choices: Iterable[int] = (), effects: int | None = None, players: list[Player] | None = None) -> int:
        """Let them act: by `choices` where several could, else the first of them. Stops after so many effects, or when no listener acts any more."""
        script, played = iter(choices), 0
        cast = self.players if players is None else players
        while effects is None or played < effects:
            living = [actor for player in cast for actor in player.actors if not actor.over]
            if not any(actor.name == "listener" for actor in living):
                break
            able = [actor for actor in living if actor.can_act(self.now)]
            if not able:
                self.now = min(actor.due for actor in living if actor.due > self.now)
                continue
            actor = able[next(script, 0) % len(able)]
            actor.act()
            played += 1
            assert played < 20_000, "the play does not end"
            for hook in self.hooks:
                hook(actor.player)
        return played

    def survive(self, name: str, lease: float = LEASE) -> Player:
        """Kill all, let a lease and a claim interval pass, and let a new member drain what there is, retries included."""
        for player in self.players:
            player.kill()
        self.hooks.clear()
        survivor: Any = None
        for attempt in range(12):
            self.now += lease * 1.5 if attempt == 0 else 61
            survivor = self.player(name)
            self.play(players=[survivor])
            survivor.kill()
            if not self.pending():
                break
        return survivor

    def pending(self) -> list[tuple[str, str, int]]:
        """(id, consumer, deliveries) of all that is pending."""
        rows = self.raw.xpending_range(TOPIC, GROUP, "-", "+", 1000)
        return [(row["message_id"], row["consumer"], row["times_delivered"]) for row in rows]

    def dead(self) -> list[dict[str, str]]:
        """The dead letters."""
        return [fields for _, fields in self.raw.xrange(f"{TOPIC}:dead:{{{TOPIC}}}:{GROUP}")]


def settings(me: str, retry: RetryPolicy) -> Settings:
    """A member's settings, all at their defaults."""
    return Settings(
        topic=TOPIC, group=GROUP, me=me, codec=FlatCodec(), start="0", lease=LEASE, claim_interval=LEASE / 2, retry=retry, unhandled="ack",
        on_group_lost="recreate", max=None, block=2.0, ack="auto", concurrency=1, connect_timeout=1.0, grace=30.0,
    )  # fmt: skip


def unblocked(words: Any) -> tuple[Any, float]:
    """The command without BLOCK, and how long it would have waited."""
    words = list(words)
    if "BLOCK" not in words:
        return words, 0.0
    place = words.index("BLOCK")
    wait = int(words[place + 1]) / 1000
    del words[place : place + 2]
    return words, wait


def spelled(effect: Any) -> str:
    """The effect in short, without what differs from run to run."""
    if isinstance(effect, Write):
        shown = [words[:2] if words[0] != "XREADGROUP" else (words[0], words[-1]) for words in effect.commands]
        return f"Write {effect.line.name} " + " | ".join(" ".join(map(str, words)) for words in shown)
    return type(effect).__name__ + (f" {effect.event.name}" if isinstance(effect, Emit) else "")
