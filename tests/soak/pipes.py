"""What a member of a soaked pipe does: one entry in, two out, numbered, into another stream of the same server; run, or iterated."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from streamio import Topic

from .profiles import OUT

PARTS = (1, 2)


class Steps:
    """The steps of the pipes. What fails on purpose, or ends the process, does so when the first of the two is out."""

    def __init__(self, job: Any, rest: Callable[[float], None] = time.sleep) -> None:
        self.job, self.rest = job, rest

    def parts(self, message: Any) -> Iterator[dict[str, Any]]:
        """The two, one after the other."""
        self.rest(self.job.starts(message))
        yield part(message, 1)
        self.job.strikes(message)
        yield part(message, 2)
        self.job.ended(message)

    def both(self, message: Any) -> list[dict[str, Any]]:
        """The two at once."""
        return [*self.parts(message)]

    async def parts_asyncio(self, message: Any) -> AsyncIterator[dict[str, Any]]:
        """As `parts`, awaited."""
        await asyncio.sleep(self.job.starts(message))
        yield part(message, 1)
        self.job.strikes(message)
        await asyncio.sleep(0)
        yield part(message, 2)
        self.job.ended(message)

    async def both_asyncio(self, message: Any) -> list[dict[str, Any]]:
        """As `both`, awaited."""
        return [each async for each in self.parts_asyncio(message)]


def part(message: Any, number: int) -> dict[str, Any]:
    """One of the two: which entry it is of, and which it is."""
    return {"of": message.id, "part": number, "n": message["n"]}


def run(member: Any, job: Any, style: str, client: Any) -> None:
    """The blocking pipe of this style, until the member stops."""
    steps, topic = Steps(job), Topic(OUT, client)
    if style == "flow":
        for value in member | steps.parts | topic:
            assert value["part"] in PARTS
    else:
        (member | (steps.both if style == "pipe-threads" else steps.parts) | topic).run()


async def run_asyncio(member: Any, job: Any, style: str, client: Any) -> None:
    """As `run`, awaited."""
    steps, topic = Steps(job), Topic(OUT, client)
    if style == "flow-asyncio":
        async for value in member | steps.parts_asyncio | topic:
            assert value["part"] in PARTS
    else:
        await (member | (steps.both_asyncio if style == "pipe-tasks-asyncio" else steps.parts_asyncio) | topic).run()


def put_out(entries: list[tuple[str, dict[str, str]]]) -> list[tuple[str, int]]:
    """Which entry each output is of, and which of the two it is."""
    return [(fields["of"], int(fields["part"])) for _, fields in entries]
