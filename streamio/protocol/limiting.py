"""The time that a handler or a loop's body has (`handler_timeout`), and what becomes of a delivery that runs out of it.

1. A delivery that ran out of its time has failed, from that moment on. Its entries are parked or buried, so they are not renewed any more;
   what its handler still does or returns means nothing.
2. The verdict is given once, by whoever closes the limit first: the keeper, a timer, or the end of the handler itself.
3. A handler that cannot be ended keeps its place. Where all places are kept like that, what waits in hand is given back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..effects import Chance, Emit, Exchange
from ..errors import HandlerTimeout
from ..reports import Event
from .gathering import each_of
from .outcomes import failed

if TYPE_CHECKING:
    from .hand import Hand


class Limit:
    """When a delivery runs out of its time. `kept`: the keeper is to look at it, else a timer does."""

    __slots__ = ("_open", "began", "cancels", "ends", "failed", "kept", "messages", "seconds")

    def __init__(self, messages: Sequence[Any], seconds: float, now: float, kept: bool) -> None:
        self.messages, self.seconds, self.kept = messages, seconds, kept
        self.began, self.ends = now, now + seconds
        self.cancels = True  # whether what runs now ends when it is cancelled
        self.failed = False  # whether the verdict is that the time ran out
        self._open = True

    @property
    def over(self) -> bool:
        """Whether the verdict was given."""
        return not hasattr(self, "_open")

    def close(self) -> bool:
        """Whether this is the first to close it."""
        try:
            del self._open
        except AttributeError:
            return False
        return True


def limited(hand: Hand, messages: Sequence[Any], now: float, kept: bool = True) -> Limit | None:
    """The time that this delivery has from now on; None where the member sets no limit."""
    timeout = hand.settings.handler_timeout
    if timeout is None:
        return None
    limit = Limit(messages, timeout, now, kept)
    for message in messages:
        message._limit = limit
    hand.limits.add(limit)
    if kept and hand.wakes_at > limit.ends:
        hand.bell.ring()
    return limit


def ended(hand: Hand, limit: Limit, now: float, chance: float) -> list[Event] | None:
    """The delivery is through: None where it was in time, else the events of its failure (none where they were told before)."""
    events = ran_out(hand, limit, now, chance) if now > limit.ends else None if limit.close() else []
    left(hand, limit)
    return events


def left(hand: Hand, limit: Limit) -> None:
    """The delivery is through, and nobody asks for its time."""
    limit.close()
    hand.limits.discard(limit)
    limit.messages = ()  # they know the limit: no cycle


def ran_out(hand: Hand, limit: Limit, now: float, chance: float) -> list[Event]:
    """The delivery has failed; the events that tell, none where that was known."""
    if not limit.close():
        return []
    limit.failed = True
    error, told = HandlerTimeout(limit.seconds), []
    for message in limit.messages:
        if message._is_open():
            retrying = failed(hand, message, error, chance)
            told.append(hand.event("failed", message=message, error=error, duration=now - limit.began))
            told += [] if retrying is None else [retrying]
    return told


def limiting(hand: Hand, now: float) -> Exchange[None]:
    """The keeper's look at what runs."""
    for limit in [*hand.limits]:
        if limit.kept and not limit.over and limit.ends <= now:
            chance: float = yield Chance()
            for event in ran_out(hand, limit, now, chance):
                yield Emit(event)


def ends_at(hand: Hand) -> float:
    """When the keeper is to look again."""
    return min((limit.ends for limit in [*hand.limits] if limit.kept and not limit.over), default=float("inf"))


def is_anything_running(hand: Hand) -> bool:
    """Whether anything runs beside what may start: a handler that ran out of its time has had its verdict, and harms nobody's."""
    return any(not is_given_up(thing) for each in hand.company() for thing in [*each.running.values()])


def is_given_up(thing: Any) -> bool:
    """Whether the delivery of this message or batch ran out of its time."""
    limits = [getattr(message, "_limit", None) for message in each_of(thing)]
    return bool(limits) and all(limit is not None and limit.failed for limit in limits)


def is_stuck(hand: Hand) -> bool:
    """Whether all places are kept by handlers that ran out of their time."""
    places = 1 if hand.state == "iterating" else hand.settings.concurrency
    limits = [limit for each in hand.company() for limit in [*each.limits]]
    return len(limits) >= places and sum(limit.over for limit in limits) >= places
