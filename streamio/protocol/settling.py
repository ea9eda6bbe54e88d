"""Settlements on their way to the server: acknowledgements in one XACK, entries that wait in one script, dead letters one by one.

A note is taken by one writer, and goes back when its write or its reply fails. `XACK` answering 0 is success.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from heapq import heappush

from redis.exceptions import ResponseError

from ..codec import packed
from ..commands import DEAD_LETTERS, Command, Flat, park, ran, xack
from ..effects import Drop, Emit, Exchange, Line, Now
from ..errors import SetupError
from ..keys import WAITING
from ..scripts import BURY
from .asking import BROKEN, ask
from .groups import is_lost
from .hand import ORPHAN, Hand
from .notes import Burial, Note, Parking, entry_of
from .outputting import sending_outputs

PAGE = 500  # entries in one command
SLACK = 0.002  # seconds that the server's clock, which counts whole milliseconds, may be behind when a wait ends


def sending(hand: Hand, line: Line) -> Exchange[None]:
    """Bring all notes to the server, on a line that owes nothing."""
    yield from sending_acks(hand, line)
    yield from sending_outputs(hand, line)
    yield from sending_acks(hand, line)  # of what could only go without its reply
    yield from sending_notes(hand, line)


def delivering(hand: Hand, line: Line) -> Exchange[None]:
    """As `sending`; a line that the server closed meanwhile is opened again, once."""
    try:
        yield from sending(hand, line)
    except BROKEN:
        yield Drop(line)
        yield from sending(hand, line)


def sending_acks(hand: Hand, line: Line) -> Exchange[None]:
    """Acknowledge what is noted."""
    ids = hand.take_flying()
    try:
        while ids:
            yield from ask(line, Command(xack(hand.settings.topic, hand.settings.group, ids[:PAGE]), int))
            hand.settled += len(ids[:PAGE])
            for watch in hand.watches:
                watch.acknowledged(hand, ids[:PAGE])
            landed(hand, ids[:PAGE])
            del ids[:PAGE]
    except BaseException:
        hand.put_back(ids)
        landed(hand, ids)
        raise


def sending_notes(hand: Hand, line: Line) -> Exchange[None]:
    """Park and bury what is noted."""
    notes = hand.take_notes()
    hand.flying.extend(entry_of(note) for note in notes)
    try:
        while notes:
            page, letters = leading(notes), list[Burial]()
            if isinstance(page[0], Burial):
                yield from burying(hand, line, page[0])
            else:
                letters = yield from parking(hand, line, [note for note in page if isinstance(note, Parking)])
            hand.flying.extend(map(entry_of, letters))
            landed(hand, map(entry_of, page))
            notes[: len(page)] = letters
    except (ResponseError, SetupError) as error:
        landed(hand, map(entry_of, notes))
        yield from refused(hand, notes, error)
    except BaseException:
        hand.put_back(notes=reversed(notes))
        landed(hand, map(entry_of, notes))
        raise


def refused(hand: Hand, notes: list[Note], error: Exception) -> Exchange[None]:
    """The server refused: a lost group has nothing to settle; else the note's entry waits for a lease and the others go back."""
    if is_lost(error):
        return
    first, *others = notes
    hand.put_back(notes=reversed(others))
    if isinstance(first, Burial) and first.reason != "missing":  # what left the stream cannot wait
        hand.notes.append(Parking(first.message.id, hand.settings.lease, first.message.deliveries, message=first.message))
    yield Emit(hand.event("error", error=error, ids=[entry_of(first)]))


def landed(hand: Hand, ids: Iterable[str]) -> None:
    """These are in flight no more."""
    for entry_id in ids:
        hand.flying.remove(entry_id)


def leading(notes: list[Note]) -> list[Note]:
    """The first burial, or all parkings before the first burial, a page at most."""
    if isinstance(notes[0], Burial):
        return notes[:1]
    end = next((i for i, note in enumerate(notes) if isinstance(note, Burial)), len(notes))
    return notes[: min(end, PAGE)]


