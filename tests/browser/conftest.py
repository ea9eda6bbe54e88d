"""One browser for all tests of the page (Debian's chromium), a server of their own, and a dashboard that may write and one that may not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ViewportSize, expect, sync_playwright

from streamio import Topic

from ..servers import RedisServer
from .serving import Served
from .watching import Watched

ARGUMENTS = [
    *"--no-sandbox --disable-gpu --disable-quic --no-first-run".split(),
    *"--disable-background-networking --disable-component-update --disable-sync".split(),
    "--host-resolver-rules=MAP streams.example 127.0.0.1",  # a name that browsers trust no more than any other in a network
]
WAIT = 8000  # milliseconds
SIZE: ViewportSize = {"width": 1280, "height": 900}
expect.set_options(timeout=WAIT)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """A headless Chromium; without one the tests are skipped at home and fail in CI."""
    path = shutil.which("chromium")
    if path is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no chromium on PATH (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield found
        found.close()


@pytest.fixture(scope="package")
def server() -> Iterator[RedisServer]:
    """A server of these tests alone."""
    found = RedisServer("appendonly no").start()
    yield found
    found.remove()


@pytest.fixture(scope="package")
def writing(server: RedisServer) -> Iterator[Served]:
    """A dashboard that may write."""
    with Served(server.url, read_only=False) as served:
        yield served


@pytest.fixture(scope="package")
def reading(server: RedisServer) -> Iterator[Served]:
    """A dashboard that only shows, under a path, and knows where traces are."""
    with Served(server.url, prefix="/streams", trace_url="http://traces.example/{trace_id}") as served:
        yield served


@pytest.fixture
def redis(server: RedisServer) -> Iterator[Any]:
    """A plain client of the emptied server, which gives text."""
    client = server.client(decode_responses=True)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def orders(server: RedisServer, redis: Any) -> Iterator[Topic[Any, Any]]:
    """A topic with 20 entries and a group `billing`: 8 delivered, the first 4 of them acknowledged, the others pending under `a`; `b` has nothing."""
    with Topic("orders", server.url) as topic:
        topic.publish_many([(("order.placed", "order.paid")[number % 2], {"order": f"o-{number}", "total": str(number * 3)}) for number in range(20)])
        redis.xgroup_create("orders", "billing", "0")
        redis.xgroup_createconsumer("orders", "billing", "b")
        ((_, entries),) = redis.xreadgroup("billing", "a", {"orders": ">"}, count=8)
        redis.xack("orders", "billing", *[id for id, _ in entries[:4]])
        yield topic


def watched(browser: Browser, served: Served, **options: Any) -> Iterator[Watched]:
    """A page in a context of its own, and afterwards a look at what it did."""
    with browser.new_context(viewport=SIZE, **options) as context:
        yield from watching(context, served)


def watching(context: BrowserContext, served: Served) -> Iterator[Watched]:
    """A page, and afterwards a look at what it did."""
    context.set_default_timeout(WAIT)
    found = Watched(context.new_page(), served)
    yield found
    found.page.close()
    found.check()


@pytest.fixture(scope="package")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """What most pages share: one process, one cache."""
    with browser.new_context(viewport=SIZE) as found:
        yield found


@pytest.fixture
def w(context: BrowserContext, writing: Served) -> Iterator[Watched]:
    """A page that may write."""
    yield from watching(context, writing)


@pytest.fixture
def r(context: BrowserContext, reading: Served) -> Iterator[Watched]:
    """A page that only shows."""
    yield from watching(context, reading)
