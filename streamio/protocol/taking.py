"""Entries that were delivered before: one's own after a restart or an outage, those that wait, those of members gone silent.

The counting rules (a first read counts one, on the server):

1. Taking never counts. A redelivery is counted when it starts, and the server has answered before the handler runs.
2. Where an entry was found tells what may be thought of it. What waited under the parking consumer failed in order. What was pending
   under a dead member's name, or under one's own from an earlier life, is an *orphan*: it may have killed its process. One that is given back
   before it started remains one: it waits with an idle time of a year.
3. An orphan on its last permitted delivery runs alone. So nobody is buried as poison who did not run alone.
4. An entry that is found with all its deliveries used is buried: an orphan as `poison`, else as `failed`.
"""

from __future__ import annotations

from heapq import heappop
from typing import Any

from redis.exceptions import ResponseError

from ..commands import Taken, count_starts, take
from ..effects import Emit, Exchange, Now
from ..keys import WAITING
from .asking import ask
from .gathering import gather, is_last
from .groups import is_lost
from .hand import ORPHAN, Hand
from .limiting import is_anything_running
from .notes import Burial
from .owing import collecting, writing
from .redriving import for_this_group

PAGE = 100
SPARE = 0.05  # seconds at most between two looks at what waits, where a look takes long because much waits
MINE, NOT_MINE, GONE = 1, 0, -1  # what COUNT_STARTS says of an entry


def taking_own(hand: Hand) -> Exchange[None]:
    """The next page of what is pending under my name and not in hand: from an earlier life, or from a reply that was lost."""
    s = hand.settings
    known, since = hand.known(), (yield Now())
    page: Taken = yield from ask(hand.reading, take(s.dead_keys, s.group, s.me, s.me, 0, hand.own or "-", PAGE))
    hand.own = f"({page.last}" if page.seen == PAGE else None
    yield from adopting(hand, page, known, True, since)


def taking_due(hand: Hand, now: float) -> Exchange[None]:
    """What waits under the parking consumer and is due, as much as there is room for."""
    s = hand.settings
    hand.called, count = False, room(hand)
    while hand.timers and hand.timers[0] <= now:
        heappop(hand.timers)
    page: Taken = yield from ask(hand.reading, take(s.dead_keys, s.group, s.me, WAITING, s.lease, "-", count))
    asked, now = now, (yield Now())  # not from when it was asked: where a reply takes as long as `block`, nothing new would ever be read
    again = max(min([now + s.block, *hand.timers[:1]]), now + min(SPARE, 10 * (now - asked)))
    hand.poll_at = now if page.seen == count else again
    yield from adopting(hand, page, set(), False, asked)


def room(hand: Hand) -> int:
    """How many entries to take at once: about what the next read would bring."""
    if hand.limit is not None:
        return min(PAGE, hand.limit)
    return max(1, min(PAGE, hand.prefetch.count(hand.in_hand)))


def adopting(hand: Hand, page: Taken, known: set[str], orphans: bool, since: float) -> Exchange[None]:
    """Put what was taken in hand, or to the dead letters where its deliveries are used up. `since`: when it was asked for."""
    before = len(hand.taken)
    if page.gone:
        yield Emit(hand.event("missing", ids=page.gone, count=len(page.gone)))
    if not hand.in_hand:
        hand.renewed_at = yield Now()
    page.entries[:] = for_this_group(hand, page.entries)
    for entry_id, flat, deliveries, idle in page.entries:
        if entry_id in known:
            continue
        hand.long.pop(entry_id, None)
        orphan = orphans or idle >= ORPHAN / 2
        message = hand.redelivered(entry_id, flat, hand, deliveries, orphan)
        if deliveries >= hand.settings.retry.max_deliveries:
            message.start(deliveries)
            hand.bury(message, "poison" if orphan else "failed")
        elif opened(hand, message):
            hand.taken.append(message)
    for watch in hand.watches if len(hand.taken) > before else ():
        watch.received(hand, list(hand.taken)[before:], since, orphans)
    if hand.asleep and hand.taken:  # they are to be renewed from now on
        hand.bell.ring()


def opened(hand: Hand, message: Any) -> bool:
    """Whether the payload decodes; else it is buried. The flat codec decodes when looked at, because it cannot fail."""
    if hand.settings.codec.cannot_fail:
        return True
    try:
        _ = message.data
    except Exception as error:
        hand.bury(message, "undecodable", error)
        return False
    return True


def starting(hand: Hand) -> Exchange[Any]:
    """The next redelivered message, counted; None where it was gone, or waits for its batch, which is counted when it starts."""
    message = hand.taken[0]
    listener = None if is_last(hand, message) else hand.batch_of(message.type)
    if listener is not None:
        gather(hand, listener, message, (yield Now()))
        hand.taken.popleft()
        return None
    alone = message.orphan and message.before + 1 >= hand.settings.retry.max_deliveries
    if alone and is_anything_running(hand):
        hand.alone = True
        return None
    if not message.counted:
        yield from counting(hand, [message] if alone else countable(hand))
    if not hand.taken or hand.taken[0] is not message:
        return None
    hand.alone = alone
    return hand.taken.popleft()


def countable(hand: Hand) -> list[Any]:
    """The messages at the head whose start may be counted in one write: an orphan by itself, because it may take with it what is not acknowledged
    yet; others as far as none but the first is on its last delivery."""
    most = hand.settings.retry.max_deliveries
    found = [hand.taken[0]]
    for message in list(hand.taken)[1:PAGE]:
        if message.counted or message.orphan or found[0].orphan or message.before + 2 >= most:
            break
        found.append(message)
    return found


def counting(hand: Hand, messages: list[Any]) -> Exchange[None]:
    """Count the start of these deliveries, and bring all acknowledgements noted so far to the server in the same write."""
    s = hand.settings
    rows = [(message.id, message.before + 1) for message in messages]
    yield from writing(hand, [(count_starts(s.topic, s.group, s.me, rows), started, messages)])
    yield from collecting(hand)


def started(hand: Hand, messages: list[Any], reply: Any) -> Exchange[None]:
    """The server's answer to counted starts: an entry may be another's by now, or acknowledged by one that was frozen, or deleted meanwhile."""
    if isinstance(reply, ResponseError) and not is_lost(reply):
        raise reply
    states = [NOT_MINE] * len(messages) if isinstance(reply, ResponseError) else reply
    for message, state in zip(messages, states):
        if state == MINE:
            message.start(message.before + 1)
        elif hand.drop(message):
            if state == GONE:
                hand.note(Burial(message, "missing"))
            yield Emit(hand.event("missing" if state == GONE else "lease_lost", ids=[message.id], count=1))
