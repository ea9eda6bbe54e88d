"""`streamio dead ls`, `show`, `redrive` and `drop`: what a group put aside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import click

from ..dead_letters import DeadLetter, DeadLetters
from ..json_lines import envelope, json_line
from .ending import Failure
from .entries import word
from .exact import BATCH, NEW_ID, Row, Writer, counted, flat
from .names import GROUP, TOPIC
from .output import Column, Columns, confirm, emit, line, note, one, progress, visible
from .positions import DURATION
from .session import Session
from .settle import ids_given
from .shown import age, age_of, number

COLUMNS: Columns = {
    "letter": Column("LETTER"),
    "id": Column("ENTRY"),
    "type": Column("TYPE"),
    "reason": Column("REASON"),
    "deliveries": Column("DELIVERIES", number, True),
    "age": Column("AGE", age, True),
    "error": Column("ERROR"),
}


class Dead(click.Group):
    """The group of these commands; `replay` is `redrive`."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name."""
        return super().get_command(ctx, {"replay": "redrive"}.get(cmd_name, cmd_name))


@click.group(cls=Dead)
def dead() -> None:
    """Look at dead letters, deliver them again, drop them. LETTERs are named by their own ids, which `ls` prints first."""


@dead.command()
@click.argument("topic", type=TOPIC)
@click.argument("group", type=GROUP)
@click.option("-n", "--count", type=click.IntRange(1), metavar="N", help="The first N only.")
@click.pass_obj
def ls(session: Session, topic: str, group: str, count: int | None) -> None:
    """List the dead letters of GROUP, oldest first."""
    letters = letters_of(session, topic, group)
    emit((row(letter) for letter in islice(letters, count)), COLUMNS)


@dead.command()
@click.argument("topic", type=TOPIC)
@click.argument("group", type=GROUP)
@click.argument("letters", nargs=-1, metavar="[LETTER]...")
@click.option("-n", "--count", type=click.IntRange(1), metavar="N", help="The first N only.")
@click.pass_obj
def show(session: Session, topic: str, group: str, letters: Sequence[str], count: int | None) -> None:
    """Show dead letters with all that is known: their entry's fields, why, and the traceback. As JSON Lines `streamio add --jsonl` takes them."""
    found = chosen(letters_of(session, topic, group), letters)
    if session.entry_output == "table":
        for letter in islice(found, count):
            pictured(letter)
    elif session.entry_output == "json":
        emit([full(letter) for letter in islice(found, count)])
    else:
        for letter in islice(found, count):
            line(json_line(full(letter)))


@dead.command()
@click.argument("topic", type=TOPIC)
@click.argument("group", type=GROUP)
@click.argument("letters", nargs=-1, metavar="[LETTER]...")
@click.option("--all", "all_", is_flag=True, help="All that are there now.")
@click.option("--to", "elsewhere", type=TOPIC, metavar="TOPIC", help="Copy their entries there, exactly; the letters stay.")
@click.pass_obj
def redrive(session: Session, topic: str, group: str, letters: Sequence[str], all_: bool, elsewhere: str | None) -> None:
    """Bring dead letters back to GROUP, and to no other: they are delivered again, and count from 1."""
    need_choice(bool(letters), all_)
    there = letters_of(session, topic, group)
    wanted = ids_given(letters)
    if elsewhere is not None:
        copy_to(session, chosen(there, wanted), elsewhere)
        return
    result = there.redrive(wanted) if letters else there.redrive()
    one({name: getattr(result, name) for name in ("redriven", "copied", "held", "refused", "missing")})
    note(f"{counted(result.count)} back in group {group!r}")
    if letters and not result.count:
        raise Failure("none of these went back: see held, refused and missing")


