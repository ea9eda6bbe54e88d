"""Metrics for Prometheus (extra `prometheus`).

    from prometheus_client import REGISTRY
    from streamio.telemetry.prometheus import Collector, measure, serve

    REGISTRY.register(Collector("redis://localhost:6379", topics=["orders*"]))  # lengths, lag, pending: asked of Redis at each scrape
    measure(group)                                                              # what its members in this process do
    serve(9090)                                                                 # http://127.0.0.1:9090/metrics

In asyncio, and wherever samples are taken anyway: `exposition(await observer.look())`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

from redis.exceptions import RedisError

from ..errors import SetupError
from ..group import ConsumerGroupTopic
from ..member import ConsumerGroupMember
from ..observing import Observer, Sample
from ..reports import Event
from ..topic import Topic
from ..watching import onlook, present, unlook, unwatch, watch

try:
    from prometheus_client import REGISTRY, CollectorRegistry, start_http_server
    from prometheus_client.core import Metric
    from prometheus_client.exposition import generate_latest
except ImportError as error:  # pragma: no cover
    raise SetupError("metrics need prometheus-client: pip install 'streamio[prometheus]'") from error

from .measuring import Instruments, Measuring
from .serving import Server
from .states import families

Measured = Topic[Any, Any] | ConsumerGroupTopic[Any, Any] | ConsumerGroupMember[Any, Any]
known: WeakKeyDictionary[CollectorRegistry, Instruments] = WeakKeyDictionary()
making = Lock()


class Collector:
    """Asks Redis at each scrape. A server that does not answer is `redis_up 0`, not an error.

    client      what an `Observer` takes, of the blocking kind, or an `Observer`
    topics      names and patterns; of an `Observer` its own
    consumers   metrics of each consumer, with its name as a label: only where names are few and last
    """

    def __init__(self, client: Any = None, *, topics: Sequence[str] = ("*",), consumers: bool = False) -> None:
        self.observer: Any = client if isinstance(client, Observer) else Observer(client, topics=topics)
        self.consumers, self.looking = consumers, Lock()
        if self.observer._is_asyncio:
            raise TypeError("a scrape comes in a thread: give Collector a URL or a redis.Redis, or use exposition(await observer.look()) in asyncio")

    def collect(self) -> Iterable[Metric]:
        """What Prometheus is told."""
        with self.looking:
            return [*families(self.look(), self.consumers)]

    def look(self) -> Sample | None:
        """A sample; None where the server did not answer."""
        try:
            found: Sample = self.observer.look()
        except (RedisError, OSError):
            return None
        return found

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering asks no server."""
        return ()

    def close(self) -> None:
        """Close the observer's connections."""
        self.observer.close()


def exposition(sample: Sample | None, *registries: CollectorRegistry, consumers: bool = False) -> bytes:
    """A sample, and what else these registries hold, as text for Prometheus."""
    whole = CollectorRegistry(auto_describe=False)
    whole.register(Known(sample, consumers))
    return b"".join(generate_latest(each) for each in (whole, *registries))


class Known:
    """What a sample holds, for a registry."""

    def __init__(self, sample: Sample | None, consumers: bool) -> None:
        self.sample, self.consumers = sample, consumers

    def collect(self) -> Iterable[Metric]:
        """What Prometheus is told."""
        return families(self.sample, self.consumers)


def measure(obj: Measured, *, types: Collection[str] = (), durations: bool = True, registry: CollectorRegistry = REGISTRY) -> None:
    """Count and measure what is written through a topic, or what the members of a group (all in this process, or one) do. Measured again it is as the
    last call says.

    types       types of entries that `streamio_process_duration_seconds` and `streamio_delivery_latency_seconds` tell apart; all others are "other"
    durations   False leaves these two out: nothing is done for each entry then
    """
    if not isinstance(obj, (Topic, ConsumerGroupTopic, ConsumerGroupMember)):
        raise TypeError(f"a Topic, a ConsumerGroupTopic or a ConsumerGroupMember can be measured, not {obj!r}")
    unmeasure(obj)
    each = Measuring(instruments_of(registry), types, lambda event: is_wanted(obj, each, event))
    watch(obj, each)
    if isinstance(obj, Topic):
        return
    onlook(obj, each.look)
    for member in present(obj._members) if isinstance(obj, ConsumerGroupTopic) else (obj,):
        for part in getattr(member, "_shares", (member,)):
            if each in part._hand.watches:
                each.instruments.know(part._hand)
    if durations:
        obj.around(each.around)
        obj.around_batch(each.around_batch)


def unmeasure(obj: Measured) -> None:
    """Measure it no more; nothing where it is not measured. What was counted stays."""
    for each in [each for each in obj._watches if isinstance(each, Measuring)]:
        unwatch(obj, each)
        if not isinstance(obj, Topic):
            unlook(obj, each.look)
            for around in {each.around, each.around_batch} & {*obj.arounds, *obj.batch_arounds}:
                obj.remove_around(around)


def is_wanted(obj: Any, each: Measuring, event: Event) -> bool:
    """Whether the event is about this group, or this member and not measured for its group."""
    if isinstance(obj, ConsumerGroupTopic):
        return is_of(obj, event)
    return not any(is_of(group, event) and any(is_alike(each, other) for other in group._watches) for group in obj.groups)


def is_of(group: ConsumerGroupTopic[Any], event: Event) -> bool:
    """Whether the event is about this group."""
    return (event.topic, event.group) == (group.topic.name, group.name)


def is_alike(each: Measuring, other: object) -> bool:
    """Whether both measure for the same registry."""
    return isinstance(other, Measuring) and other.instruments is each.instruments


def instruments_of(registry: CollectorRegistry) -> Instruments:
    """The registry's metrics, made once."""
    with making:
        found = known.get(registry)
        if found is None:
            found = known[registry] = Instruments(registry)
        return found


def serve(port: int, host: str = "127.0.0.1", registry: CollectorRegistry = REGISTRY) -> Server:
    """Serve the registry at /metrics, in a daemon thread; `close()` ends it. Port 0: any free one, `port` says which."""
    server, thread = start_http_server(port, host, registry)
    return Server(server, thread)
