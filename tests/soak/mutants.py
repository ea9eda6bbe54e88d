"""Members that break a promise on purpose, so that the checker can be seen to notice. Each replaces functions of the library inside its process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from streamio import commands, outputs
from streamio.effects import Exchange, Now
from streamio.protocol import asking, owing, settling
from streamio.scripts import Script


def replaced(name: str, make: Callable[[Any], Any]) -> None:
    """Put `make(original)` in the place of this function of the library, wherever a module of it has it."""
    places = [(room, room.__dict__[name]) for title, room in list(sys.modules.items()) if title.startswith("streamio.") and name in room.__dict__]
    functions = [(room, found) for room, found in places if isinstance(found, FunctionType)]
    assert functions and len({found for _, found in functions}) == 1, f"the library has no one function {name!r}"
    mutant = make(functions[0][1])
    for room, _ in functions:
        setattr(room, name, mutant)


def ack_first() -> None:
    """Acknowledge a batch as it comes, before any of its handlers runs."""

    def make(original: Any) -> Any:
        def arrived(hand: Any, asked: Any, reply: Any) -> Exchange[None]:
            yield from original(hand, asked, reply)
            ids = [message.id for message in hand.fresh]
            if ids and not hand.owed:
                yield from asking.ask(hand.reading, commands.Command(commands.xack(hand.settings.topic, hand.settings.group, ids), int))

        return arrived

    replaced("arrived", make)


def no_claim() -> None:
    """Never look for entries of silent members."""

    def make(original: Any) -> Any:
        def claiming(hand: Any, now: float) -> Exchange[None]:
            hand.claim_at = now + hand.settings.claim_interval
            return
            yield

        return claiming

    replaced("claiming", make)


def drop_on_stop() -> None:
    """On stop, drop what was read and not started, and delete the consumer with all that is pending."""

    def make(original: Any) -> Any:
        def parting(hand: Any) -> Exchange[None]:
            s = hand.settings
            yield from owing.collecting(hand)
            hand.fresh.clear()
            hand.taken.clear()
            yield from settling.sending(hand, hand.reading)
            yield from asking.ask(hand.reading, commands.Command(("XGROUP", "DELCONSUMER", s.topic, s.group, s.me), int))

        return parting

    replaced("parting", make)


def no_own() -> None:
    """Never look for what is pending under the own name: from an earlier life, or in a reply that was lost."""

    def make(original: Any) -> Any:
        def taking_own(hand: Any) -> Exchange[None]:
            hand.own = None
            return
            yield

        return taking_own

    replaced("taking_own", make)


def no_renewal() -> None:
    """Renew nothing, and believe that it was renewed."""

    def make(original: Any) -> Any:
        def renewing(hand: Any, line: Any) -> Exchange[set[str]]:
            yield Now()
            return {message.id for message in (*hand.fresh, *hand.taken)}

        return renewing

    replaced("renewing", make)


def no_verifying() -> None:
    """After a freeze, start what was in hand without asking whose it is now."""

    def make(original: Any) -> Any:
        def verifying(hand: Any, now: float) -> Exchange[None]:
            yield from owing.collecting(hand)
            hand.renewed_at = now

        return verifying

    replaced("verifying", make)


def write_first() -> None:
    """Write what a pipe puts out before the acknowledgement, and not in one step with it."""
    replaced("is_near", lambda original: lambda *_: False)


def no_owner() -> None:
    """Write what an entry puts out without asking whose the entry is now."""
    asks = "mine[id] and 1 or standing(id)"
    assert asks in outputs.OUTPUT.body
    outputs.OUTPUT = Script(outputs.OUTPUT.body.replace(asks, "1"))


@dataclass(frozen=True)
class Mutant:
    """How to make it, and under which profile it must be caught (the short one, for a test: `quick`)."""

    apply: Callable[[], None]
    profile: str
    quick: str


MUTANTS = {
    "ack-first": Mutant(ack_first, "kill", "short-kill"),
    "no-claim": Mutant(no_claim, "kill", "short-kill"),
    "drop-on-stop": Mutant(drop_on_stop, "kill", "short-term"),
    "no-own": Mutant(no_own, "same-name", "same-name"),
    "no-renewal": Mutant(no_renewal, "slow", "short-slow"),
    "no-verifying": Mutant(no_verifying, "freeze", "freeze"),
    "write-first": Mutant(write_first, "pipe", "short-pipe"),
    "no-owner": Mutant(no_owner, "pipe", "short-pipe"),
}
