"""A small HTTP server in a daemon thread, of the standard library."""

from __future__ import annotations

from http.server import HTTPServer
from threading import Thread
from typing import Any


class Server:
    """It serves until `close()`, or until the process ends."""

    def __init__(self, server: HTTPServer, thread: Thread) -> None:
        self.server, self.thread = server, thread

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.server.server_port

    def close(self) -> None:
        """End it; the thread is waited for."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()


def serving(server: HTTPServer, name: str) -> Server:
    """Let it serve."""
    thread = Thread(target=server.serve_forever, name=name, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    return Server(server, thread)
