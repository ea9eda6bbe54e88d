"""What members and topics of this process do, as Prometheus' metrics.

1. What a member counts anyway is read when Prometheus asks: that costs nothing for each entry. What is read, claimed and written is counted by batch.
2. Only the two histograms cost something for each entry, and they may be left out.
3. Labels are `topic` and `group`; `type` only of types that were declared (producers choose types: all others are one). Never a member's name or an
   id.
4. Where two measure the same hand for one registry, its group's and its member's, the first one acts.
"""

from __future__ import annotations

import time
from collections import Counter as Tally
from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from ..ids import split
from ..message import ENDED
from ..reports import Event
from ..watching import Watch
from .harmless import harmless

GROUP = ["topic", "group"]
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
OTHER = "other"
Place = tuple[str, str]
TOLD = {
    "streamio_messages_received_total": "Entries that reads brought, retries and claims too.",
    "streamio_messages_claimed_total": "Entries taken over from silent members.",
    "streamio_redis_errors_total": "Connections lost, and errors that the server gave.",
}


class Instruments:
    """All metrics of one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.sent = Counter("streamio_messages_sent", "Entries written.", ["topic"], registry=registry)
        labels = [*GROUP, "type"]
        self.took = Histogram("streamio_process_duration_seconds", "How long handlers took.", labels, buckets=BUCKETS, registry=registry)
        self.latency = Histogram(
            "streamio_delivery_latency_seconds", "From an entry's publication to its handler's start.", labels, buckets=BUCKETS, registry=registry
        )
        self.lock, self.hands = Lock(), set[Any]()
        self.seen: WeakKeyDictionary[Any, tuple[int, int, int]] = WeakKeyDictionary()  # what a hand had counted when it was last looked at
        self.counts: dict[str, Tally[Place]] = {name: Tally() for name in (*TOLD, "acked", "failed", "dead", "skipped")}
        registry.register(self)

    def know(self, hand: Any) -> None:
        """What this hand does counts from now on."""
        with self.lock:
            self.hands.add(hand)

    def count(self, name: str, place: Place, much: int = 1) -> None:
        """So many more."""
        with self.lock:
            self.counts[name][place] += much

    def collect(self) -> Iterable[Metric]:
        """What Prometheus is told."""
        with self.lock:
            flying = Tally(dict.fromkeys(self.counts["acked"], 0))
            for hand in self.hands:
                self.read(hand)
                flying[place_of(hand)] += 0 if is_over(hand) else hand.in_hand
            self.hands = {hand for hand in self.hands if not is_over(hand)}
            counts = {name: Tally(tally) for name, tally in self.counts.items()}
        yield from told(counts, flying)

    def read(self, hand: Any) -> None:
        """Add what the hand has counted since it was last looked at."""
        now, before = (hand.handled, hand.failures, hand.claims), self.seen.get(hand, (0, 0, 0))
        self.seen[hand] = now
        for name, new, old in zip(("acked", "failed", "streamio_messages_claimed_total"), now, before):
            self.counts[name][place_of(hand)] += new - old

    def describe(self) -> Iterable[Metric]:
        """The same names, before anything is known."""
        return told({name: Tally() for name in self.counts}, Tally())


def is_over(hand: Any) -> bool:
    """Whether the hand counts nothing more, unless its member begins again: then it is known again."""
    return hand.state in (*ENDED, "stopped") or hand.abandoned


def place_of(hand: Any) -> Place:
    """Whose it is."""
    return hand.settings.topic, hand.settings.group


def told(counts: dict[str, Tally[Place]], flying: Tally[Place]) -> Iterable[Metric]:
    """The counts as metrics."""
    for name, text in TOLD.items():
        family = CounterMetricFamily(name, text, labels=GROUP)
        for place, value in counts[name].items():
            family.add_metric(place, value)
        yield family
    done = CounterMetricFamily("streamio_messages_processed", "What became of entries; `failed` counts tries.", labels=[*GROUP, "outcome"])
    for outcome in ("acked", "failed", "dead", "skipped"):
        for place, value in counts[outcome].items():
            done.add_metric([*place, outcome], value)
    yield done
    gauge = GaugeMetricFamily("streamio_messages_in_flight", "Entries in the hands of members.", labels=GROUP)
    for place, value in flying.items():
        gauge.add_metric(place, value)
    yield gauge


class Measuring(Watch):
    """Counts and measures what one topic, group or member does."""

    def __init__(self, instruments: Instruments, types: Collection[str], wanted: Callable[[Event], bool]) -> None:
        self.instruments, self.types, self.wanted = instruments, frozenset(types), wanted

    @contextmanager
    def writing(self, topic: Any, operation: str) -> Generator[Callable[[Any], None]]:
        """Count what was written, of a batch that stopped what came before that."""
        sent = self.instruments.sent.labels(topic.name)
        try:
            yield lambda result: sent.inc(len(result) if isinstance(result, list) and operation != "request" else 1)
        except Exception as error:
            sent.inc(len(getattr(error, "ids", ())))
            raise

    @harmless
    def received(self, hand: Any, messages: Sequence[Any], since: float, claimed: bool) -> None:
        """Count what was read."""
        if self.acts_for(hand):
            self.instruments.know(hand)
            self.instruments.count("streamio_messages_received_total", place_of(hand), len(messages))

    def acts_for(self, hand: Any) -> bool:
        """Whether this is the one that measures what is in this hand."""
        return next((each is self for each in hand.watches if isinstance(each, Measuring) and each.instruments is self.instruments), False)

    @harmless
    def look(self, event: Event) -> None:
        """Count what the lifecycle tells."""
        if not self.wanted(event):
            return
        place = (event.topic or "", event.group or "")
        match event.name:
            case "buried":
                self.instruments.count("dead", place)
            case "unhandled":
                self.instruments.count("skipped", place)
            case "disconnected" | "error":
                self.instruments.count("streamio_redis_errors_total", place)
            case _:
                return

    @contextmanager
    def around(self, message: Any) -> Generator[None]:
        """Measure one delivery."""
        yield from self.measured((message,))

    @contextmanager
    def around_batch(self, messages: Sequence[Any]) -> Generator[None]:
        """Measure the delivery of a batch: its time is that of the whole."""
        yield from self.measured(messages)

    def measured(self, messages: Sequence[Any]) -> Generator[None]:
        """As `around`."""
        if not self.acts_for(messages[0]._hand):
            yield
            return
        now, began = time.time(), time.perf_counter()
        labels = [(*place_of(message._hand), self.label(message.type)) for message in messages]
        for message, each in zip(messages, labels):
            self.instruments.latency.labels(*each).observe(max(0.0, now - split(message.id)[0] / 1000))
        try:
            yield
        finally:
            self.instruments.took.labels(*labels[0]).observe(time.perf_counter() - began)

    def label(self, type: str) -> str:
        """The type, where it was declared."""
        return type if type in self.types else OTHER if self.types else ""
