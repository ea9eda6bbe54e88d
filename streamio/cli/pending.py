"""`streamio pending`: what was delivered, and is not acknowledged."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from ..codec import TYPE
from ..keys import WAITING
from .names import CONSUMER, GROUP, TOPIC
from .output import Column, Columns, emit, plain
from .positions import DURATION, Written
from .session import Session
from .shown import age, age_of, number

if TYPE_CHECKING:
    from ..reports import PendingEntry

PAGE = 200  # entries whose type is asked for at once
MANY = re.compile(r"(?P<least>[0-9]+)(?P<open>\+)?(?:-(?P<most>[0-9]+))?")
COLUMNS: Columns = {
    "id": Column("ID"),
    "consumer": Column("CONSUMER", lambda name: "(waiting)" if name == WAITING else plain(name)),
    "idle": Column("IDLE", age, True),
    "deliveries": Column("DELIVERIES", number, True),
    "age": Column("AGE", age, True),
    "type": Column("TYPE"),
}


def many(text: str) -> Callable[[int], bool]:
    """Whether a number is as this says: `3`, `3+` or `3-5`. A ValueError where it says nothing."""
    found = MANY.fullmatch(text)
    if found is None or (found["open"] and found["most"]):
        raise ValueError(f"{text!r} is no number of deliveries: write 3, 3+ or 3-5")
    least = int(found["least"])
    most = int(found["most"]) if found["most"] else least
    return lambda number: number >= least and (found["open"] is not None or number <= most)


@click.command()
@click.argument("topic", type=TOPIC)
@click.argument("group", type=GROUP)
@click.option("-c", "--consumer", type=CONSUMER, metavar="NAME", help="Of this consumer only.")
@click.option("--idle", type=DURATION, default=0.0, metavar="DURATION", help="Idle for so long at least: 500ms, 10s, 5m, 2h.")
@click.option("--deliveries", type=Written("number", many), metavar="N+", help="Delivered so often: 3 times, 3+ or 3-5.")
@click.option("-n", "--count", type=click.IntRange(min=0), metavar="N", help="So many at most, the oldest first.")
@click.pass_obj
def pending(
    session: Session, topic: str, group: str, consumer: str | None, idle: float, deliveries: Callable[[int], bool] | None, count: int | None
) -> None:  # fmt: skip
    """List the pending entries of GROUP by id: whose they are, idle for how long, delivered how often. (waiting): in nobody's hand, to be retried."""
    opened = session.topic(topic).group(group)
    opened.info()  # (an error where there is no such group)
    found = opened.pending(idle=idle, consumer=consumer, count=None if deliveries else count)
    wanted = (each for each in found if deliveries is None or deliveries(each.deliveries))
    emit(rows(session, topic, islice(wanted, count)), COLUMNS)


def rows(session: Session, topic: str, found: Iterable[PendingEntry]) -> Iterator[dict[str, Any]]:
    """A row for each entry. Types are asked for by pages."""
    wanted, now = iter(found), time.time()
    while page := list(islice(wanted, PAGE)):
        for view, kind in zip(page, types(session, topic, page)):
            yield {
                "id": view.id,
                "consumer": view.consumer,
                "idle": view.idle,
                "deliveries": view.deliveries,
                "age": age_of(view.id, now),
                "type": kind,
            }


def types(session: Session, topic: str, page: Iterable[PendingEntry]) -> Iterator[str | None]:
    """The entries' types; None for those that are gone from the stream."""
    pipeline = session.client().pipeline(transaction=False)
    for view in page:
        pipeline.xrange(topic, view.id, view.id)
    for found in pipeline.execute():
        yield found[0][1].get(TYPE, b"").decode(errors="backslashreplace") if found else None
