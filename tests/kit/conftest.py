"""`k`: a stage in either colour, for test bodies that are written once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from streamio import ConsumerGroupMember, RetryPolicy
from streamio.testing import AsyncStage, Stage
from streamio.testing.fixtures import async_stage, pytest_runtest_makereport, stage

__all__ = ["async_stage", "pytest_runtest_makereport", "stage"]


class Kit:
    """A stage, and what tests do with it."""

    def __init__(self, colour: str) -> None:
        self.asyncio = colour == "asyncio"
        self.stage: Any = AsyncStage() if self.asyncio else Stage()
        self.handled: list[str] = []

    async def do(self, came: Any) -> Any:
        """What a call came to, awaited in asyncio."""
        return await came if self.asyncio else came

    def handler(self, function: Callable[[Any], Any]) -> Any:
        """The function as a handler of this colour."""

        async def awaited(message: Any) -> Any:
            return function(message)

        return awaited if self.asyncio else function

    def member(self, name: str = "w", topic: Any = None, fails: int = 0, error: Any = ConnectionError, **options: Any) -> Any:
        """A member whose handler fails so many times for each entry."""
        group = (self.stage.topic("orders") if topic is None else topic).group("billing", retry=RetryPolicy(max_deliveries=5, backoff=(1, 60)))
        member: Any = ConsumerGroupMember(group, name, **options)

        def handle(message: Any) -> None:
            if message.deliveries <= fails:
                raise error("the bank is closed")
            self.handled.append(message["n"])

        member.on("order", self.handler(handle))
        return member


def order(n: int) -> tuple[str, dict[str, int]]:
    """An entry."""
    return "order", {"n": n}


@pytest.fixture(params=["blocking", "asyncio"])
def k(request: pytest.FixtureRequest) -> Iterator[Kit]:
    """The kit in this colour."""
    kit = Kit(request.param)
    yield kit
    kit.stage.close(strict=False)
