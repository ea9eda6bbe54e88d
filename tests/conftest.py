"""Fixtures for all tests: a real server for the session, and a `World` for each colour and server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator

import pytest
import pytest_asyncio

from .alone import turn
from .servers import RedisServer
from .world import World


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Where tests run side by side: wait for the test's turn. (First, so that the wait is no part of its time.)"""
    with turn(alone=item.get_closest_marker("alone") is not None):
        return (yield)


@pytest.fixture(scope="session")
def real_server() -> Iterator[RedisServer]:
    """One real redis-server for the whole session."""
    server = RedisServer("appendonly no").start()
    yield server
    server.remove()


@pytest_asyncio.fixture(params=["blocking-embedded", "asyncio-embedded", "blocking-real", "asyncio-real"])
async def w(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """A test's world, four times: blocking and asyncio, on the embedded and on a real server."""
    colour, server = request.param.split("-")
    port = request.getfixturevalue("real_server").port if server == "real" else None
    world = World(colour, port)
    yield world
    await world.close()
