"""The four instruments of messaging, as OpenTelemetry names them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from opentelemetry.metrics import MeterProvider, get_meter

from . import names

VERSION = version("streamio")
Attributes = Mapping[str, Any]


class Meters:
    """Counts and measures. `error` is the class of what went wrong, empty where nothing did."""

    def __init__(self, provider: MeterProvider | None) -> None:
        meter = get_meter("streamio", VERSION, provider, names.SCHEMA)
        self.sent = meter.create_counter(names.SENT, "{message}", "Messages that a producer tried to send.")
        self.consumed = meter.create_counter(names.CONSUMED, "{message}", "Messages that were delivered to the application.")
        self.operations = meter.create_histogram(
            names.OPERATION_DURATION, "s", "Duration of an operation of a client.", explicit_bucket_boundaries_advisory=names.BUCKETS
        )
        self.processes = meter.create_histogram(
            names.PROCESS_DURATION, "s", "Duration of the processing of a message.", explicit_bucket_boundaries_advisory=names.BUCKETS
        )

    def wrote(self, count: int, took: float, attributes: Attributes, error: str) -> None:
        """An operation that writes is over."""
        facts = failed(attributes, error)
        self.operations.record(took, facts)
        if count:
            self.sent.add(count, facts)

    def read(self, count: int, took: float, attributes: Attributes) -> None:
        """A read or a claim brought so many."""
        self.operations.record(took, attributes)
        self.consumed.add(count, attributes)

    def settled(self, took: float, attributes: Attributes) -> None:
        """An acknowledgement is through."""
        self.operations.record(took, attributes)

    def processed(self, took: float, attributes: Attributes, error: str) -> None:
        """A handler is through."""
        self.processes.record(took, failed(attributes, error))


def failed(attributes: Attributes, error: str) -> Attributes:
    """The attributes, with the error's class where there is one."""
    return {**attributes, names.ERROR: error} if error else attributes
