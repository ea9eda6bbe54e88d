"""Looking at a stream and its groups, and trimming it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from redis.exceptions import ResponseError

from ..commands import exactly, ran, xinfo_consumers, xinfo_groups, xinfo_stream, xpending, xtrim
from ..effects import Exchange
from ..errors import SetupError
from ..ids import split
from ..keys import WAITING
from ..reports import ConsumerInfo, GroupInfo, Holder, PendingEntry, TopicInfo, TrimResult
from ..trimming import TRIM_ACKED
from .acting import SOON
from .asking import call
from .groups import is_lost
from .hand import ORPHAN

PAGE = 1000


def topic_info(topic: str) -> Exchange[TopicInfo]:
    """The stream's facts; those of an empty one where there is none."""
    try:
        facts = yield from call(xinfo_stream(topic))
    except ResponseError as error:
        if not is_lost(error):
            raise
        return TopicInfo(topic, 0, 0, None, None, "0-0", 0)
    first, last = facts.get("first-entry"), facts.get("last-entry")
    return TopicInfo(
        topic,
        facts["length"],
        facts["groups"],
        first[0] if first else None,
        last[0] if last else None,
        facts["last-generated-id"],
        facts.get("entries-added"),
    )


def group_infos(topic: str, only: str | None = None, wanted: tuple[int, float] | None = None) -> Exchange[list[GroupInfo]]:
    """The facts of all groups, or of one. `wanted`: how many members there should be, and how long one may be silent."""
    try:
        stream = yield from call(xinfo_stream(topic))
        groups = yield from call(xinfo_groups(topic))
        found = []
        for facts in groups:
            if only in (None, facts["name"]):
                consumers = yield from call(exactly(xinfo_consumers(topic, facts["name"])))
                found.append(group_info(stream, {"topic": topic, **facts}, consumers, wanted))
    except ResponseError as error:
        if not is_lost(error):
            raise
        return []
    return found


def group_info(stream: dict[str, Any], facts: dict[str, Any], consumers: list[ConsumerInfo], wanted: tuple[int, float] | None) -> GroupInfo:
    """One group's facts; the parking consumer is none of its members."""
    waiting = sum(each.pending for each in consumers if each.name == WAITING)
    members = [each for each in consumers if each.name != WAITING]
    return GroupInfo(
        name=facts["name"],
        topic=facts["topic"],
        consumers=len(members),
        pending=facts["pending"],
        waiting=waiting,
        last_delivered_id=facts["last-delivered-id"],
        entries_read=facts.get("entries-read"),
        lag=lag_of(stream, facts),
        short=None if wanted is None else max(0, wanted[0] - sum(each.idle < wanted[1] for each in members)),
    )


def lag_of(stream: dict[str, Any], facts: dict[str, Any]) -> int | None:
    """How many entries the group has not got yet; None where that is not known.

    The server's own figure counts what was trimmed unread as still to come (redis-server 7.0.15): nothing is to come at the end of the stream, all
    is before its first entry, and a lag of more entries than there are is none. Before 7.0 there is no figure.
    """
    last, first = facts["last-delivered-id"], stream.get("first-entry")
    if last == stream["last-generated-id"]:
        return 0
    if first and split(last) < split(first[0]):
        length: int = stream["length"]
        return length
    lag: int | None = facts.get("lag")
    return lag if lag is None or lag <= stream["length"] else None


def one_group(topic: str, group: str, least: int, lease: float) -> Exchange[GroupInfo]:
    """The group's facts; a SetupError where there is no such group."""
    found = yield from group_infos(topic, group, (least, lease))
    if not found:
        raise SetupError(f"topic {topic!r} has no consumer group {group!r}")
    return found[0]


def consumer_infos(topic: str, group: str) -> Exchange[list[ConsumerInfo]]:
    """The group's members, without the parking consumer; none where there is no such group."""
    try:
        found = yield from call(xinfo_consumers(topic, group))
    except ResponseError as error:
        if not is_lost(error):
            raise
        return []
    return [each for each in found if each.name != WAITING]


def pending_entries(topic: str, group: str, idle: float, consumer: str | None, count: int | None) -> Exchange[list[PendingEntry]]:
    """Pending entries by id, `count` at most, read in pages of 1000. (To the server all that is marked is idle for long.)"""
    found: list[PendingEntry] = []
    start = "-"
    while count is None or len(found) < count:
        wanted = PAGE if count is None else min(PAGE, count - len(found))
        try:
            page = yield from call(xpending(topic, group, idle, start, "+", wanted, consumer))
        except ResponseError as error:
            if not is_lost(error):
                raise
            return found
        found += [each for each in map(unmarked, page) if not each.free or each.idle >= idle]
        if len(page) < wanted:
            break
        start = f"({page[-1].id}"
    return found


def unmarked(entry: PendingEntry) -> PendingEntry:
    """The entry with its own idle time: under the parking consumer that may begin with a mark, which says that it is free."""
    if entry.consumer != WAITING or entry.idle < SOON:
        return entry
    mark = ORPHAN if entry.idle >= ORPHAN / 2 else SOON
    return replace(entry, idle=max(0.0, entry.idle - mark), free=True)


def trimming(topic: str, words: Sequence[str]) -> Exchange[TrimResult]:
    """Trim by length or by id."""
    return TrimResult((yield from call(xtrim(topic, words))))


def trimming_acked(topic: str, how: str, threshold: str, exact: bool, ignore: Sequence[str]) -> Exchange[TrimResult]:
    """Trim only what every group has acknowledged: one atomic step."""
    args = (how, threshold, "=" if exact else "~", *ignore)
    removed, holder, oldest = yield from call(ran(TRIM_ACKED, (topic,), args, list))
    return TrimResult(int(removed), Holder(holder, oldest) if holder else None)
