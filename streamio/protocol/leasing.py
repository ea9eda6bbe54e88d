"""Leases: all that is pending under a member's name is renewed by name, because what was read ahead lies unread and has no known ids."""

from __future__ import annotations

from ..commands import renew
from ..effects import Emit, Exchange, Line
from .asking import ask
from .hand import Hand

PAGE = 1000


def renewing(hand: Hand, line: Line) -> Exchange[set[str]]:
    """Renew all that is pending under my name, on a line that owes nothing; the ids."""
    s = hand.settings
    start, mine = "-", set()
    while start:
        page = yield from ask(line, renew(s.topic, s.group, s.me, start))
        mine.update(page)
        start = f"({page[-1]}" if len(page) == PAGE else ""
    return mine


def dropping(hand: Hand, mine: set[str]) -> Exchange[None]:
    """Drop what waits in hand and is not mine any more, unstarted. With `ack="none"` nothing is pending, and all of it is mine alone."""
    if hand.settings.ack == "none":
        return
    gone = [message for message in hand.unstarted() if message.id not in mine and hand.drop(message)]
    if gone:
        yield Emit(hand.event("lease_lost", ids=[message.id for message in gone], count=len(gone)))
