"""What goes along in the same write as a read: that the member lives, which connection it reads on, and a look at what waits for another try.

* Redis 7.0 makes and touches a consumer only where a read brings something. So a member with nothing to do would look silent, or not be there.
* A read that blocks is never cancelled, because its reply would be lost. `CLIENT UNBLOCK` ends it on the server without loss, and wants the
  number of the connection. A server or user that may not do either goes without.
"""

from __future__ import annotations

from typing import Any

from redis.exceptions import RedisError, ResponseError

from ..commands import CLIENT_ID, client_unblock, greet, xpending
from ..effects import Exchange, Line, Now, Receive, Write
from ..keys import WAITING
from .groups import is_lost
from .hand import Hand
from .owing import Row


def announcing(hand: Hand, now: float) -> list[Row]:
    """The rows that are due: a greeting three times in a lease, the connection's number once for each connection."""
    s, rows = hand.settings, list[Row]()
    if now - hand.greeted_at >= s.lease / 3:
        hand.greeted_at = now
        rows.append((greet(s.topic, s.group, s.me), greeted, None))
    if hand.numbered != hand.reading.opened or hand.reading.connection is None:
        hand.numbered, hand.number = hand.reading.opened + (hand.reading.connection is None), ""
        rows += [(CLIENT_ID, numbered, None), (client_unblock("0"), permitted, None)]
    return rows


def greeted(hand: Hand, nothing: None, reply: Any) -> Exchange[None]:
    """The answer to a greeting. That the group is gone is for the next read to find."""
    if isinstance(reply, RedisError) and not is_lost(reply):
        raise reply
    return
    yield


def numbered(hand: Hand, nothing: None, reply: Any) -> Exchange[None]:
    """The connection's number."""
    hand.number = "" if isinstance(reply, ResponseError) else str(reply)
    return
    yield


def permitted(hand: Hand, nothing: None, reply: Any) -> Exchange[None]:
    """Whether a read may be ended; tried with a connection that there is not. Else the number is of no use."""
    if isinstance(reply, ResponseError):
        hand.number = ""
    return
    yield


def looks_along(hand: Hand, now: float) -> bool:
    """Whether a look at what waits and is due may go along with a read that blocks: nothing came lately, and that read could be ended."""
    return hand.dry and not hand.called and hand.reading.blocks and bool(hand.number) and not (hand.timers and hand.timers[0] <= now)


def looking_along(hand: Hand, now: float) -> list[Row]:
    """The row that looks, where it is time to. So an idle member writes once in a `block`."""
    s = hand.settings
    if now < hand.poll_at:
        return []
    hand.poll_at = min([now + s.block, *hand.timers[:1]])
    return [(xpending(s.topic, s.group, s.lease, "-", "+", 1, WAITING).words, looked, None)]


def looked(hand: Hand, nothing: None, reply: Any) -> Exchange[None]:
    """What is due is to be taken at once, by another command: the read that blocks is to end."""
    if isinstance(reply, RedisError):
        if not is_lost(reply):
            raise reply
    elif reply:
        hand.poll_at = yield Now()
        hand.called = True
        hand.bell.ring()


def awaits(hand: Hand) -> None:
    """A read is about to block. Whoever was to end one while none did is rung for again."""
    hand.blocked = True
    if hand.halted or hand.called:
        hand.bell.ring()


def is_wasted(hand: Hand) -> bool:
    """Whether a read blocks that is to end."""
    return hand.blocked and (hand.halted or hand.called)


def unblocking(hand: Hand, line: Line) -> Exchange[None]:
    """End the read that blocks, where one does and is not wanted any more, from another line."""
    if is_wasted(hand) and hand.number:
        yield Write(line, [client_unblock(hand.number)])
        yield Receive(line)
