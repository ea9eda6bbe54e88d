"""One function per Redis command: its words, and the reader of its reply.

Milliseconds and Redis' own words exist here and in `scripts` only. Replies are raw RESP2 values of our own connections: text is
`str` (bytes that are not UTF-8 come as lone surrogates), numbers are `int`, nothing is None. redis-py's own parsers are not used:
they go by the command's name and fail on some of its forms (`XPENDING` with a range, `XCLAIM ... JUSTID`, redis-py 8.1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from .codec import FOR_GROUP
from .effects import Words
from .keys import WAITING
from .reports import ConsumerInfo, PendingEntry
from .scripts import COUNT_STARTS, GAP, HAND_OVER, LEAVE, PARK, PUBLISH_ONCE, REDRIVE, RENEW, SEAT, TAKE, Script

R = TypeVar("R")
Flat = list[str]
Entry = tuple[str, Flat]
Redriven = tuple[str, str]
DEAD_LETTERS = 100_000  # how many a group keeps, about


class Command(NamedTuple, Generic[R]):
    """The words of a command, what reads its reply, and what makes a failed EVALSHA whole."""

    words: Words
    read: Callable[[Any], R]
    in_full: Words = ()


def milliseconds(seconds: float) -> str:
    """Seconds as Redis writes a time: whole milliseconds, 1 at least where it is not 0."""
    return str(max(1, round(seconds * 1000)) if seconds > 0 else 0)


def pairs(reply: Sequence[Any]) -> dict[str, Any]:
    """A flat list of names and values, as XINFO gives it, by name."""
    return dict(zip(reply[::2], reply[1::2]))


def nothing(reply: Any) -> None:
    """No result."""


def entries(reply: Any) -> list[Entry]:
    """The entries of an XRANGE reply, or of one stream's part of a read; deleted ones have None for fields."""
    return [(entry[0], entry[1]) for entry in reply or ()]


def read_entries(reply: Any) -> list[Any]:
    """The entries of an XREAD or XREADGROUP reply of one stream; none where it timed out."""
    return reply[0][1] if reply else []


def ran(script: Script, keys: Words, args: Words, read: Callable[[Any], R]) -> Command[R]:
    """The command that runs a script by its digest."""
    return Command(script.by_digest(keys, args), read, script.in_full(keys, args))


def exactly(command: Command[R]) -> Command[R]:
    """The command with its words as bytes: the name of somebody else's group or consumer need not be UTF-8."""
    words, in_full = ([w.encode("utf-8", "surrogateescape") if isinstance(w, str) else w for w in each] for each in (command.words, command.in_full))
    return Command(words, command.read, in_full)


# -- entries -----------------------------------------------------------------------------------------------------------------------


def xadd(key: str, retention: Words, entry_id: str, fields: Words) -> Command[str]:
    """Add an entry; its id."""
    return Command(("XADD", key, *retention, entry_id, *fields), str)


def xadds(key: str, retention: Words, entries: Sequence[Words]) -> list[Words]:
    """Add entries; each replies its id."""
    head = ("XADD", key, *retention, "*")
    return [(*head, *fields) for fields in entries]


def publish_once(key: str, guard: str, window: float, retention: Words, entry_id: str, fields: Words) -> Command[str]:
    """Add an entry where `guard` does not stand, and let it stand for `window` seconds; the id of what was added, now or then."""
    return ran(PUBLISH_ONCE, (key, guard), (milliseconds(window), *retention, entry_id, *fields), str)


def xlen(key: str) -> Command[int]:
    """How many entries the stream holds."""
    return Command(("XLEN", key), int)


def xdel(key: str, ids: Words) -> Command[int]:
    """Delete entries; how many there were."""
    return Command(("XDEL", key, *ids), int)


def xtrim(key: str, words: Words) -> Command[int]:
    """Trim the stream; how many entries went."""
    return Command(("XTRIM", key, *words), int)


def xrange(key: str, start: str, end: str, count: int, reverse: bool = False) -> Command[list[Entry]]:
    """Entries from `start` to `end`, oldest first; `reverse`: newest first."""
    if reverse:
        return Command(("XREVRANGE", key, end, start, "COUNT", str(count)), entries)
    return Command(("XRANGE", key, start, end, "COUNT", str(count)), entries)


def xread(key: str, after: str, count: int, block: float) -> Command[list[Entry]]:
    """Entries above the id `after`; waits `block` seconds for one."""
    return Command(("XREAD", "COUNT", str(count), "BLOCK", milliseconds(block), "STREAMS", key, after), lambda reply: entries(read_entries(reply)))


# -- groups ------------------------------------------------------------------------------------------------------------------------


def xgroup_create(key: str, group: str, start: str) -> Command[None]:
    """Create the group, and the stream with it."""
    return Command(("XGROUP", "CREATE", key, group, start, "MKSTREAM"), nothing)


