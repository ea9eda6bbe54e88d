"""The next message: the heart of every loop. `next_message` is short-lived; what lasts is in `Hand`.

In one turn, in this order, each only where it is due: start a batch, settle, count starts, own entries, waiting entries, claims, read.

* Overlap: behind a full batch that is expected to be over in less than 50 ms, the next read is written before the batch is handled, together
  with the acknowledgements of the one before. While batches stay full, the read after that is written before its reply is parsed: two reads are
  owed then, and the server is never without work. It fetches while Python parses and handles.
* Otherwise: handle, then acknowledgements and a blocking read in one write.
* A blocking read lasts until the next timer at most, and a third of a lease at most.
* Flags are looked at after every turn; a read is never cancelled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.exceptions import OutOfMemoryError, RedisError, ResponseError

from ..commands import read_entries, xinfo_stream, xread, xreadgroup
from ..effects import NOW, Drop, Exchange, Rest
from ..errors import SetupError
from .announcing import announcing, awaits, looking_along, looks_along
from .asking import BROKEN, ask, passes
from .claiming import claiming
from .delaying import moving_along
from .gathering import batches, due_at, emptied, hurried, lacking
from .groups import is_lost
from .hand import Hand
from .leasing import dropping, renewing
from .limiting import is_anything_running
from .owing import Row, collecting, writing
from .places import keeping_place, trying
from .recovering import is_final, losing_line, recovering, regrouping
from .redriving import for_this_group
from .settling import PAGE, sending_notes
from .taking import counting, opened, starting, taking_due, taking_own


def next_message(hand: Hand, until: float | None = None) -> Exchange[Any]:
    """The next message to run, or the next batch; None where the member stops, none came until then, or what runs must be alone."""
    now: float = yield NOW
    measuring(hand, now)
    hand.dry = False
    if hand.reading.cut:
        hand.reading.cut, hand.trouble = False, ConnectionError("the last read was interrupted in the middle of a command")
    while not hand.stopping and not (hand.alone and is_anything_running(hand)):
        try:
            message = yield from turning(hand, until)
        except (*BROKEN, ResponseError) as error:
            if is_final(hand, error, (yield NOW)):
                raise
            hand.trouble = error
            continue
        now = hand.turned_at = yield NOW
        if message is not None:
            hand.work_began, hand.work_count = now, hand.handled + hand.failures
            return message
        if until is not None and now >= until and is_dry(hand, now) and not hurried(hand):
            return None
    return None


def is_dry(hand: Hand, now: float) -> bool:
    """Whether nothing is to be had now: the last read brought nothing, none is owed and no page waits to be taken; or nothing may be read."""
    if hand.taken or hand.fresh or hand.owed:
        return False
    return (hand.dry and now < min(hand.poll_at, hand.claim_at)) or hand.halted or (hand.down_since is not None and not hand.draining)


def measuring(hand: Hand, now: float) -> None:
    """Learn from the time since the last hand-out: handlers that run inside each other's time are measured by whoever runs them."""
    done = hand.handled + hand.failures - hand.work_count
    if hand.work_began is not None and done and hand.settings.concurrency == 1:
        hand.prefetch.took(done, now - hand.work_began)
    hand.work_began = None


def turning(hand: Hand, until: float | None) -> Exchange[Any]:
    """One turn: a message, or None where the turn did something else."""
    if hand.trouble is not None:
        yield from answering(hand)
    elif hand.down_since is not None:
        yield from recovering(hand)
        if hand.seated and hand.down_since is None:
            yield from keeping_place(hand, hand.reading)
    elif hand.displaced:
        yield from displaced(hand, until)
    elif hand.paused:
        yield from pausing(hand, until)
    elif hand.gathered and due_at(hand) <= (yield NOW):
        return (yield from beginning(hand))
    elif hand.taken or hand.fresh:
        return (yield from picking(hand))
    else:
        yield from fetching(hand, until)
    return None


def picking(hand: Hand) -> Exchange[Any]:
    """A message in hand that may start, redelivered ones first; None where it may not after all."""
    now: float = yield NOW
    if now - hand.renewed_at > hand.settings.lease:
        yield from verifying(hand, now)
        if hand.halted:
            return None
    hand.alone = False
    if hand.taken:
        return (yield from starting(hand))
    for message in emptied(hand.fresh):
        if opened(hand, message):
            return message
    return None


