"""After an outage, or when the group is gone."""

from __future__ import annotations

from redis.exceptions import AuthenticationError, AuthorizationError, MovedError, NoPermissionError, ResponseError

from ..commands import Command, xack
from ..effects import Chance, Drop, Emit, Exchange, Now, Redirect, Rest
from ..errors import GroupLost
from .asking import BROKEN, ask, says
from .groups import creating_on, is_lost
from .hand import Hand
from .leasing import dropping, renewing
from .outputting import sending_outputs

SETUP = (AuthenticationError, AuthorizationError, NoPermissionError)
CERTIFICATE = ("CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER", "SSLV3_ALERT", "TLSV1_ALERT", "CERTIFICATE_REQUIRED")
SHORTEST, LONGEST = 0.1, 2.0  # seconds between attempts: a server that is back is found within two


def backoff(attempt: int, chance: float) -> float:
    """Seconds before the next attempt, from 0.05 s to 2 s, half of it by chance."""
    return float(min(LONGEST, SHORTEST * 2 ** min(attempt, 10)) * (0.5 + 0.5 * chance))


def is_setup(error: BaseException) -> bool:
    """Whether the error heals by no waiting: a wrong password, a bad certificate, TLS against a server without it."""
    return isinstance(error, SETUP) or any(word in str(error) for word in CERTIFICATE)


def is_final(hand: Hand, error: BaseException, now: float) -> bool:
    """Whether the server has refused to let a running member in for longer than `connect_timeout`: a password that was changed, a bad certificate."""
    if not is_setup(error):
        hand.refused_since = None
    elif hand.refused_since is None:
        hand.refused_since = now
    if hand.draining and hand.down_since is not None and isinstance(error, BROKEN) and now - hand.down_since > hand.settings.connect_timeout:
        return True
    return hand.refused_since is not None and now - hand.refused_since > hand.settings.connect_timeout


def losing_line(hand: Hand, error: Exception) -> Exchange[None]:
    """The reading line broke: forget what it owed, tell it once, and try again: at once, or later where it has not held for long."""
    hand.forget_owed()
    yield Drop(hand.reading)
    now: float = yield Now()
    hand.attempts = hand.attempts + 1 if now - hand.back_at < LONGEST or hand.down_since is not None else 0
    if hand.down_since is None:
        hand.down_since = now
        yield Emit(hand.event("disconnected", error=error))
    if isinstance(error, MovedError):
        yield Redirect(error.host, error.port)
    elif hand.attempts:
        yield Redirect()


def recovering(hand: Hand) -> Exchange[None]:
    """Connect again, to a server that takes what is written: renew first what is in hand, then look for replies that were lost; claim from others a
    third of a lease later."""
    s = hand.settings
    chance: float = yield Chance()
    if hand.attempts:
        yield Rest(backoff(hand.attempts, chance))
    if hand.stopping:
        return
    now: float = yield Now()
    yield from ask(hand.reading, Command(xack(s.topic, s.group, ("0-1",)), int))
    try:
        mine = yield from renewing(hand, hand.reading)
    except ResponseError as error:
        if not is_lost(error):
            raise
        yield from regrouping(hand, error)
        mine = set()
    yield from dropping(hand, mine)
    yield from sending_outputs(hand, hand.reading)
    hand.down_since = hand.refused_since = None
    hand.back_at = yield Now()
    hand.claim_at = max(hand.claim_at, now + s.lease / 3)
    hand.renewed_at = now
    if s.ack != "none":
        hand.poll_at, hand.own = now, "-"
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
    elif hand.down_since is None:
        hand.attempts = 0
    hand.lost_at = yield Now()
    if (yield from creating_on(hand.reading, s.topic, s.group, "0")):
        yield Emit(hand.event("group_created", reason="lost"))
    hand.own = None
