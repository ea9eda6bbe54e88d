"""A demo for each test, on the embedded and on a real server. Nothing comes by itself, and entries may be claimed after 0.3 s.
One that says nothing for 0.4 s is held for dead."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from streamio import from_url
from streamio.demo import Demo

both = pytest.mark.parametrize("url", ["embedded", "real"], indirect=True)
numbers = itertools.count(1)
Made = Callable[..., Awaitable[Demo]]


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str:
    """A server's address: the embedded one's, unless the test says which."""
    if getattr(request, "param", "embedded") == "embedded":
        return f"memory://demo-test-{next(numbers)}"
    return str(request.getfixturevalue("real_server").url)


@pytest_asyncio.fixture
async def raw(url: str) -> AsyncIterator[Any]:
    """A foreign client of the same server."""
    client = from_url(url, asyncio=True, decode_responses=True)
    yield client
    await client.aclose()


@pytest_asyncio.fixture
async def made(url: str) -> AsyncIterator[Made]:
    """Make and start a demo; those that run at the end are stopped."""
    running: list[Demo] = []

    async def make(**options: Any) -> Demo:
        given = {"key": f"shop-{next(numbers)}", "rate": 0, "claim_idle": 0.3, "latency": 0.001, "seed": 1, "lives": 0.4, **options}
        demo = Demo(url, **given)
        await demo.start()
        running.append(demo)
        return demo

    yield make
    for demo in running:
        if demo.running:
            await demo.stop()


@pytest_asyncio.fixture
async def demo(made: Made) -> Demo:
    """A demo that runs."""
    return await made()


async def until(holds: Callable[[], Any], timeout: float = 10) -> Any:
    """Wait until the condition holds, which may be a coroutine function."""
    end = asyncio.get_running_loop().time() + timeout
    while True:
        found = holds()
        found = await found if asyncio.iscoroutine(found) else found
        if found:
            return found
        if asyncio.get_running_loop().time() > end:
            raise AssertionError(f"did not come true within {timeout} s")
        await asyncio.sleep(0.01)
