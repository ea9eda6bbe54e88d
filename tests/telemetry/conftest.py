"""Where spans and measurements of one test go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from streamio.telemetry.opentelemetry import instrument

# where it does not matter which server it is
embedded = pytest.mark.parametrize("w", ["blocking-embedded", "asyncio-embedded"], indirect=True)


class Telemetry:
    """Keeps what it is told. `options` are for `instrument`."""

    def __init__(self) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers, self.meters = TracerProvider(shutdown_on_exit=False), MeterProvider([self.reader], shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.options: dict[str, Any] = {"tracer_provider": self.tracers, "meter_provider": self.meters}
        self.tracer = self.tracers.get_tracer("test")

    def instrument(self, *objects: Any, **options: Any) -> None:
        """Instrument all of these."""
        for obj in objects:
            instrument(obj, **self.options, **options)

    def spans(self, name: str | None = None) -> list[ReadableSpan]:
        """The spans that have ended, in the order in which they began; those whose name begins so."""
        found = [span for span in self.exporter.get_finished_spans() if name is None or span.name.split()[0] == name]
        return sorted(found, key=lambda span: span.start_time or 0)

    def one(self, name: str) -> ReadableSpan:
        """The one span whose name begins so."""
        (span,) = self.spans(name)
        return span

    def measured(self, name: str) -> list[Any]:
        """The points of one instrument."""
        data: Any = self.reader.get_metrics_data()
        resources = data.resource_metrics if data is not None else ()
        found = [metric for each in resources for scope in each.scope_metrics for metric in scope.metrics]
        return [point for metric in found if metric.name == name for point in metric.data.data_points]


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    """Keeps what this test's objects tell."""
    found = Telemetry()
    yield found
    found.tracers.shutdown()
    found.meters.shutdown()
