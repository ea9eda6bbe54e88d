"""Dashboards on the session's server, and streams of each test's own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ..servers import RedisServer
from .site import Site

numbers = itertools.count(1)


@pytest.fixture(scope="session")
def site(real_server: RedisServer) -> Iterator[Site]:
    """One that may act."""
    made = Site(real_server.url, read_only=False, topics=("shop*",), interval=0.1)
    yield made
    made.close()


@pytest.fixture(scope="session")
def reader(real_server: RedisServer) -> Iterator[Site]:
    """One that is read-only."""
    made = Site(real_server.url, topics=("shop*",), interval=0.1)
    yield made
    made.close()


@pytest.fixture
def serve(real_server: RedisServer) -> Iterator[Callable[..., Site]]:
    """A function that serves one with these options; all are ended."""
    made: list[Site] = []

    def start(url: str | None = None, **options: Any) -> Site:
        made.append(Site(url or real_server.url, **{"interval": 0.1, **options}))
        return made[-1]

    yield start
    for each in made:
        each.close()


@pytest.fixture
def raw(real_server: RedisServer) -> Iterator[Any]:
    """A foreign client."""
    client = real_server.client(decode_responses=True)
    yield client
    client.close()


@pytest.fixture
def key(raw: Any) -> Iterator[str]:
    """A stream's name, of this test alone; gone at its end, because a page shows so many only."""
    name = f"shop{next(numbers)}"
    yield name
    raw.delete(name)


@pytest.fixture
def stream(raw: Any, key: str) -> str:
    """A stream of five entries with a group `g`, of which `w1` has three pending and `w2` one."""
    for number in range(5):
        raw.xadd(key, {"type": "order.placed" if number % 2 else "order.paid", "n": number})
    raw.xgroup_create(key, "g", "0")
    raw.xreadgroup("g", "w1", {key: ">"}, count=3)
    raw.xreadgroup("g", "w2", {key: ">"}, count=1)
    return key
