"""One test body for both colours and both servers: `World` makes topics in its colour and runs what they give.

async def test_…(w: World) -> None:
    topic = w.topic()
    await w.do(topic.publish("a", x=1))           # blocking: called; asyncio: awaited
    async for message in w.each(member): …         # for / async for
    async with w.listening(member): …              # a thread / a task
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from streamio import ConsumerGroupMember, ConsumerGroupTopic, Topic, from_url

numbers = itertools.count(1)


class World:
    """A colour ("blocking" or "asyncio") on a server ("embedded" or "real"). `raw` is a foreign client: plain blocking redis-py, giving str."""

    def __init__(self, colour: str, port: int | None) -> None:
        self.colour, self.port = colour, port
        self.embedded = port is None
        self.name = f"t{next(numbers)}"
        self.url = f"memory://{self.name}" if port is None else f"redis://127.0.0.1:{port}"
        self.raw: Any = from_url(self.url, decode_responses=True)
        self.things: list[Any] = []
        self.clients: list[Any] = []

    @property
    def version(self) -> tuple[int, int]:
        """The server's version; the embedded one plays 7.0."""
        if self.embedded:
            return 7, 0
        major, minor, *_ = self.raw.info("server")["redis_version"].split(".")
        return int(major), int(minor)

    @property
    def asyncio(self) -> bool:
        """Whether the colour is asyncio."""
        return self.colour == "asyncio"

    def client(self, **options: Any) -> Any:
        """A client of this colour, closed at the end."""
        client: Any = from_url(self.url, asyncio=True, **options) if self.asyncio else from_url(self.url, **options)
        self.clients.append(client)
        return client

    def key(self, name: str = "topic") -> str:
        """A stream name of this test alone."""
        return f"{self.name}:{name}"

    def topic(self, name: str = "topic", client: Any = None, **options: Any) -> Any:
        """A topic in this colour."""
        topic: Any = Topic(self.key(name), self.client() if client is None else client, **options)
        self.things.append(topic)
        return topic

    def group(self, topic: Any = None, name: str = "group", **options: Any) -> Any:
        """A group of the topic (None: of a new one)."""
        return ConsumerGroupTopic(self.topic() if topic is None else topic, name, **options)

    def member(self, group: Any = None, id: str | None = None, **options: Any) -> Any:
        """A member of the group (None: of a new one), whose reads block for 0.1 s."""
        member: Any = ConsumerGroupMember(self.group() if group is None else group, id, **{"block": 0.1, **options})
        self.things.append(member)
        return member

    async def do(self, came: Any) -> Any:
        """What a call came to: awaited where it is awaitable."""
        return await came if inspect.isawaitable(came) else came

    async def each(self, iterable: Any) -> AsyncIterator[Any]:
        """`for` or `async for`. Leaving this does not leave the loop below at once; use `aclosing`, or `loop` for that."""
        if self.asyncio:
            async for item in iterable:
                yield item
        else:
            for item in iterable:
                yield item

    def loop(self, iterable: Any) -> Any:
        """The iterator itself, for `next`."""
        return aiter(iterable) if self.asyncio else iter(iterable)

    async def next(self, loop: Any) -> Any:
        """The next item; None at the end."""
        if self.asyncio:
            return await anext(loop, None)
        return next(loop, None)

    @asynccontextmanager
    async def block(self, thing: Any) -> AsyncIterator[Any]:
        """`with thing:` or `async with thing:`."""
        if self.asyncio:
            async with thing:
                yield thing
        else:
            with thing:
                yield thing

    def start(self, call: Callable[[], Any]) -> asyncio.Future[Any]:
        """Run a blocking call in a thread, an asyncio one in a task; a future of what it comes to."""
        if self.asyncio:
            return asyncio.ensure_future(call())
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        loop = asyncio.get_running_loop()

        def run() -> None:
            try:
                result, error = call(), None
            except BaseException as raised:
                result, error = None, raised
            loop.call_soon_threadsafe(settle, future, result, error)

        threading.Thread(target=run, daemon=True).start()
        return future

    @asynccontextmanager
    async def listening(self, *members: Any) -> AsyncIterator[list[asyncio.Future[Any]]]:
        """While the block runs, the members listen; then they are stopped, and what they raised is raised."""
        futures = [self.start(member.connect_and_listen) for member in members]
        try:
            yield futures
        finally:
            for member in members:
                member.stop()
            results = await asyncio.wait_for(asyncio.gather(*futures, return_exceptions=True), 20)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def until(self, holds: Callable[[], Any], timeout: float = 10) -> Any:
        """Wait until the condition holds."""
        end = asyncio.get_running_loop().time() + timeout
        while not (found := holds()):
            if asyncio.get_running_loop().time() > end:
                raise AssertionError(f"did not come true within {timeout} s")
            await asyncio.sleep(0.005)
        return found

    def pending(self, group: Any) -> list[tuple[str, str, int]]:
        """(id, consumer, deliveries) of what is pending, as a foreign client sees it."""
        rows = self.raw.xpending_range(group.topic.name, group.name, "-", "+", 10_000)
        return [(row["message_id"], row["consumer"], row["times_delivered"]) for row in rows]

    def age(self, group: Any, consumer: str, seconds: float) -> None:
        """Let everything pending under a consumer's name look untouched for so long: time passes without sleeping."""
        rows = self.raw.xpending_range(group.topic.name, group.name, "-", "+", 10_000, consumer)
        for row in rows:
            words = ("XCLAIM", group.topic.name, group.name, consumer, 0, row["message_id"], "IDLE", round(seconds * 1000))
            self.raw.execute_command(*words, "RETRYCOUNT", row["times_delivered"], "JUSTID")

    async def close(self) -> None:
        """Close all that was made."""
        for thing in reversed(self.things):
            await self.do(thing.close())
        for client in self.clients:
            await self.do(client.aclose() if self.asyncio else client.close())
        self.raw.close()


def settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    """Bring a thread's result to the loop."""
    if future.cancelled():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
