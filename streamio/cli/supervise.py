"""`run -w N` and `--reload`: worker processes that are started, watched, restarted and stopped. Nothing of the user's code is in this one.

1. Each worker has one end of a socket as its stdin: it says there that it has loaded its code, and ends when the other end is closed, so that no
   worker outlives its supervisor.
2. The first one is started alone: where the code cannot be loaded, that is told once, and nothing is tried again.
3. One that dies is started again, at once the first time, then after waits that double; one that ran for `STEADY` seconds counts as new.
4. SIGTERM and SIGINT go to all workers as SIGTERM. A second one lets them abandon what they do; what is left after that is killed.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Thread

from .running import listening_to_signals

LOAD_FAILED = 78  # a worker's exit code: its code cannot be loaded, and it has said why
TURN = 0.05  # seconds between looks
STEADY, FIRST_WAIT, LONGEST_WAIT = 10.0, 0.5, 30.0
AFTER_ABANDONING = 5.0  # seconds until what is left is killed
LOOK_AT_FILES = 0.5
LEFT_OUT = {"__pycache__", "node_modules", "site-packages"}
log = logging.getLogger("streamio.run")


class Worker:
    """One place, in which one process after the other runs."""

    def __init__(self, place: int, words: Sequence[str]) -> None:
        self.place, self.words = place, words
        self.process: subprocess.Popen[bytes] | None = None
        self.line: socket.socket | None = None
        self.ready = self.finished = False
        self.replaced = False  # it was told to end, for its code has changed
        self.deaths, self.began, self.again_at = 0, 0.0, 0.0

    def start(self) -> None:
        """Start a process."""
        self.line, theirs = socket.socketpair()
        self.line.setblocking(False)
        words = [sys.executable, "-m", "streamio", *self.words, "--place", str(self.place)]
        with theirs:
            self.process = subprocess.Popen(words, stdin=theirs.fileno(), process_group=0)
        self.ready, self.began = False, time.monotonic()
        log.info("worker %d started, process %d", self.place, self.process.pid)

    def look(self) -> int | None:
        """The exit code of the process where it has just ended; None while it runs, and where there is none."""
        if self.process is None or self.line is None:
            return None
        code = self.process.poll()
        if not self.ready:
            self.ready = self.has_spoken()
        if code is not None:
            self.process = None
            self.line.close()
        return code

    def has_spoken(self) -> bool:
        """Whether the worker has said that it is ready."""
        assert self.line is not None
        try:
            return bool(self.line.recv(1))
        except BlockingIOError:
            return False
        except ConnectionResetError:  # it ended without a word
            return False

    def died(self, code: int) -> None:
        """Note when to start again."""
        self.deaths = 0 if time.monotonic() - self.began > STEADY else self.deaths + 1
        wait = 0.0 if self.deaths < 2 else min(LONGEST_WAIT, FIRST_WAIT * 2 ** (self.deaths - 2))
        self.again_at = time.monotonic() + wait
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        log.warning("worker %d ended %s: it is started again%s", self.place, how, f" in {wait:g} s" if wait else "")

    def replace(self) -> None:
        """Let the process end in order, and another one start. One that was told so already is not told again: that would abandon its handlers."""
        self.deaths, self.again_at, self.finished = 0, 0.0, False
        if self.process is not None and not self.replaced:
            self.replaced = True
            self.send(signal.SIGTERM)

    def send(self, number: int) -> None:
        """Send a signal to the process, where there is one."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)


