"""Moving delayed entries into the stream when they are due: any member of any group of the topic does it, and all of them look.

1. The listener looks when it has joined, and once per `block`: the script goes along with a read, in the same write.
2. The keeper looks when the next one is due, on the side line: what it adds reaches the reads that block at once, and its own listener may be busy.
   (A read's BLOCK ends up to 100 ms late, redis-server 7.0.15; a timer here does not.)
3. The answer tells when the next one is due. What is published for sooner than that is found with the listener's next look.
4. Where the server refuses, that is told once, and the member goes on without: for good where a right is missing, else until `claim_interval` later.
"""

from __future__ import annotations

from typing import Any

from redis.exceptions import ResponseError

from ..delays import Moved, move
from ..effects import Emit, Exchange, Line, Now
from .asking import lasting, passes
from .hand import NEVER, Hand
from .owing import Row
from .postponing import is_forbidden

SPARE = 0.05  # seconds at most between two looks of the keeper, where a look takes long
SLACK = 0.001  # seconds that the server's clock, which counts whole milliseconds, may be behind
NEAR = 0.005  # seconds by which the keeper may be late rather than be rung for
LONGEST = 3600.0  # seconds that the keeper rests for the next one


def moving_along(hand: Hand, now: float) -> list[Row]:
    """The row that moves what is due, with a read, where it is time to. Half a `block` early is better than in a write of its own."""
    s = hand.settings
    if now + s.block / 2 < hand.look_at:
        return []
    hand.look_at = now + s.block
    return [(move(s.delayed_keys).in_full, moved_along, now)]


def moved_along(hand: Hand, began: float, reply: Any) -> Exchange[None]:
    """The answer on the reading line. The keeper is woken where the next one is due before it would look by itself."""
    if isinstance(reply, ResponseError) and passes(reply):
        raise reply
    yield from heard(hand, began, reply)
    if hand.delayed_at < hand.wakes_at - NEAR:
        hand.bell.ring()


def moving(hand: Hand, line: Line) -> Exchange[None]:
    """Move what is due, on a line that owes nothing."""
    began: float = yield Now()
    yield from heard(hand, began, (yield from lasting(line, move(hand.settings.delayed_keys))))


def heard(hand: Hand, began: float, reply: Any) -> Exchange[None]:
    """What the server said to a look that began then."""
    now: float = yield Now()
    if isinstance(reply, ResponseError):
        yield from refused(hand, reply, now)
        return
    found = move(hand.settings.delayed_keys).read(reply)
    hand.delayed_at = due_at(found, began, now)
    hand.unmoved = ""
    if found.next == 0:
        hand.look_at = now
    if found.aside:
        reason = f"{found.aside} things in the key {hand.settings.delayed_keys[1]!r} are no delayed entries: they stay there, and are not moved"
        yield Emit(hand.event("error", error=ValueError(reason), count=found.aside, reason="delayed entries"))


def due_at(found: Moved, began: float, now: float) -> float:
    """When the keeper looks again: at once where more is due, else when the next one is."""
    if found.next == 0:
        return now
    if found.next == NEVER:
        return NEVER
    return max(now + min(found.next + SLACK, LONGEST), now + min(SPARE, 10 * (now - began)))


def refused(hand: Hand, error: ResponseError, now: float) -> Exchange[None]:
    """The server does not let this member look."""
    hand.delayed_at = NEVER
    hand.look_at = NEVER if is_forbidden(error) else now + hand.settings.claim_interval
    if hand.unmoved != str(error):
        hand.unmoved = str(error)
        reason = f"this member does not move the delayed entries that wait in the key {hand.settings.delayed_keys[1]!r}"
        yield Emit(hand.event("error", error=error, reason=reason))
