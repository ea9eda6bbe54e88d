"""Bringing dead letters back into their group, and only there.

1. Each letter in one atomic step: first its entry is made pending (or a copy of it is added), then the letter is deleted.
2. An entry that the stream still holds waits under the parking consumer, with no delivery counted, or is left to the group's next read where the
   group stands before it. It is no new entry: other groups see nothing of it.
3. Of an entry that the stream does not hold any more a copy is added, with the group's name in front (`FOR_GROUP`): members of other groups
   acknowledge it unseen.
4. An entry that is pending in the group is never taken from its member: its letter stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from redis.exceptions import ResponseError

from ..codec import FOR_GROUP
from ..commands import Redriven, redrive, xrange
from ..effects import Exchange
from ..errors import SetupError
from ..ids import FIRST, LAST
from ..reports import RedriveResult
from .asking import call
from .groups import is_lost
from .hand import Hand
from .settling import SLACK

PAGE = 100  # letters in one atomic step
RIGHTS = "TYPE, EXISTS, XINFO GROUPS, XRANGE, XPENDING, XCLAIM, XADD and XDEL"
DENIED = ("can't run this command", "can't access", "ACL failure in script")  # redis-server 7.0.15 does not say which; later ones do (8.6.3)
Row = TypeVar("Row", bound=Sequence[Any])


class Redriving:
    """One call of `redrive`: what became of each letter so far."""

    def __init__(self, dead: str, topic: str, group: str, lease: float) -> None:
        self.dead, self.topic, self.group, self.lease = dead, topic, group, lease
        self.result = RedriveResult([], [], [], [], [])

    def these(self, ids: Sequence[str]) -> Exchange[RedriveResult]:
        """What became of the letters with these ids."""
        for place in range(0, len(ids), PAGE):
            page = ids[place : place + PAGE]
            seen = yield from self.step([(letter, letter, 1) for letter in page])
            self.result.missing.extend(letter for letter in page if letter not in seen)
        return self.result

    def all(self) -> Exchange[RedriveResult]:
        """What became of all letters that are there now: those that are written meanwhile are left."""
        newest = yield from call(xrange(self.dead, FIRST, LAST, 1, reverse=True))
        start = FIRST
        while newest:
            seen = yield from self.step([(start, newest[0][0], PAGE)])
            if len(seen) < PAGE:
                break
            start = f"({seen[-1]}"
        return self.result

    def step(self, rows: Sequence[tuple[str, str, int]]) -> Exchange[list[str]]:
        """Redrive the letters in these ranges; the ids of those that are there."""
        try:
            found: list[Redriven] = yield from call(redrive(self.dead, self.topic, self.group, self.lease + SLACK, rows))
        except ResponseError as error:
            if is_lost(error):
                raise SetupError(f"topic {self.topic!r} has no consumer group {self.group!r} to redrive to: create() it first") from error
            if any(words in str(error) for words in DENIED):
                raise SetupError(f"redrive needs the rights to {RIGHTS} on {self.dead!r} and {self.topic!r}: {error}") from error
            raise
        for letter, became in found:
            getattr(self.result, became).append(letter)
        return [letter for letter, _ in found]


def for_this_group(hand: Hand, rows: Sequence[Row]) -> list[Row]:
    """The entries (id, fields, ...) without copies that were redriven for other groups, which are acknowledged unseen, uncounted; copies for this
    group without their mark."""
    mine: list[Row] = []
    for row in rows:
        flat: list[str] = row[1]
        if flat[0] != FOR_GROUP or len(flat) == 2:
            mine.append(row)
        elif flat[1] == hand.settings.group:
            del flat[:2]
            mine.append(row)
        elif hand.settings.ack != "none":
            hand.settled -= 1  # its acknowledgement counts one
            hand.acks.append(row[0])
            if hand.asleep:
                hand.bell.ring()
    return mine
