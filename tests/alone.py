"""Turns of tests that run side by side (`pytest -n 2`): one that measures has the machine to itself."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID")  # of all processes of one run; none where there is but one


@contextmanager
def turn(alone: bool) -> Iterator[None]:
    """The block runs beside others' blocks; `alone`: beside none.

    Everybody passes a gate first. Who wants to be alone holds it while the others end, so that no newcomer goes before.
    """
    if RUN is None:
        yield
        return
    with locked("gate", fcntl.LOCK_EX) as gate, locked("turn", fcntl.LOCK_EX if alone else fcntl.LOCK_SH):
        fcntl.flock(gate, fcntl.LOCK_UN)
        yield


@contextmanager
def locked(name: str, kind: int) -> Iterator[int]:
    """A file of this run, locked so."""
    file = os.open(os.path.join(tempfile.gettempdir(), f"streamio-{RUN}-{name}"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, kind)
        yield file
    finally:
        os.close(file)
