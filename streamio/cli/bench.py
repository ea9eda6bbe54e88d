"""`streamio bench`: how fast this server and this machine are, on a stream of its own that is gone afterwards."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from threading import Event
from typing import Any

import click

from ..drivers.side_by_side import listen_in_threads, stop_all
from ..drivers.threads import in_thread
from ..keys import side_key
from .ending import Failure
from .output import Column, Columns, emit, note, progress
from .session import Session
from .shown import number

MARK = "streamio:bench:"  # what the names of its streams begin with
HOUR = 3600  # seconds until the server removes what was left behind
GROUP = "bench"
SINGLES = 1000  # entries that are timed one by one, at most
PATIENCE = 60.0  # seconds


def milliseconds(time: float | None) -> str:
    """A time; `-` where there is none."""
    return "-" if time is None else f"{time:.2f}"


COLUMNS: Columns = {
    "what": Column("WHAT"),
    "entries": Column("ENTRIES", number, True),
    "per_second": Column("ENTRIES/S", lambda rate: number(round(rate)), True),
    "p50_ms": Column("P50 MS", milliseconds, True),
    "p99_ms": Column("P99 MS", milliseconds, True),
}


@click.command()
@click.option("-n", "--count", type=click.IntRange(1), default=20_000, show_default=True, help="How many entries.")
@click.option("--size", type=click.IntRange(0), default=100, show_default=True, help="How many bytes each carries.")
@click.option("--batch", type=click.IntRange(1), default=500, show_default=True, help="How many are added at once.")
@click.option("--consumers", type=click.IntRange(1), default=1, show_default=True, help="How many members read, in threads of this process.")
@click.pass_obj
def bench(session: Session, count: int, size: int, batch: int, consumers: int) -> None:
    """Measure adding one by one, adding in batches, reading with acknowledging, and the way from adding to the handler (p50, p99).

    It works on a stream of its own, streamio:bench:…, which it removes at the end, also after Ctrl-C.
    """
    note(f"measuring on {session.shown_url}")
    with stream(session) as topic:
        value = ("x" * size).encode()
        rows = [one_by_one(topic, min(count, SINGLES), value), in_batches(topic, count, value, batch)]
        rows += [reading(topic, consumers), to_handler(topic, min(count, SINGLES), value)]
    emit(rows, COLUMNS)


@contextmanager
def stream(session: Session) -> Generator[Any, None, None]:
    """A topic that nobody else has, and that goes with its group at the end. Where this process is killed the server removes it in an hour."""
    name, client = f"{MARK}{secrets.token_hex(6)}", session.client()
    topic = session.topic(name)
    try:
        topic.group(GROUP).create()
        client.expire(name, HOUR)
        yield topic
    finally:
        client.delete(name, side_key(name, "dead", GROUP))


def row(what: str, entries: int, took: float, times: Sequence[float] = ()) -> dict[str, Any]:
    """What one measurement found. Times are seconds."""
    found: dict[str, Any] = {"what": what, "entries": entries, "per_second": round(entries / took, 1)}
    ordered = sorted(times)
    for name, share in (("p50_ms", 0.5), ("p99_ms", 0.99)):
        found[name] = round(1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))], 3) if ordered else None
    return found


def timed(call: Callable[[], Any]) -> float:
    """How many seconds it took."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def one_by_one(topic: Any, count: int, value: bytes) -> dict[str, Any]:
    """Add entries, each in a round trip of its own."""
    with progress("adding one by one", count) as advance:
        times = []
        for _ in range(count):
            times.append(timed(lambda: topic.publish("bench", payload=value)))
            advance(1)
    return row("add, one by one", count, sum(times), times)


def in_batches(topic: Any, count: int, value: bytes, batch: int) -> dict[str, Any]:
    """Add entries in batches; times are those of a batch."""
    times = []
    with progress("adding in batches", count) as advance:
        for place in range(0, count, batch):
            items = [("bench", {"payload": value})] * min(batch, count - place)
            times.append(timed(lambda items=items: topic.publish_many(items)))  # type: ignore[misc]
            advance(len(items))
    return row(f"add, {batch} at once", count, sum(times), times)


class Drained:
    """A member that works off what is there, as `listen_in_threads` runs it."""

    def __init__(self, member: Any) -> None:
        self.member, self.id = member, member.id

    def connect_and_listen(self) -> None:
        """Handle what is there."""
        self.member.drain()

    def stop(self) -> None:
        """End."""
        self.member.stop()


def reading(topic: Any, consumers: int) -> dict[str, Any]:
    """Read and acknowledge all that is in the stream, by so many members side by side."""
    group, total = topic.group(GROUP), topic.length()
    members = [group.member() for _ in range(consumers)]
    with progress("reading", total) as advance:
        for member in members:
            member.on("bench", lambda message: advance(1))
        try:
            took = timed(lambda: listen_in_threads([Drained(member) for member in members]))
        finally:
            for member in members:
                member.close()
    left = group.info()
    if left.lag or left.pending:
        raise Failure(f"not all was read: {left.lag} left, {left.pending} pending")
    return row(f"read and acknowledge, {consumers} {'member' if consumers == 1 else 'members'}", total, took)


def to_handler(topic: Any, count: int, value: bytes) -> dict[str, Any]:
    """From the beginning of adding an entry to its handler, one after the other."""
    came, times = Event(), []
    member = topic.group(GROUP).member(block=0.5)
    member.on("bench", lambda message: came.set())
    listening = in_thread("streamio-bench", member.connect_and_listen)
    try:
        with progress("from adding to the handler", count) as advance:
            for _ in range(count + 1):
                times.append(timed(lambda: arrives(topic, value, came, listening)))
                advance(1)
    finally:
        stop_all([member])
        listening.exception(PATIENCE)
        member.close()
    return row("from adding to the handler", count, sum(times[1:]), times[1:])  # (the first one waits for the member)


def arrives(topic: Any, value: bytes, came: Event, listening: Any) -> None:
    """Add an entry and wait for its handler."""
    came.clear()
    topic.publish("bench", payload=value)
    if not came.wait(PATIENCE):
        raise Failure(f"an entry did not come to its handler within {PATIENCE:g} s") from (listening.exception(0) if listening.done() else None)
