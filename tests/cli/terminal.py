"""The command line as tests run it: in this process for breadth, in one of its own, or on a pseudo-terminal."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from streamio.cli import main

PROGRAM = [sys.executable, "-m", "streamio"]
CONTROLLED = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # the terminal is this process', so that Ctrl-C reaches it
from streamio.cli import main
sys.exit(main())
"""
STYLE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
SECONDS = 20


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, and what it printed where."""

    code: int
    raw: bytes
    err: str

    @property
    def out(self) -> str:
        """What it printed on stdout, as text."""
        return self.raw.decode()

    @property
    def lines(self) -> list[str]:
        """The lines of that."""
        return self.out.splitlines()

    @property
    def json(self) -> Any:
        """That, as one JSON value."""
        return json.loads(self.raw)

    @property
    def entries(self) -> list[dict[str, Any]]:
        """That, as JSON Lines."""
        return [json.loads(line) for line in self.lines]


def inside(*words: str, input: str | bytes = b"") -> Ended:
    """Run the command in this process; its stdin and stdout are no terminal."""
    given = input.encode() if isinstance(input, str) else input
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    stdin = mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(given), "utf-8"))
    with stdin, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(words)
        except SystemExit as left:  # (the shell's completion leaves so)
            code = int(left.code or 0)
    return Ended(code, out.buffer.getvalue(), err.buffer.getvalue().decode())  # type: ignore[attr-defined]


def environment(**more: str) -> dict[str, str]:
    """The environment of a command as a user has it: its output is buffered as Python does by itself, its terminal as wide as that is."""
    return {**{name: value for name, value in os.environ.items() if name not in ("PYTHONUNBUFFERED", "COLUMNS", "LINES")}, **more}


def process(*words: str, input: bytes = b"", **more: str) -> Ended:
    """Run the command in a process of its own."""
    done = subprocess.run([*PROGRAM, *words], input=input, capture_output=True, env=environment(**more), timeout=SECONDS)
    return Ended(done.returncode, done.stdout, done.stderr.decode())


class Terminal:
    """The command on a pseudo-terminal of this size: what it shows, keys for it, and its exit code."""

    def __init__(self, *words: str, columns: int = 100, rows: int = 30, **more: str) -> None:
        self.shown = ""
        self.file, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        settings = environment(**{"TERM": "xterm-256color", **more})
        program = [sys.executable, "-c", CONTROLLED, *words]
        self.process = subprocess.Popen(program, stdin=inner, stdout=inner, stderr=inner, env=settings, start_new_session=True)
        os.close(inner)

    @property
    def text(self) -> str:
        """What it shows, without colours and movements."""
        return STYLE.sub("", self.shown)

    def wait(self, until: str | Callable[[Terminal], bool]) -> None:
        """Until the text is shown, or the condition holds."""
        holds = (lambda terminal: until in terminal.text) if isinstance(until, str) else until
        end = time.monotonic() + SECONDS
        while not holds(self):
            assert time.monotonic() < end and self.read(), f"{until} never came:\n{self.shown}"

    def read(self) -> bool:
        """Take what is there, or comes within a second; False at the end."""
        if select.select([self.file], [], [], 1)[0]:
            try:
                found = os.read(self.file, 65536)
            except OSError:  # (how Linux tells that the other side is closed)
                return False
            self.shown += found.decode(errors="replace")
            return bool(found)
        return True

    @property
    def rests(self) -> bool:
        """Whether the program waits. (A signal that comes in the moment before Python begins to read a line is noticed with the next key only.)"""
        return Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"

    def press(self, keys: str) -> None:
        """Type these."""
        os.write(self.file, keys.encode())

    def settings(self) -> list[Any]:
        """How the terminal is set."""
        return termios.tcgetattr(self.file)

    def end(self) -> int:
        """The exit code, when it has ended."""
        end = time.monotonic() + SECONDS
        while self.read():
            assert time.monotonic() < end, f"it does not end:\n{self.shown}"
        return self.process.wait(SECONDS)


@contextlib.contextmanager
def on_terminal(*words: str, **options: Any) -> Iterator[Terminal]:
    """A `Terminal`, whose process is ended where the test leaves it running."""
    terminal = Terminal(*words, **options)
    try:
        yield terminal
    finally:
        if terminal.process.poll() is None:
            terminal.process.kill()
            terminal.process.wait()
        os.close(terminal.file)
