"""`streamio info`: all about one stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .ending import Failure
from .names import TOPIC
from .output import Column, Columns, as_json, line, one, table
from .session import Session
from .shown import age, age_of, memory, number

if TYPE_CHECKING:
    from ..observing import TopicView

FACTS: Columns = {
    "name": Column("stream"),
    "state": Column("state"),
    "length": Column("length", number),
    "first_id": Column("first entry"),
    "oldest_age": Column("  its age", age),
    "last_id": Column("last entry"),
    "newest_age": Column("  its age", age),
    "last_generated_id": Column("last id given"),
    "entries_added": Column("ever added", number),
    "removed": Column("  of them gone", number),
    "delayed": Column("delayed", number),
    "memory": Column("memory", memory),
    "memory_per_entry": Column("  per entry", memory),
    "expires_in": Column("expires in", age),
}
GROUPS: Columns = {
    "name": Column("GROUP"),
    "state": Column("STATE"),
    "last_delivered_id": Column("LAST DELIVERED"),
    "lag": Column("LAG", number, True),
    "pending": Column("PENDING", number, True),
    "waiting": Column("WAITING", number, True),
    "dead": Column("DEAD", number, True),
    "diagnosis": Column("DIAGNOSIS"),
}
CONSUMERS: Columns = {
    "group": Column("GROUP"),
    "name": Column("CONSUMER"),
    "pending": Column("PENDING", number, True),
    "idle": Column("IDLE", age, True),
    "inactive": Column("INACTIVE", age, True),
    "stale": Column("STALE"),
}


@click.command()
@click.argument("topic", type=TOPIC)
@click.pass_obj
def info(session: Session, topic: str) -> None:
    """Tell all about TOPIC: how long, how old, how large, what is gone from it, its groups and their consumers."""
    sample = session.observer(topics=(topic,)).look([topic])
    view = sample.topics[0]
    if view.error is not None and view.state == "unknown":
        raise Failure(f"{topic!r}: {view.error}")
    record = record_of(view, sample.at, expiry(session, topic))
    if session.output in ("json", "jsonl"):
        line(as_json(record, indent=2 if session.output == "json" else None))
        return
    one(record, FACTS)
    for heading, listed in ((GROUPS, record["groups"]), (CONSUMERS, consumers_of(record))):
        if listed and session.output == "table":
            line("")
            table(listed, heading)


def expiry(session: Session, topic: str) -> float | None:
    """In how many seconds the whole stream expires; None: it does not."""
    left: Any = session.client().pttl(topic)
    return left / 1000 if left >= 0 else None


def record_of(view: TopicView, now: float, expires_in: float | None) -> dict[str, Any]:
    """What is told of the stream: what was seen, and what follows from it."""
    from ..observing import as_json as plain_json

    return {
        **plain_json(view),
        "oldest_age": age_of(view.first_id, now),
        "newest_age": age_of(view.last_id, now),
        "removed": None if view.entries_added is None else max(0, view.entries_added - view.length),
        "memory_per_entry": view.memory // view.length if view.memory and view.length else None,
        "expires_in": expires_in,
    }


def consumers_of(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The consumers of all groups."""
    return [{"group": group["name"], **each} for group in record["groups"] for each in group["consumers"]]
