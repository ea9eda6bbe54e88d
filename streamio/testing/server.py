"""A stage's server: an embedded one with the stage's clock, that loses replies, refuses commands and goes away where it is told to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis.exceptions import ConnectionError

from ..drivers.embedded import servers
from ..errors import SetupError
from .clock import serve_time, serving
from .drivers import StagedAsyncio, StagedBlocking
from .trace import name_of

try:
    import fakeredis
    from fakeredis._helpers import SimpleError
except ImportError as error:
    raise SetupError(f"streamio.testing needs the embedded server: pip install 'streamio[testing]' ({error})") from error

if TYPE_CHECKING:
    from .scene import Scene

LOST = object()  # stands among the replies where the connection breaks


@dataclass
class Fault:
    """What is to happen with the next `times` commands of this name (None: with all)."""

    command: str
    kind: str  # "lose", "refuse", "before" or "after"
    times: int | None
    text: str = ""
    action: Callable[[], object] | None = None
    met: int = 0

    def __str__(self) -> str:
        does = {"lose": "lose the reply to", "refuse": "refuse", "before": "do something before", "after": "do something after"}
        return f"{does[self.kind]} {self.command}"


class StageServer(fakeredis.FakeServer):
    """See the head of this file. `connections`: the classes of connections to it, blocking and asyncio."""

    def __init__(self, scene: Scene, name: str) -> None:
        super().__init__(version=(7,))
        serve_time()
        self.scene, self.name = scene, name
        self.faults: list[Fault] = []
        self.connections = (StageConnection, AsyncStageConnection)
        servers[name] = self

    def close(self) -> None:
        """Nobody finds it by its name any more."""
        servers.pop(self.name, None)

    def watch(self, socket: Any) -> None:
        """Let every command that comes on this socket be served by the stage's clock, and meet its faults."""
        perform, socket.is_asking = socket._process_command, False
        socket._process_command = lambda words: self.serve(socket, perform, words)

    def serve(self, socket: Any, perform: Callable[[Any], None], words: list[bytes]) -> None:
        """Perform a command, or what is to happen instead."""
        if words[0] in (b"MULTI", b"DISCARD"):
            socket.is_asking = words[0] == b"MULTI"
        faults = [] if socket.is_aside or socket.is_asking or is_probe(words) else self.faults_for(named(words))
        for fault in faults:
            if fault.kind == "before":
                self.act(fault)
        refusal = next((fault for fault in faults if fault.kind == "refuse"), None)
        if refusal is not None:
            socket.put_response(socket._decode_error(SimpleError(refusal.text)))
        else:
            self.perform(socket, perform, words, any(fault.kind == "lose" for fault in faults))
        for fault in faults:
            if fault.kind == "after":
                self.act(fault)

    def perform(self, socket: Any, perform: Callable[[Any], None], words: list[bytes], loses: bool) -> None:
        """Perform a command at the stage's time; where its reply is lost, so are all that follow on its connection."""
        token = serving.set(self.scene.clock)
        try:
            if loses:
                socket.put_response(LOST)
            perform(words)
        finally:
            serving.reset(token)

    def faults_for(self, names: set[str]) -> list[Fault]:
        """The faults that a command of these names meets now."""
        found = [fault for fault in self.faults if fault.command in names and (fault.times is None or fault.met < fault.times)]
        for fault in found:
            fault.met += 1
            if fault.kind in ("lose", "refuse"):
                self.scene.note("server", f"will {fault}, as asked" + (f": {fault.text}" if fault.text else ""))
        return found

    def act(self, fault: Fault) -> None:
        """Do what is to be done before or after a command."""
        if fault.action is not None:
            fault.action()

    def cut(self) -> None:
        """Break all connections."""
        for socket in [*self.sockets]:
            if not socket.is_aside:
                socket._killed = True
                socket.put_response(LOST)


def is_probe(words: list[bytes]) -> bool:
    """Whether the command only asks whether it may be given: an acknowledgement of what no stream holds, a read behind the end."""
    return (words[0] == b"XACK" and words[3:] == [b"0-1"]) or (words[0] == b"XREADGROUP" and words[-1].startswith(b"18446744073709551615"))


def named(words: list[bytes]) -> set[str]:
    """The names that a command goes by: its own, that of the script that it runs, and '*'."""
    return {"*", *name_of([word.decode(errors="replace") for word in words[:2]]).split()}


def is_lost(reply: Any) -> bool:
    """Whether the connection broke before this reply."""
    return reply is LOST


WORDS = "the connection broke before the reply came, as the stage was told to let it"


class StageConnection(fakeredis.FakeRedisConnection):
    """A connection to a stage's server. `driver`: what performs the effects of topics and members on such ones."""

    driver: Any = StagedBlocking
    is_aside = False
    _server: Any

    def _connect(self) -> Any:
        socket: Any = super()._connect()
        socket.is_aside = self.is_aside
        self._server.watch(socket)
        return socket

    def read_response(self, *args: Any, **options: Any) -> Any:
        """The next reply; a ConnectionError where it is lost."""
        reply = super().read_response(*args, **options)
        if is_lost(reply):
            self.disconnect()  # type: ignore[no-untyped-call]
            raise ConnectionError(WORDS)
        return reply


class AsideConnection(StageConnection):
    """One for looking on: it meets no faults, and stands in no trace."""

    driver = None
    is_aside = True


class AsyncStageConnection(fakeredis.FakeAsyncRedisConnection):
    """As `StageConnection`, for asyncio."""

    driver: Any = StagedAsyncio
    _server: Any

    async def _connect(self) -> None:
        await super()._connect()
        socket: Any = self._sock
        socket.is_aside = False
        self._server.watch(socket)

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """The next reply; a ConnectionError where it is lost."""
        reply = await super().read_response(*args, **options)
        if is_lost(reply):
            await self.disconnect()
            raise ConnectionError(WORDS)
        return reply
