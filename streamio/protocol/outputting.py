"""Outputs on their way to the server: what a handler's entry puts out is done in one step with its acknowledgement, and only by its owner.

1. A step that was sent and not answered is sent again: it does nothing where it was done, because then the entry is pending no more.
2. What the server refuses for a while (no memory, demoted) is kept in hand, its entry leased, and nothing new is read until it is through.
3. What it refuses for good (the output's key holds something else) is the entry's failure, by the group's retry policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from redis.exceptions import ConnectionError, NoScriptError, OutOfMemoryError, ResponseError

from ..commands import Command
from ..effects import Chance, Emit, Exchange, Line, Words
from ..outputs import DONE, GONE, Put, output, weight
from .asking import ask, passes, says
from .groups import is_lost
from .hand import Hand
from .notes import Burial, Output, Parking

PAGE = 200  # entries in one step
BYTES = 1_000_000  # about, of commands in one step
SAMPLE = 16  # one in so many is weighed


def take_page(hand: Hand) -> list[Output]:
    """The next outputs, as many as one step takes: they are the caller's now."""
    taken: list[Output] = []
    size, most = 0, PAGE
    hand.writers += 1
    if hand.singly:
        hand.singly, most = hand.singly - 1, 1
    each = iter(hand.outputs.popleft, None)
    try:
        while len(taken) < most and size < BYTES:
            note = next(each)
            taken.append(note)
            much = weight(note.commands)
            more = min(SAMPLE - 1, most - len(taken), (BYTES - size) // max(much, 1))
            size += (1 + more) * much
            taken.extend(islice(each, more))  # one step for each: what another writer takes meanwhile is not here
    except IndexError:
        return taken
    return taken


def step(hand: Hand, notes: Sequence[Output]) -> Command[list[int | str]]:
    """The command that does all of them."""
    s = hand.settings
    return output(s.topic, s.group, "" if s.ack == "none" else s.me, [(note.message.id, note.commands) for note in notes])


def rows(hand: Hand) -> list[Words]:
    """The commands for all outputs noted so far, on the reading line; their answers are owed. None while some are under way on the other one."""
    words: list[Words] = []
    if not hand.way.begin(hand.reading):
        return words
    hand.prefetch.holds()
    while notes := take_page(hand):
        hand.sent_outputs.append(notes)
        hand.owed.append((answered, notes))
        command = step(hand, notes)
        words.append(command.in_full if hand.in_full else command.words)
    hand.in_full = False
    over(hand)
    return words


def over(hand: Hand) -> None:
    """Where all is answered, outputs may go out on the other line."""
    if not hand.sent_outputs:
        hand.way.end(hand.reading)


def answered(hand: Hand, notes: list[Output], reply: object) -> Exchange[None]:
    """The answer to a step on the reading line. A refusal that passes is as good as a lost line."""
    if not hand.sent_outputs or hand.sent_outputs[0] is not notes:  # it goes again, behind one that was refused
        return
    if isinstance(reply, NoScriptError):
        refused(hand, notes)
        return
    if isinstance(reply, ResponseError) and passes(reply):
        refused(hand, notes)
        raise ConnectionError(str(reply)) from reply
    if isinstance(reply, ResponseError) and not is_lost(reply):
        refused(hand, notes)
        if (yield from without_replies(hand, notes, reply)):
            return
        raise reply
    hand.sent_outputs.popleft()
    over(hand)
    if not isinstance(reply, ResponseError):  # (what a lost group had is given again)
        yield from judging(hand, notes, list(reply))  # type: ignore[call-overload]


def refused(hand: Hand, notes: Sequence[Output]) -> None:
    """Nothing of these was done: they go again, and those that were written behind them after them."""
    if hand.sent_outputs and hand.sent_outputs[0] is notes:
        hand.sent_outputs.popleft()
    hand.recall()
    hand.outputs.extendleft(reversed(notes))
    hand.in_full = True


def sending_outputs(hand: Hand, line: Line) -> Exchange[None]:
    """Bring all outputs noted to the server, on a line that owes nothing; none while some are under way on the other one."""
    if not (hand.outputs and hand.way.begin(line)):
        return
    try:
        while notes := take_flying(hand):
            yield from judging(hand, notes, (yield from sending_page(hand, line, notes)))
    finally:
        hand.way.end(line)


def sending_page(hand: Hand, line: Line, notes: list[Output]) -> Exchange[list[int | str]]:
    """What became of each of these; nothing where the group is lost. With `ack="none"` what may be done never goes again."""
    try:
        return (yield from ask(line, step(hand, notes)))
    except BaseException as error:
        if is_lost(error):
            return []
        if hand.settings.ack != "none" or isinstance(error, ResponseError):
            hand.outputs.extendleft(note.doubted() for note in reversed(notes))
        if isinstance(error, ResponseError) and (yield from without_replies(hand, notes, error)):
            return []
        raise
    finally:
        for note in notes:
            hand.flying.remove(note.message.id)


def take_flying(hand: Hand) -> list[Output]:
    """As `take_page`; they are in flight from before they are taken, so that another thread knows of them all the time."""
    before = [note.message.id for note in list(hand.outputs)]
    hand.flying.extend(before)
    notes = take_page(hand)
    taken = [note.message.id for note in notes]
    for entry_id in set(before).difference(taken):
        hand.flying.remove(entry_id)
    hand.flying.extend(set(taken).difference(before))
    return notes


def judging(hand: Hand, notes: Sequence[Output], states: Sequence[int | str]) -> Exchange[None]:
    """What became of each: done, or another's, or gone, or failed."""
    if states.count(DONE) == len(notes):
        hand.settled += len(notes)
        return
    later: list[Output] = []
    for note, state in zip(notes, states):
        if state == DONE:
            hand.settled += 1
        elif isinstance(state, str):
            error = ResponseError(state)
            if passes(error) or says(error, "OOM"):
                later.append(note)
            else:
                yield from failing(hand, note, error)
        elif not note.doubtful:
            yield from losing(hand, note, state)
    if later:
        refused(hand, later)
        raise OutOfMemoryError(states[notes.index(later[0])])


def failing(hand: Hand, note: Output, error: Exception) -> Exchange[None]:
    """The server will not take this output: the delivery has failed."""
    if (yield from sparing(hand, note, error)):
        return
    message, s = note.message, hand.settings
    hand.failures += 1
    chance: float = yield Chance()
    delay = s.retry.wait(error, message.deliveries, chance)
    yield Emit(hand.event("failed", message=message, error=error))
    if delay is None or s.ack == "none":
        hand.note(Burial(message, "failed", error))
        return
    hand.note(Parking(message.id, delay, message.deliveries, message=message))
    yield Emit(hand.event("retrying", message=message, error=error, delay=delay))


def without_replies(hand: Hand, notes: Sequence[Output], error: ResponseError) -> Exchange[bool]:
    """Whether a step that was refused as a whole goes on: where entries ask for replies at places of their own, which may be forbidden ones, each
    goes by itself, and at last without. The notes stand in front again."""
    if isinstance(error, OutOfMemoryError) or not any(others_than_asked(hand, note) is not None for note in notes):
        return False
    if len(notes) > 1:
        hand.singly = len(notes)
        return True
    hand.outputs.popleft()
    return (yield from sparing(hand, notes[0], error))


def others_than_asked(hand: Hand, note: Output) -> list[Put] | None:
    """The commands that do not reply at the place where the entry asks for it; None where all are such."""
    address = note.message._header("reply_to")
    rest = [command for command in note.commands if command[0][1] != address]
    return None if address is None or address in hand.outlets or len(rest) == len(note.commands) else rest


def sparing(hand: Hand, note: Output, error: Exception) -> Exchange[bool]:
    """Whether it was only the reply that the server would not take, at the place where the entry asks for it: the rest goes without."""
    rest = others_than_asked(hand, note)
    if rest is None:
        return False
    yield Emit(hand.event("error", message=note.message, error=error, reason="no reply is written"))
    if rest:
        note.commands = rest
        hand.outputs.appendleft(note)
    else:
        hand.acks.append(note.message.id)
    return True


def losing(hand: Hand, note: Output, state: int | str) -> Exchange[None]:
    """The entry was not this member's any more, and nothing was put out: whoever has it does that. What left the stream while it was handled gets a
    dead letter."""
    if state == GONE:
        hand.note(Burial(note.message, "missing"))
    yield Emit(hand.event("missing" if state == GONE else "lease_lost", ids=[note.message.id], count=1))
