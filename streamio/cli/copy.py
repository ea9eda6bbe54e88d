"""`streamio copy`: a stream's entries into another one, exactly, and again from where it stopped."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import click

from ..ids import Position, after, split
from ..positions import Place
from ..topic import Topic
from .ending import Failure, masked
from .exact import NEW_ID, Row, Writer, counted, history, tail
from .lasting import lasting
from .names import TOPIC
from .output import note, progress
from .positions import POSITION
from .session import Session

START, END = Place("start", "start"), Place("end", "end")


@click.command()
@click.argument("source", metavar="SRC", type=TOPIC)
@click.argument("target", metavar="DST", type=TOPIC)
@click.option(
    "--from", "begin", type=POSITION, metavar="POS", help="Where to begin. Default: start; where DST has entries of SRC's, behind the last of them."
)
@click.option("--to", "end", type=POSITION, metavar="POS", help="Where to end, itself included. Default: end.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is added to SRC, until Ctrl-C.")
@click.option("--url-to", metavar="URL", help="The server of DST. Default: that of SRC.")
@click.option("--new-ids", is_flag=True, help="Give the copies new ids. Default: each has the id of its entry.")
@click.pass_obj
def copy(session: Session, source: str, target: str, begin: Place | None, end: Place | None, follow: bool, url_to: str | None, new_ids: bool) -> None:
    """Copy the entries of SRC to the end of DST: all their fields, byte for byte, in their order, under their ids.

    Stopped anywhere, the same command goes on behind the last entry that DST has. With --new-ids it cannot know that: it says where to go on.
    """
    if follow and end is not None:
        raise click.UsageError("-f goes on with what is added, it does not go together with --to")
    if source == target and url_to in (None, session.url):
        raise click.UsageError("SRC and DST are the same stream.")
    read, written = session.topic(source), target_of(session, target, url_to)
    if not read.info().last_id and not follow:
        note(f"topic {source!r} has no entries")
    work = Copying(read, written, new_ids)
    try:
        work.run(work.beginning(begin), end or END, follow)
    finally:
        work.tell()


def target_of(session: Session, target: str, url: str | None) -> Topic[Any]:
    """The topic to copy to, on its own server where one is given."""
    if url is None:
        return session.topic(target)
    other = Session()
    other.given_url = url
    click.get_current_context().call_on_close(other.close)
    return other.topic(target)


class Copying:
    """A copy that is under way."""

    def __init__(self, source: Topic[Any], target: Topic[Any], new_ids: bool) -> None:
        self.source, self.target, self.new_ids, self.writer = source, target, new_ids, Writer(target)
        self.last: str | None = None  # of the source, that is surely copied

    def beginning(self, begin: Place | None) -> Place | None:
        """Where to begin; None: behind the last entry that the target has, which is known to be one of the source's, or older than all of them."""
        known, facts = self.target.info().last_generated_id, self.source.info()
        if begin is not None or self.new_ids or known == "0-0":
            return begin or START
        is_older = facts.first_id is None or split(known) < split(facts.first_id)
        if not (is_older or self.is_copied(known)):
            what = f"topic {self.target.name!r} has entries of its own, the last id is {known}"
            raise Failure(f"{what}: --new-ids adds copies of all behind them, --from POS copies what has greater ids")
        note(f"going on behind {known}, the last id that {self.target.name!r} has had")
        self.last = known
        return None

    def is_copied(self, known: str) -> bool:
        """Whether the target's last entry is the source's of the same id. (Of one that the target has no more only the id is known.)"""
        ours, theirs = (next((message.fields for message in topic.replay(known, known)), None) for topic in (self.source, self.target))
        return ours is not None and theirs in (None, ours)

    def run(self, begin: Place | None, end: Place, follow: bool) -> None:
        """Copy, and show how far it is."""
        above = self.last if begin is None else begin.above(self.source) if follow else None
        pages = self.followed(above or "0") if follow else history(self.source, self.first(begin), end.last(self.source))
        total = float(self.source.length()) if begin is START and end is END and not follow else None
        with progress(f"copying {self.source.name} to {self.target.name}", total) as advance:
            for rows in pages:
                self.add(rows)
                advance(len(rows))

    def followed(self, above: Position) -> Iterator[list[Row]]:
        """What is above this position, then what is added, page by page."""
        return lasting(self.source, partial(tail, self.source), above, lambda rows: rows[-1].id if rows else None)

    def first(self, begin: Place | None) -> Position:
        """The first entry to copy."""
        return begin.first(self.source) if begin is not None else f"({self.last}"

    def add(self, rows: list[Row]) -> None:
        """Copy these."""
        done: list[str] = []
        try:
            if rows:
                self.writer.write([row._replace(id=NEW_ID) for row in rows] if self.new_ids else rows, done)
        except Failure as error:
            if "equal or smaller" in error.message:
                hint = "only entries above the target's last id can keep their ids, others need --new-ids"
                raise Failure(f"{masked(error.message)}: {hint}") from error
            raise
        finally:
            self.last = rows[len(done) - 1].id if done else self.last

    def tell(self) -> None:
        """Say how many entries were copied, and where to go on."""
        told = f"{counted(self.writer.count)} copied"
        if self.last is not None and self.writer.count:
            told += f", up to {self.last}" + (f"; to go on: --from {after(self.last)}" if self.new_ids else "")
        note(told)
