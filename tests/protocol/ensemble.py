"""A member of two topics on the stage: one listener that conducts, and for each topic a hand, lines and a keeper. See `stage`."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

from streamio.drivers.several import Relay
from streamio.effects import Do, Rest, Write
from streamio.protocol.asking import BROKEN
from streamio.protocol.conducting import conducting
from streamio.protocol.hand import SOON, Hand
from streamio.protocol.joining import joining, leaving
from streamio.protocol.outcomes import failed, succeeded
from streamio.protocol.score import TURN, Choir, Part, Score
from streamio.protocol.together import Shared

from .stage import GROUP, LEASE, Actor, Lock, Player, Ran, Ring, Sit, Stage

TOPICS = ("one", "two")
Effects = Generator[Any, Any, Any]


class Solo(Player):
    """A plain member of one of the topics."""

    def __init__(self, stage: Any, name: str, topic: str = "one", **options: Any) -> None:
        super().__init__(stage, name, **options)
        self.hand.settings = replace(self.hand.settings, topic=topic)
        self.driver.key = topic


class Voice(Solo):
    """One topic of the member: its keeper acts, its listening is the whole's."""

    def __init__(self, whole: Whole, topic: str, priority: int) -> None:
        super().__init__(whole.stage, whole.name, topic)
        self.listener.effects.close()
        self.actors = [self.keeper]
        hand, self.whole = self.hand, whole
        hand.wake, hand.prefetch, hand.shares = Relay(Ring(), whole.hand.wake), Shared("auto", 1), True
        self.part = Part(hand, priority, lambda line, exchange: (self, exchange))


class Conductor(Actor):
    """Waits for the reading line of whichever voice it needs."""

    def can_act(self, now: float) -> bool:
        free = not isinstance(self.next, Have) or self.next.voice.locked in (None, self)
        return free and super().can_act(now)


class Have(Lock):
    """Wait for a voice's reading line, and have it."""

    def __init__(self, voice: Any) -> None:
        object.__setattr__(self, "voice", voice)

    voice: Any


class Whole(Player):
    """The member. `apart`: its topics cannot be read together, and wait side by side."""

    def __init__(self, stage: Any, name: str, priorities: tuple[int, int] = (0, 0), apart: bool = False, **options: Any) -> None:
        super().__init__(stage, name, **options)
        self.listener.effects.close()
        self.score = Score(self.hand, self.aside)
        self.voices = [Voice(self, topic, priority) for topic, priority in zip(TOPICS, priorities)]
        choirs = [Choir(place, lambda line, exchange: (None, exchange)) for place in (TOPICS if apart else "x")]
        for place, voice in enumerate(self.voices):
            part = voice.part
            part.choir = choirs[place % len(choirs)]
            part.choir.parts.append(part)
            voice.hand.joint = part.choir.line
            others = tuple(each.hand for each in self.voices if each is not voice)
            voice.hand.others = voice.hand.prefetch.hands = others  # type: ignore[attr-defined]
        self.score.parts, self.score.choirs = [voice.part for voice in self.voices], choirs
        self.listener = Conductor(self, "listener", self.conducted())
        self.hand.wake.actor = self.listener  # type: ignore[attr-defined]

    @property
    def actors(self) -> list[Actor]:
        """The listener, who waits aside, and the keepers."""
        return [self.listener, *self.waiting, *(voice.keeper for voice in self.voices)]

    @actors.setter
    def actors(self, actors: list[Actor]) -> None:
        self.waiting: list[Actor] = []

    # -- what it does --------------------------------------------------------------------------------------------------------------------

    def conducted(self) -> Effects:
        """As the member's loop does."""
        for voice in self.voices:
            yield from self.played((voice, joining(voice.hand)))
            voice.hand.state = "listening"
        while (message := (yield from self.found())) is not None:
            hand, ends = self.score.last.hand, self.stage.now + TURN  # type: ignore[union-attr]
            self.score.handed = None
            while message is not None:
                yield from self.handled(hand, message)
                goes_on = hand.fresh and not hand.halted and self.stage.now <= min(ends, hand.renewed_at + LEASE)
                message = hand.fresh.popleft() if goes_on else None
        for voice in self.voices:
            voice.hand.halt(stopping=True)
        while any(choir.busy for choir in self.score.choirs):
            yield Rest(SOON)
        for voice in self.voices:
            yield from self.played((voice, leaving(voice.hand)))
            voice.hand.finished = True

    def found(self) -> Effects:
        """The next message."""
        return (yield from self.played((None, conducting(self.score, None if self.patient else self.stage.now))))

    def handled(self, hand: Hand, message: Any) -> Effects:
        """As a plain member's listener does."""
        hand.current = message
        yield Ran("start", message)
        for seconds in self.stage.sits(message):
            yield Sit(seconds)
        yield Ran("end", message)
        failed(hand, message, ValueError("as asked"), 0.0) if self.stage.fails(message) else succeeded(hand, message)
        hand.current = None

    def played(self, given: tuple[Voice | None, Effects]) -> Effects:
        """The exchange's effects, and those of the exchanges that it lets be performed, each with the reading line of its voice to itself."""
        voice, exchange = given
        if voice is not None:
            yield Have(voice)
        step, came = exchange.send, None
        try:
            while True:
                effect = step(came)
                try:
                    step, came = exchange.send, (yield from self.played(effect.action())) if isinstance(effect, Do) else (yield effect)
                except Exception as error:
                    step, came = exchange.throw, error  # type: ignore[assignment]
        except StopIteration as done:
            return done.value
        finally:
            if voice is not None:
                voice.locked = None
            exchange.close()

    def aside(self, choir: Choir, exchange: Effects) -> None:
        """It waits beside the others."""
        self.waiting = [actor for actor in self.waiting if not actor.over]
        self.waiting.append(Conductor(self, "aside", self.beside(choir, exchange)))

    def beside(self, choir: Choir, exchange: Effects) -> Effects:
        """As the driver performs it."""
        try:
            yield from self.played((None, exchange))
        except BROKEN as error:
            self.score.fault = error
        finally:
            choir.busy = False
            self.hand.wake.ring()

    # -- what that comes to ----------------------------------------------------------------------------------------------------------------

    def perform(self, actor: Actor, effect: Any) -> Any:
        if isinstance(effect, Have):
            effect.voice.locked = actor
            return None
        came = super().perform(actor, effect)
        if isinstance(effect, Write):
            effect.line.blocks = self.stage.blocks
        return came

    def stop(self) -> None:
        """As the face does."""
        for hand in (self.hand, *self.score.hands):
            hand.halt(stopping=True)

    def kill(self) -> None:
        super().kill()
        for line in (each for voice in self.voices for each in (*voice.hand.lines(), voice.hand.side)):
            self.driver.drop(line)


