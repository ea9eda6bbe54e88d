"""walrus: a consumer group as an object."""

from __future__ import annotations

from typing import Any

from walrus import Database

from ..job import CONSUMER, GROUP, KEY, Job


def each(job: Job) -> None:
    """COUNT 100, an XACK for each entry, as its guide acknowledges."""
    database, entries = stream(job)
    left = job.entries
    while left:
        for entry_id, fields in entries.read(count=100, block=1000):
            fields[b"order_id"]
            entries.ack(entry_id)
            left -= 1
    database.close()


def batches(job: Job) -> None:
    """COUNT 1000, one XACK for each batch."""
    database, entries = stream(job)
    left = job.entries
    while left:
        found = entries.read(count=1000, block=1000)
        for _, fields in found:
            fields[b"order_id"]
        entries.ack(*[entry_id for entry_id, _ in found])
        left -= len(found)
    database.close()


def stream(job: Job) -> tuple[Any, Any]:
    """The client, and the stream as the group sees it."""
    database: Any = Database(port=job.port)
    return database, database.consumer_group(GROUP, [KEY], CONSUMER).streams[KEY]
