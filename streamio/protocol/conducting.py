"""Several topics in one member: whose turn it is. Each topic is a `Part`: a hand of its own, with its own lines and keeper, that claims, renews,
settles and recovers as that of a plain member does. The score says which part goes next, and waits for all of them at once.

1. Parts are asked in the order of their priority; of equals the one goes first that was served least recently. Nothing of a lower part starts
   while a higher one has something in hand, or has not been asked for `TURN`.
2. A part that has nothing to do but to wait for news is *quiet*. Where all are, those that can be read together wait in one read (`together`).
3. What is in hand, and how many run, is bounded for the member as a whole. An entry that must run alone does so in the whole member.
4. Where parts cannot all be read together, each set of them waits beside the others (`Choir.busy`), and nobody else touches it meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from redis.exceptions import ResponseError

from ..effects import NOW, Drop, Exchange, Line, Rest
from ..errors import GroupFull
from .asking import BROKEN
from .gathering import hurried
from .hand import NEVER, Hand
from .owing import collecting, writing
from .places import seating
from .reading import emptying, fetching, measuring, next_message, turning
from .score import TURN, Choir, Part, Score, is_through
from .together import guarding, reading_on, reading_together, room_for, troubled, waiting_together

# -- whose turn ------------------------------------------------------------------------------------------------------------------------


def conducting(score: Score, until: float | None = None) -> Exchange[Any]:
    """The next message to run, or the next batch, of the part `score.last`; None where the member stops, none came until then, or what runs must be
    alone."""
    score.active = True
    try:
        return (yield from searching(score, until))
    finally:
        score.active = False


def searching(score: Score, until: float | None) -> Exchange[Any]:
    """As `conducting`."""
    now: float = yield NOW
    if score.last is not None:
        measuring(score.last.hand, now)
    for hand in score.hands if until is not None else ():
        hand.dry = False
    while not score.stopping:
        fault, score.fault = score.fault, None
        if fault is not None:
            raise fault
        score.attune(now)
        for part in score.parts:
            if part.leaves and is_through(part, now) and part.claim():
                score.detach(part)
        if score.waits_alone:
            return None
        for hand in score.hands:
            hand.alone = False
        limiting(score)
        for part in score.parts:
            if part.hand.displaced and now >= part.seat_at and not (part.choir.busy or part.leaves or part.is_broken):
                yield part.on(guarding(part.hand, reseating(part)))
        message = yield from attending(score, now)
        if message is not None:
            return message
        now = score.hand.turned_at = yield NOW
        if until is not None and now >= until and score.is_dry(now) and not any([hurried(hand) for hand in score.hands]):
            return None
        if score.waits_alone or score.stopping:
            continue
        yield from resting(score, until, now)
        now = yield NOW
    return None


def attending(score: Score, now: float) -> Exchange[Any]:
    """A message of the first part that has one, without waiting; None where none has. Where a part has something to do, quiet ones of its rank or
    above are asked first, if that was not done lately."""
    quiet: list[Part] = []
    for level in score.levels():
        present = [part for part in level if not part.choir.busy]
        quiet += [part for part in present if part.reads and not part.calls(now)]
        if quiet and any(part.calls(now) for part in present) and now - score.asked_at >= TURN and limiting(score):
            score.asked_at = now
            yield from asking(quiet, now)
            return (yield from attending(score, now))
        for part in present:
            if part.calls(now) and (part.hand.unstarted() or limiting(score)):
                message = yield from asked(score, part)
                if message is not None or score.waits_alone:
                    return message
    return None


def asked(score: Score, part: Part) -> Exchange[Any]:
    """The part's next message, where there is one without waiting."""
    hand, part.asks = part.hand, False
    message = yield part.on(next_message(hand, 0.0))
    if message is not None:
        if hand.alone:
            yield from settling([other for other in score.parts if other is not part])
        score.served(part)
    return message


def reseating(part: Part) -> Exchange[None]:
    """Try for a place in the part's group; where there is none it waits for one beside the others, or, if it is no standby, ends the member."""
    hand, s = part.hand, part.hand.settings
    now: float = yield NOW
    part.seat_at = now + min(s.block, s.lease / 3)
    yield from emptying(hand)
    if (yield from seating(hand, hand.reading)):
        hand.halt(displaced=False)
    elif not s.standby:
        raise GroupFull(s.topic, s.group, s.max or 0)


