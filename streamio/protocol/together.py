"""Several topics in one read: one XREADGROUP that waits for all of them, on a line of its own. Each part of the reply goes to the hand it is for.

* What is in hand is bounded for the member as a whole, and COUNT is for each stream. Where there is not room for one entry of each, and on the
  embedded server, one XREAD waits for all, and the groups are read one after the other.
* A reply that is lost is every hand's trouble: each looks at what is pending under its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from ..commands import CLIENT_ID, client_unblock, greet, xinfo_stream, xread_any, xreadgroup_any
from ..effects import NOW, Exchange, Receive, Words, Write
from .announcing import awaits, greeted, looking_along
from .asking import BROKEN, ask
from .delaying import moving_along
from .hand import Hand
from .owing import collecting
from .prefetch import Prefetch
from .reading import arrived, patience, reading, reading_ahead
from .recovering import is_final

if TYPE_CHECKING:
    from .score import Choir, Part


class Shared(Prefetch):
    """A learner for one topic of several: the room is the whole member's, and 100 ms of work are shared among the topics that have any."""

    hands: Sequence[Hand] = ()  # of the other topics

    @property
    def most(self) -> int:
        """How many entries of this topic may be in hand at once, beside those of the others."""
        return super().most - sum(hand.in_hand + hand.ahead * hand.prefetch.last for hand in self.hands)

    def wanted(self) -> int:
        """This topic's share of about 100 ms of work."""
        return max(self.busy, super().wanted() // (1 + sum(not hand.dry for hand in self.hands)))


def room_for(hands: Sequence[Hand]) -> int:
    """How many entries the member has room for."""
    hand = hands[0]
    rooms = [hand.prefetch.most - hand.in_hand, *(each.limit for each in hands if each.limit is not None)]
    return min(rooms)


def guarding(hand: Hand, exchange: Exchange[Any]) -> Exchange[Any]:
    """What the exchange gives; what goes wrong with the server is the hand's trouble, to be mended at its next turn."""
    try:
        return (yield from exchange)
    except (*BROKEN, ResponseError) as error:
        if is_final(hand, error, (yield NOW)):
            raise
        hand.trouble = error
        return None


def troubled(hands: Iterable[Hand], error: Exception) -> None:
    """The joint line broke: what it owed is lost, for each of them."""
    for hand in hands:
        hand.blocked, hand.trouble = False, error


def least_patience(hands: Sequence[Hand], now: float, until: float | None) -> float | None:
    """How long all of them may wait; None: not at all."""
    waits = [patience(hand, now, until) for hand in hands]
    return None if None in waits else min(wait for wait in waits if wait is not None)


def reading_together(choir: Choir, hands: Sequence[Hand], until: float | None, waits: bool) -> Exchange[None]:
    """One read of what is new for all of them, on the joint line: without waiting, or `waits` until there is something."""
    now: float = yield NOW
    rows = announcing_all(hands, now)
    block = least_patience(hands, now, until) if waits else None
    count = max(1, min(room_for(hands) // len(hands), *(hand.prefetch.count(hand.in_hand) for hand in hands)))
    first, s = numbering(choir), hands[0].settings
    words = xreadgroup_any([hand.settings.topic for hand in hands], s.group, s.me, count, block, s.ack == "none")
    yield Write(choir.line, [*first, *(row[1] for row in rows), words])
    before = [hand.number for hand in hands]
    try:
        yield from numbered(choir, first)
        for hand, _, exchange, argument in rows:
            yield from exchange(hand, argument, (yield Receive(choir.line)))
        lending(choir, hands, block is not None)
        yield from handing_out(hands, count, now, (yield Receive(choir.line)))
    finally:
        for hand, number in zip(hands, before):
            hand.number, hand.blocked = number, False


def announcing_all(hands: Sequence[Hand], now: float) -> list[tuple[Hand, Words, Any, Any]]:
    """What goes along: greetings that are due, and looks at what waits for another try or is delayed."""
    rows: list[tuple[Hand, Words, Any, Any]] = []
    for hand in hands:
        s = hand.settings
        if now - hand.greeted_at >= s.lease / 3:
            hand.greeted_at = now
            rows.append((hand, greet(s.topic, s.group, s.me), greeted, None))
        rows += [(hand, *row) for row in (*looking_along(hand, now), *moving_along(hand, now))]
    return rows


def numbering(choir: Choir) -> list[Words]:
    """The commands that ask for the joint line's number and for the right to end its read, once for each connection."""
    line = choir.line
    if choir.numbered == line.opened and line.connection is not None:
        return []
    choir.numbered, choir.number = line.opened + (line.connection is None), ""
    return [CLIENT_ID, client_unblock("0")]


def numbered(choir: Choir, asked: Sequence[Words]) -> Exchange[None]:
    """The answers to these."""
    replies = []
    for _ in asked:
        replies.append((yield Receive(choir.line)))
    if replies and not any(isinstance(reply, ResponseError) for reply in replies):
        choir.number = str(replies[0])


def handing_out(hands: Sequence[Hand], count: int, asked_at: float, reply: Any) -> Exchange[None]:
    """Each stream's entries are for its hand."""
    if isinstance(reply, ResponseError):
        raise reply
    found = {stream[0]: stream for stream in reply or ()}
    for hand in hands:
        stream = found.get(hand.settings.topic)
        yield from arrived(hand, (count, asked_at), None if stream is None else [stream])


def reading_on(hand: Hand) -> Exchange[None]:
    """Where the joint read brought as much as it asked for, there is more: the next read goes out on the hand's own line."""
    yield from reading_ahead(hand)


def waiting_together(choir: Choir, parts: Sequence[Part], until: float | None, waits: bool) -> Exchange[None]:
    """Read each, the first ones first, until one brings something; where none does and `waits`, wait for news of all."""
    marks = []
    for part in parts:
        marks.append((yield part.on(guarding(part.hand, looking(part.hand)))))
        if part.hand.fresh or marks[-1] is None:
            return
    now: float = yield NOW
    hands = [part.hand for part in parts]
    block = least_patience(hands, now, until) if waits else None
    if block is not None and not any(hand.notes or hand.outputs or hand.halted for hand in hands):
        yield choir.on(waiting_for_any(choir, hands, marks, block))


def looking(hand: Hand) -> Exchange[str]:
    """Read what is new; the stream's last id before that, so that nothing slips between."""
    facts = yield from ask(hand.reading, xinfo_stream(hand.settings.topic))
    now: float = yield NOW
    yield from reading(hand, None, moving_along(hand, now))
    yield from collecting(hand)
    return str(facts["last-generated-id"])


def waiting_for_any(choir: Choir, hands: Sequence[Hand], marks: Sequence[str], block: float) -> Exchange[None]:
    """Wait until anything is added to one of the streams, after these ids. The embedded server waits inside the write: whoever is to end it must be
    able to before that."""
    first = numbering(choir)
    if first:
        yield Write(choir.line, first)
        yield from numbered(choir, first)
    before = [hand.number for hand in hands]
    try:
        lending(choir, hands, True)
        yield Write(choir.line, [xread_any([hand.settings.topic for hand in hands], marks, block)])
        reply = yield Receive(choir.line)
        if isinstance(reply, ResponseError):
            raise reply
    finally:
        for hand, number in zip(hands, before):
            hand.number, hand.blocked = number, False


def lending(choir: Choir, hands: Sequence[Hand], blocks: bool) -> None:
    """Each hand's keeper may end the joint line's read, where that blocks."""
    for hand in hands:
        hand.number = choir.number
        if blocks:
            awaits(hand)