class Supervisor:
    """Keeps workers running."""

    def __init__(self, count: int, words: Sequence[str], reload: bool, patience: float | None) -> None:
        self.workers = [Worker(place, words) for place in range(1, count + 1)]
        self.reload, self.patience = reload, patience
        self.signals, self.sent, self.signal = 0, 0, 0
        self.kill_at: float | None = None
        self.code = 0
        self.files: dict[Path, float] = {}
        self.look_at = 0.0

    def run(self) -> int:
        """Keep them running until a signal comes, or until all have finished; the exit code."""
        self.files = modified() if self.reload else {}
        with listening_to_signals(self.note):
            try:
                while self.turn():
                    time.sleep(TURN)
            finally:
                self.end()
        return self.code

    def note(self, number: int, frame: object) -> None:
        """A signal came. (What is done about it is done in a turn.)"""
        self.signals, self.signal = self.signals + 1, number

    def turn(self) -> bool:
        """Look after everything once; whether to go on."""
        for worker in self.workers:
            code = worker.look()
            if code is not None:
                self.ended(worker, code)
        if self.signals > self.sent:
            self.stop()
        if self.kill_at is not None and time.monotonic() > self.kill_at:
            self.kill()
        if self.reload and not self.signals:
            self.reload_if_changed()
        if not self.signals:
            self.start_due()
        return any(worker.process is not None for worker in self.workers) or not (self.signals or all(each.finished for each in self.workers))

    def ended(self, worker: Worker, code: int) -> None:
        """A process has ended: for good, or to be started again."""
        if self.signals:
            self.code = self.code or (0 if code == -signal.SIGTERM else 1 if code < 0 else code)
        elif worker.replaced:
            worker.replaced = False
        elif code == 0:
            worker.finished = True
        elif code != LOAD_FAILED:
            worker.died(code)
        elif self.reload:
            log.warning("worker %d waits for a change of the code", worker.place)
            worker.again_at = float("inf")
        else:
            self.code, self.signals = 1, self.signals + 1

    def start_due(self) -> None:
        """Start what is to be started; until the first one has loaded its code, no other."""
        for worker in self.workers:
            if worker.process is None and not worker.finished and time.monotonic() >= worker.again_at:
                worker.start()
            if not (worker.ready or worker.finished or worker.deaths):
                return

    def stop(self) -> None:
        """Hand the signal on, once for each that came."""
        self.sent += 1
        for worker in self.workers:
            if self.sent > 1 or not worker.replaced:
                worker.send(signal.SIGTERM)
        if self.sent > 1:
            self.kill_at = time.monotonic() + AFTER_ABANDONING
        elif self.patience is not None:
            self.kill_at = time.monotonic() + self.patience + AFTER_ABANDONING

    def kill(self) -> None:
        """Kill what is left."""
        for worker in self.workers:
            if worker.process is not None:
                log.warning("worker %d does not end: process %d is killed", worker.place, worker.process.pid)
                worker.send(signal.SIGKILL)

    def reload_if_changed(self) -> None:
        """Where a file of the code changed, stop the workers; they start again with it."""
        if time.monotonic() < self.look_at:
            return
        self.look_at = time.monotonic() + LOOK_AT_FILES
        before, self.files = self.files, modified()
        changed = [path for path, at in self.files.items() if before.get(path) != at] + [path for path in before if path not in self.files]
        if changed:
            log.info("%s changed: the workers are started again", changed[0])
            for worker in self.workers:
                worker.replace()

    def end(self) -> None:
        """Leave no process behind, whatever happened."""
        self.kill()
        for worker in self.workers:
            if worker.process is not None:
                worker.process.wait()
            if worker.line is not None:
                worker.line.close()


def modified() -> dict[Path, float]:
    """When each Python file in the current folder was changed; 0 of what cannot be looked at, as a file that went meanwhile."""
    return {path: changed_at(path) for path in python_files(Path.cwd())}


def changed_at(path: Path) -> float:
    """When the file was changed."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def python_files(folder: Path) -> Iterator[Path]:
    """The Python files in the folder and below, without hidden folders and environments."""
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in LEFT_OUT and name[0] != "." and not Path(here, name, "pyvenv.cfg").exists()]
        yield from (Path(here, name) for name in files if name.endswith(".py"))


def watch_supervisor(patience: float) -> None:
    """Say that the code is loaded, and end as by SIGTERM when the supervisor is gone, for good where that does not end it in `patience` seconds and
    some more. stdin becomes empty, for what handlers start."""
    line = os.dup(0)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.write(line, b".")

    def wait() -> None:
        try:
            os.read(line, 1)  # (nothing is ever said there)
        except ConnectionResetError as error:  # it was killed before it had read the word
            log.debug("the supervisor is gone: %s", error)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(patience + AFTER_ABANDONING)  # (a handler that blocks its loop lets nobody know of a signal)
        os.kill(os.getpid(), signal.SIGKILL)

    Thread(target=wait, name="streamio-supervisor", daemon=True).start()