def xgroup_destroy(key: str, group: str) -> Command[bool]:
    """Destroy the group; whether there was one."""
    return Command(("XGROUP", "DESTROY", key, group), bool)


def xgroup_setid(key: str, group: str, start: str) -> Command[None]:
    """Move the group's position: what it reads next is above this id."""
    return Command(("XGROUP", "SETID", key, group, start), nothing)


def xinfo_stream(key: str) -> Command[dict[str, Any]]:
    """The stream's facts, by Redis' names."""
    return Command(("XINFO", "STREAM", key), pairs)


def xinfo_groups(key: str) -> Command[list[dict[str, Any]]]:
    """The facts of each group."""
    return Command(("XINFO", "GROUPS", key), lambda reply: [pairs(group) for group in reply])


def xinfo_consumers(key: str, group: str) -> Command[list[ConsumerInfo]]:
    """The group's consumers, the parking consumer among them."""
    return Command(("XINFO", "CONSUMERS", key, group), lambda reply: [consumer(pairs(each)) for each in reply])


def consumer(facts: dict[str, Any]) -> ConsumerInfo:
    """One consumer of an XINFO CONSUMERS reply; `inactive` is -1 on servers where it never got anything."""
    inactive = facts.get("inactive", -1)
    return ConsumerInfo(facts["name"], facts["pending"], facts["idle"] / 1000, inactive / 1000 if inactive >= 0 else None)


def xpending(key: str, group: str, idle: float, start: str, end: str, count: int, name: str | None = None) -> Command[list[PendingEntry]]:
    """Pending entries that have been idle for `idle` seconds, of one consumer or of all."""
    least = ("IDLE", milliseconds(idle)) if idle else ()  # fakeredis 2.40 takes IDLE 0 to leave out what was delivered this millisecond
    words = ("XPENDING", key, group, *least, start, end, str(count))
    return Command(words if name is None else (*words, name), lambda reply: [PendingEntry(i, n, ms / 1000, d) for i, n, ms, d in reply])


def xpending_all(key: str, group: str) -> Command[str]:
    """The newest id that is pending in the group; '' where none is."""
    return Command(("XPENDING", key, group), lambda reply: reply[2] or "")


class HandedOver(NamedTuple):
    """What HAND_OVER gives: the last id it looked at, how many entries are the heir's now, and how many it looked at."""

    last: str
    moved: int
    seen: int


def hand_over(keys: Words, group: str, owner: str, heir: str, least: float, idle: float, within: tuple[str, str], count: int) -> Command[HandedOver]:
    """Make the heir's what is pending under `owner`, idle for `least` seconds, its ids `within` these; idle for `idle` seconds from now on."""
    args = (group, owner, heir, milliseconds(least), milliseconds(idle), *within, str(count), str(DEAD_LETTERS))
    return ran(HAND_OVER, keys, args, lambda reply: HandedOver(*reply))


# -- the server and all its streams ---------------------------------------------------------------------------------------------------

SERVER_TIME: Command[float] = Command(("TIME",), lambda reply: int(reply[0]) + int(reply[1]) / 1e6)


def info(section: str) -> Command[dict[str, str]]:
    """A part of what the server tells about itself, by Redis' names."""
    return Command(("INFO", section), lambda reply: dict(line.split(":", 1) for line in reply.splitlines() if ":" in line))


def scan(cursor: str, pattern: str, count: int) -> Command[tuple[str, list[str]]]:
    """Some of the streams whose keys match, and where to go on; "0": that was all."""
    return Command(("SCAN", cursor, "MATCH", pattern, "COUNT", str(count), "TYPE", "stream"), lambda reply: (str(reply[0]), list(reply[1])))


CLUSTER_MASTERS: Command[list[tuple[str, int]]] = Command(("CLUSTER", "SLOTS"), lambda reply: sorted({(row[2][0] or "", row[2][1]) for row in reply}))


def type_of(key: str) -> Command[str]:
    """What kind of value the key holds; `none` where there is no such key."""
    return Command(("TYPE", key), str)


def zcard(key: str) -> Command[int]:
    """How many members the sorted set has."""
    return Command(("ZCARD", key), int)


def memory_usage(key: str) -> Command[int | None]:
    """About how many bytes the key and its value need; None where there is no such key."""
    return Command(("MEMORY", "USAGE", key), lambda reply: reply)


# -- a member's reading and settling -------------------------------------------------------------------------------------------------


def xreadgroup(key: str, group: str, me: str, count: int, block: float | None, noack: bool) -> Words:
    """Read what no member has got yet; `block` None does not wait. Reply: `read_entries`."""
    waiting = () if block is None else ("BLOCK", milliseconds(max(block, 0.001)))
    return ("XREADGROUP", "GROUP", group, me, "COUNT", str(count), *waiting, *(("NOACK",) if noack else ()), "STREAMS", key, ">")


