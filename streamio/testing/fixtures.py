"""The pytest fixtures `stage` and `async_stage`. Nothing loads them but you: `pytest_plugins = ["streamio.testing.fixtures"]` in the `conftest.py` of
your root directory (or `-p streamio.testing.fixtures`), so that having streamio installed costs no test run anything.

A test that fails shows what happened on its stage. Code that finds its server by `$REDIS_URL` finds the stage.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import pytest

from .stage import AsyncStage, Stage

S = TypeVar("S", Stage, AsyncStage)
FAILED = pytest.StashKey[bool]()
STAGES = pytest.StashKey[list[Any]]()


@pytest.fixture
def stage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A stage of this test alone, for blocking code."""
    yield from begun(Stage(), request, monkeypatch)


@pytest.fixture
def async_stage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[AsyncStage]:
    """A stage of this test alone, for asyncio."""
    yield from begun(AsyncStage(), request, monkeypatch)


def begun(made: S, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[S]:
    """The stage while its test runs."""
    monkeypatch.setenv("REDIS_URL", made.url)
    request.node.stash.setdefault(STAGES, []).append(made)
    yield made
    made.close(strict=not request.node.stash.get(FAILED, False))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Show what happened on the stages of a test that failed."""
    report = yield
    if report.when == "call" and report.failed:
        item.stash[FAILED] = True
        report.sections += [("streamio stage", str(made.trace)) for made in item.stash.get(STAGES, [])]
    return report
