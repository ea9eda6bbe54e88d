"""Fixtures of the command line's tests: commands against the session's real server, and names that no other test uses."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from streamio import Topic

from ..servers import RedisServer
from .terminal import Ended, inside

numbers = itertools.count(1)
Run = Callable[..., Ended]


@pytest.fixture
def run(real_server: RedisServer) -> Run:
    """Run a command in this process, against the real server."""
    return lambda *words, **options: inside("-u", real_server.url, *words, **options)


@pytest.fixture
def name() -> str:
    """A stream's name that no other test uses."""
    return f"cli{next(numbers)}"


@pytest.fixture
def topic(real_server: RedisServer, name: str) -> Iterator[Any]:
    """An empty topic of that name."""
    with Topic(name, real_server.url) as opened:
        yield opened
