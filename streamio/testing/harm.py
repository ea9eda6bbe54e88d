"""What a stage does to those who play on it: replies are lost, commands refused, connections cut, processes killed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from ..ids import Duration, seconds
from .errors import Killed
from .scene import Scene
from .server import Fault


class Harming:
    """See the head of this file. Names of commands are those of the trace."""

    _scene: Scene

    def lose_reply(self, command: str, times: int | None = 1) -> None:
        """Let the server perform the next command of this name, and the connection break before its reply. A script goes by its name in the trace,
        too ("BURY", "PARK", "OUTPUT"); "*": any. `times` None: from now on, until `heal()`."""
        self._add(Fault(command, "lose", times))

    def refuse(self, command: str, error: str, times: int | None = 1) -> None:
        """Let the server refuse the next command of this name, with this error ("OOM command not allowed", "NOGROUP ...")."""
        self._add(Fault(command, "refuse", times, error))

    def before(self, command: str, action: Callable[[], object]) -> None:
        """Do this when the next command of this name comes to the server: `stage.before("XACK", stage.crash)`, `stage.before("XACK",
        stage.redis.flushall)`."""
        self._add(Fault(command, "before", 1, action=action))

    def after(self, command: str, action: Callable[[], object]) -> None:
        """Do this when the server has performed the next command of this name, and nobody has its reply yet."""
        self._add(Fault(command, "after", 1, action=action))

    def _add(self, fault: Fault) -> None:
        """Let it happen from now on, where it makes sense."""
        if not isinstance(fault.command, str):
            raise TypeError(f"command must be the name of one, as the trace has it, not {fault.command!r}")
        if fault.times is not None and (isinstance(fault.times, bool) or not isinstance(fault.times, int) or fault.times < 1):
            raise ValueError(f"times must be a whole number, 1 or more, or None, not {fault.times!r}")
        if fault.kind in ("before", "after") and not callable(fault.action):
            raise TypeError(f"action must be callable without arguments, not {fault.action!r}")
        fault.command = fault.command.upper()
        self._scene.server.faults.append(fault)

    def cut(self, seconds: Duration = 0) -> None:
        """Break all connections, and refuse new ones for so many seconds of the stage's time."""
        self._scene.note("stage", "cuts all connections")
        self._scene.server.cut()
        away = in_seconds(seconds)
        if away:
            self._scene.server.connected = False
            self._scene.call_later(away, self._is_back)

    def _is_back(self) -> None:
        self._scene.server.connected = True
        self._scene.note("server", "is back")

    def heal(self) -> None:
        """No fault happens any more, and the server can be reached."""
        self._scene.server.faults.clear()
        self._scene.server.connected = True

    def crash(self) -> NoReturn:
        """The process dies here, as by SIGKILL: for handlers and what they call, and for `before` and `after`.

        `play` returns, and what the member had in hand is pending until its lease ends. The next process has another member (`member.clone()`).
        """
        if not self._scene.players:
            raise RuntimeError(
                "crash() is for what happens during a play: a handler, or before() and after(); kill(member) kills one that does not play"
            )
        self._scene.kill()
        raise Killed

    def kill(self, member: Any) -> None:
        """End this member's process, as by SIGKILL: while it plays, here and now (see `crash`)."""
        whole = getattr(member, "member", member)  # of a pipe
        if whole.lifecycle in self._scene.players:
            self._scene.kill(whole._driver)
        for driver in self._scene.fellows(whole._driver):
            self._scene.bury(driver)
        whole._let_go()


def in_seconds(duration: Duration) -> float:
    """The duration in seconds."""
    return seconds(duration, "seconds")
