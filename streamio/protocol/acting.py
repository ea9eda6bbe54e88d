"""What an operator does to a group's pending entries: acknowledging, giving back, burying, claiming.

1. Entries change hands in pages, each of them one script: whoever is stopped in between has lost nothing, and may call again.
2. Nothing is counted as a delivery.
3. What is not pending is left alone, and not counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from redis.exceptions import MovedError, NoScriptError

from ..acts import Claimed, claim, give_back
from ..commands import DEAD_LETTERS, Command, exactly, ran, xack, xpending, xrange
from ..effects import Call, Exchange, Redirect
from ..errors import Unanswered
from ..keys import side_key
from ..reports import ClaimResult
from ..scripts import BURY
from .asking import MOVES, call, fine
from .settling import SLACK, lettered

PAGE = 100  # entries in one script
ACKED = 500  # ids in one XACK
BURIED = 20  # entries read in one round trip, whole ones
SOON = 100 * 86400.0  # seconds of idle time under the parking consumer that are a lease, whatever the members' is; far from `ORPHAN`
TRIES = 3  # to bury what changes hands meanwhile


def pages(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """The ids in parts."""
    return (ids[first : first + size] for first in range(0, len(ids), size))


def acknowledging(topic: str, group: str, ids: Sequence[str]) -> Exchange[int]:
    """How many of these were pending; they are no more."""
    done = 0
    for page in pages(ids, ACKED):
        done += yield from call(Command(xack(topic, group, page), int))
    return done


def giving_back(topic: str, group: str, lease: float, delay: float, ids: Sequence[str]) -> Exchange[int]:
    """How many of these are in nobody's hand now, due in `delay` seconds: at once whatever the members' lease is, later where it is this one."""
    idle = max(0.0, lease - delay) if delay else max(lease, SOON) + SLACK
    done = 0
    for page in pages(ids, PAGE):
        done += yield from call(give_back((topic, side_key(topic, "dead", group)), group, idle, page))
    return done


def burying_ids(topic: str, group: str, ids: Sequence[str], reason: str) -> Exchange[int]:
    """How many of these are dead letters now. One that another consumer takes meanwhile is looked at again."""
    done = 0
    for page in pages(ids, BURIED):
        left = list(page)
        for _ in range(TRIES):
            left, buried = yield from burying_page(topic, group, left, reason)
            done += buried
            if not left:
                break
    return done


def burying_page(topic: str, group: str, ids: Sequence[str], reason: str) -> Exchange[tuple[list[str], int]]:
    """Those of these that another consumer had taken when they were to be buried, and how many were buried."""
    found = yield from every([each for i in ids for each in (xpending(topic, group, 0.0, i, i, 1), xrange(topic, i, i, 1))])
    commands = {}
    for pending, entries in zip(found[::2], found[1::2]):
        for row in pending:
            why, flat = (reason, entries[0][1]) if entries else ("missing", [])
            words = lettered(topic, group, row.consumer, row.id, row.deliveries, why, flat)
            args: list[str | bytes] = [group, row.consumer, row.id, str(DEAD_LETTERS), *words]
            commands[row.id] = exactly(ran(BURY, (topic, side_key(topic, "dead", group)), args, str))
    letters = yield from every(list(commands.values()))
    return [entry_id for entry_id, letter in zip(commands, letters) if not letter], sum(map(bool, letters))


def claiming_ids(topic: str, group: str, to: str, idle: tuple[float, float], ids: Sequence[str], most: int | None) -> Exchange[ClaimResult]:
    """Which of these are `to`'s now, and which are gone."""
    claimed, gone = list[str](), list[str]()
    for page in pages(ids, PAGE):
        left = PAGE if most is None else most - len(claimed)
        if left <= 0:
            break
        found: Claimed = yield from call(claim((topic, side_key(topic, "dead", group)), group, to, idle, left, "", page))
        claimed += found.claimed
        gone += found.gone
    return ClaimResult(claimed, gone)


def claiming_all(topic: str, group: str, to: str, idle: tuple[float, float], most: int | None) -> Exchange[ClaimResult]:
    """Which of all that is pending are `to`'s now, the oldest first, and which are gone."""
    keys = topic, side_key(topic, "dead", group)
    claimed, gone, start = list[str](), list[str](), "-"
    while start and (most is None or len(claimed) < most):
        left = PAGE if most is None else min(PAGE, most - len(claimed))
        found: Claimed = yield from call(claim(keys, group, to, idle, left, start, (str(PAGE),)))
        claimed += found.claimed
        gone += found.gone
        start = f"({found.last}" if found.seen == PAGE else ""
    return ClaimResult(claimed, gone)


def every(commands: Sequence[Command[Any]]) -> Exchange[list[Any]]:
    """What the commands give, in one round trip: scripts in full where the server does not know them, and again where the key moved to. The first
    error reply is raised when all have been answered."""
    replies: dict[int, Any] = {}
    asks = {number: command.words for number, command in enumerate(commands)}
    for _ in range(MOVES):
        if asks:
            replies |= zip(asks, (yield from answers([*asks.values()])))
        asks = {}
        for number, reply in replies.items():
            if isinstance(reply, NoScriptError):
                asks[number] = commands[number].in_full
            elif isinstance(reply, MovedError):
                asks[number] = commands[number].in_full or commands[number].words
        if not asks:
            break
        yield from redirecting(replies)
    return [command.read(fine(replies[number], command.words)) for number, command in enumerate(commands)]


def redirecting(replies: Mapping[int, Any]) -> Exchange[None]:
    """Go where the key moved to, if it did."""
    moved = next((reply for reply in replies.values() if isinstance(reply, MovedError)), None)
    if moved is not None:
        yield Redirect(moved.host, moved.port)


def answers(commands: Sequence[Any]) -> Exchange[list[Any]]:
    """The replies to these commands."""
    try:
        replies: list[Any] = yield Call(commands)
    except Unanswered as broken:
        raise broken.cause from broken
    return replies
