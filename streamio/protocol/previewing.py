"""What a seek or a trim would do. Nothing is changed; entries are counted on the server, in pages."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from redis.exceptions import ResponseError

from ..acts import count
from ..commands import xinfo_groups, xinfo_stream, xpending, xrange
from ..effects import Exchange
from ..errors import SetupError
from ..ids import FIRST, LAST, NEW, after, split
from ..reports import SeekPreview, TrimPreview
from .asking import call
from .groups import is_lost
from .inspecting import lag_of

PAGE = 1000  # entries that one script counts
Facts = dict[str, Any]


def counting(topic: str, start: str, end: str, group: str = "", most: int | None = None) -> Exchange[tuple[int, str]]:
    """How many entries there are in the range, `most` at most, and the last of them (''). With a group: of what is pending in it."""
    found, last = 0, ""
    while most is None or found < most:
        wanted = PAGE if most is None else min(PAGE, most - found)
        number, edge = yield from call(count(topic, group, start, end, wanted))
        found, last, start = found + number, edge or last, f"({edge}"
        if number < wanted:
            break
    return found, last


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
        entries, _ = yield from counting(topic, after(low), high)
    return SeekPreview(current, target, entries, forward)


def trim_preview(topic: str, how: str, threshold: str, acked: bool, ignore: Collection[str]) -> Exchange[TrimPreview]:
    """What of the stream, and of each group, lies below the threshold; below what every group has acknowledged, with `acked`."""
    stream, groups = yield from stream_and_groups(topic)
    if stream is None:
        return TrimPreview(0, {}, {}, None)
    edge = yield from edge_of(topic, how, threshold, stream["length"])
    if acked:
        floor = yield from floor_of(topic, [facts for facts in groups if facts["name"] not in ignore])
        edge = floor if edge is None or split(floor) < split(edge) else edge
    if edge is not None and split(edge) == (0, 0):
        edge = "0-1"  # no entry is below
    below = LAST if edge is None else f"({edge}"
    entries, _ = yield from counting(topic, FIRST, below)
    pending, undelivered = {}, {}
    for facts in groups:
        name, last = facts["name"], facts["last-delivered-id"]
        pending[name], _ = yield from counting(topic, FIRST, below, name)
        undelivered[name] = 0 if edge is not None and split(edge) <= split(after(last)) else (yield from counting(topic, after(last), below))[0]
    kept = [] if edge is None else (yield from call(xrange(topic, edge, LAST, 1)))
    return TrimPreview(entries, pending, undelivered, kept[0][0] if kept else None)


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


def edge_of(topic: str, how: str, threshold: str, length: int) -> Exchange[str | None]:
    """The first id that would stay; None where all would go, or where nothing but acknowledgement limits."""
    if how != "MAXLEN":
        return threshold if how else None
    surplus = length - int(threshold)
    if surplus <= 0:
        return "0-0"
    if surplus == length:
        return None
    _, last = yield from counting(topic, FIRST, LAST, most=surplus)
    return after(last)


def floor_of(topic: str, groups: list[Facts]) -> Exchange[str]:
    """The first id that a group still needs; the very first where there is no group."""
    needed = []
    for facts in groups:
        oldest = yield from call(xpending(topic, facts["name"], 0.0, FIRST, LAST, 1))
        needed.append(oldest[0].id if oldest else after(facts["last-delivered-id"]))
    return min(needed, key=split, default="0-0")
