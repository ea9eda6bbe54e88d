"""The keeper's turn: what must happen while a handler runs, a loop body sits, or nobody reads. It has the side line to itself.

0. A read that blocks is ended when the member stops or pauses.
1. Notes older than 50 ms go to the server.
2. Everything pending under the member's name is renewed every third of a lease, and when a message's `extend()` asks for it; the member's place, too.
3. With `prefetch="auto"`, what has waited for more than 1 s behind a running handler is given back, uncounted.
4. A wait that is longer than a lease is parked again before it ends.
5. Delayed entries that are due are moved into the stream.
6. A delivery that ran out of its `handler_timeout` has failed. Where nothing can start because of such ones, what waits is given back.

A turn says how long the keeper may rest; None: until it is rung for.
"""

from __future__ import annotations

from typing import Any

from redis.exceptions import ResponseError

from ..effects import Exchange, Now
from .announcing import is_wasted, unblocking
from .asking import BROKEN
from .delaying import moving
from .gathering import due_at
from .groups import is_lost
from .hand import SOON, Hand
from .leasing import renewing
from .limiting import ends_at, is_stuck, limiting
from .owing import collecting
from .places import keeping_place
from .reading import giving_back
from .settling import parking_again, sending, sending_notes

PATIENCE = 1.0  # seconds an entry may wait in hand behind a running handler


class Watch:
    """What the keeper remembers from turn to turn."""

    def __init__(self) -> None:
        self.noted_at: float | None = None
        self.writers = -1
        self.lively = False  # whether anybody else took notes since the last turn
        self.renewed_at = 0.0
        self.kept_at = 0.0  # when the member's place and its long waits were last renewed


def keeping(hand: Hand, watch: Watch) -> Exchange[float | None]:
    """One turn; seconds until the next, or None where there is nothing to keep."""
    now: float = yield Now()
    yield from limiting(hand, now)
    yield from unblocking(hand, hand.side)
    if hand.quitting:  # nothing else is said to the server any more
        return SOON
    if is_late(hand, watch, now):
        yield from sending(hand, hand.side)
        watch.noted_at = None
    hasty, hand.hasty = hand.hasty, False
    if is_pending(hand) and (hasty or now >= renewal_at(hand, watch)):
        yield from unless_lost(renewing(hand, hand.side))
        renewed(hand, watch, now)
    if (hand.seated or hand.long) and now >= watch.kept_at + hand.settings.lease / 3:
        if hand.seated:
            yield from keeping_place(hand, hand.side)
        yield from unless_lost(parking_again(hand, hand.side, now))
        watch.kept_at = now
    if now >= hand.delayed_at:
        yield from moving(hand, hand.side)
    now = yield Now()
    return rest(hand, watch, now)


def unless_lost(exchange: Exchange[Any]) -> Exchange[None]:
    """Perform it. That the group is gone is for the next read to find."""
    try:
        yield from exchange
    except ResponseError as error:
        if not is_lost(error):
            raise


def is_late(hand: Hand, watch: Watch, now: float) -> bool:
    """Whether notes have waited for 50 ms. Acknowledgements have not while somebody else takes them: they go with each read."""
    watch.lively = hand.writers != watch.writers
    watch.writers = hand.writers
    if not hand.notes and (watch.lively or not (hand.acks or hand.outputs)):
        watch.noted_at = None
    if not hand.is_noted:
        return False
    if watch.noted_at is None:
        watch.noted_at = now
    return now - watch.noted_at >= SOON or hand.abandoned


def is_pending(hand: Hand) -> bool:
    """Whether anything is pending under the member's name."""
    return bool(hand.in_hand or hand.held or hand.ahead or hand.undecided or hand.outputs) and hand.settings.ack != "none"


def renewed(hand: Hand, watch: Watch, now: float) -> None:
    """All that is still mine is leased from now on. After a gap of more than a lease (the process was frozen) what lies in hand may be another's:
    whoever starts it must still see the gap, and looks first."""
    watch.renewed_at = now
    if now - hand.renewed_at <= hand.settings.lease:
        hand.renewed_at = now


