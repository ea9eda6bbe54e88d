"""After an outage, or when the group is gone."""

from __future__ import annotations

from redis.exceptions import AuthenticationError, AuthorizationError, MovedError, NoPermissionError, ResponseError

from ..effects import Chance, Drop, Emit, Exchange, Now, Redirect, Rest
from ..errors import GroupLost
from .asking import says
from .groups import creating_on, is_lost
from .hand import Hand
from .leasing import dropping, renewing

FATAL = (AuthenticationError, AuthorizationError, NoPermissionError)
SHORTEST, LONGEST = 0.1, 5.0


def backoff(attempt: int, chance: float) -> float:
    """Seconds before the next attempt, from 0.1 s to 5 s, half of it by chance."""
    return float(min(LONGEST, SHORTEST * 2 ** min(attempt, 10)) * (0.5 + 0.5 * chance))


def losing_line(hand: Hand, error: Exception) -> Exchange[None]:
    """The reading line broke: forget what it owed, tell it once, and try again later. A refused login lasts `connect_timeout` at most."""
    hand.forget_owed()
    yield Drop(hand.reading)
    now: float = yield Now()
    if hand.down_since is None:
        hand.down_since, hand.attempts = now, 0
        yield Emit(hand.event("disconnected", error=error))
    elif isinstance(error, FATAL) and now - hand.down_since > hand.settings.connect_timeout:
        raise error
    else:
        hand.attempts += 1
    if isinstance(error, MovedError):
        yield Redirect(error.host, error.port)
    elif hand.attempts:
        yield Redirect()


def recovering(hand: Hand) -> Exchange[None]:
    """Connect again: renew first what is in hand, then look for replies that were lost; claim from others a third of a lease later."""
    s = hand.settings
    chance: float = yield Chance()
    if hand.attempts:
        yield Rest(backoff(hand.attempts, chance))
    if hand.stopping:
        return
    now: float = yield Now()
    try:
        mine = yield from renewing(hand, hand.reading)
    except ResponseError as error:
        if not is_lost(error):
            raise
        yield from regrouping(hand, error)
        mine = set()
    yield from dropping(hand, mine)
    hand.down_since, hand.attempts = None, 0
    hand.claim_at = max(hand.claim_at, now + s.lease / 3)
    hand.poll_at = hand.renewed_at = now
    hand.own = "-"
    yield Emit(hand.event("reconnected"))


def regrouping(hand: Hand, error: ResponseError) -> Exchange[None]:
    """Make the lost group again, at 0, so that nothing added since is missed; no more often than the backoff lets it."""
    s = hand.settings
    if s.on_group_lost == "raise":
        if says(error, "UNBLOCKED"):  # a failover says so, too (redis-server 7.0): the next read tells what it was
            return
        raise GroupLost(s.topic, s.group, str(error)) from error
    now: float = yield Now()
    if hand.lost_at is not None and now - hand.lost_at < LONGEST:
        hand.attempts += 1
        chance: float = yield Chance()
        yield Rest(backoff(hand.attempts, chance))
    hand.lost_at = now
    if (yield from creating_on(hand.reading, s.topic, s.group, "0")):
        yield Emit(hand.event("group_created", reason="lost"))
    hand.own = None