@dead.command()
@click.argument("topic", type=TOPIC)
@click.argument("group", type=GROUP)
@click.argument("letters", nargs=-1, metavar="[LETTER]...")
@click.option("--all", "all_", is_flag=True, help="All that are there now.")
@click.option("--older", type=DURATION, metavar="TIME", help="Those that were put aside so long ago.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def drop(session: Session, topic: str, group: str, letters: Sequence[str], all_: bool, older: float | None, yes: bool) -> None:
    """Remove dead letters for good."""
    need_choice(bool(letters), all_, older is not None)
    there = letters_of(session, topic, group)
    wanted = ids_given(letters) or [letter.id for letter in there if older is None or (age_of(letter.id) or 0) >= older]
    if wanted:
        confirm(f"Remove {counted(len(wanted), 'dead letter', 'dead letters')} of group {group!r}, topic {topic!r}, for good?", yes)
    removed = there.purge(wanted)
    one({"removed": removed})
    if letters and not removed:
        raise Failure("there is none of these")


def letters_of(session: Session, topic: str, group: str) -> DeadLetters[Any]:
    """The group's dead letters, also of a group that is gone; an error where there is neither."""
    asked = session.topic(topic).group(group)
    letters = asked.dead_letters
    if not letters.length():
        asked.info()
    return letters


def need_choice(*ways: bool) -> None:
    """A UsageError where it is not said which are meant."""
    if ways.count(True) != 1:
        raise click.UsageError("Say which: LETTERs (-: those on stdin), or --all" + (", or --older TIME." if len(ways) > 2 else "."))


def chosen(letters: DeadLetters[Any], ids: Sequence[str]) -> Iterator[DeadLetter[Any]]:
    """Those with these ids; without ids all. A Failure where one is not there."""
    if not ids:
        yield from letters
        return
    left = dict.fromkeys(ids_given(ids))
    for letter in letters:
        if letter.id in left:
            del left[letter.id]
            yield letter
    if left:
        raise Failure(f"there is no dead letter {next(iter(left))}")


def row(letter: DeadLetter[Any]) -> dict[str, Any]:
    """What `ls` shows of a letter."""
    return {
        "letter": letter.id, "id": letter.entry_id or None, "type": letter.type, "reason": letter.reason, "deliveries": letter.deliveries,
        "age": age_of(letter.id), "consumer": letter.consumer, "error": letter.error or None,
    }  # fmt: skip


def full(letter: DeadLetter[Any]) -> dict[str, Any]:
    """The letter's entry as a line of JSON has it, and the letter's own facts."""
    entry = envelope(
        letter.topic, letter.entry_id or letter.id, letter.fields, group=letter.group, consumer=letter.consumer, deliveries=letter.deliveries
    )
    return {**entry, "letter": letter.id, "reason": letter.reason, "error": letter.error, "traceback": letter.traceback}


def pictured(letter: DeadLetter[Any]) -> None:
    """Print a letter for a person."""
    line(f"letter {letter.id}  entry {letter.entry_id or '-'}  {visible(letter.reason)}, {counted(letter.deliveries, 'delivery', 'deliveries')}")
    line(f"  consumer {visible(letter.consumer) or '-'}, put aside {age(age_of(letter.id))} ago")
    for name, value in letter.fields:
        line(f"  {word(name)} = {word(value)}")
    for text in [letter.error, *letter.traceback.splitlines()]:
        if text:
            line(f"  | {visible(text)}")
    line("")


def copy_to(session: Session, letters: Iterator[DeadLetter[Any]], elsewhere: str) -> None:
    """Add the letters' entries to another topic, exactly as they were. Those whose entry was gone have nothing to copy."""
    writer, empty = Writer(session.topic(elsewhere)), 0
    with progress(f"copying to {elsewhere}") as advance:
        while batch := list(islice(letters, BATCH)):
            rows = [Row(NEW_ID, flat(letter.fields), f"letter {letter.id}") for letter in batch if letter.fields]
            empty += len(batch) - len(rows)
            if rows:
                writer.write(rows, [])
            advance(len(batch))
    one({"copied": writer.count, "empty": empty})