def renewal_at(hand: Hand, watch: Watch) -> float:
    """When all of it is to be renewed again."""
    return max(hand.renewed_at, watch.renewed_at) + hand.settings.lease / 3


def is_hoarding(hand: Hand, now: float) -> bool:
    """Whether entries have waited for more than a second behind a running handler, or behind handlers that ran out of their time, so that they are
    better given back; or the member is halted."""
    if hand.settings.ack == "none" or hand.reading.cut or hand.trouble is not None or hand.quitting or not (hand.unstarted() or hand.ahead):
        return False
    if is_stuck(hand) or hand.halted:
        return True
    if hand.prefetch.fixed is not None or not any(each.current is not None or each.running for each in hand.company()):
        return False
    waits = bool(hand.fresh or hand.taken or hand.ahead)
    return (waits and now - hand.filled_at > PATIENCE) or now - due_at(hand) > PATIENCE


def is_left(hand: Hand) -> bool:
    """Whether a loop was left with entries in hand, or read ahead behind them."""
    return hand.state == "ready" and hand.settings.ack != "none" and bool(hand.unstarted() or hand.ahead)


def is_behind(hand: Hand) -> bool:
    """Whether outputs wait for others that were written on the reading line, whose answers lie there while a handler runs."""
    return bool(hand.outputs and hand.sent_outputs and hand.way.is_ordered) and not (hand.reading.cut or hand.trouble is not None or hand.quitting)


def on_reading_line(hand: Hand, now: float) -> Exchange[None] | None:
    """What the keeper has to do on the reading line, where that is free."""
    if is_left(hand) or is_hoarding(hand, now):
        return letting_go(hand)
    return catching_up(hand) if is_behind(hand) else None


def catching_up(hand: Hand) -> Exchange[None]:
    """Receive what is owed. Where the line broke, it is the listener's to mend; what was sent there in vain can go on the other one."""
    try:
        yield from collecting(hand)
    except BROKEN:
        hand.forget_owed()
        hand.reading.cut = True
    except ResponseError as error:
        hand.trouble = error  # the listener's, too


def letting_go(hand: Hand) -> Exchange[None]:
    """Give back what waits, on the reading line, so that nothing new is read before it is there to be looked for: a lone member keeps the order."""
    yield from catching_up(hand)
    if hand.trouble is not None or hand.reading.cut:
        return
    now: float = yield Now()
    giving_back(hand, float("inf") if is_left(hand) or is_stuck(hand) or hand.halted else now - PATIENCE)
    yield from sending_notes(hand, hand.reading)
    hand.poll_at = yield Now()


def rest(hand: Hand, watch: Watch, now: float) -> float | None:
    """Seconds until something is due."""
    ends = [now + SOON] if watch.lively else []  # awake while there is traffic, so that nobody has to ring at each batch
    if hand.is_noted:
        ends.append((now if watch.noted_at is None else watch.noted_at) + SOON)
    if is_pending(hand):
        ends.append(renewal_at(hand, watch))
    if hand.seated or hand.long:
        ends.append(watch.kept_at + hand.settings.lease / 3)
    if is_wasted(hand):
        ends.append(now + SOON)
    if hand.unstarted() or hand.ahead:
        ends += letting_go_at(hand, now)
    if hand.limits:
        ends.append(ends_at(hand))
    end = min([*ends, hand.delayed_at])
    return max(0.001, end - now) if end != float("inf") else None


def letting_go_at(hand: Hand, now: float) -> list[float]:
    """When to look again whether what waits is to be given back."""
    if is_stuck(hand):
        return [now + SOON]
    if hand.prefetch.fixed is not None:
        return []
    at = min(due_at(hand), hand.filled_at if hand.fresh or hand.taken or hand.ahead else float("inf")) + PATIENCE
    return [max(at, now + PATIENCE / 4)]
