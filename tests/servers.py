"""Real `redis-server` processes for tests: on a free loopback port, in a folder of their own, ended by their process id."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import pytest
import redis

MISSING = "no redis-server on PATH (Debian: apt-get install redis-server)"


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def need(program: str = "redis-server") -> str:
    """The program's path; without it the test is skipped at home and fails in CI."""
    path = shutil.which(program)
    if path is None and os.environ.get("CI"):
        pytest.fail(MISSING)
    if path is None:
        pytest.skip(MISSING)
    return path


class RedisServer:
    """One server process. `options` are lines of a redis.conf, `arguments` follow it; `port=0` listens on no TCP port."""

    def __init__(self, *options: str, port: int | None = None, program: str = "redis-server", arguments: Sequence[str] = ()) -> None:
        self.program, self.options, self.arguments = need(program), options, list(arguments)
        self.port = free_port() if port is None else port
        self.folder = tempfile.mkdtemp(prefix="streamio-redis-")
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://127.0.0.1:{self.port}"

    def start(self, ready: bool = True) -> RedisServer:
        """Start the process; `ready`: wait until it answers without TLS or password."""
        lines = ["bind 127.0.0.1", f"port {self.port}", f"dir {self.folder}", 'save ""', "daemonize no", *self.options]
        path = os.path.join(self.folder, "redis.conf")
        with open(path, "w") as file:
            file.write("\n".join(lines) + "\n")
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen([self.program, path, *self.arguments], stdout=log, stderr=log)
        if ready:
            self.wait()
        return self

    def wait(self) -> None:
        """Until the server answers."""
        client, end = self.client(), time.monotonic() + 10
        while True:
            try:
                client.ping()
                return
            except redis.ConnectionError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)
            finally:
                client.close()

    def client(self, **options: Any) -> Any:
        """A plain client of redis-py, which gives bytes."""
        return redis.Redis(host="127.0.0.1", port=self.port, **options)

    def send(self, number: int) -> None:
        """Send a signal to the process."""
        assert self.process is not None
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.stop(signal.SIGKILL)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End the process."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(10)
            self.process = None

    def remove(self) -> None:
        """End the process and delete its folder."""
        self.stop(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)
