"""Rows of groups as `report` and `top` show them, with the trend of each."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..keys import WAITING
from .output import Column, Columns, plain, visible
from .shown import age, number, rate

if TYPE_CHECKING:
    from ..observing import GroupView, Sample, TopicView
    from ..reports import PendingEntry

STYLES = {"stuck": "bold red", "behind": "yellow", "ok": "green", "idle": "dim", "unknown": "bold red"}
ARROWS = {"growing": "▲ growing", "shrinking": "▼ shrinking", "steady": "= steady"}
LOOKS = 6  # over how many looks a trend is told


def style_of(state: Any) -> str:
    """The style of a state's word."""
    return STYLES.get(str(state), "")


COLUMNS: Columns = {
    "topic": Column("TOPIC"),
    "group": Column("GROUP"),
    "state": Column("STATE", plain, style=style_of),
    "consumers": Column("CONSUMERS", plain, True, spare=5),
    "lag": Column("LAG", number, True),
    "lag_seconds": Column("BEHIND", age, True),
    "pending": Column("PENDING", number, True),
    "oldest_idle": Column("OLDEST", age, True, spare=2),
    "rate_in": Column("IN", rate, True, spare=3),
    "rate_out": Column("OUT", rate, True, spare=4),
    "dead": Column("DEAD", number, True, spare=6),
    "trend": Column("TREND", lambda trend: ARROWS.get(trend, "-")),
}


class Trends:
    """Whether what a group has to do, lag and pending entries together, grows."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], deque[int]] = {}

    def of(self, group: GroupView) -> str | None:
        """The trend with this look; None on the first one, and where the lag is not known."""
        if group.lag is None:
            return None
        known = self.known.setdefault((group.topic, group.name), deque(maxlen=LOOKS))
        known.append(group.lag + group.pending)
        if len(known) < 2:
            return None
        return "steady" if known[0] == known[-1] else "growing" if known[0] < known[-1] else "shrinking"


def rows(sample: Sample, trends: Trends) -> list[dict[str, Any]]:
    """A row for each group; one for a topic without groups."""
    found: list[dict[str, Any]] = []
    for topic in sample.topics:
        found += [group_row(topic, group, trends) for group in topic.groups] or [topic_row(topic)]
    return found


def group_row(topic: TopicView, group: GroupView, trends: Trends) -> dict[str, Any]:
    """What is told of a group."""
    oldest = group.oldest
    return {
        **topic_row(topic),
        "group": group.name,
        "state": group.state,
        "consumers": len(group.consumers),
        "stale": sum(each.stale for each in group.consumers),
        "lag": group.lag,
        "lag_seconds": group.lag_seconds,
        "pending": group.pending,
        "waiting": group.waiting,
        "oldest_idle": oldest.idle if oldest else None,
        "oldest": asdict(oldest) if oldest else None,
        "rate_out": group.rate_out,
        "dead": group.dead,
        "last_delivered_id": group.last_delivered_id,
        "trend": trends.of(group),
        "diagnosis": group.diagnosis,
    }


def topic_row(topic: TopicView) -> dict[str, Any]:
    """What is told of a topic that no group reads."""
    nothing = dict.fromkeys(["group", "consumers", "lag", "lag_seconds", "pending", "oldest_idle", "rate_out", "dead", "trend"])
    diagnosis = topic.error or "no group reads it"
    return {"topic": topic.name, "state": topic.state, "length": topic.length, "rate_in": topic.rate_in, **nothing, "diagnosis": diagnosis}


def remarks(found: Sequence[dict[str, Any]]) -> list[str]:
    """A line for each group that does not do well: what is the matter, and what to do."""
    return [
        visible(f"{row['topic']} {row['group'] or ''}".rstrip() + f": {row['diagnosis']}")
        for row in found
        if row["state"] not in ("ok", "idle") or row.get("dead")
    ]


def left_alone(entry: PendingEntry, lease: float) -> float:
    """For how long nobody cared for the entry. One that waits is idle by the lease when it is due (where members keep to another lease: by that)."""
    return max(0.0, entry.idle - lease) if entry.consumer == WAITING and not entry.free else entry.idle
