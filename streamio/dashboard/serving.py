"""Serving a dashboard with uvicorn: it ends at once with viewers attached, and writes no addresses with secrets into a log."""

from __future__ import annotations

import socket
from types import FrameType
from typing import Any

import uvicorn

from .application import Dashboard


class Server(uvicorn.Server):
    """Uvicorn that lets the viewers go when it is to end."""

    def __init__(self, dashboard: Dashboard, host: str, port: int) -> None:
        self.dashboard = dashboard
        super().__init__(
            uvicorn.Config(dashboard, host, port, access_log=False, server_header=False, log_level="warning", timeout_graceful_shutdown=1, ws="none")
        )

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal came."""
        super().handle_exit(sig, frame)
        self.dashboard.board.sampler.end()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End; nobody is left who waits for events."""
        self.dashboard.board.sampler.end()
        await super().shutdown(sockets)


def serve(dashboard: Any, host: str = "127.0.0.1", port: int = 8083) -> None:
    """Serve until a signal comes."""
    Server(dashboard, host, port).run()
