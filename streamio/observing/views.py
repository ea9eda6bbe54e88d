"""What an observer sees: frozen dataclasses. Times are seconds, ids are text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any


@dataclass(frozen=True)
class ConsumerView:
    """A consumer of a group: `pending` entries under its name, `idle` seconds since it last spoke, `inactive` since it last got something.

    inactive        None before Redis 7.2, which does not tell it
    stale           silent for longer than the lease with something pending, or for an hour
    """

    name: str
    pending: int
    idle: float
    inactive: float | None
    stale: bool


@dataclass(frozen=True)
class PendingView:
    """A pending entry: whose it is (`~waiting`: nobody's), idle for how long, and how often it was delivered."""

    id: str
    consumer: str
    idle: float
    deliveries: int


@dataclass(frozen=True)
class GroupView:
    """A consumer group at one moment.

    lag             entries not delivered yet; None where nobody knows
    lag_seconds     the age of the first of them; 0 where there is none
    pending         entries delivered and not acknowledged, `waiting` included: those that are in nobody's hand
    dead            how many dead letters it has
    oldest          the pending entry with the lowest id
    rate_out        entries delivered per second since the last look; None on the first, and where the server does not count
    state           `ok`, `idle`, `behind` or `stuck`; `diagnosis` is a sentence that says why, and what to do
    """

    name: str
    topic: str
    lag: int | None
    lag_seconds: float | None
    pending: int
    waiting: int
    dead: int
    last_delivered_id: str
    entries_read: int | None
    consumers: tuple[ConsumerView, ...]
    oldest: PendingView | None
    rate_out: float | None
    state: str
    diagnosis: str


@dataclass(frozen=True)
class TopicView:
    """A stream at one moment.

    entries_added   how many were ever added; None before Redis 7.0
    memory          bytes; asked for some topics in each look, so it may be of an earlier one, or None
    delayed         how many entries wait for their time
    rate_in         entries added per second since the last look; None on the first, and where the server does not count
    state           the worst of its groups' (`stuck`, `behind`, `ok`, `idle`), as far as they could be looked at; `unknown` where it could not at all
    error           why it could not be looked at, or not wholly: it is gone, is no stream, or the user has no right to that
    """

    name: str
    length: int
    first_id: str | None
    last_id: str | None
    last_generated_id: str
    entries_added: int | None
    memory: int | None
    delayed: int
    rate_in: float | None
    groups: tuple[GroupView, ...]
    state: str
    error: str | None


@dataclass(frozen=True)
class Sample:
    """One look.

    at              the server's time, in seconds since 1970
    took            how many seconds the look took
    server          the server's version; empty where the user may not ask
    memory          bytes that the server uses
    topics          by name
    left_out        how many topics more there are than the observer looks at
    """

    at: float
    took: float
    server: str
    memory: int | None
    topics: tuple[TopicView, ...]
    left_out: int


def as_json(view: Any) -> Any:
    """The view as plain JSON: dicts, lists, numbers and text that every encoder takes."""
    if is_dataclass(view) and not isinstance(view, type):
        return {each.name: as_json(getattr(view, each.name)) for each in fields(view)}
    if isinstance(view, Mapping):
        return {as_json(name): as_json(value) for name, value in view.items()}
    if isinstance(view, (tuple, list)):
        return [as_json(each) for each in view]
    return readable(view) if isinstance(view, str) else view


def readable(text: str) -> str:
    """The text; bytes in it that are not UTF-8 are written as `\\xff`."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
