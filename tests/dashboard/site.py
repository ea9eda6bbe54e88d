"""A dashboard that is really served: uvicorn in a thread on a free port, asked by http.client."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from typing import Any

from streamio.dashboard import app
from streamio.dashboard.serving import Server, listening

JSON = {"Content-Type": "application/json"}


@dataclass
class Reply:
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


class Site:
    """A server in a thread. `made`: an ASGI app that the dashboard is part of."""

    def __init__(self, url: str | None, base: str = "", made: Any = None, **options: Any) -> None:
        self.url, self.base = url, base or options.get("prefix", "").rstrip("/")
        self.dashboard: Any = made or app(url, **options)
        self.server = Server(self.dashboard) if made is None else plain_server(made)
        self.door = listening("127.0.0.1", 0)
        self.port = self.door.getsockname()[1]
        self.thread = threading.Thread(target=self.server.run, args=([self.door],))
        self.thread.start()
        until(lambda: self.server.started or not self.thread.is_alive())

    @property
    def host(self) -> str:
        """What a browser calls it."""
        return f"127.0.0.1:{self.port}"

    def connect(self) -> HTTPConnection:
        """A new connection."""
        return HTTPConnection("127.0.0.1", self.port, timeout=10)

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Reply:
        """The answer to one request."""
        connection = self.connect()
        try:
            connection.request(method, self.base + path, body, headers or {})
            answer = connection.getresponse()
            return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Reply:
        """GET; `Name_of` stands for the header `Name-of`."""
        return self.ask("GET", path, headers=dashed(headers))

    def post(self, path: str, values: Any, **headers: str) -> Reply:
        """POST of JSON."""
        return self.ask("POST", path, json.dumps(values), {**JSON, **dashed(headers)})

    @contextmanager
    def watching(self, **headers: str) -> Iterator[Events]:
        """A viewer, for the length of the block."""
        connection = self.connect()
        try:
            connection.request("GET", f"{self.base}/api/events", headers=dashed(headers))
            yield Events(connection.getresponse())
        finally:
            connection.close()

    def close(self) -> float:
        """End the server; how many seconds that took."""
        started = time.monotonic()
        self.server.should_exit = True
        self.thread.join(10)
        self.door.close()
        assert not self.thread.is_alive()
        return time.monotonic() - started


class Events:
    """Server-sent events as they come."""

    def __init__(self, answer: HTTPResponse) -> None:
        self.answer = answer
        self.raw: list[dict[str, str]] = []

    def next(self) -> dict[str, str]:
        """The next event by its lines; empty at the end."""
        found: dict[str, str] = {}
        while line := self.answer.readline().decode().rstrip("\r\n") if not self.answer.closed else "":
            name, _, value = line.partition(": ")
            found[name] = value
        return found

    def of(self, event: str, holds: Callable[[Any], Any] = lambda data: True) -> Any:
        """The data of the next event of this kind for which that holds."""
        while found := self.next():
            if found.get("event") == event and holds(json.loads(found["data"])):
                return json.loads(found["data"])
        raise AssertionError(f"the events ended before {event!r} came")


def plain_server(made: Any) -> Any:
    """Uvicorn as somebody else would start it, without lifespan events."""
    import uvicorn

    return uvicorn.Server(uvicorn.Config(made, log_level="warning", lifespan="off", timeout_graceful_shutdown=2))


def dashed(headers: dict[str, str]) -> dict[str, str]:
    """Header names with their dashes."""
    return {name.replace("_", "-"): value for name, value in headers.items()}


def until(holds: Callable[[], Any], timeout: float = 10) -> Any:
    """Wait until the condition holds."""
    end = time.monotonic() + timeout
    while not (found := holds()):
        if time.monotonic() > end:
            raise AssertionError(f"did not come true within {timeout} s")
        time.sleep(0.005)
    return found
