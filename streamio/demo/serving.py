"""The demo served: its page until a signal comes, then everything is closed and its keys are gone."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from urllib.parse import quote

from ..dashboard import app
from ..dashboard.application import Dashboard
from ..dashboard.serving import Server, shown
from ..dashboard.settings import Extension
from .engine import Demo
from .panel import Panel

INTERVAL = 0.5  # seconds between two looks


class DemoServer(Server):
    """A server that stops the demo before it lets a signal do its work."""

    def __init__(self, dashboard: Dashboard, demo: Demo) -> None:
        super().__init__(dashboard)
        self.demo = demo

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the page, then the demo."""
        await super().shutdown(sockets)
        await self.demo.stop()


def dashboard_of(demo: Demo, *, token: str | None = None, hosts: Sequence[str] = ()) -> Dashboard:
    """The dashboard of a demo, which may write: to the demo's own stream, and to nothing else."""
    panel: Extension = Panel(demo)
    return app(
        demo.client, topics=(demo.topic.name,), read_only=False, token=token, hosts=hosts, interval=INTERVAL, lease=demo.lease, extensions=[panel]
    )


async def serve(demo: Demo, door: socket.socket, told: Callable[[str], None], *, token: str | None = None, hosts: Sequence[str] = ()) -> None:
    """Start the demo and serve its page on a socket that listens. `told` is given the page's address."""
    await demo.start()
    try:
        server = DemoServer(dashboard_of(demo, token=token, hosts=hosts), demo)
        host, port = door.getsockname()[:2]
        told(f"http://{shown(host)}:{port}/?topic={quote(demo.topic.name, safe=':')}")
        await server.serve([door])
    finally:
        await demo.stop()
