"""What becomes of a delivery when its handlers are through. Plain functions: notes are made here, sent elsewhere."""

from __future__ import annotations

from typing import Any

from ..errors import NotAcknowledged
from ..reports import Event
from .hand import Hand
from .notes import Parking, closes


def succeeded(hand: Hand, message: Any) -> None:
    """The handlers returned: acknowledge, where the message is not settled already and the member does that."""
    hand.handled += 1
    if hand.settings.ack == "auto":
        hand.ack(message)
    elif hand.settings.ack == "none":
        hand.settled += closes(message)


def failed(hand: Hand, message: Any, error: BaseException, chance: float) -> Event | None:
    """A handler raised, or left the entry out of what it acknowledged: another try after a while, or the dead letters. The event that tells which;
    None where it was settled before."""
    hand.failures += 1
    if hand.settings.ack == "none":
        closes(message)
        return None
    judged = None if isinstance(error, NotAcknowledged) else error
    return nacked(hand, message, error, hand.settings.retry.wait(judged, message.deliveries, chance))


def nacked(hand: Hand, message: Any, error: BaseException | None, delay: float | None) -> Event | None:
    """Let the entry wait, or bury it where `delay` is None."""
    if delay is None:
        hand.bury(message, "failed", error)
        return None
    if not hand.park(message, delay, message.deliveries):
        return None
    return hand.event("retrying", message=message, error=error, delay=delay)


def released(hand: Hand, message: Any) -> None:
    """A started delivery was given up without a verdict (a loop left by `break`): another try at once, this delivery counted."""
    hand.park(message, 0.0, message.deliveries)


def unhandled(hand: Hand, message: Any) -> Event:
    """No listener wants the entry: settle it as the group is set, and the event that tells."""
    how = hand.settings.unhandled
    if hand.settings.ack == "none":
        hand.settled += closes(message)
    elif how == "ack":
        hand.ack(message)
    elif how == "bury":
        hand.bury(message, "unhandled")
    elif closes(message):
        hand.note(Parking(message.id, hand.settings.lease, message.before, wanted=False, message=message))
    return hand.event("unhandled", message=message, reason=how)
