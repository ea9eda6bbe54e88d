"""A member's place among the group's `max`. Places are leases on the server: they free themselves when a member dies.

1. A place is kept by the keeper, every third of a lease, and looked at before anything starts after a gap longer than a lease.
2. A member that lost its place (it was frozen, and another took it) starts nothing more: it waits for a place, or ends.
3. A standby tries at least three times a lease. After an outage it waits for a lease: the server may have forgotten who had a place.
"""

from __future__ import annotations

from ..commands import Command, nothing, seat
from ..effects import Chance, Drop, Emit, Exchange, Line, Now, Rest
from ..errors import GroupFull
from .asking import BROKEN, ask
from .hand import Hand
from .recovering import backoff, is_setup


def seating(hand: Hand, line: Line) -> Exchange[bool]:
    """Take, or keep, a place; whether the member has one."""
    s = hand.settings
    if s.max is None:
        return True
    hand.seated = yield from ask(line, seat(s.places, s.me, s.max, s.lease))
    return hand.seated


def keeping_place(hand: Hand, line: Line) -> Exchange[None]:
    """Keep the place; without one the member is halted until it has one again."""
    if not (yield from seating(hand, line)):
        hand.halt(displaced=True)
        yield Emit(hand.event("lease_lost", reason="another member has its place in the group"))


def placing(hand: Hand) -> Exchange[None]:
    """Take a place; where all are taken, wait for one (a topic of several beside the others), or raise GroupFull."""
    if not (yield from seating(hand, hand.reading)):
        if hand.shares and hand.settings.standby:
            hand.halt(displaced=True)
            return
        yield from standing_by(hand)


def standing_by(hand: Hand) -> Exchange[None]:
    """Wait until there is a place, or the member stops."""
    before, hand.state = hand.state, "standby"
    try:
        while not hand.stopping:
            now: float = yield Now()
            if (yield from trying(hand, hand.patience - now)):
                return
            if (yield Now()) >= hand.patience:
                raise GroupFull(hand.settings.topic, hand.settings.group, hand.settings.max or 0)
    finally:
        hand.state = before


def trying(hand: Hand, most: float = float("inf")) -> Exchange[bool]:
    """Rest for a while, `most` seconds at most; whether there was a place then. A GroupFull where the member is no standby."""
    s = hand.settings
    if not s.standby:
        raise GroupFull(s.topic, s.group, s.max or 0)
    yield from resting(hand, min(s.block, s.lease / 3, most))
    try:
        return (yield from seating(hand, hand.reading))
    except BROKEN as error:
        if is_setup(error):
            raise
        hand.forget_owed()
        yield Drop(hand.reading)
    yield from outlasting(hand)
    yield from resting(hand, s.lease)
    return False


def outlasting(hand: Hand) -> Exchange[None]:
    """Return when the server answers again, or the member stops."""
    attempt = 0
    while not hand.stopping:
        chance: float = yield Chance()
        yield from resting(hand, backoff(attempt, chance))
        attempt += 1
        try:
            yield from ask(hand.reading, Command(("PING",), nothing))
            return
        except BROKEN as error:
            if is_setup(error):
                raise
            yield Drop(hand.reading)


def resting(hand: Hand, seconds: float) -> Exchange[None]:
    """Rest for so long, or until the member stops."""
    now: float = yield Now()
    until = now + seconds
    while now < until and not hand.stopping:
        yield Rest(until - now)
        now = yield Now()
