"""What a member says of itself in the same write as a read: that it lives, and which connection it reads on.

* Redis 7.0 makes and touches a consumer only where a read brings something. So a member with nothing to do would look silent, or not be there.
* A read that blocks is never cancelled, because its reply would be lost. `CLIENT UNBLOCK` ends it on the server without loss, and wants the
  number of the connection. A server or user that may not do either goes without.
"""

from __future__ import annotations

from typing import Any

from redis.exceptions import RedisError, ResponseError

from ..commands import CLIENT_ID, client_unblock, greet
from ..effects import Exchange, Line, Receive, Write
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
        rows.append((CLIENT_ID, numbered, None))
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


def unblocking(hand: Hand, line: Line) -> Exchange[None]:
    """End the read that blocks, where one does, from another line."""
    if hand.halted and hand.blocked and hand.number:
        yield Write(line, [client_unblock(hand.number)])
        yield Receive(line)
