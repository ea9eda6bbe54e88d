"""Dashboards for a browser: served by a thread of this process, on a free loopback port."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Any

import uvicorn

from streamio.dashboard import app

from ..servers import free_port

INTERVAL = 0.2  # seconds between two looks


class Served:
    """A dashboard that is served for the length of the block."""

    def __init__(self, url: str, **options: Any) -> None:
        self.dashboard = app(url, interval=INTERVAL, **options)
        self.prefix, self.port = options.get("prefix", ""), free_port()
        config = uvicorn.Config(self.dashboard, "127.0.0.1", self.port, access_log=False, log_level="warning", timeout_graceful_shutdown=1, ws="none")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, name="dashboard")

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}{self.prefix}/"

    def __enter__(self) -> Served:
        self.thread.start()
        end = time.monotonic() + 10
        while not self.server.started:
            assert self.thread.is_alive() and time.monotonic() < end
            time.sleep(0.01)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.dashboard.board.sampler.end()
        self.server.should_exit = True
        self.thread.join(10)
        assert not self.thread.is_alive()
