"""`streamio add`: one entry, the same one many times, or what stands on stdin."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any, BinaryIO

import click

from ..codec import TYPE, headers_of
from ..json_lines import parsed, placed, with_type
from ..positions import UNITS, Place, duration
from .ending import Failure
from .exact import BATCH, NEW_ID, Keep, Pace, Row, Writer, counted, flat
from .names import TOPIC
from .output import line, note, progress
from .positions import POSITION, Written
from .session import Session, current

CHUNK = 1 << 18
Pairs = list[tuple[bytes, bytes]]
Read = Callable[[bytes, int], Row | None]
Batch = tuple[list[Row], Failure | None]


def rate(text: str) -> float:
    """Entries a second: `100/s`, `5/m`, `1000/10s`, or a plain number."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(?:/(.+))?", text)
    time = 0.0
    if found:
        time = 1.0 if not found[2] else UNITS.get(found[2]) or duration(found[2])
    if not found or not time or not float(found[1]):
        raise ValueError(f"{text!r} is no rate: write 100/s, 5/m or 1000/10s")
    return float(found[1]) / time


RATE = Written("rate", rate)


@click.command()
@click.argument("topic", type=TOPIC)
@click.argument("fields", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("-t", "--type", "type_", help="The entry's type; of lines on stdin, of those that have none.")
@click.option("-H", "--header", "headers", multiple=True, metavar="NAME=VALUE", help="A header. May be given more than once.")
@click.option("--jsonl", is_flag=True, help="Add what stands on stdin, one entry for each line, as `cat -J` and `read -J` print them.")
@click.option("--lines", metavar="FIELD", help="Add each line of stdin as an entry: its text, as it is, in this field.")
@click.option("--keep-ids", is_flag=True, help="With --jsonl: under the ids that the lines have.")
@click.option("--id", "entry_id", default=NEW_ID, metavar="ID", help="The entry's id: an id, or MS-* for the next one of a millisecond.")
@click.option("--count", type=click.IntRange(1), default=1, help="Add the entry so many times.")
@click.option("--rate", "rate_", type=RATE, metavar="N/s", help="So many entries a second: 100/s, 5/m.")
@click.option("--maxlen", type=click.IntRange(0), help="Keep about the newest so many entries.")
@click.option("--minid", type=POSITION, metavar="POSITION", help="Keep about what is not before this position.")
@click.pass_obj
def add(session: Session, /, topic: str, fields: Sequence[str], rate_: float | None, maxlen: int | None, minid: Place | None, **how: Any) -> None:
    """Add an entry, or many from stdin; their ids, one per line (-q: none).

    Fields are kept as they are written: in their order, names that repeat too. `streamio cat -J A | streamio add B --jsonl` makes the same entries.
    """
    batches = batches_of(fields, **how)
    opened = session.topic(topic)
    writer = Writer(opened, keeping(opened, maxlen, minid))
    reads = how["jsonl"] or how["lines"] is not None
    total = None if reads else how["count"]
    if sys.stdout.isatty():
        add_all(writer, batches, Pace(rate_), lambda more: None)
    else:
        with progress(f"adding to {topic}", total) as advance:
            add_all(writer, batches, Pace(rate_), advance)
    if reads:
        note(f"{counted(writer.count)} added to {topic!r}")


def keeping(topic: Any, maxlen: int | None, minid: Place | None) -> Keep:
    """What adding trims away."""
    if maxlen is not None and minid is not None:
        raise click.UsageError("--maxlen and --minid cannot be used together: one XADD carries only one of them")
    if minid is None:
        return Keep(maxlen=maxlen)
    if isinstance(minid.at, timedelta):  # it moves on with the clock
        return Keep(max_age=minid.at.total_seconds())
    found = minid.at_least(topic)
    return Keep(minid=found if isinstance(found, str) else str(max(0, round(minid.at.timestamp() * 1000))))


def batches_of(
    fields: Sequence[str], type_: str | None, headers: Sequence[str], jsonl: bool, lines: str | None, keep_ids: bool, entry_id: str, count: int
) -> Iterator[Batch]:
    """What is to be added, a batch at a time. Wrong use is told before anything is read."""
    ways = [name for name, used in (("NAME=VALUE", bool(fields)), ("--jsonl", jsonl), ("--lines", lines is not None)) if used]
    if len(ways) > 1:
        raise click.UsageError(f"{' and '.join(ways)} cannot be used together")
    if keep_ids and not jsonl:
        raise click.UsageError("--keep-ids goes with --jsonl")
    front = Front(type_, headers)
    if not jsonl and lines is None:
        if not (fields or type_ or headers):
            raise click.UsageError("Nothing to add: give NAME=VALUE, --type, --jsonl or --lines FIELD.")
        return repeated(Row(entry_id, flat(front.before([pair(each, "a field") for each in fields]))), count)
    if count != 1 or entry_id != NEW_ID:
        raise click.UsageError("--count and --id go with NAME=VALUE, not with --jsonl or --lines")
    read: Read = json_reader(front, keep_ids) if jsonl else text_reader(front, os.fsencode(lines or ""))
    return rows_of(chunks(sys.stdin.buffer), read)


class Front:
    """The type and headers for entries that have none."""

    def __init__(self, type_: str | None, headers: Sequence[str]) -> None:
        self.type = type_
        self.headers = {name.decode(): value for name, value in (pair(each, "a header") for each in headers)}

    def lacking(self, fields: Pairs) -> Pairs:
        """The fields with what they lack of it, where the library puts it."""
        if self.type is None and not self.headers:
            return fields
        has_type = self.type is None or any(name == TYPE for name, _ in fields)
        typed, there = fields if has_type else with_type(fields, self.type), headers_of(fields)
        return placed(typed, {name: value for name, value in self.headers.items() if name not in there})

    def before(self, fields: Pairs) -> Pairs:
        """The same; an error where the fields say another type."""
        return self.lacking(with_type(fields, self.type))


def pair(text: str, what: str) -> tuple[bytes, bytes]:
    """The name and the value of `name=value`, exact bytes."""
    name, equals, value = os.fsencode(text).partition(b"=")
    if not (equals and name):
        raise click.UsageError(f"{what} is written NAME=VALUE, not {text!r}")
    return name, value


def json_reader(front: Front, keep_ids: bool) -> Read:
    """What makes a row of a line of JSON; None for an empty line."""

    def read(text: bytes, number: int) -> Row | None:
        if not text.strip():
            return None
        said = parsed(text)
        if keep_ids and said.id is None:
            raise ValueError('the line has no "id", and --keep-ids was given')
        return Row((said.id or NEW_ID) if keep_ids else NEW_ID, flat(front.lacking(said.fields)), f"line {number}")

    return read


def text_reader(front: Front, field: bytes) -> Read:
    """What makes a row of a line of text."""
    if not field:
        raise click.UsageError("--lines needs the name of a field")
    return lambda text, number: Row(NEW_ID, flat(front.before([(field, text)])), f"line {number}")


def chunks(stream: BinaryIO) -> Iterator[list[bytes]]:
    """The stream's lines without their newlines, as many at a time as have come."""
    rest: list[bytes] = []
    read: Callable[[int], bytes] = getattr(stream, "read1", stream.read)
    while chunk := read(CHUNK):
        *whole, last = chunk.split(b"\n")
        if whole:
            whole[0] = b"".join([*rest, whole[0]])
            rest = []
            yield whole
        rest.append(last)
    if last := b"".join(rest):
        yield [last]


def rows_of(lines: Iterable[Sequence[bytes]], read: Read) -> Iterator[Batch]:
    """The rows of these lines, batch by batch. Where one is wrong, the batch ends before it and says so, and nothing follows."""
    number = 0
    for chunk in lines:
        rows: list[Row] = []
        for text in chunk:
            number += 1
            try:
                row = read(text, number)
            except ValueError as error:
                yield rows, Failure(f"line {number}: {error}")
                return
            rows += [row] if row is not None else []
        yield rows, None


def repeated(row: Row, count: int) -> Iterator[Batch]:
    """The same row so many times."""
    for place in range(0, count, BATCH):
        yield [row] * min(BATCH, count - place), None


def add_all(writer: Writer, batches: Iterable[Batch], pace: Pace, advance: Callable[[float], None]) -> None:
    """Add it all, and print the ids as they come."""
    for rows, fault in batches:
        for part in pace.parts(rows):
            add_part(writer, part, advance)
        if fault is not None:
            raise Failure(f"{fault.message}; {writer.told(())} before it")


def add_part(writer: Writer, part: Sequence[Row], advance: Callable[[float], None]) -> None:
    """Add these and print their ids, those that were added before an error too."""
    done: list[str] = []
    try:
        writer.write(part, done)
    finally:
        if done and not current().quiet:
            line("\n".join(done), flush=True)
        advance(len(done))
