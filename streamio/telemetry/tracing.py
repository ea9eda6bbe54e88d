"""Spans for what a topic writes, and for what a member reads and handles. (`opentelemetry.instrument` puts them to work.)

1. Who writes starts a span, and each entry carries its context on: `traceparent` and `tracestate` as plain fields, what other propagators write as
   headers. What the caller gave wins.
2. Who handles starts a span that is linked to that context (or is its child, where that is asked for), and is active while the handler runs.
3. Replies and outputs carry the context of the handling on, dead letters that of their entry.
4. Where two watch the same hand, its group's and its member's, the first one acts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Setter, TextMapPropagator
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer, get_current_span, set_span_in_context

from ..effects import Words
from ..ids import ID
from ..watching import Watch
from . import names
from .carrying import carrier_of, size_of, total_size
from .harmless import harmless
from .meters import Meters

MANY = ("publish_many", "writelines")
MOST = 2000  # contexts that are remembered
Attributes = Mapping[str, Any]


@dataclass(frozen=True)
class Choices:
    """What `instrument` was asked for."""

    parent: bool = False
    acks: bool = False
    creates: bool = False
    payload_sizes: bool = False


@dataclass(frozen=True)
class Writing:
    """What is being written: the span of it, whether that is many entries, and what their own spans are to say."""

    span: Span
    many: bool
    topic: str
    attributes: Attributes


WRITING: ContextVar[Writing | None] = ContextVar("streamio-writing", default=None)
HANDLED: ContextVar[tuple[str, Context] | None] = ContextVar("streamio-handled", default=None)  # what was handled last here, for its reply


class Headers(Setter[dict[str, str]]):
    """How a propagator writes headers."""

    def set(self, carrier: dict[str, str], key: str, value: str) -> None:
        """One header."""
        carrier[key] = value


SETTER = Headers()


class Tracing(Watch):
    """See the head of this file."""

    def __init__(self, tracer: Tracer, meters: Meters, propagator: TextMapPropagator, choices: Choices) -> None:
        self.tracer, self.meters, self.propagator, self.choices = tracer, meters, propagator, choices
        self.system = names.system()
        self.fields = propagator.fields - {"baggage"}  # who gave one of them has said which trace it is
        self.extracted: dict[tuple[tuple[str, str], ...], Context] = {}  # by what was carried: asked for at the read, and again at the handling
        self.known: WeakKeyDictionary[Any, dict[str, tuple[Attributes, Attributes]]] = WeakKeyDictionary()

    def acts_for(self, hand: Any) -> bool:
        """Whether this is the one that traces what is in this hand."""
        return next((watch is self for watch in hand.watches if isinstance(watch, Tracing)), False)

    def of_topic(self, topic: Any, operation: str) -> Attributes:
        """What is told of something that a topic does."""
        return {**self.system, **names.operation(operation), names.DESTINATION: topic.name, **names.server(topic._driver.source)}

    def of_hand(self, hand: Any, operation: str) -> tuple[Attributes, Attributes]:
        """What is told of something that a member does: by its span, and by metrics."""
        known = self.known.setdefault(hand, {})
        if operation not in known:
            s = hand.settings
            facts = {**self.system, **names.operation(operation), names.DESTINATION: s.topic, names.GROUP: s.group, **names.server(hand.source)}
            known[operation] = ({**facts, names.CLIENT: s.me}, facts)
        return known[operation]

    # -- writing --------------------------------------------------------------------------------------------------------------------------

    @contextmanager
    def writing(self, topic: Any, operation: str) -> Generator[Callable[[Any], None]]:
        """The span of an operation that writes."""
        many, name = operation in MANY, names.REQUEST if operation == names.REQUEST else names.SEND
        attributes, began, told, wrong = self.of_topic(topic, name), time.perf_counter(), Told(many), ""
        kind = SpanKind.CLIENT if many else SpanKind.PRODUCER
        with self.tracer.start_as_current_span(f"{name} {topic.name}", kind=kind, attributes=attributes) as span:
            token = WRITING.set(Writing(span, many, topic.name, attributes))
            try:
                yield told
            except BaseException as error:
                wrong = names.error_type(error)
                span.set_attribute(names.ERROR, wrong)
                told.failed(error)
                raise
            finally:
                WRITING.reset(token)
                span.set_attributes(told.facts)
                self.meters.wrote(told.count, time.perf_counter() - began, attributes, wrong)

    def headers(self, given: Mapping[str, Any], message: Any) -> Mapping[str, str]:
        """What carries the trace on, where the caller gave nothing of the kind."""
        carrier: dict[str, str] = {}
        if self.fields.isdisjoint(given):
            self.propagator.inject(carrier, self.context_for(message), SETTER)
        return carrier

    def context_for(self, message: Any) -> Context | None:
        """The context that an entry is to carry; None: the current one."""
        last, what = HANDLED.get(), WRITING.get()
        if message is not None:
            return last[1] if last is not None and last[0] == message.id else None
        return self.created(what) if what is not None and what.many and self.choices.creates else None

    def created(self, what: Writing) -> Context:
        """The context of a span of the entry's own."""
        attributes = {**what.attributes, **names.operation(names.CREATE)}
        span = self.tracer.start_span(f"{names.CREATE} {what.topic}", kind=SpanKind.PRODUCER, attributes=attributes)
        span.end()
        what.span.add_link(span.get_span_context())
        return set_span_in_context(span)

    def encoded(self, words: Words) -> None:
        """How much one entry holds."""
        what = WRITING.get()
        if self.choices.payload_sizes and what is not None and not what.many:
            what.span.set_attribute(names.SIZE, size_of(words))

    # -- reading and settling ---------------------------------------------------------------------------------------------------------------

    @harmless
    def received(self, hand: Any, messages: Sequence[Any], since: float, claimed: bool) -> None:
        """The span of a read or a claim that brought something, linked to what each entry carries."""
        if not self.acts_for(hand):
            return
        name = names.CLAIM if claimed else names.RECEIVE
        attributes, facts = self.of_hand(hand, name)
        took = max(0.0, time.monotonic() - since)
        start = time.time_ns() - round(took * 1e9)
        span = self.tracer.start_span(f"{name} {hand.settings.topic}", kind=SpanKind.CLIENT, attributes=attributes, start_time=start)
        if span.is_recording():
            span.set_attributes(self.about(messages))
            for link in self.links(messages):
                span.add_link(link.context, link.attributes)
        span.end()
        self.meters.read(len(messages), took, facts)

    @harmless
    def acknowledged(self, hand: Any, ids: Sequence[str]) -> None:
        """The span of an acknowledgement, where such are asked for."""
        if not self.choices.acks or not self.acts_for(hand):
            return
        attributes, facts = self.of_hand(hand, names.ACK)
        about = {names.MESSAGE: ids[0]} if len(ids) == 1 else {names.COUNT: len(ids)}
        self.tracer.start_span(f"{names.ACK} {hand.settings.topic}", kind=SpanKind.CLIENT, attributes={**attributes, **about}).end()
        self.meters.settled(0.0, facts)

    def about(self, messages: Sequence[Any]) -> Attributes:
        """What is told of these messages."""
        facts: dict[str, Any] = {names.COUNT: len(messages)} if len(messages) != 1 else {names.MESSAGE: messages[0].id}
        if len(messages) == 1 and (conversation := messages[0]._header("correlation_id")) is not None:
            facts[names.CONVERSATION] = str(conversation)
        if self.choices.payload_sizes:
            facts[names.SIZE] = total_size(messages)
        return facts

    def links(self, messages: Sequence[Any]) -> list[Link]:
        """Links to what the messages carry; of several each says which message it is."""
        found, is_one = [], len(messages) == 1
        for message in messages:
            context = get_current_span(self.carried(message)).get_span_context()
            if context.is_valid:
                found.append(Link(context, None if is_one else {names.MESSAGE: message.id}))
        return found

    def carried(self, message: Any) -> Context:
        """The context that a message carries."""
        carrier = carrier_of(message)
        key = tuple(carrier.items())
        found = self.extracted.get(key)
        if found is None:
            if len(self.extracted) >= MOST:
                self.extracted.clear()
            found = self.extracted[key] = self.propagator.extract(carrier, context=Context()) if carrier else Context()
        return found

    # -- handling -----------------------------------------------------------------------------------------------------------------------------

    def begin(self, messages: Sequence[Any], batch: bool) -> Span | None:
        """The span of a handler's work on these; None where somebody else traces it."""
        hand = messages[0]._hand
        if not self.acts_for(hand):
            return None
        context = self.carried(messages[0]) if self.choices.parent and not batch else None
        is_child = context is not None and get_current_span(context).get_span_context().is_valid
        attributes = {**self.of_hand(hand, names.PROCESS)[0], **self.about(messages)}
        links = None if is_child else self.links(messages)
        name = f"{names.PROCESS} {hand.settings.topic}"
        return self.tracer.start_span(name, context=context if is_child else None, kind=SpanKind.CONSUMER, attributes=attributes, links=links)

    def end(self, span: Span, messages: Sequence[Any], took: float, error: BaseException | None) -> None:
        """The handler is through."""
        wrong = ""
        if error is not None and not isinstance(error, GeneratorExit):  # (a loop that was left)
            wrong = names.error_type(error)
            span.record_exception(error)
        if any(getattr(getattr(message, "_limit", None), "failed", False) for message in messages):
            wrong = "streamio.errors.HandlerTimeout"
        if wrong:
            span.set_attribute(names.ERROR, wrong)
            span.set_status(Status(StatusCode.ERROR, wrong if error is None else f"{type(error).__name__}: {error}"))
        span.end()
        self.meters.processed(took, self.of_hand(messages[0]._hand, names.PROCESS)[1], wrong)


class Told:
    """What an operation came to: called with its result."""

    def __init__(self, many: bool) -> None:
        self.many, self.count, self.facts = many, 1, dict[str, Any]()

    def __call__(self, result: Any) -> None:
        """It succeeded: the id of an entry (not of one that is delayed), or ids."""
        if self.many:
            self.count = self.facts[names.COUNT] = len(result)
        elif isinstance(result, str) and ID.fullmatch(result):
            self.facts[names.MESSAGE] = result

    def failed(self, error: BaseException) -> None:
        """It failed: of many, those that were tried."""
        if self.many:
            self.count = self.facts[names.COUNT] = len(getattr(error, "ids", ()))
