"""Traces and metrics by OpenTelemetry (extra `opentelemetry`, the API alone): `instrument(topic)`, `instrument(group)`, `instrument(member)`.

    from streamio.telemetry.opentelemetry import instrument

    instrument(topic)   # spans "send orders"; entries carry their trace
    instrument(group)   # of all members in this process: "receive orders", "process orders", "claim orders"

Where the SDK is not set up, spans and metrics go nowhere.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

from ..errors import SetupError
from ..group import ConsumerGroupTopic
from ..member import ConsumerGroupMember
from ..topic import Topic
from ..watching import unwatch, watch

try:
    from opentelemetry import context, propagate
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.propagators.textmap import TextMapPropagator
    from opentelemetry.trace import Span, TracerProvider, get_tracer, set_span_in_context
except ImportError as error:  # pragma: no cover
    raise SetupError("traces need OpenTelemetry's API: pip install 'streamio[opentelemetry]'") from error

from . import names
from .harmless import harmless
from .meters import VERSION, Meters
from .tracing import HANDLED, Choices, Tracing

Instrumented = Topic[Any, Any] | ConsumerGroupTopic[Any, Any] | ConsumerGroupMember[Any, Any]


def instrument(
    obj: Instrumented, *,
    tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None, propagator: TextMapPropagator | None = None,
    parent: bool = False, acks: bool = False, creates: bool = False, payload_sizes: bool = False,
) -> None:  # fmt: skip
    """Trace and measure what is published through a topic, or what the members of a group (all in this process, or one) read and handle.

    Instrumented again it is as the last call says. A member of a group that is instrumented is traced once.

    tracer_provider, meter_provider, propagator   None: the global ones
    parent          a handler's span is the child of the span that published its entry, in the same trace; else it is linked to it
    acks            spans of acknowledgements, too
    creates         `publish_many` and `writelines` start a span for each entry, too; else entries carry the span of the whole
    payload_sizes   tell how large payloads are (`messaging.message.body.size`)
    """
    if not isinstance(obj, (Topic, ConsumerGroupTopic, ConsumerGroupMember)):
        raise TypeError(f"a Topic, a ConsumerGroupTopic or a ConsumerGroupMember can be instrumented, not {obj!r}")
    uninstrument(obj)
    tracer = get_tracer("streamio", VERSION, tracer_provider, schema_url=names.SCHEMA)
    choices = Choices(parent, acks, creates, payload_sizes)
    each = Handling(tracer, Meters(meter_provider), propagator or propagate.get_global_textmap(), choices)
    watch(obj, each)
    if not isinstance(obj, Topic):
        obj.around(each.around)
        obj.around_batch(each.around_batch)


def uninstrument(obj: Instrumented) -> None:
    """Trace and measure it no more; nothing where it is not instrumented."""
    for each in [each for each in obj._watches if isinstance(each, Handling)]:
        unwatch(obj, each)
        if not isinstance(obj, Topic):
            obj.remove_around(each.around)
            obj.remove_around(each.around_batch)


class Handling(Tracing):
    """As `Tracing`, with what stands around handlers."""

    def around(self, message: Any) -> Process:
        """The span of the handling of one message."""
        return Process(self, (message,), False)

    def around_batch(self, messages: Sequence[Any]) -> Process:
        """The span of the handling of many."""
        return Process(self, messages, True)


PROCESSING: ContextVar[Process | None] = ContextVar("streamio-processing", default=None)


class Process:
    """The span of a handler's work, active meanwhile."""

    __slots__ = ("batch", "began", "context", "mark", "messages", "span", "token", "tracing")

    def __init__(self, tracing: Tracing, messages: Sequence[Any], batch: bool) -> None:
        self.tracing, self.messages, self.batch = tracing, messages, batch
        self.span: Span | None = None

    @harmless
    def __enter__(self) -> None:
        self.span = self.tracing.begin(self.messages, self.batch)
        if self.span is not None:
            HANDLED.set(None)
            self.context, self.mark = set_span_in_context(self.span), PROCESSING.set(self)
            self.token, self.began = context.attach(self.context), time.perf_counter()

    @harmless
    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if self.span is None:
            return
        if PROCESSING.get() is self:  # (a loop may be left in another thread or task)
            context.detach(self.token)
            PROCESSING.reset(self.mark)
        if not self.batch and error is None:
            HANDLED.set((self.messages[0].id, self.context))
        self.tracing.end(self.span, self.messages, time.perf_counter() - self.began, error)