def xreadgroup_any(keys: Sequence[str], group: str, me: str, count: int, block: float | None, noack: bool) -> Words:
    """As `xreadgroup`, of several streams; `count` is for each."""
    return (*xreadgroup(keys[0], group, me, count, block, noack)[:-2], *keys, *(">" for _ in keys))


def xread_any(keys: Sequence[str], after: Sequence[str], block: float) -> Words:
    """Wait for an entry above these ids in any of the streams."""
    return ("XREAD", "COUNT", "1", "BLOCK", milliseconds(block), "STREAMS", *keys, *after)


def greet(key: str, group: str, me: str) -> Words:
    """Read nothing (one's own pending entries above the largest id), so that the server lists the member as alive.

    Redis 7.0 makes and touches a consumer only where a read brings something (7.0.15); from 7.2 on every read does.
    """
    return ("XREADGROUP", "GROUP", group, me, "COUNT", "1", "STREAMS", key, "18446744073709551615-18446744073709551614")


CLIENT_ID: Words = ("CLIENT", "ID")


def client_unblock(number: str) -> Words:
    """Let the blocked read of a connection end as if its time were over; replies whether it was blocked."""
    return ("CLIENT", "UNBLOCK", number)


def xack(key: str, group: str, ids: Sequence[str]) -> Words:
    """Acknowledge; replies how many were pending."""
    return ("XACK", key, group, *ids)


def count_starts(key: str, group: str, me: str, rows: Sequence[tuple[str, int]]) -> Words:
    """Write down that these deliveries (id, which delivery it is) of entries of mine start; their idle time is 0 again. Replies 1, 0 or -1 for each.

    The script goes in full: it shares its write with others, and none is to be sent again.
    """
    return COUNT_STARTS.in_full((key,), (group, me, *(word for entry_id, count in rows for word in (entry_id, str(count)))))


class Taken(NamedTuple):
    """What TAKE gives: the last id it looked at ('' where it saw none), the entries taken as (id, fields, deliveries, idle seconds), the ids that are
    gone, and how many it looked at."""

    last: str
    entries: list[tuple[str, Flat, int, float]]
    gone: list[str]
    seen: int


def take(keys: Words, group: str, me: str, source: str, idle: float, start: str, count: int, most: int | None = None) -> Command[Taken]:
    """Take pending entries of `source` that have been idle for `idle` seconds, without counting a delivery. `keys`: stream and dead letters.

    `source` "": of whomever but me and the parking consumer, `most` among the next `count` pending ones. What is gone gets a dead letter.
    """
    args = (group, me, source, milliseconds(idle), start, str(count), WAITING, str(DEAD_LETTERS), str(most or count))
    return ran(TAKE, keys, args, lambda reply: Taken(reply[0], [(i, f, n, ms / 1000) for i, f, n, ms in reply[1]], list(reply[2]), reply[3]))


def gap(key: str, group: str) -> Command[tuple[int, int, str]]:
    """Where entries left the stream in front of the group: how many have left it at all, how many the group was given (-1: unknown), its place."""
    return ran(GAP, (key,), (group,), tuple)


def renew(key: str, group: str, me: str, start: str) -> Command[list[str]]:
    """Renew the lease of what is pending under my name, a page of 1000; the ids."""
    return ran(RENEW, (key,), (group, me, start), list)


def park(key: str, group: str, owner: str, waiting: str, rows: Sequence[tuple[str, float, str, int]]) -> Command[tuple[set[str], set[str]]]:
    """Let entries of `owner` wait: rows of (id, idle seconds, deliveries it must have or '', deliveries to set); the ids parked, and those gone."""
    words = (word for i, idle, must, count in rows for word in (i, milliseconds(idle), must, str(count)))
    return ran(PARK, (key,), (group, owner, waiting, *words), lambda reply: (set(reply[0]), set(reply[1])))


def redrive(dead: str, key: str, group: str, lease: float, rows: Sequence[tuple[str, str, int]]) -> Command[list[Redriven]]:
    """Bring the letters in these ranges (first id, last id, how many) back to the group: (id, what became of it) for each that is there."""
    words = [str(word) for row in rows for word in row]
    return ran(REDRIVE, (dead, key), (group, WAITING, milliseconds(lease), FOR_GROUP, *words), lambda reply: [(i, became) for i, became in reply])


def leave(key: str, group: str, me: str) -> Command[bool]:
    """Remove the consumer's record where nothing is pending under its name; whether it is gone."""
    return ran(LEAVE, (key,), (group, me), bool)


def seat(key: str, me: str, most: int, lease: float) -> Command[bool]:
    """Take or keep one of the group's `most` places for a lease; whether I have one."""
    return ran(SEAT, (key,), (me, str(most), milliseconds(lease)), bool)


def unseat(key: str, me: str) -> Command[None]:
    """Give the place back."""
    return Command(("ZREM", key, me), nothing)
