"""The faults of a soak: each kind is a function that does it, and notes when it began and ended.

`kill` SIGKILL a member · `term` SIGTERM, the member leaves in order · `stop` SIGSTOP for 0.5 to 4 s · `server` SIGKILL it, and start it again on the
same port 0.05 to 0.6 s later · `cut` CLIENT KILL · `pause` CLIENT PAUSE 700 ms · `sleep` the server does nothing for 1 s.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import redis

from .records import Fault

if TYPE_CHECKING:
    from .soak import Soak

DOWN = (redis.ConnectionError, redis.TimeoutError)


def kill(soak: Soak) -> None:
    """SIGKILL a member. Its successor comes when the server has been asked what was pending under its name."""
    life = soak.victim()
    if life is None:
        return
    began, process = time.monotonic(), soak.members[life.number]
    process.send(signal.SIGKILL)
    process.end()
    soak.faults.append(Fault("kill", began, time.monotonic(), life.number))
    soak.watcher.since(time.monotonic(), 0.3)
    soak.follow(life, process)


def term(soak: Soak) -> None:
    """SIGTERM a member."""
    life = soak.victim()
    if life is not None:
        soak.ask_to_leave(life)


def stop(soak: Soak) -> None:
    """SIGSTOP a member for a while."""
    life = soak.victim()
    if life is None:
        return
    began, process = time.monotonic(), soak.members[life.number]
    soak.frozen.add(life.number)
    process.send(signal.SIGSTOP)

    def go_on() -> None:
        soak.faults.append(Fault("stop", began, time.monotonic(), life.number))
        process.send(signal.SIGCONT)
        soak.frozen.discard(life.number)

    soak.later.append((began + soak.random.uniform(0.5, 4.0), go_on))


def server(soak: Soak) -> None:
    """SIGKILL the server, where it runs; it comes again with its data."""
    if soak.server.process is None:
        return
    began = time.monotonic()
    soak.server.kill()

    def come_again() -> None:
        soak.server.start()
        soak.faults.append(Fault("server", began, time.monotonic()))

    soak.later.append((began + soak.random.uniform(0.05, 0.6), come_again))


def cut(soak: Soak) -> None:
    """Break all connections."""
    tell(soak, "cut", 0.0, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def pause(soak: Soak) -> None:
    """Let all clients wait for 0.7 s."""
    tell(soak, "pause", 0.7, "CLIENT", "PAUSE", 700)


def sleep(soak: Soak) -> None:
    """Let the server do nothing for 1 s."""
    tell(soak, "sleep", 1.0, "DEBUG", "SLEEP", 1)


def tell(soak: Soak, kind: str, seconds: float, *words: Any) -> None:
    """A command that does something to everybody; nothing where the server is down."""
    client, began = soak.server.client(), time.monotonic()
    try:
        if soak.server.process is not None:
            client.execute_command(*words)
            soak.faults.append(Fault(kind, began, max(time.monotonic(), began + seconds)))
    finally:
        client.close()


FAULTS: dict[str, Callable[[Soak], None]] = {each.__name__: each for each in (kill, term, stop, server, cut, pause, sleep)}
