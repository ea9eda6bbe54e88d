"""How a member begins and ends: connect, check, make the group, take a place; settle all, give back the rest, leave."""

from __future__ import annotations

from redis.exceptions import ConnectionError, NoPermissionError, OutOfMemoryError, ResponseError

from ..commands import Command, leave, unseat, xack, xlen
from ..effects import Chance, Drop, Emit, Exchange, Line, Now, Receive, Rest, Words, Write
from ..errors import SetupError
from ..keys import WAITING
from ..scripts import RENEW
from .announcing import announcing
from .asking import BROKEN, ask, key_of, lasting, says
from .claiming import counting_gap
from .groups import creating_on, is_lost
from .hand import Hand
from .owing import collecting, writing
from .places import placing
from .reading import giving_back
from .recovering import backoff, is_setup
from .servers import ASK, probe, refuse_old, told
from .settling import sending
from .taking import taking_own


def joining(hand: Hand) -> Exchange[None]:
    """Be ready to read. Waits up to `connect_timeout` for the server; what no waiting heals is raised at once."""
    began: float = yield Now()
    attempt = 0
    while True:
        try:
            return (yield from entering(hand))
        except (*BROKEN, OutOfMemoryError) as error:
            hand.forget_owed()
            yield Drop(hand.reading)
            if hand.stopping:
                return
            yield from waiting_for(hand, error, began, attempt)
        attempt += 1


def waiting_for(hand: Hand, error: Exception, began: float, attempt: int) -> Exchange[None]:
    """Rest before another attempt; raise the error where it heals by no waiting, or has lasted for `connect_timeout`."""
    now: float = yield Now()
    if is_setup(error):
        raise error
    timeout = hand.settings.connect_timeout
    if now - began >= timeout:
        raise ConnectionError(f"no answer within connect_timeout={timeout:g} s: {error}") from error
    chance: float = yield Chance()
    yield Rest(min(backoff(attempt, chance), max(0.0, began + timeout - now)))


def entering(hand: Hand) -> Exchange[None]:
    """As `joining`, once."""
    yield from reaching(hand)
    yield from checking(hand)
    yield from looking_at_outlets(hand, hand.reading)
    s = hand.settings
    if (yield from creating_on(hand.reading, s.topic, s.group, s.start)):
        yield from counting_gap(hand)  # what was trimmed before there was a group is nobody's
        yield Emit(hand.event("group_created", reason="new"))
    yield from placing(hand)
    yield from writing(hand, announcing(hand, (yield Now())))
    yield from collecting(hand)
    hand.own = None if s.ack == "none" else "-"
    hand.poll_at = hand.claim_at = float("inf") if s.ack == "none" else 0.0
    hand.down_since = None
    hand.state, hand.reading.cut = "ready", False


def looking_at_outlets(hand: Hand, line: Line) -> Exchange[None]:
    """See that what is put out can go where it is to go: another type of key is refused by name."""
    for key in hand.outlets:
        if key not in hand.sound:
            yield from ask(line, xlen(key))
            hand.sound.add(key)


def reaching(hand: Hand) -> Exchange[None]:
    """Connect the reading line to a server that takes what is written."""
    yield from lasting(hand.reading, Command(xack(hand.settings.topic, hand.settings.group, ("0-1",)), int))  # any other answer will do


def checking(hand: Hand) -> Exchange[None]:
    """Ask for every right at once: inside MULTI a command is checked and not run, and DISCARD forgets them all (the server needs no ACL DRYRUN).

    None of them is sent before MULTI was granted: without it they would run. A server too old is refused by its version, where it tells it.
    """
    faults: list[tuple[Words, ResponseError]] = []
    yield Write(hand.reading, [ASK, ("MULTI",)])
    hand.server = told((yield Receive(hand.reading)), hand.reading.version)
    reply = yield Receive(hand.reading)
    refuse_old(hand.server)
    if isinstance(reply, ResponseError):
        faults.append((("MULTI",), reply))
    else:
        faults += yield from checking_each(hand, rights(hand) if hand.server else [*rights(hand), probe(hand)])
    for words, fault in faults:
        if words == probe(hand) and "unknown command" not in str(fault):
            continue
        if isinstance(fault, NoPermissionError) or says(fault, "NOPERM"):
            raise SetupError(f"the server's ACL does not let this user run {named(words)}: {fault}") from fault
        if "unknown command" in str(fault):
            raise SetupError(f"the server does not know {words[0]!s}: streamio needs Redis 6.2 or later, and no command renamed ({fault})") from fault
        if words == ("MULTI",):
            raise fault


