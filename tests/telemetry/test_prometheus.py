"""Metrics: what Redis is asked at a scrape, and what members of this process count."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from streamio import RetryPolicy, from_url
from streamio.observing import Observer
from streamio.telemetry.prometheus import Collector, exposition, measure, serve, unmeasure

from ..world import World
from .conftest import embedded

pytestmark = pytest.mark.asyncio


@pytest.fixture
def registry() -> CollectorRegistry:
    """A registry of this test alone."""
    return CollectorRegistry(auto_describe=True)


def values(registry: Any, name: str) -> dict[tuple[str, ...], float]:
    """The samples of one name, by the values of their labels but the topic, in the order of their names."""
    found = {}
    for metric in registry.collect():
        for sample in metric.samples:
            if sample.name == name:
                found[tuple(value for label, value in sorted(sample.labels.items()) if label != "topic" and value)] = sample.value
    return found


async def filled(w: World) -> tuple[Any, Any, Any]:
    """A topic with entries, a group and a member that succeeds, fails and leaves some to nobody."""
    topic = w.topic()
    group = w.group(topic, retry=RetryPolicy(max_deliveries=2, backoff=(0.01, 0.01), jitter=0))
    member = w.member(group)
    member.on("good", lambda message: None)
    member.on("bad", lambda message: {}["missing"])
    await w.do(topic.publish_many([("good", {}), ("good", {}), ("bad", {}), ("other", {})]))
    return topic, group, member


@pytest.fixture
def collectors() -> Iterator[list[Collector]]:
    """Closed at the end."""
    found: list[Collector] = []
    yield found
    for each in found:
        each.close()


async def test_a_scrape_asks_redis_by_the_exporters_names(w: World, registry: CollectorRegistry, collectors: list[Collector]) -> None:
    topic, group, _ = await filled(w)
    await w.do(group.create())
    w.raw.xreadgroup(group.name, "worker", {topic.name: ">"}, count=1)
    collectors.append(Collector(w.raw, topics=[topic.name]))
    registry.register(collectors[0])  # type: ignore[arg-type]
    assert values(registry, "redis_up") == {(): 1}
    assert values(registry, "redis_stream_length") == {(): 4}
    assert values(registry, "redis_stream_groups") == {(): 1}
    expected = {"consumers": 1, "messages_pending": 1, "lag": 3, "entries_read": 1}
    for name, value in expected.items():
        assert values(registry, f"redis_stream_group_{name}") == {(group.name,): value}, name
    assert 0 <= values(registry, "streamio_group_lag_seconds")[(group.name,)] < 60
    assert 0 < values(registry, "streamio_oldest_pending_seconds")[(group.name,)] < 60
    assert values(registry, "redis_stream_group_consumer_messages_pending") == {}


@embedded
async def test_consumers_are_told_by_name_where_that_is_asked_for(w: World, collectors: list[Collector]) -> None:
    topic, group, _ = await filled(w)
    await w.do(group.create())
    w.raw.xreadgroup(group.name, "worker", {topic.name: ">"}, count=1)
    collectors.append(Collector(w.raw, topics=[topic.name], consumers=True))
    assert values(collectors[0], "redis_stream_group_consumer_messages_pending") == {("worker", group.name): 1}
    assert values(collectors[0], "redis_stream_group_consumer_idle_seconds")[("worker", group.name)] < 60


async def test_a_server_that_does_not_answer_is_told_and_no_error(collectors: list[Collector]) -> None:
    client = from_url("redis://127.0.0.1:1", socket_connect_timeout=0.1)
    collectors.append(Collector(client))
    assert values(collectors[0], "redis_up") == {(): 0}
    client.close()


@embedded
async def test_in_asyncio_a_sample_is_shown(w: World) -> None:
    topic, _, _ = await filled(w)
    observer: Any = Observer(w.client(), topics=[topic.name])
    if w.asyncio:
        with pytest.raises(TypeError, match="asyncio"):
            Collector(observer)
    text = exposition(await w.do(observer.look())).decode()
    await w.do(observer.close())
    found = {metric.name: metric for metric in text_string_to_metric_families(text)}
    assert found["redis_stream_length"].samples[0].value == 4
    assert found["redis_stream_length"].samples[0].labels == {"topic": topic.name}


@pytest.mark.parametrize("what", ["group", "member"])
async def test_what_members_do_is_counted(w: World, registry: CollectorRegistry, what: str) -> None:
    topic, group, member = await filled(w)
    measure(topic, registry=registry)
    measure({"group": group, "member": member}[what], registry=registry)
    await w.do(topic.publish("good"))
    await w.do(topic.publish_many([("good", {})] * 2))
    await w.do(member.drain())
    name = group.name
    assert values(registry, "streamio_messages_sent_total") == {(): 3}
    assert values(registry, "streamio_messages_received_total") == {(name,): 8}
    outcomes = {"acked": 5, "failed": 2, "dead": 1, "skipped": 1}
    assert values(registry, "streamio_messages_processed_total") == {(name, outcome): value for outcome, value in outcomes.items()}
    assert values(registry, "streamio_messages_claimed_total") == {(name,): 0}
    assert values(registry, "streamio_process_duration_seconds_count") == {(name,): 7}
    assert values(registry, "streamio_delivery_latency_seconds_count") == {(name,): 7}


async def test_counts_never_fall_when_members_end_and_begin_again(w: World, registry: CollectorRegistry) -> None:
    topic, group, member = await filled(w)
    measure(group, registry=registry)
    seen = []
    for _ in range(2):
        await w.do(member.drain())
        seen.append(values(registry, "streamio_messages_processed_total")[(group.name, "acked")])
        await w.do(topic.publish("good"))
    later = member.clone(block=0.1)
    await w.do(later.drain())
    await w.do(later.close())
    await w.do(member.close())
    del member, later
    assert [*seen, values(registry, "streamio_messages_processed_total")[(group.name, "acked")]] == [2, 3, 4]
    assert values(registry, "streamio_messages_in_flight") == {(group.name,): 0}


@embedded
async def test_entries_in_hand_are_in_flight(w: World, registry: CollectorRegistry) -> None:
    topic, group, member = await filled(w)
    measure(group, registry=registry)
    member.on("good", lambda message: seen.append(values(registry, "streamio_messages_in_flight")))
    seen: list[Any] = []
    await w.do(member.drain())
    assert seen[0][(group.name,)] >= 1


@embedded
async def test_only_declared_types_are_told_apart(w: World, registry: CollectorRegistry) -> None:
    _, group, member = await filled(w)
    measure(group, types=["good"], registry=registry)
    await w.do(member.drain(retries=False))
    assert values(registry, "streamio_process_duration_seconds_count") == {(group.name, "good"): 2, (group.name, "other"): 1}


@embedded
async def test_without_durations_nothing_stands_around_handlers(w: World, registry: CollectorRegistry) -> None:
    _, group, member = await filled(w)
    measure(group, durations=False, registry=registry)
    assert member.scopes() == ()
    await w.do(member.drain(retries=False))
    assert values(registry, "streamio_messages_processed_total")[(group.name, "acked")] == 2
    assert values(registry, "streamio_process_duration_seconds_count") == {}


@embedded
async def test_batches_are_measured_as_a_whole(w: World, registry: CollectorRegistry) -> None:
    topic = w.topic()
    group = w.group(topic)
    member = w.member(group)
    measure(group, registry=registry)
    await w.do(topic.publish_many([("a", {})] * 3))
    member.on_batch(lambda messages: None, size=3, wait=5)
    await w.do(member.drain())
    assert values(registry, "streamio_process_duration_seconds_count") == {(group.name,): 1}
    assert values(registry, "streamio_delivery_latency_seconds_count") == {(group.name,): 3}


@embedded
async def test_measured_twice_or_for_group_and_member_it_counts_once(w: World, registry: CollectorRegistry) -> None:
    topic, group, member = await filled(w)
    for obj in (topic, topic, group, group, member):
        measure(obj, registry=registry)
    await w.do(topic.publish("good"))
    await w.do(member.drain())
    assert values(registry, "streamio_messages_sent_total") == {(): 1}
    assert values(registry, "streamio_messages_processed_total") == {
        (group.name, outcome): value for outcome, value in {"acked": 3, "failed": 2, "dead": 1, "skipped": 1}.items()
    }
    assert values(registry, "streamio_process_duration_seconds_count") == {(group.name,): 5}


@embedded
async def test_what_is_not_measured_any_more_counts_nothing(w: World, registry: CollectorRegistry) -> None:
    topic, group, member = await filled(w)
    for obj in (topic, group, member):
        measure(obj, registry=registry)
        unmeasure(obj)
    await w.do(topic.publish("good"))
    await w.do(member.drain())
    assert member.scopes() == () == member.lifecycle.onlookers
    assert values(registry, "streamio_messages_received_total") == {}


async def test_metrics_are_served_on_loopback(registry: CollectorRegistry) -> None:
    with serve(0, registry=registry) as server, urlopen(f"http://127.0.0.1:{server.port}/metrics") as answer:
        assert answer.status == 200


async def test_what_is_none_of_the_three_is_refused(registry: CollectorRegistry) -> None:
    with pytest.raises(TypeError, match="can be measured"):
        measure(object(), registry=registry)  # type: ignore[arg-type]
