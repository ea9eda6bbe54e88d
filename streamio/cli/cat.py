"""`streamio cat`: entries, without touching any group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from ..positions import Place, Span
from .ending import Failure, leave_when_nobody_reads
from .entries import FORMAT_HELP, Printer, printer
from .lasting import lasting
from .names import TOPIC
from .output import note
from .positions import POSITION, RANGE
from .session import Session

if TYPE_CHECKING:
    from ..message import Message
    from ..topic import Topic

TEN = Place("-10", "last", 10)
START = Place("start", "start")
END = Place("end", "end")


class Wanted:
    """Which entries are wanted: of one of these types (`order.*`), with all of these values. It counts how many it looked at."""

    def __init__(self, types: Sequence[str], where: Sequence[str]) -> None:
        self.types = types
        self.where = [pair(each) for each in where]
        self.scanned = 0

    def __call__(self, message: Message[Any]) -> bool:
        """Whether it is one."""
        self.scanned += 1
        if self.types and not any(fnmatchcase(message.type, each) for each in self.types):
            return False
        return not self.where or all(each in message.fields for each in self.where)


def pair(text: str) -> tuple[bytes, bytes]:
    """The name and the value of `name=value`."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise click.BadParameter(f"{text!r} is not field=value", param_hint="'--where'")
    return name.encode(errors="surrogateescape"), value.encode(errors="surrogateescape")


@click.command()
@click.argument("topic", type=TOPIC)
@click.option("-f", "--follow", is_flag=True, help="Go on with what is added; begins with the last 10, or at --from. Ends with Ctrl-C, or after -n.")
@click.option("-e", "--exit-at-end", is_flag=True, help="End with the last entry, also where -f says otherwise.")
@click.option("-n", "--count", type=click.IntRange(min=0), metavar="N", help="Print so many entries at most.")
@click.option("--from", "begin", type=RANGE, metavar="POS", help="Where to begin: start, end, +N, -N, ID, @-10m, @2026-11-20T10:00Z; or A:B.")
@click.option("--to", "end", type=POSITION, metavar="POS", help="Where to end, itself included.")
@click.option("-t", "--type", "types", multiple=True, metavar="TYPE", help="Only entries of this type (order.*: all such types). May be repeated.")
@click.option("--where", multiple=True, metavar="F=V", help="Only entries whose field F is V. Repeated: all of them.")
@click.option("-r", "--reverse", is_flag=True, help="The newest first.")
@click.option("--format", help=f"What to print of an entry, nothing is put behind it: {FORMAT_HELP}")
@click.option("-J", "--envelope", is_flag=True, help="A line of JSON for each, exactly what `streamio add --jsonl` takes (as -o jsonl).")
@click.option("--meta-only", is_flag=True, help="No fields and headers, but how many bytes they have.")
@click.pass_obj
def cat(
    session: Session, topic: str, follow: bool, exit_at_end: bool, count: int | None, begin: Span | None, end: Place | None,
    types: Sequence[str], where: Sequence[str], reverse: bool, format: str | None, envelope: bool, meta_only: bool,
) -> None:  # fmt: skip
    """Print the entries of TOPIC. No group is touched, nothing is acknowledged."""
    follow = follow and not exit_at_end
    span = spanned(begin, end)
    refuse(follow, reverse, span, format, meta_only, session.given_output)
    wanted = Wanted(types, where)
    opened = session.topic(topic)
    if follow:
        leave_when_nobody_reads()
    found = followed(opened, span.start or TEN) if follow else history(opened, span, reverse, count if not (types or where) else None)
    with printer(session, format=format, as_envelope=envelope, meta_only=meta_only, each=follow) as out:
        print_all(out, islice(filter(wanted, found), count))
    if types or where:
        note(f"{out.printed} of {wanted.scanned} entries looked at")


def spanned(begin: Span | None, end: Place | None) -> Span:
    """The range that --from and --to say together."""
    if begin is None:
        return Span(None, end)
    if begin.end is not None and end is not None:
        raise click.UsageError("--from says where to end already: leave out --to")
    return Span(begin.start, begin.end or end)


def refuse(follow: bool, reverse: bool, span: Span, format: str | None, meta_only: bool, output: str | None) -> None:
    """Refuse options that contradict each other."""
    if follow and (reverse or span.end is not None):
        raise click.UsageError(f"-f follows what is added, it does not go together with {'-r' if reverse else 'an end'}")
    if follow and output == "json":
        raise click.UsageError("-o json is one list with an end: to follow, say -o jsonl")
    if format is not None and meta_only:
        raise click.UsageError("--format says what to print: leave out --meta-only")


def print_all(out: Printer, messages: Iterable[Message[Any]]) -> None:
    """Print them all."""
    for message in messages:
        out.write(message)


def history(topic: Topic[Any], span: Span, reverse: bool, count: int | None) -> Iterator[Message[Any]]:
    """What is in the stream now."""
    facts = topic.info()
    if facts.last_generated_id == "0-0" and not facts.groups:
        raise Failure(f"there is no stream {topic.name!r}")
    first, last = (span.start or START).first(topic), (span.end or END).last(topic)
    yield from topic.replay(first, last, count=count, reverse=reverse)


def followed(topic: Topic[Any], start: Place) -> Iterator[Message[Any]]:
    """What is in the stream from `start` on, then what is added."""
    return lasting(topic, topic.tail, start.above(topic), lambda message: message.id)
