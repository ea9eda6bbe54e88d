"""Processes that a soak starts, and ends by their id."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parents[2]


class Process:
    """One process; what it says on stderr is kept beside its log."""

    def __init__(self, words: list[str], errors: Path) -> None:
        self.errors = errors
        with open(errors, "wb") as file:
            self.popen = subprocess.Popen(words, cwd=HERE, stdin=subprocess.DEVNULL, stdout=file, stderr=file)

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.popen.poll() is None

    def send(self, number: int) -> None:
        """Send a signal, where it runs."""
        if self.alive:
            self.popen.send_signal(number)

    def end(self) -> int:
        """Its exit code; it is killed where it runs."""
        if self.alive:
            self.popen.kill()
        return self.popen.wait(10)

    def memory(self) -> int:
        """Resident kB; 0 where it has ended."""
        try:
            pages = int(Path(f"/proc/{self.popen.pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE") // 1024

    def said(self) -> str:
        """The end of what it said on stderr."""
        return self.errors.read_text(errors="replace")[-2000:]


def started(module: str, *words: object) -> Process:
    """`python -m tests.soak.MODULE WORDS`. Its log is the word that is a path."""
    (log,) = [word for word in words if isinstance(word, Path)]
    return Process([sys.executable, "-m", f"{__package__}.{module}", *map(str, words)], Path(f"{log}.errors"))
