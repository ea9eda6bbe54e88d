"""Single keys from the terminal, without waiting for Enter; the terminal is as before at the end, also where the process is asked to end."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

TERMINATED = 128 + signal.SIGTERM


@contextmanager
def keys() -> Generator[Callable[[float], str], None, None]:
    """A function that waits so many seconds for a key, and gives it; '' where none came."""
    before = signal.signal(signal.SIGTERM, leave)
    try:
        with unbuffered():
            yield pressed
    finally:
        signal.signal(signal.SIGTERM, before)


def pressed(seconds: float) -> str:
    """The key that is pressed within so many seconds; '' where none is."""
    ready, _, _ = select.select([sys.stdin], [], [], max(0.0, seconds))
    return os.read(sys.stdin.fileno(), 1).decode(errors="replace") if ready else ""


@contextmanager
def unbuffered() -> Generator[None, None, None]:
    """Keys come one by one, and are not shown. Ctrl-C stays what it is."""
    import termios
    import tty

    file = sys.stdin.fileno()
    before = termios.tcgetattr(file)
    try:
        tty.setcbreak(file)
        yield
    finally:
        termios.tcsetattr(file, termios.TCSADRAIN, before)


def leave(number: int, frame: Any) -> None:
    """End in good order at SIGTERM, so that the terminal is restored."""
    sys.exit(TERMINATED)
