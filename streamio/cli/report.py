"""`streamio report`: how groups are doing, once or again and again, and a check that fails on limits."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import count as counted
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from .ending import CheckFailed, Failure, sentence
from .looking import COLUMNS, Trends, left_alone, remarks, rows
from .names import TOPIC
from .output import as_json, console, drawn, emit, line, note, table
from .positions import DURATION
from .session import Session, is_terminal
from .shown import age

if TYPE_CHECKING:
    from ..observing import Observer, Sample

APART = 0.5  # seconds between the two looks that rates come from, where the report is told once
MOST = 1000
Rows = list[dict[str, Any]]


@click.command()
@click.argument("topics", nargs=-1, type=TOPIC)
@click.option("-i", "--interval", type=DURATION, metavar="DURATION", help="Look again and again, so long apart, until Ctrl-C.")
@click.option("-n", "--count", type=click.IntRange(min=1), metavar="N", help="With -i: look so many times.")
@click.option("--fail-lag", type=click.IntRange(min=0), metavar="N", help="End with 2 where a group's lag is more than N entries.")
@click.option("--fail-pending", type=click.IntRange(min=0), metavar="N", help="End with 2 where a group has more than N entries pending.")
@click.option("--fail-idle", type=DURATION, metavar="DURATION", help="End with 2 where an entry is pending and idle for longer.")
@click.pass_obj
def report(
    session: Session, topics: Sequence[str], interval: float | None, count: int | None,
    fail_lag: int | None, fail_pending: int | None, fail_idle: float | None,
) -> None:  # fmt: skip
    """Tell how the groups of TOPICS (names or patterns; default: all) are doing.

    BEHIND is the age of the first entry that a group was not given yet, OLDEST how long its first pending entry is idle. Rates are per second,
    measured over half a second; a check (--fail-...) looks once, and has none.
    """
    if count is not None and interval is None:
        raise click.UsageError("-n counts looks: give -i, too")
    checks = Checks(session, fail_lag, fail_pending, fail_idle)
    observer = session.observer(topics=topics or ("*",), most=MOST)
    if interval is None:
        once(observer, checks, topics)
    else:
        live(session, looks(observer, interval, count), checks)


def once(observer: Observer[Any], checks: Checks, topics: Sequence[str]) -> None:
    """Tell it once."""
    trends = Trends()
    sample: Sample = observer.look()
    found = rows(sample, trends)
    missing = [f"{each.name!r}: {each.error}" for each in sample.topics if each.error is not None and each.name in topics]
    if not (checks.any or missing) and found:
        time.sleep(APART)
        sample = observer.look()
        found = rows(sample, trends)
    emit(found, COLUMNS)
    told(sample, found)
    if missing:
        raise Failure("; ".join(missing))
    checks.run(found)


def told(sample: Sample, found: Rows) -> None:
    """Say on stderr what is the matter, and what was left out."""
    for each in remarks(found):
        note(each)
    if sample.left_out:
        note(f"{sample.left_out} more streams are not shown: give names or patterns")


def looks(observer: Observer[Any], interval: float, count: int | None) -> Iterator[Sample]:
    """A sample now, and after each interval. A server that goes away later is waited for, and that is said once."""
    from redis import ConnectionError, TimeoutError

    due, seen, away = time.monotonic(), False, False
    for _ in islice(counted(), count):
        time.sleep(max(0.0, due - time.monotonic()))
        try:
            yield observer.look()
            seen, away = True, False
        except (ConnectionError, TimeoutError) as error:
            if not seen:
                raise
            if not away:
                note(f"waiting for the server: {sentence(error)}")
            away = True
        due = max(due + interval, time.monotonic())


def live(session: Session, samples: Iterator[Sample], checks: Checks) -> None:
    """Tell it again and again: on a terminal in place, elsewhere one after the other. Ends where a check fails."""
    trends = Trends()
    if session.output == "table" and is_terminal():
        from rich.live import Live

        with Live(console=console(), auto_refresh=False) as screen:
            for sample in samples:
                found = rows(sample, trends)
                screen.update(drawn(found, COLUMNS, screen.console.width), refresh=True)
                checks.run(found)
        return
    for sample in samples:
        found = rows(sample, trends)
        printed(session, sample, found)
        checks.run(found)


def printed(session: Session, sample: Sample, found: Rows) -> None:
    """Print one look of many: a plain table, or a line for each group with the time of the look."""
    if session.output == "table":
        table(found, COLUMNS)
        line("", flush=True)
        return
    for row in found:
        line(as_json({"at": sample.at, **row}), flush=True)


class Checks:
    """The limits that --fail-… set. Lag that the server does not tell is counted, as far as the limit needs it."""

    def __init__(self, session: Session, lag: int | None, pending: int | None, idle: float | None) -> None:
        self.session, self.lag, self.pending, self.idle = session, lag, pending, idle

    @property
    def any(self) -> bool:
        """Whether there are limits."""
        return (self.lag, self.pending, self.idle) != (None, None, None)

    def run(self, found: Rows) -> None:
        """Raise `CheckFailed` where a group is beyond a limit; the sentence names all of them."""
        faults = [fault for row in found if row["group"] is not None for fault in self.faults(row)]
        if faults:
            raise CheckFailed("; ".join(faults))

    def faults(self, row: dict[str, Any]) -> Iterator[str]:
        """What is beyond a limit in this group."""
        name = f"{row['topic']} {row['group']}"
        if self.lag is not None and (lag := self.lag_of(row)) > self.lag:
            yield f"{name}: lag {'over ' if row['lag'] is None else ''}{lag - (row['lag'] is None)}, at most {self.lag} allowed"
        if self.pending is not None and row["pending"] > self.pending:
            yield f"{name}: {row['pending']} pending, at most {self.pending} allowed"
        if self.idle is not None and row["pending"] and (idle := self.idle_of(row)) is not None:
            yield f"{name}: an entry is pending and idle for {age(idle)}, at most {age(self.idle)} allowed"

    def lag_of(self, row: dict[str, Any]) -> int:
        """The group's lag; where the server does not tell it, counted up to one more than is allowed."""
        if row["lag"] is not None or self.lag is None:
            return int(row["lag"] or 0)
        topic = self.session.topic(row["topic"])
        return sum(1 for _ in topic.replay(f"({row['last_delivered_id']}", count=self.lag + 1))

    def idle_of(self, row: dict[str, Any]) -> float | None:
        """How long an entry is idle that is so for longer than allowed, the one with the lowest id; None where none is."""
        group = self.session.topic(row["topic"]).group(row["group"])
        found = (left_alone(each, group.lease) for each in group.pending(idle=self.idle or 0, count=MOST))
        return next((idle for idle in found if idle > (self.idle or 0)), None)