class TwoTopics(Stage):
    """A stage with two streams. What is added, and after how many seconds, stands in `feed`; entries have numbers."""

    blocks = True  # whether a read of the member waits on the server

    def __init__(self, monkeypatch: Any, feed: list[tuple[float, str, int]], **options: Any) -> None:
        super().__init__(monkeypatch, **options)
        self.begin, self.feed = self.now, [*feed]
        for topic in TOPICS:
            self.raw.xgroup_create(topic, GROUP, "0", mkstream=True)
        self.hooks.append(self.feeding)

    def feeding(self, player: Any = None) -> None:
        """Add what is to be there by now."""
        while self.feed and self.now >= self.begin + self.feed[0][0]:
            _, topic, n = self.feed.pop(0)
            self.raw.xadd(topic, {"type": "x", "n": str(n)})

    def feed_all(self) -> None:
        """Add the rest."""
        self.begin = float("-inf")
        self.feeding()

    def ran(self, player: Player, what: str, message: Any) -> None:
        if what == "start":
            self.started[message["n"]] += 1
        elif not self.fails(message):
            self.ended[message["n"]] += 1

    def pending(self) -> list[tuple[str, str, int]]:
        rows = [row for topic in TOPICS for row in self.raw.xpending_range(topic, GROUP, "-", "+", 1000)]
        return [(row["message_id"], row["consumer"], row["times_delivered"]) for row in rows]

    def left(self) -> list[int]:
        """The numbers of what is still to be handled, sorted: not fed, not read, or pending."""
        found = [n for _, _, n in self.feed]
        for topic in TOPICS:
            last = place_of(self.raw.xinfo_groups(topic)[0]["last-delivered-id"])
            pending = {row["message_id"] for row in self.raw.xpending_range(topic, GROUP, "-", "+", 1000)}
            found += [int(fields["n"]) for id, fields in self.raw.xrange(topic) if id in pending or place_of(id) > last]
        return sorted(found)

    def dead(self) -> list[dict[str, str]]:
        return [fields for topic in TOPICS for _, fields in self.raw.xrange(f"{topic}:dead:{{{topic}}}:{GROUP}")]

    def survive_by(self, kind: str) -> None:
        """As `survive`: by a plain member of each group, by another member of both, or by one of the same name."""
        self.feed_all()
        self.make = Whole if kind != "plain" else Solo
        self.survive("m" if kind == "itself" else "s")
        if kind == "plain":
            self.make = lambda stage, name: Solo(stage, name, "two")  # type: ignore[assignment,misc]
            self.survive("s")


def place_of(id: str) -> tuple[int, ...]:
    """What ids are ordered by."""
    return tuple(map(int, id.split("-")))