def checking_each(hand: Hand, commands: list[Words]) -> Exchange[list[tuple[Words, ResponseError]]]:
    """Inside MULTI: which of the commands are refused, and how."""
    yield Write(hand.reading, [*commands, ("DISCARD",)])
    faults = []
    for words in commands:
        reply = yield Receive(hand.reading)
        if isinstance(reply, ResponseError):
            faults.append((words, reply))
    yield Receive(hand.reading)
    return faults


def named(words: Words) -> str:
    """A command and its keys, for an error."""
    first = str(words[0])
    command = f"{first} {words[1]!s}" if first in ("XINFO", "XGROUP") else first
    keys = words[3:5] if first == "EVAL" else [] if len(words) == 1 else [key_of(words)]
    return command + (f" on {' and '.join(map(repr, keys))}" if keys else "")


def rights(hand: Hand) -> list[Words]:
    """One harmless form of each command that a member uses, with its real keys."""
    s = hand.settings
    key, group, me = s.topic, s.group, s.me
    return [
        ("XREADGROUP", "GROUP", group, me, "COUNT", "1", "STREAMS", key, ">"),
        ("XACK", key, group, "0-1"),
        ("XPENDING", key, group, "IDLE", "1", "-", "+", "1", WAITING),
        ("XCLAIM", key, group, me, "1", "0-1", "JUSTID"),
        ("XINFO", "STREAM", key),
        ("XINFO", "CONSUMERS", key, group),
        ("XGROUP", "CREATE", key, group, "0", "MKSTREAM"),
        ("XGROUP", "DELCONSUMER", key, group, me),
        ("EVAL", "return 0", "2", key, s.dead_letters),
        RENEW.by_digest([key], []),
        ("XADD", s.dead_letters, "NOMKSTREAM", "*", "a", "b"),
        ("TYPE", s.dead_letters),
        *(rights_to_places(s.places, me) if s.max is not None else []),
        *(("XADD", key, "NOMKSTREAM", "*", "a", "b") for key in hand.outlets),
    ]


def rights_to_places(places: str, me: str) -> list[Words]:
    """The same for what keeps the group's `max`."""
    return [
        ("TIME",),
        ("ZADD", places, "0", me),
        ("ZREM", places, me),
        ("ZCARD", places),
        ("ZSCORE", places, me),
        ("ZREMRANGEBYSCORE", places, "-inf", "0"),
        ("PEXPIRE", places, "1"),
    ]


def leaving(hand: Hand) -> Exchange[None]:
    """Settle all, let wait what was not started, and remove the own record where nothing is pending.

    Where the server is away and something is to be settled, it is tried for `grace` seconds; after that the leases speak.
    """
    began: float = yield Now()
    attempt = 0
    while True:
        try:
            yield from parting(hand)
            if not hand.flying and not hand.outputs:
                return
        except (*BROKEN, OutOfMemoryError) as error:
            hand.forget_owed()
            yield Drop(hand.reading)
            if is_setup(error) or (attempt and not is_owing(hand)):
                return  # the second time: the first one may only have found the line down
            if (yield Now()) - began >= hand.settings.grace:
                yield Emit(hand.event("error", error=error, reason="the server was not there to settle with"))
                return
        except (ResponseError, SetupError) as error:
            if not is_lost(error):
                yield Emit(hand.event("error", error=error, reason="the server refused while leaving"))
            return
        yield Rest(min(1.0, backoff(attempt, 1.0)) if is_owing(hand) else 0.0)
        attempt += 1


def is_owing(hand: Hand) -> bool:
    """Whether the server is still to be told something that would otherwise run again, or later."""
    return bool(hand.is_noted or hand.flying or (hand.unstarted() and hand.settings.ack != "none"))


def parting(hand: Hand) -> Exchange[None]:
    """As `leaving`, once."""
    s = hand.settings
    yield from collecting(hand)
    giving_back(hand)
    yield from sending(hand, hand.reading)
    if hand.seated:
        yield from ask(hand.reading, unseat(s.places, s.me))
        hand.seated = False
    if hand.state != "stopped" and not hand.running and not hand.held and s.ack != "none":
        yield from removing_record(hand)


def removing_record(hand: Hand) -> Exchange[None]:
    """Remove the member's record. What is pending under its name and not in hand (a reply was lost, it stops before it has looked) is given back."""
    s = hand.settings
    if (yield from ask(hand.reading, leave(s.topic, s.group, s.me))):
        return
    hand.own = "-"
    while hand.own is not None:
        yield from taking_own(hand)
    giving_back(hand)
    yield from sending(hand, hand.reading)
    yield from ask(hand.reading, leave(s.topic, s.group, s.me))
