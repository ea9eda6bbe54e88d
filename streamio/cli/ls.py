"""`streamio ls`: which streams there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .names import TOPIC
from .output import Column, Columns, emit, line, note
from .session import Session
from .shown import age, age_of, number

if TYPE_CHECKING:
    from ..observing import TopicView

MOST = 10_000
COLUMNS: Columns = {
    "topic": Column("TOPIC"),
    "length": Column("LENGTH", number, True),
    "groups": Column("GROUPS", number, True),
    "lag": Column("LAG", number, True),
    "last_id": Column("LAST ID"),
    "last_age": Column("AGE", age, True),
}


@click.command()
@click.argument("pattern", default="*", type=TOPIC)
@click.option("-n", "--names", is_flag=True, help="Names only, one per line.")
@click.option("--lag", "by_lag", is_flag=True, help="Sort by the worst lag, largest first.")
@click.option("-a", "--all", "side_streams", is_flag=True, help="Also the streams that streamio keeps beside topics: dead letters, replies.")
@click.pass_obj
def ls(session: Session, pattern: str, names: bool, by_lag: bool, side_streams: bool) -> None:
    """List the streams whose name fits PATTERN (orders*; default: all), with the worst lag of their groups."""
    observer = session.observer(topics=(pattern,), most=MOST)
    found = observer.find(side_streams=side_streams)
    if names and not by_lag:
        for name in found:
            line(name)
        return
    listed = [row(each, sample.at) for sample in [observer.look(found[:MOST])] for each in sample.topics if each.error is None]
    if by_lag:
        listed.sort(key=lambda each: (-(each["lag"] or 0), each["topic"]))
    if names:
        for each in listed:
            line(each["topic"])
    else:
        emit(listed, COLUMNS)
    if len(found) > MOST:
        note(f"{len(found) - MOST} more streams are not shown: give a pattern")


def row(topic: TopicView, now: float) -> dict[str, Any]:
    """What is told of a stream. The lag is the worst that is known."""
    lags = [group.lag for group in topic.groups if group.lag is not None]
    return {
        "topic": topic.name,
        "length": topic.length,
        "groups": len(topic.groups),
        "lag": max(lags, default=None),
        "last_id": topic.last_id,
        "last_age": age_of(topic.last_id, now),
        "state": topic.state,
    }