def limiting(score: Score) -> bool:
    """Let each part's next read bring no more than the member's user asked for; whether it may bring anything."""
    if score.limit is None:
        return True
    left = score.limit - sum(hand.in_hand for hand in score.hands)
    for hand in score.hands:
        hand.limit = max(1, left)
    return left > 0


def settling(parts: Iterable[Part]) -> Exchange[None]:
    """Bring the acknowledgements of these parts to the server, each on its own line."""
    for part in parts:
        hand = part.hand
        if (hand.acks or hand.outputs) and part.reads and not part.choir.busy:
            yield part.on(guarding(hand, settled(hand)))


def settled(hand: Hand) -> Exchange[None]:
    """All that is noted as done was told to the server."""
    yield from writing(hand, [])
    yield from collecting(hand)


def asking(parts: Sequence[Part], now: float) -> Exchange[None]:
    """One look at what is new for these parts, without waiting."""
    for choir in dict.fromkeys(part.choir for part in parts):
        yield from singing(choir, [part for part in parts if part.choir is choir], now)


# -- waiting ---------------------------------------------------------------------------------------------------------------------------


def resting(score: Score, until: float | None, now: float) -> Exchange[None]:
    """Wait for news of any part: in this place where all can be read together, else each set beside the others."""
    score.asked_at = now
    limiting(score)
    yield from settling(score.parts)
    idle = [choir for choir in score.choirs if not choir.busy and needs_wait(choir, now)]
    moments = [part.seat_at for part in score.parts if part.hand.displaced] + [part.leaves_by for part in score.parts if part.leaves]
    end = min([NEVER if until is None else until, *moments])
    if len(score.choirs) == 1 and idle:
        yield from waiting(idle[0], None if end == NEVER else end, now)
        return
    for choir in idle:
        choir.busy = True
        score.aside(choir, waiting(choir, None if end == NEVER else end, now))
    if all(choir.busy or not any(part.calls(now) for part in choir.parts) for choir in score.choirs):
        yield Rest(None if end == NEVER else max(0.0, end - now))


def needs_wait(choir: Choir, now: float) -> bool:
    """Whether there is anything to wait for: no part has something to do, and one may be read or is to be mended."""
    parts = [part for part in choir.parts if not part.leaves]
    return not any(part.calls(now) for part in parts) and any(part.reads or part.is_broken for part in parts)


def waiting(choir: Choir, until: float | None, now: float) -> Exchange[None]:
    """Mend what is broken; else wait for news of all parts that may be read."""
    broken = [part for part in choir.parts if part.is_broken]
    for part in broken:
        part.seat_at = now + part.hand.settings.lease  # the server may have forgotten who had a place
        yield part.on(guarding(part.hand, mending(part.hand)))
    if not broken:
        yield from singing(choir, [part for part in choir.parts if part.reads and not part.leaves], now, until, True)


def mending(hand: Hand) -> Exchange[None]:
    """One step towards a line that holds."""
    if hand.reading.cut:
        hand.reading.cut, hand.trouble = False, ConnectionError("the last read was interrupted in the middle of a command")
    yield from turning(hand, 0.0)


def singing(choir: Choir, parts: Sequence[Part], now: float, until: float | None = 0.0, waits: bool = False) -> Exchange[None]:
    """Read what is new for these parts of one choir: together where they are several. `waits`: until there is something, or the time."""
    hands = [part.hand for part in parts]
    if not parts:
        return
    if len(parts) == 1:
        yield parts[0].on(guarding(hands[0], fetching(hands[0], until)))
        return
    if choir.line.cut:
        choir.line.cut = False
        troubled(hands, ConnectionError("the last read was interrupted in the middle of a command"))
        return
    try:
        if not hands[0].reading.blocks or room_for(hands) < len(hands):
            yield from waiting_together(choir, parts, until, waits)
        else:
            yield choir.on(reading_together(choir, hands, until, waits))
            for part in parts:
                if part.hand.full:
                    yield part.on(guarding(part.hand, reading_on(part.hand)))
    except BROKEN as error:
        choir.line.cut = False
        troubled(hands, error)
    except ResponseError:
        yield choir.on(dropping(choir.line))
        for part in parts:
            part.asks = True  # whose fault it is shows where each is read by itself


def dropping(line: Line) -> Exchange[None]:
    """Close the line: replies may lie unread there."""
    yield Drop(line)
