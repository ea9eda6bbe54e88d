"""Entries exactly as they are: read as words, written as words, under new ids or their own. No codec looks at them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

from redis.exceptions import ConnectionError, TimeoutError

from ..effects import Exchange, Words
from ..errors import PublishStopped, PublishUncertain
from ..ids import ID, Position, split
from ..protocol.publishing import Publisher, parted
from ..protocol.replaying import History, Tail
from ..retention import Retention
from ..topic import Topic
from .ending import Failure

BATCH = 500
NEW_ID = "*"


class Row(NamedTuple):
    """An entry to write: its id (`*`: a new one), its names and values, and where it came from, for errors ("line 7")."""

    id: str
    words: Words
    origin: str = ""


@dataclass(frozen=True)
class Keep(Retention):
    """What adding trims away; `minid`: all below this id."""

    minid: str | None = None

    def words(self, now: int) -> tuple[str, ...]:
        """The words that XADD takes for it."""
        return super().words(now) if self.minid is None else ("MINID", "~", self.minid)


class Writer:
    """Writes rows to a topic, pipelined. `count` is how many are known to be written.

    Where rows bring their ids, nothing is written behind one that the server must refuse: ids rise, and the first one goes alone.
    """

    def __init__(self, topic: Topic[Any], keep: Retention | None = None) -> None:
        self.topic, self.publisher, self.count = topic, Publisher(topic.name, keep or Retention()), 0
        self.last: str | None = None  # the id of the row before, where it brought one

    def write(self, rows: Sequence[Row], done: list[str]) -> None:
        """Write them in order; their ids are appended to `done`, also where a `Failure` says that not all were written."""
        if rows and ID.fullmatch(rows[0].id) and self.last is None:
            self.send(rows[:1], done)
            rows = rows[1:]
        fine = self.rising(rows)
        self.send(rows[:fine], done)
        if fine < len(rows):
            row = rows[fine]
            raise Failure(f"{before(row)}its id {row.id} is not greater than that before it, {self.last}; {self.told(())} before it")

    def rising(self, rows: Sequence[Row]) -> int:
        """How many rows have rising ids, or bring none."""
        for place, row in enumerate(rows):
            if ID.fullmatch(row.id):
                if self.last is not None and split(row.id) <= split(self.last):
                    return place
                self.last = row.id
        return len(rows)

    def send(self, rows: Sequence[Row], done: list[str]) -> None:
        """Write them."""
        known = len(done)
        try:
            self.topic._driver.run(self.writing(rows, done))
        except PublishStopped as error:
            raise Failure(f"{before(rows[error.index - known])}{error.__cause__}; {self.told(done[known:])}") from error
        except PublishUncertain as error:
            where = before(rows[error.index - known])
            raise Failure(f"{where}sent, but no reply came ({error.__cause__}): it may be written or not; {self.told(done[known:])}") from error
        except (ConnectionError, TimeoutError) as error:  # (nothing of the rest was sent)
            raise Failure(f"{before(rows[len(done) - known])}{error}; {self.told(done[known:])}") from error
        finally:
            self.count += len(done) - known
            self.last = rows[0].id if self.last is None and rows and ID.fullmatch(rows[0].id) else self.last

    def writing(self, rows: Sequence[Row], done: list[str]) -> Exchange[None]:
        """The exchange of `write`."""
        head = ("XADD", self.topic.name, *(yield from self.publisher.retaining()))
        for part in parted([(*head, row.id, *row.words) for row in rows]):
            yield from self.publisher.writing(part, done)

    def told(self, done: Sequence[str]) -> str:
        """How many entries were added so far, in words."""
        return f"{counted(self.count + len(done))} added"


class Pace:
    """Hands rows out in batches, `rate` entries a second (None: as fast as they go)."""

    def __init__(self, rate: float | None) -> None:
        self.rate, self.began, self.sent = rate, time.monotonic(), 0
        self.size = BATCH if rate is None else max(1, min(BATCH, int(rate / 10)))

    def parts(self, rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
        """The rows, each batch when its time has come."""
        for place in range(0, len(rows), self.size):
            if self.rate is not None:
                time.sleep(max(0.0, self.began + self.sent / self.rate - time.monotonic()))
            part = rows[place : place + self.size]
            self.sent += len(part)
            yield part


def before(row: Row) -> str:
    """What stands before an error about the row."""
    return f"{row.origin}: " if row.origin else ""


def counted(number: int, what: str = "entry", many: str = "entries") -> str:
    """The number with its noun."""
    return f"{number} {what if number == 1 else many}"


def flat(pairs: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
    """The pairs as names and values in turn."""
    return list(chain.from_iterable(pairs))


def words_of(found: Sequence[str]) -> Words:
    """An entry's words as they came, as they are to be sent: bytes that are no text were read as lone surrogates."""
    return [word if word.isascii() else word.encode("utf-8", "surrogateescape") for word in found]


def history(topic: Topic[Any], start: Position, end: Position) -> Iterator[list[Row]]:
    """The entries between two positions, page by page, each with its id."""
    return pages(topic, History(topic.name, start, end, None, False, made))


def tail(topic: Topic[Any], above: Position) -> Iterator[list[Row]]:
    """The entries above a position, as they come, for ever. A page is empty where nothing came for a while."""
    return pages(topic, Tail(topic.name, above, made))


def made(entry_id: str, found: list[str]) -> Row:
    """The entry as a row."""
    return Row(entry_id, words_of(found), f"entry {entry_id}")


def pages(topic: Topic[Any], source: History | Tail) -> Iterator[list[Row]]:
    """The source's pages, read when they are asked for."""
    while (page := topic._driver.run(source.page())) is not None:
        yield page