def beginning(hand: Hand) -> Exchange[Any]:
    """The batch that is due first, its redelivered messages counted; None where nothing is left of it."""
    now: float = yield NOW
    batch = min(batches(hand), key=lambda batch: batch.due)
    if now - hand.renewed_at > hand.settings.lease:
        yield from verifying(hand, now)
        if hand.halted:
            return None
    hand.alone = False
    uncounted = [message for message in batch.messages if not message.counted]
    for first in range(0, len(uncounted), PAGE):
        yield from counting(hand, uncounted[first : first + PAGE])
    return batch if batch.messages else None


def verifying(hand: Hand, now: float) -> Exchange[None]:
    """No renewal for a lease (the process was frozen): what is not mine any more is dropped unstarted."""
    yield from collecting(hand)
    mine = yield from renewing(hand, hand.reading)
    yield from dropping(hand, mine)
    hand.renewed_at = now  # not before: threads of handlers take what is in hand
    if hand.seated:
        yield from keeping_place(hand, hand.reading)


def fetching(hand: Hand, until: float | None) -> Exchange[None]:
    """Get something into the hand: what is owed, what is due, or news."""
    if hand.owed:
        yield from receiving(hand)
        return
    if hand.notes:
        yield from sending_notes(hand, hand.reading)
    now: float = yield NOW
    if hand.own is not None:
        yield from taking_own(hand)
    elif now >= hand.poll_at and not looks_along(hand, now):
        yield from taking_due(hand, now)
    elif now >= hand.claim_at and not hand.claimed_last:
        hand.claimed_last = True
        yield from claiming(hand, now)
    else:
        hand.claimed_last = False
        looks = [*looking_along(hand, now), *moving_along(hand, now)]
        yield from reading(hand, patience(hand, now, until), looks)
        yield from collecting(hand)
        yield from reading_ahead(hand)


def receiving(hand: Hand) -> Exchange[None]:
    """Receive what was read ahead first, or all that is owed, and keep the server at work."""
    yield from reading_further(hand)
    began: float = yield NOW
    yield from collecting(hand, hand.ahead - 1 if hand.ahead else None)
    hand.prefetch.waited((yield NOW) - began)
    yield from reading_ahead(hand)


def refilling(hand: Hand) -> Exchange[None]:
    """Receive what was read ahead while all places are taken, so that there is something in hand where one becomes free."""
    if hand.trouble is None and hand.down_since is None and hand.ahead and not hand.halted and not hand.reading.cut:
        try:
            yield from receiving(hand)
        except (*BROKEN, ResponseError) as error:
            hand.trouble = error


def patience(hand: Hand, now: float, until: float | None) -> float | None:
    """How long the next read may block; None: not at all."""
    s = hand.settings
    ends = [now + s.block, now + s.lease / 3, hand.poll_at, hand.claim_at, hand.look_at, due_at(hand), *([] if until is None else [until])]
    wait = min(ends) - now
    return wait if wait > 0 and not hand.halted else None


def reading(hand: Hand, block: float | None, rows: Sequence[Row] = (), owed: int = 0) -> Exchange[None]:
    """Write the acknowledgements noted so far, `rows`, and a read for as much as there is room for beside what is `owed`."""
    s = hand.settings
    if block is not None and not hand.reading.blocks:
        yield from waiting(hand, block, rows)
        if hand.fresh:
            return
        block, rows = None, ()
    count = max(1, hand.prefetch.count(hand.in_hand + owed, lacking(hand))) if hand.limit is None else hand.limit
    hand.prefetch.asked(count)
    asked_at: float = yield NOW
    words = xreadgroup(s.topic, s.group, s.me, count, block, s.ack == "none")
    if block is not None:
        awaits(hand)
    yield from writing(hand, [*announcing(hand, asked_at), *rows, (words, arrived, (count, asked_at))])


def reading_ahead(hand: Hand) -> Exchange[None]:
    """Write the next read before the batch in hand is handled, where that batch was full and is expected to be over soon."""
    if hand.full and not hand.owed and not hand.taken and hand.limit is None:
        yield from reading_behind(hand, len(hand.fresh), 0)


def reading_further(hand: Hand) -> Exchange[None]:
    """Write the read after the one that was written ahead, before that one's reply is received, where the batch before it was full."""
    if hand.full and hand.ahead == 1 and hand.limit is None and hand.reading.connection is not None:
        yield from reading_behind(hand, hand.prefetch.last, hand.prefetch.last)


