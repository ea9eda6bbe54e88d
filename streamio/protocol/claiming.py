"""What others left behind, looked for every `claim_interval`, in pages, so that news does not starve:

1. entries of members that said nothing for a lease;
2. entries of whoever else does not renew: foreign clients that poll and never acknowledge. One page of all that is pending each time;
3. entries under the member's own name that it does not hold: somebody handed them over;
4. records of members that are gone and have nothing pending: removed, atomically;
5. entries that left the stream before the group read them: counted, by one member for the whole group.
"""

from __future__ import annotations

from ..commands import Taken, gap, leave, take, xinfo_consumers
from ..effects import NOW, Emit, Exchange
from ..keys import WAITING
from ..reports import ConsumerInfo
from .asking import ask
from .hand import Hand
from .taking import adopting, room

STRANGERS = 500  # pending entries to look at
RECORDS = 20  # to remove at a time


def claiming(hand: Hand, now: float) -> Exchange[None]:
    """A page of what others left behind. More than a page is taken next time, which is then soon."""
    s = hand.settings
    hand.claim_at = now + s.claim_interval
    consumers: list[ConsumerInfo] = yield from ask(hand.reading, xinfo_consumers(s.topic, s.group))
    noticing(hand, consumers)
    others = [each for each in consumers if each.name not in (s.me, WAITING)]
    yield from sweeping(hand, [each.name for each in others if not each.pending and each.idle >= 2 * s.lease])
    yield from missing_out(hand, consumers)
    if (yield from claiming_from(hand, [each.name for each in others if each.pending and each.idle >= s.lease])):
        yield from claiming_strangers(hand, sum(each.pending for each in others))
    else:
        hand.claim_at = now


def noticing(hand: Hand, consumers: list[ConsumerInfo]) -> None:
    """Look at the own entries where more are pending under the member's name than it knows of."""
    mine = sum(each.pending for each in consumers if each.name == hand.settings.me)
    if mine > len(hand.known()):
        hand.own = "-"


def sweeping(hand: Hand, names: list[str]) -> Exchange[None]:
    """Remove the records of members that are gone, where nothing is pending under their names."""
    s = hand.settings
    for name in names[:RECORDS]:
        yield from ask(hand.reading, leave(s.topic, s.group, name))


def missing_out(hand: Hand, consumers: list[ConsumerInfo]) -> Exchange[None]:
    """Tell how many entries left the stream unread. One member of the group does: the first by name of those that live."""
    s = hand.settings
    if any(each.name < s.me and each.idle < s.lease for each in consumers):
        return
    count = yield from counting_gap(hand)
    if count:
        yield Emit(hand.event("skipped", count=count))


def counting_gap(hand: Hand) -> Exchange[int]:
    """How many entries left the stream in front of the group, and were not told before."""
    gone, given, place = yield from ask(hand.reading, gap(hand.settings.topic, hand.settings.group))
    begins = given < 0
    if not place or (begins and place != "0-0"):
        return 0
    new: int = gone - max(given, 0) - hand.told.get(begins, 0)
    hand.told[begins] = hand.told.get(begins, 0) + max(new, 0)
    return max(new, 0)


def claiming_from(hand: Hand, silent: list[str]) -> Exchange[bool]:
    """Take from silent members; whether all of their entries were seen."""
    s, left = hand.settings, room(hand)
    seen = True
    for name in silent:
        since: float = yield NOW
        page: Taken = yield from ask(hand.reading, take(s.dead_keys, s.group, s.me, name, s.lease, hand.cursors.pop(name, "-"), left))
        if page.seen == left:
            hand.cursors[name], seen = f"({page.last}", False
        yield from claimed(hand, page, name, since)
        left -= len(page.entries)
        if left <= 0:
            return False
    return seen


def claiming_strangers(hand: Hand, pending: int) -> Exchange[None]:
    """Take what nobody renews, from a page of all that is pending, where anything is pending under other names."""
    s = hand.settings
    if not pending:
        return
    most, since = room(hand), (yield NOW)
    page: Taken = yield from ask(hand.reading, take(s.dead_keys, s.group, s.me, "", s.lease, hand.stranger, STRANGERS, most))
    hand.stranger = f"({page.last}" if page.last else "-"
    if len(page.entries) == most:
        hand.claim_at = 0.0
    yield from claimed(hand, page, "", since)


def claimed(hand: Hand, page: Taken, name: str, since: float) -> Exchange[None]:
    """What was taken from a member is in hand."""
    yield from adopting(hand, page, set(), True, since)
    if page.entries:
        hand.claims += len(page.entries)
        yield Emit(hand.event("claimed", ids=[entry[0] for entry in page.entries], count=len(page.entries), reason=name))
