"""The reading line's traffic: what is written on it owes replies, and each reply goes to the exchange that waits for it.

`Hand.owed` is a row of (exchange, argument), in the order of the commands. Whoever has the line collects for all: the listener when it
needs the next batch, the keeper when a handler sits for long on top of a batch that was read ahead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from redis.exceptions import ConnectionError, ResponseError

from ..commands import xack
from ..effects import Exchange, Receive, Words, Write
from . import outputting
from .asking import passes
from .hand import Hand

Row = tuple[Words, Callable[[Hand, Any, Any], Exchange[None]], Any]


def writing(hand: Hand, rows: Sequence[Row]) -> Exchange[None]:
    """Send all acknowledgements and outputs noted so far and these commands, in one write."""
    commands: list[Words] = []
    ids = hand.take_acks()
    if ids:
        hand.sent.append(ids)
        hand.owed.append((acknowledged, ids))
        commands.append(xack(hand.settings.topic, hand.settings.group, ids))
    if hand.outputs:
        commands += outputting.rows(hand)
    for words, exchange, argument in rows:
        commands.append(words)
        hand.owed.append((exchange, argument))
    if commands:
        yield Write(hand.reading, commands)


def collecting(hand: Hand, reads: int | None = None) -> Exchange[None]:
    """Receive all that is owed, or until so many reads that were written ahead are left."""
    while hand.owed and (reads is None or hand.ahead > reads):
        reply = yield Receive(hand.reading)
        exchange, argument = hand.owed.popleft()
        yield from exchange(hand, argument, reply)


def acknowledged(hand: Hand, ids: list[str], reply: Any) -> Exchange[None]:
    """The answer to an XACK. An error (a server demoted, a slot moved) puts the notes back and is as good as a lost line."""
    hand.sent.popleft()
    if isinstance(reply, ResponseError):
        hand.put_back(ids)
        if passes(reply):
            raise ConnectionError(str(reply)) from reply
        raise reply
    hand.settled += len(ids)
    for watch in hand.watches:
        watch.acknowledged(hand, ids)
    return
    yield
