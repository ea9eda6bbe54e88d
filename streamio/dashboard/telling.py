"""A sample as JSON, no larger than a page can use: the worst groups and the busiest consumers one by one, the rest counted.

A topic that somebody looks at is told more fully than one among many.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from ..observing import ConsumerView, GroupView, Sample, TopicView, as_json

GROUPS, CONSUMERS = 50, 50  # of a topic, and of a group
ALL_GROUPS, ALL_CONSUMERS = 400, 2000  # of all topics, about
FEW_GROUPS, FEW_CONSUMERS = 5, 3  # however many topics and groups there are
WORST = {"stuck": 0, "behind": 1, "ok": 2, "idle": 3}


def told(sample: Sample, asked: Collection[str] = ()) -> dict[str, Any]:
    """The sample as JSON; `asked`: the topics that are told fully."""
    found: dict[str, Any] = as_json(replace(sample, topics=()))
    groups = share(ALL_GROUPS, len(sample.topics), FEW_GROUPS, GROUPS)
    consumers = share(ALL_CONSUMERS, sum(min(groups, len(each.groups)) for each in sample.topics), FEW_CONSUMERS, CONSUMERS)
    full = GROUPS, CONSUMERS
    found["topics"] = [told_topic(each, *(full if each.name in asked else (groups, consumers))) for each in sample.topics]
    return found


def share(whole: int, among: int, least: int, most: int) -> int:
    """How many each gets."""
    return max(least, min(most, whole // max(1, among)))


def told_topic(topic: TopicView, groups: int = GROUPS, consumers: int = CONSUMERS) -> dict[str, Any]:
    """One topic as JSON."""
    found: dict[str, Any] = as_json(replace(topic, groups=()))
    shown = sorted(topic.groups, key=trouble)[:groups]
    found["groups"] = [told_group(each, consumers) for each in sorted(shown, key=lambda each: each.name)]
    return {**found, "groups_total": len(topic.groups), "totals": totals(topic.groups)}


def told_group(group: GroupView, consumers: int = CONSUMERS) -> dict[str, Any]:
    """One group as JSON."""
    shown = sorted(group.consumers, key=busiest)[:consumers]
    found: dict[str, Any] = as_json(replace(group, consumers=tuple(sorted(shown, key=lambda each: each.name))))
    return {**found, "consumers_total": len(group.consumers)}


def trouble(group: GroupView) -> tuple[int, int, str]:
    """Where a group stands among others: the worst first."""
    return WORST.get(group.state, 4), -(group.lag or 0) - group.pending - group.dead, group.name


def busiest(consumer: ConsumerView) -> tuple[int, float, str]:
    """Where a consumer stands among others: the one with the most pending first."""
    return -consumer.pending, consumer.idle, consumer.name


def totals(groups: Collection[GroupView]) -> dict[str, Any]:
    """Sums and worst values over all groups of a topic, those that are not told one by one, too."""
    lag = max((each.lag for each in groups if each.lag is not None), default=None)
    seconds = max((each.lag_seconds for each in groups if each.lag_seconds is not None), default=None)
    sums = {name: sum(getattr(each, name) for each in groups) for name in ("pending", "waiting", "dead")}
    troubled = sum(each.state in ("stuck", "behind") for each in groups)
    return {"lag": lag, "lag_seconds": seconds, **sums, "consumers": sum(len(each.consumers) for each in groups), "troubled": troubled}