def parking(hand: Hand, line: Line, notes: list[Parking]) -> Exchange[list[Burial]]:
    """Let the entries wait under the parking consumer; a wait longer than the lease is remembered, to be parked again before it ends. What is to be
    buried instead, because its entry left the stream meanwhile."""
    s = hand.settings
    rows = [(note.id, idle_of(note, s.lease), "", note.deliveries) for note in notes]
    parked, gone = yield from ask(line, park(s.topic, s.group, s.me, WAITING, rows))
    now: float = yield Now()
    letters = []
    for note in notes:
        if note.id in parked:
            remember(hand, note, now)
        elif s.ack == "none":
            continue
        elif note.id in gone:
            letters += [] if note.message is None else [Burial(note.message, "missing")]  # else it is found under the own name
            yield Emit(hand.event("missing", ids=[note.id], count=1))
        else:
            yield Emit(hand.event("lease_lost", ids=[note.id]))
    return letters


def idle_of(note: Parking, lease: float) -> float:
    """The idle time with which the entry begins to wait: it is due when that is a lease."""
    if note.orphan:
        return ORPHAN
    return max(0.0, lease - note.delay) if note.delay else lease + SLACK


def remember(hand: Hand, note: Parking, now: float) -> None:
    """Look at the waiting entries again when this one is due."""
    if not note.wanted:
        return
    due = now + note.delay + (SLACK if note.delay else 0.0)
    heappush(hand.timers, due)
    hand.poll_at = min(hand.poll_at, due)
    if note.delay > hand.settings.lease:
        hand.long[note.id] = (due, note.deliveries)
        hand.bell.ring()  # the keeper parks it again before a lease is over


def parking_again(hand: Hand, line: Line, now: float) -> Exchange[None]:
    """Keep the waits that are longer than a lease from ending early."""
    s = hand.settings
    rows = [(i, max(0.0, s.lease - (due - now)), str(n), n) for i, (due, n) in list(hand.long.items())]
    while rows:
        page, rows = rows[:PAGE], rows[PAGE:]
        parked, _ = yield from ask(line, park(s.topic, s.group, WAITING, WAITING, page))  # what is gone is found when it is due
        for entry_id in [row[0] for row in page]:
            due, _ = hand.long.get(entry_id, (0.0, 0))  # the listener may have taken it meanwhile
            if entry_id not in parked or due - now <= s.lease:
                hand.long.pop(entry_id, None)


def burying(hand: Hand, line: Line, note: Burial) -> Exchange[None]:
    """Write the dead letter and acknowledge the entry, in one step, where this member still owns it."""
    s, message = hand.settings, note.message
    owner = "" if note.reason == "missing" or s.ack == "none" else s.me
    args: list[str | bytes] = [s.group, owner, message.id, str(DEAD_LETTERS), *dead_letter(hand, note)]
    letter = yield from ask(line, ran(BURY, (s.topic, s.dead_letters), args, str))
    name = "buried" if letter else "lease_lost"
    hand.settled += bool(letter)
    yield Emit(hand.event(name, message=message, reason=note.reason, error=note.error, ids=[message.id]))


def text_of(error: BaseException) -> str:
    """The error's kind and words; it may be so broken that it has none."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception as worse:
        return f"{type(error).__name__}: (no text: {type(worse).__name__})"


def dead_letter(hand: Hand, note: Burial) -> list[bytes]:
    """The dead letter's fields."""
    s, message, error = hand.settings, note.message, note.error
    words = "" if error is None else text_of(error)[:1000]
    trace = "".join(traceback.format_exception(error))[-4000:] if error is not None else ""
    return lettered(s.topic, s.group, s.me, message.id, message.deliveries, note.reason, message._flat, words, trace)


def lettered(
    topic: str, group: str, consumer: str, entry_id: str, deliveries: int, reason: str, flat: Flat, error: str = "", trace: str = ""
) -> list[bytes]:  # fmt: skip
    """A dead letter's fields: eight of ours, always in this order, then the entry's own, byte for byte."""
    facts = {
        "dead:id": entry_id,
        "dead:group": group,
        "dead:consumer": consumer,
        "dead:deliveries": str(deliveries),
        "dead:reason": reason,
        "dead:error": error,
        "dead:traceback": trace,
        "dead:topic": topic,
    }
    ours = [word.encode("utf-8", "backslashreplace") for row in facts.items() for word in row]  # an error's text may hold lone surrogates
    return [*ours, *packed([word.encode("utf-8", "surrogateescape") for word in flat])]
