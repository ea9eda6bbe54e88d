"""What a look at the server saw, as Prometheus' metrics: a stream's own by the names of redis_exporter, the rest under `streamio_`."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric

from ..ids import split
from ..observing import GroupView, Sample, TopicView

TOPIC, GROUP, CONSUMER = ["topic"], ["topic", "group"], ["topic", "group", "consumer"]


def families(sample: Sample | None, consumers: bool = False) -> Iterable[Metric]:
    """The metrics of one sample; None: the server could not be asked. `consumers`: of each by its name, too."""
    yield GaugeMetricFamily("redis_up", "Whether the server answered.", value=float(sample is not None))
    if sample is None:
        return
    topics = [topic for topic in sample.topics if topic.error is None]
    groups = [group for topic in topics for group in topic.groups]
    yield from of_topics(topics)
    yield from of_groups(groups, sample.at)
    if consumers:
        yield from of_consumers(groups)


def of_topics(topics: Iterable[TopicView]) -> Iterable[Metric]:
    """What is known of the streams."""
    length = GaugeMetricFamily("redis_stream_length", "Entries in the stream.", labels=TOPIC)
    groups = GaugeMetricFamily("redis_stream_groups", "Consumer groups of the stream.", labels=TOPIC)
    delayed = GaugeMetricFamily("streamio_delayed_messages", "Entries that wait for their time.", labels=TOPIC)
    for topic in topics:
        length.add_metric([topic.name], topic.length)
        groups.add_metric([topic.name], len(topic.groups))
        delayed.add_metric([topic.name], topic.delayed)
    return length, groups, delayed


def of_groups(groups: Iterable[GroupView], now: float) -> Iterable[Metric]:
    """What is known of the groups; what the server does not know is left out."""
    found = {
        name: GaugeMetricFamily(name, text, labels=GROUP)
        for name, text in {
            "redis_stream_group_consumers": "Consumers of the group.",
            "redis_stream_group_messages_pending": "Entries delivered and not acknowledged.",
            "redis_stream_group_lag": "Entries not delivered yet.",
            "redis_stream_group_entries_read": "Entries delivered, as the server counts them.",
            "streamio_group_lag_seconds": "Age of the first entry that was not delivered yet.",
            "streamio_oldest_pending_seconds": "Age of the first entry that was delivered and not acknowledged.",
            "streamio_waiting_messages": "Pending entries in nobody's hand: retries, and what was given back.",
            "streamio_dead_letters": "Entries put aside.",
        }.items()
    }
    for group in groups:
        for name, value in values_of(group, now).items():
            if value is not None:
                found[name].add_metric([group.topic, group.name], value)
    return found.values()


def values_of(group: GroupView, now: float) -> dict[str, float | None]:
    """The values of one group."""
    return {
        "redis_stream_group_consumers": len(group.consumers),
        "redis_stream_group_messages_pending": group.pending,
        "redis_stream_group_lag": group.lag,
        "redis_stream_group_entries_read": group.entries_read,
        "streamio_group_lag_seconds": group.lag_seconds,
        "streamio_oldest_pending_seconds": 0 if group.oldest is None else max(0.0, now - split(group.oldest.id)[0] / 1000),
        "streamio_waiting_messages": group.waiting,
        "streamio_dead_letters": group.dead,
    }


def of_consumers(groups: Iterable[GroupView]) -> Iterable[Metric]:
    """What is known of consumers, by name."""
    pending = GaugeMetricFamily("redis_stream_group_consumer_messages_pending", "Entries pending under the consumer's name.", labels=CONSUMER)
    idle = GaugeMetricFamily("redis_stream_group_consumer_idle_seconds", "Seconds since the consumer last spoke.", labels=CONSUMER)
    for group in groups:
        for each in group.consumers:
            pending.add_metric([group.topic, group.name, each.name], each.pending)
            idle.add_metric([group.topic, group.name, each.name], each.idle)
    return pending, idle