def reading_behind(hand: Hand, entries: int, owed: int) -> Exchange[None]:
    """Write a read behind so many entries, `owed` of them still to come, where they are expected to be over soon and nothing else is due."""
    now: float = yield NOW
    if hand.halted or hand.notes or now >= min(hand.poll_at, hand.claim_at, hand.look_at) or not hand.prefetch.is_quick(entries):
        return  # (notes go first: what is noted is still pending)
    if hand.prefetch.count(hand.in_hand + owed) > 0:
        yield from reading(hand, None, owed=owed)
        hand.ahead += 1


def arrived(hand: Hand, asked: tuple[int, float], reply: Any) -> Exchange[None]:
    """A batch of new entries. Their lease began when the read was written, not when the reply came."""
    count, asked_at = asked
    hand.full = hand.blocked = False
    hand.ahead = max(0, hand.ahead - 1)
    if isinstance(reply, RedisError):
        raise reply
    batch = read_entries(reply)
    hand.dry = not batch
    if not batch:
        return
    if hand.holds_nothing():
        hand.renewed_at = asked_at
    hand.filled_at = yield NOW
    make = hand.make
    messages = [make(entry_id, flat, hand) for entry_id, flat in batch]
    if hand.marked:
        hand.marked = False
        messages = [make(entry_id, flat, hand) for entry_id, flat in for_this_group(hand, batch)]
    for watch in hand.watches:
        watch.received(hand, messages, asked_at, False)
    hand.fresh.extend(messages)
    hand.full = len(batch) == count
    hand.prefetch.weighed(max(sum(map(len, batch[0][1])), sum(map(len, batch[-1][1]))))
    if hand.asleep:
        hand.bell.ring()


def waiting(hand: Hand, block: float, rows: Sequence[Row]) -> Exchange[None]:
    """Wait for news where XREADGROUP cannot (the embedded server): the last id is taken before the group is read, so nothing slips between."""
    s = hand.settings
    yield from collecting(hand)
    facts = yield from ask(hand.reading, xinfo_stream(s.topic))
    yield from reading(hand, None, rows)
    yield from collecting(hand)
    if not hand.fresh and not hand.notes and not hand.outputs and not hand.halted:
        awaits(hand)
        yield from ask(hand.reading, xread(s.topic, facts["last-generated-id"], 1, block))
        hand.blocked = False


def answering(hand: Hand) -> Exchange[None]:
    """What went wrong in the last turn: a lost group is made again, a broken line or a moved key is followed, all else is the user's to see."""
    error, hand.trouble = hand.trouble, None
    if isinstance(error, (*BROKEN, OutOfMemoryError)) or passes(error):
        yield from losing_line(hand, error)
        return
    hand.forget_owed()
    yield Drop(hand.reading)
    if not is_lost(error):
        raise SetupError(f"topic {hand.settings.topic!r}, group {hand.settings.group!r}: {error}") from error
    yield from regrouping(hand, error)


def pausing(hand: Hand, until: float | None) -> Exchange[None]:
    """Give back what has not started, settle, and wait to be woken."""
    yield from emptying(hand)
    now: float = yield NOW
    yield Rest(None if until is None else max(0.0, until - now))


def displaced(hand: Hand, until: float | None) -> Exchange[None]:
    """The member lost its place: as if it paused, until there is one again; where it is no standby, it ends."""
    yield from emptying(hand)
    now: float = yield NOW
    if (yield from trying(hand, float("inf") if until is None else max(0.0, until - now))):
        hand.halt(displaced=False)


def emptying(hand: Hand) -> Exchange[None]:
    """Give back what has not started, and settle."""
    yield from collecting(hand)
    giving_back(hand)
    yield from sending_notes(hand, hand.reading)
    yield from writing(hand, [])
    yield from collecting(hand)


def giving_back(hand: Hand, due: float = float("inf")) -> int:
    """Note that what has not started is to wait, uncounted, for whoever is free; how many there were. Of batches those that were due by then.
    With `ack="none"` it stays in hand: the server has forgotten it."""
    if hand.settings.ack == "none":
        return 0
    waiting = (message for queue in hand.queues(due) for message in emptied(queue))
    return sum(hand.park(message, 0.0, message.before) for message in waiting)
