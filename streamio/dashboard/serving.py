"""Serving a dashboard with uvicorn: it ends at once with viewers attached, and writes no addresses with secrets into a log."""

from __future__ import annotations

import socket
import webbrowser
from collections.abc import Callable
from types import FrameType

import uvicorn

from ..errors import SetupError
from .application import Dashboard

LOOPBACK = ("localhost", "127.0.0.1", "::1")
ANY = ("0.0.0.0", "::")


class Server(uvicorn.Server):
    """Uvicorn that lets the viewers go when it is to end."""

    def __init__(self, dashboard: Dashboard) -> None:
        self.dashboard = dashboard
        super().__init__(
            uvicorn.Config(dashboard, access_log=False, server_header=False, log_level="warning", ws="none", timeout_graceful_shutdown=1)
        )

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal came."""
        self.dashboard.board.sampler.end()
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End; nobody is left who waits for events."""
        self.dashboard.board.sampler.end()
        await super().shutdown(sockets)


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0: any that is free."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise SetupError(f"cannot listen on host {host}, port {port}: {error.strerror or error}") from error


def serve(dashboard: Dashboard, host: str = "127.0.0.1", port: int = 8083, told: Callable[[str], None] | None = None, browse: bool = False) -> None:
    """Serve until a signal comes. `told` is given the address when it listens; `browse` opens it in a browser."""
    with listening(host, port) as door:
        address = f"http://{shown(host)}:{door.getsockname()[1]}{dashboard.board.settings.prefix}/"
        if told is not None:
            told(address)
        if browse:
            webbrowser.open(address)
        Server(dashboard).run([door])


def shown(host: str) -> str:
    """The host as it stands in an address: one that means all of them is this machine."""
    return "localhost" if host in ANY else f"[{host}]" if ":" in host else host


def hosts_for(host: str) -> tuple[str, ...]:
    """The names under which a server that listens on this host may be asked for, besides those of this machine."""
    return ("*",) if host in ANY else () if host in LOOPBACK else (f"[{host}]" if ":" in host else host,)
