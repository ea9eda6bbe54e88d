"""`streamio read`: entries as a consumer of a group gets them, printed or handed to a command, and acknowledged after that."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from ..json_lines import envelope_of, json_line
from ..message import Message
from ..positions import Place
from ..protocol.outcomes import failed, released
from .ending import Failure, nobody_reads
from .entries import FORMAT_HELP, Printer, printer
from .exact import counted
from .names import CONSUMER, GROUP, TOPIC
from .output import note
from .positions import DURATION, POSITION
from .session import Session
from .shown import age

PAGE = 100
LOOK = 1.0  # seconds between looks at who reads what is printed
LEASE = 30.0  # seconds: the library's own
Handle = Callable[[Message[Any]], None]


NOT_RUN = (126, 127)  # the shell's exit codes where a command cannot be run, or is not there


class CommandFailed(Exception):
    """The command of --exec ended with another code than 0, or by a signal."""


@click.command()
@click.argument("topic", type=TOPIC)
@click.option("-g", "--group", required=True, type=GROUP, help="The consumer group. It is made where it is not there.")
@click.option("-c", "--consumer", type=CONSUMER, metavar="NAME", help="The consumer's name. Default: one of this process, which leaves with it.")
@click.option("-n", "--count", type=click.IntRange(1), metavar="N", help="End after so many entries.")
@click.option("--burst", is_flag=True, help="End when nothing is there any more.")
@click.option("--no-ack", is_flag=True, help="Acknowledge nothing: what was read is given back at the end, and delivered again.")
@click.option("--from", "begin", type=POSITION, metavar="POS", help="Where a new group begins: start (the default), end, or any position.")
@click.option(
    "--exec", "command", metavar="CMD", help="Run this for each entry, its line of JSON on stdin. Exit code 0: acknowledged, else tried again. 126 "
    "and 127, by which a shell tells that there is no such command, end the reading.",
)  # fmt: skip
@click.option("--claim", type=DURATION, metavar="TIME", help="Take over what is pending elsewhere, untouched for so long. Default: 30s.")
@click.option("--format", help=f"What to print of an entry: {FORMAT_HELP}")
@click.option("-J", "--envelope", is_flag=True, help="A line of JSON for each, as `cat -J` (and -o jsonl).")
@click.pass_obj
def read(
    session: Session, /, topic: str, group: str, consumer: str | None, begin: Place | None, claim: float | None, no_ack: bool, command: str | None,
    format: str | None, envelope: bool, count: int | None, burst: bool,
) -> None:  # fmt: skip
    """Read the entries of TOPIC that the group has not got yet; each is acknowledged when it was printed.

    What cannot be printed, because nobody reads any more, is not acknowledged. SIGTERM and Ctrl-C give back what was not begun.
    """
    if command is not None and (no_ack or format or envelope):
        raise click.UsageError("--exec prints nothing and says itself what is acknowledged: leave out --no-ack, --format and -J")
    member = member_of(session, topic, group, consumer, begin, claim)
    kept: list[Message[Any]] = []
    try:
        with stopped_by(member, signal.SIGTERM):
            if command is not None:
                execute(Execution(member, command), member, count, burst)
            else:
                with printer(session, format=format, as_envelope=envelope, each=True) as out:
                    each_entry(member, count, burst, PAGE, printing(out, member, kept if no_ack else None))
    finally:
        for message in kept:
            released(member._hand, message)
        member.close()


def member_of(session: Session, topic: str, group: str, consumer: str | None, begin: Place | None, claim: float | None) -> Any:
    """A member of the group, which begins there where it is new."""
    opened = session.topic(topic)
    if claim is not None and claim <= 0:
        raise click.BadParameter("must be more than 0 seconds", param_hint="'--claim'")
    asked = opened.group(group, lease=claim or LEASE)
    if begin is not None and not asked.create(begin.above(opened)):
        note(f"group {group!r} is there already and reads on from its place: --from is for a new one")
    return asked.member(consumer, ack="manual")


@contextmanager
def stopped_by(thing: Any, *signals: signal.Signals) -> Generator[None, None, None]:
    """Meanwhile these signals stop it; a second one abandons it."""
    before = [(number, signal.getsignal(number)) for number in signals]
    thing.stop_on(*signals)
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def each_entry(member: Any, count: int | None, burst: bool, page: int, handle: Handle) -> int:
    """Handle entries until there were `count`, until there are none (`burst`), the member is stopped, or nobody reads what is printed; how many
    there were."""
    done, looked = 0, False
    while count is None or done < count:
        found = member.read(page if count is None else min(page, count - done), timeout=0 if burst else LOOK)
        handle_all(member, found, handle)
        done += len(found)
        if found:
            member.flush()
        elif member._hand.stopping or (burst and looked) or nobody_reads():
            break
        elif burst:
            member._hand.look_again()  # what waits for another try may be due by now
        looked = not found
    return done


def handle_all(member: Any, found: Sequence[Message[Any]], handle: Handle) -> None:
    """Handle each. Where that is broken off, the others go back as if they had not been read."""
    for place, message in enumerate(found):
        try:
            handle(message)
        except BaseException:
            released(member._hand, message)
            for unread in found[place + 1 :]:
                member._hand.park(unread, 0.0, unread.before)
            raise


def printing(out: Printer, member: Any, kept: list[Message[Any]] | None) -> Handle:
    """What prints an entry and acknowledges it then; with `kept` it is added there instead."""

    def handle(message: Message[Any]) -> None:
        out.write(message, member.id)
        if kept is None:
            message.ack()
        else:
            kept.append(message)  # (one that is dropped would be given back, and read again, at once)

    return handle


class Execution:
    """Runs a command for each entry."""

    def __init__(self, member: Any, command: str) -> None:
        self.member, self.command, self.failures = member, command, 0

    def __call__(self, message: Message[Any]) -> None:
        """Run it, and acknowledge; where it failed, the entry is tried again, in the end put aside."""
        text = json_line(envelope_of(message, self.member.id)).encode() + b"\n"
        code = subprocess.run(self.command, shell=True, input=text, env={**os.environ, **self.environment(message)}).returncode
        if code == 0:
            message.ack()
            return
        if code in NOT_RUN:
            self.member._hand.park(message, 0.0, message.before)  # as if it had not been read: it is not the entry's fault
            raise Failure(f"--exec: the shell cannot run {self.command!r} (exit code {code})")
        self.failures += 1
        how = f"exit code {code}" if code > 0 else f"signal {-code}"
        told = self.becomes(message, CommandFailed(f"{self.command}: {how}"))
        note(f"entry {message.id}: {how}, {told}")

    def environment(self, message: Message[Any]) -> dict[str, str]:
        """What the command may know without reading JSON."""
        facts = {"id": message.id, "topic": message.topic, "group": message.group, "consumer": self.member.id, "deliveries": message.deliveries}
        return {f"STREAMIO_{name.upper()}": str(value) for name, value in facts.items()}

    def becomes(self, message: Message[Any], error: CommandFailed) -> str:
        """Let the group's retry policy decide, and say what becomes of the entry."""
        event = failed(self.member._hand, message, error, random.random())
        return f"put aside after delivery {message.deliveries}" if event is None else f"tried again in {age(event.delay)}"


def execute(run: Execution, member: Any, count: int | None, burst: bool) -> None:
    """Run the command for each entry, one after the other. A Failure where it was to end and not all went well."""
    done = each_entry(member, count, burst, 1, run)
    if run.failures and (burst or count is not None):
        raise Failure(f"{run.failures} of {counted(done)} failed")
