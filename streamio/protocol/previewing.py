"""What a seek or a trim would do. Nothing is changed; entries are counted on the server, in pages."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from redis.exceptions import ResponseError

from ..acts import Counted, count, count_pending
from ..commands import Command, exactly, xinfo_groups, xinfo_stream, xpending, xrange
from ..effects import Exchange
from ..errors import SetupError
from ..ids import FIRST, LAST, NEW, after, join, split
from ..reports import SeekPreview, TrimPreview
from .asking import call
from .groups import is_lost
from .inspecting import lag_of

PAGE = 1000  # entries that one script counts
NOBODYS = "0-1"  # the lowest id that an entry can have: none lies below
Facts = dict[str, Any]


def counting(page: Callable[[str, int], Command[Counted]], start: str, most: int | None = None) -> Exchange[tuple[int, str]]:
    """How many there are from `start` on, `most` at most, and the last of them (''). `page` is the command for a part of them."""
    seen, there, last = 0, 0, ""
    while most is None or seen < most:
        wanted = PAGE if most is None else min(PAGE, most - seen)
        found: Counted = yield from call(exactly(page(start, wanted)))
        seen, there, last, start = seen + found.seen, there + found.there, found.last or last, f"({found.last}"
        if found.seen < wanted:
            break
    return there, last


def entries_in(topic: str, start: str, end: str) -> Exchange[int]:
    """How many entries there are between these ids."""
    number, _ = yield from counting(lambda first, most: count(topic, first, end, most), start)
    return number


def pending_in(topic: str, group: str, end: str) -> Exchange[int]:
    """How many entries of the stream are pending in the group up to this id."""
    number, _ = yield from counting(lambda first, most: count_pending(topic, group, first, end, most), FIRST)
    return number


def seek_preview(topic: str, group: str, position: str) -> Exchange[SeekPreview]:
    """What lies between the group's place and this id; a SetupError where there is no such group."""
    stream, groups = yield from stream_and_groups(topic)
    own = next((facts for facts in groups if facts["name"] == group), None)
    if stream is None or own is None:
        raise SetupError(f"topic {topic!r} has no consumer group {group!r}")
    current, end = own["last-delivered-id"], stream["last-generated-id"]
    target = end if position == NEW else "-".join(map(str, split(position)))
    forward = split(target) > split(current)
    low, high = (current, target) if forward else (target, current)
    lag, first = lag_of(stream, own), stream.get("first-entry")
    if lag is not None and forward and split(target) >= split(end):
        entries = lag
    elif lag is not None and not forward and first and split(target) < split(first[0]):
        entries = stream["length"] - lag
    else:
        entries = yield from entries_in(topic, after(low), high)
    return SeekPreview(current, target, entries, forward)


def trim_preview(topic: str, how: str, threshold: str, acked: bool, ignore: Collection[str]) -> Exchange[TrimPreview]:
    """What of the stream, and of each group, lies below the threshold; below what every group has acknowledged, with `acked`."""
    stream, groups = yield from stream_and_groups(topic)
    if stream is None:
        return TrimPreview(0, {}, {}, None)
    edge, entries = yield from edge_of(topic, how, threshold, stream["length"])
    if acked:
        floor = yield from floor_of(topic, [facts for facts in groups if facts["name"] not in ignore])
        edge, entries = (floor, None) if edge is None or split(floor) < split(edge) else (edge, entries)
    edge = NOBODYS if edge is not None and split(edge) == (0, 0) else edge
    below = LAST if edge is None else f"({edge}"
    entries = entries if entries is not None else (yield from entries_in(topic, FIRST, below))
    pending, undelivered = {}, {}
    for facts in groups:
        pending[facts["name"]] = yield from pending_in(topic, facts["name"], below)
        undelivered[facts["name"]] = yield from undelivered_in(stream, {"topic": topic, **facts}, edge, entries)
    kept = [] if edge is None else (yield from call(xrange(topic, edge, LAST, 1)))
    return TrimPreview(entries, pending, undelivered, kept[0][0] if kept else None)


def undelivered_in(stream: Facts, group: Facts, edge: str | None, entries: int) -> Exchange[int]:
    """How many of the first so many entries, which lie below the edge, the group was not given yet."""
    length, lag, last = int(stream["length"]), lag_of(stream, group), group["last-delivered-id"]
    if lag is not None:
        return max(0, entries - (length - lag))
    if edge is not None and split(edge) <= split(after(last)):
        return 0
    return (yield from entries_in(group["topic"], after(last), LAST if edge is None else f"({edge}"))


def stream_and_groups(topic: str) -> Exchange[tuple[Facts | None, list[Facts]]]:
    """What the server says about the stream and its groups; None where there is no stream."""
    try:
        stream: Facts = yield from call(xinfo_stream(topic))
        groups: list[Facts] = yield from call(xinfo_groups(topic))
    except ResponseError as error:
        if not is_lost(error):
            raise
        return None, []
    return stream, groups


def edge_of(topic: str, how: str, threshold: str, length: int) -> Exchange[tuple[str | None, int | None]]:
    """The first id that would stay (None: all would go, or nothing but acknowledgement limits), and how many entries lie below (None: unknown)."""
    if how == "MINID":
        return join(*split(threshold)), None  # (a bare millisecond that ends a range means all of its entries)
    keep = int(threshold or 0)
    surplus = max(0, length - keep)
    if surplus in (0, length):
        return (None, length) if surplus else (NOBODYS, 0)
    if surplus < keep:
        _, last = yield from counting(lambda start, most: count(topic, start, LAST, most), FIRST, surplus)
        return after(last), surplus
    _, first = yield from counting(lambda start, most: count(topic, start, FIRST, most, reverse=True), LAST, keep)
    return first, surplus


def floor_of(topic: str, groups: list[Facts]) -> Exchange[str]:
    """The first id that a group still needs; the very first where there is no group."""
    needed = []
    for facts in groups:
        oldest = yield from call(exactly(xpending(topic, facts["name"], 0.0, FIRST, LAST, 1)))
        needed += [each.id for each in oldest] + [after(facts["last-delivered-id"])]
    return min(needed, key=split, default="0-0")
