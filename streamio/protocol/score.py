"""The parts of a member of several topics, which of them are read together, and in which order they come: plain state, no I/O. (`conducting`)"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any

from ..effects import Do, Exchange, Line
from .announcing import looks_along
from .gathering import due_at
from .hand import NEVER, Hand
from .limiting import is_anything_running
from .reading import is_dry

TURN = 0.01  # seconds for which a part may go on before the others are looked at
Perform = Callable[[Line, Exchange[Any]], Any]


class Part:
    """One topic of the member. `perform` runs an exchange with a line to itself, in the member's colour."""

    def __init__(self, hand: Hand, priority: int, perform: Perform) -> None:
        self.hand, self.priority, self.perform = hand, priority, perform
        self.choir: Choir
        self.served = 0  # when it was last: a running number
        self.asks = False  # it is to be read by itself next time, so that what is wrong with it shows
        self.seat_at = 0.0  # when to try for a place in the group again
        self.leaves = False  # it is to leave the member when nothing of it runs, or its grace is over
        self.leaves_by = NEVER
        self._here = True

    def on(self, exchange: Exchange[Any]) -> Do:
        """The effect that runs an exchange on the reading line."""
        return Do(lambda: self.perform(self.hand.reading, exchange))

    def claim(self) -> bool:
        """Whether it is the caller's to take out of the member: the first one's."""
        try:
            del self._here
        except AttributeError:
            return False
        return True

    @property
    def reads(self) -> bool:
        """Whether it may be read now."""
        hand = self.hand
        return not hand.halted and hand.trouble is None and hand.down_since is None and not hand.reading.cut

    @property
    def is_broken(self) -> bool:
        """Whether its line is to be mended."""
        hand = self.hand
        return not hand.stopping and (hand.trouble is not None or hand.down_since is not None or hand.reading.cut)

    def calls(self, now: float) -> bool:
        """Whether there is more to do for it than to wait for news."""
        hand = self.hand
        if hand.stopping or self.is_broken:
            return False
        if hand.halted:
            return bool(hand.owed or hand.is_noted or (hand.unstarted() and hand.settings.ack != "none"))
        if hand.fresh or hand.taken or hand.owed or hand.notes or hand.own is not None or self.asks:
            return True
        return now >= min(hand.claim_at, due_at(hand)) or (now >= hand.poll_at and not looks_along(hand, now))


class Choir:
    """Parts that can be read together: one server, one slot, one group name. `line` carries the reads of all, where there are several."""

    def __init__(self, place: Any, perform: Perform) -> None:
        self.place, self.perform = place, perform
        self.parts: list[Part] = []
        self.line = Line("joint", patience=0.0)
        self.number, self.numbered = "", 0
        self.busy = False  # it waits beside the others

    def on(self, exchange: Exchange[Any]) -> Do:
        """The effect that runs an exchange on the joint line."""
        return Do(lambda: self.perform(self.line, exchange))


class Score:
    """All parts of a member. `aside` is the driver's: it performs an exchange beside the others, and rings when that is over."""

    def __init__(self, hand: Hand, aside: Callable[[Choir, Exchange[None]], None]) -> None:
        self.hand, self.aside = hand, aside  # the member's own hand: flags, settings and nothing else
        self.parts: list[Part] = []
        self.choirs: list[Choir] = []
        self.last: Part | None = None
        self.turns = 0
        self.asked_at = float("-inf")
        self.limit: int | None = None
        self.fault: BaseException | None = None  # what an exchange that was performed aside came to
        self.changed = False  # parts came or went
        self.handed: Part | None = None  # its message is on the way to where it runs
        self.active = False  # whose turn it is is being found out
        self.detach: Callable[[Part], None]

    @property
    def hands(self) -> list[Hand]:
        """The hands of all parts."""
        return [part.hand for part in self.parts]

    @property
    def stopping(self) -> bool:
        """Whether nothing more starts: the member stops, or a handler ended one of its parts."""
        return self.hand.stopping or any(part.hand.stopping and not part.leaves for part in self.parts)

    @property
    def waits_alone(self) -> bool:
        """Whether nothing may start beside what runs."""
        hands = self.hands
        return any(hand.alone for hand in hands) and is_anything_running(hands[0])

    def lets_go(self, part: Part, now: float) -> bool:
        """Whether nothing of the part runs, and nobody touches it."""
        return not self.active and self.handed is not part and is_through(part, now)

    def nudge(self) -> None:
        """Parts came or went: a read that waits, or is about to, is to end."""
        for hand in self.hands:
            hand.called = True
            hand.bell.ring()
        self.changed = True
        self.hand.wake.ring()

    def attune(self, now: float) -> None:
        """From here on the parts are those that there are: reads may wait again."""
        if self.changed:
            self.changed = any(choir.busy for choir in self.choirs)
            for hand in [part.hand for part in self.parts if not part.choir.busy]:
                hand.called = hand.called and hand.poll_at <= now

    def levels(self) -> Iterable[list[Part]]:
        """The parts by priority, the highest first; of equals the one first that was served least recently."""
        parts = sorted((part for part in self.parts if not part.leaves), key=lambda part: (-part.priority, part.served))
        return (list(level) for _, level in groupby(parts, key=lambda part: part.priority))

    def served(self, part: Part) -> None:
        """It is this part's turn."""
        self.turns += 1
        part.served, self.last = self.turns, part
        self.handed = part

    def may_go_on(self, part: Part, now: float) -> bool:
        """Whether a place may go on with the same part: nobody of its rank or above has anything, and they were looked at lately."""
        alone = True  # (for each entry where handlers run beside each other: no lists)
        for each in self.parts:
            hand = each.hand
            if hand.alone:
                return False
            if each is not part and each.priority >= part.priority:
                if hand.fresh or hand.taken or hand.owed:
                    return False
                alone = False
        return not part.leaves and (alone or now - self.asked_at < TURN)

    def is_dry(self, now: float) -> bool:
        """Whether nothing is to be had now of any part."""
        return all(is_dry(hand, now) for hand in self.hands) and not any(choir.busy for choir in self.choirs)


def is_through(part: Part, now: float) -> bool:
    """Whether a part that leaves may go: nothing of it runs any more."""
    hand = part.hand
    return not part.choir.busy and ((not hand.running and hand.current is None) or now >= part.leaves_by)
