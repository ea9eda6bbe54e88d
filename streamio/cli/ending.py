"""How a command ends: one clear line on stderr and an exit code."""

from __future__ import annotations

import os
import re
import select
import sys
from collections.abc import Generator
from contextlib import contextmanager
from threading import Thread

import click

from ..errors import StreamioError
from . import INTERRUPTED

FAILED, CHECK_FAILED, USAGE = 1, 2, 64
SECRET = re.compile(r"(?P<before>\b\w+://[^\s:/@]*:)[^\s@]+(?P<after>@)|(?P<name>[?&]password=)[^\s&#]+")


class Failure(click.ClickException):
    """What was asked for could not be done; the sentence says why."""

    exit_code = FAILED


class CheckFailed(click.ClickException):
    """A check found what it was to look for."""

    exit_code = CHECK_FAILED


def masked(text: str) -> str:
    """The text with the passwords of URLs in it made unreadable."""
    return SECRET.sub(lambda found: f"{found['name']}***" if found["name"] else f"{found['before']}***{found['after']}", text)


@contextmanager
def quiet_on_closed_pipe() -> Generator[None, None, None]:
    """The command ends with 0 where nobody reads its output any more. What is buffered goes nowhere, so that nothing is said at exit either."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        discard()
        raise click.exceptions.Exit(0) from None


def discard() -> None:
    """Let all that is, or will be, written to stdout go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def nobody_reads(wait: float | None = 0) -> bool:
    """Whether stdout is a pipe whose other end is closed; with `wait=None`, once it is. (A write would tell, but nothing may come for long.)"""
    if sys.stdout is sys.__stdout__ and sys.stdout and not sys.stdout.isatty():
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return any(what & select.POLLERR for _, what in poll.poll(wait))
    return False


def leave_when_nobody_reads() -> None:
    """End the process, quietly, as soon as nobody reads its output any more: for a command that only waits and prints."""

    def look() -> None:
        if nobody_reads(None):
            os._exit(0)

    Thread(target=look, name="streamio-output", daemon=True).start()


def refuse_closed_output() -> None:
    """What is printed would be lost, and might be acknowledged nevertheless, where the process was started without stdout."""
    if sys.stdout is None:
        raise Failure("stdout is closed: give it a place to go, /dev/null say")


def flush() -> None:
    """Write what is buffered; what cannot be written goes nowhere, so that the interpreter does not complain of it at its end."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        discard()


def exit_code_for(error: BaseException) -> int:
    """The exit code that tells of this error."""
    if isinstance(error, click.Abort):
        return INTERRUPTED if isinstance(error.__cause__ or error.__context__, KeyboardInterrupt) else FAILED
    if isinstance(error, click.UsageError):
        return USAGE
    return error.exit_code if isinstance(error, click.ClickException) else FAILED


def sentence(error: BaseException) -> str:
    """What to tell of an error: one line, without passwords."""
    text = " ".join(str(error).split())
    kind = type(error)
    told = text and (isinstance(error, (StreamioError, ValueError, OSError)) or kind.__module__.startswith("redis."))
    return masked(text if told else f"{kind.__name__}: {text}" if text else kind.__name__)


def tell(error: BaseException, traceback: bool) -> None:
    """Say on stderr what went wrong."""
    if isinstance(error, click.UsageError):
        error.show()
    elif isinstance(error, click.ClickException):
        click.echo(f"streamio: {masked(error.format_message())}", err=True)
    elif not isinstance(error, click.Abort):
        click.echo(f"streamio: {sentence(error)}", err=True)
    if traceback and not isinstance(error, (click.Abort, click.ClickException)):
        click.echo(masked(trace(error)), err=True, nl=False)


def trace(error: BaseException) -> str:
    """The error's traceback."""
    from traceback import format_exception

    return "".join(format_exception(error))
