"""The protocol is written once: both colours ask the same of the server, in the same order."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

from streamio import ConsumerGroupMember, ConsumerGroupTopic, RetryPolicy, Topic, from_url
from streamio.effects import Now, Receive, Rest

from .stage import spelled


def recorded(driver: Any, trace: list[str]) -> None:
    """Write down the effects of the reading line and of free connections as they are performed; the keeper's own line has its own time."""
    perform, receive = driver.perform, driver.receive

    def note(effect: Any) -> None:
        if not isinstance(effect, (Now, Rest)) and getattr(getattr(effect, "line", None), "name", "") != "side":
            trace.append(spelled(effect))

    if driver.asyncio:

        async def perform_and_note(effect: Any) -> Any:
            note(effect)
            return await perform(effect)

        async def receive_and_note(line: Any) -> Any:  # asyncio receives without a detour
            note(Receive(line))
            return await receive(line)

        driver.perform, driver.receive = perform_and_note, receive_and_note
    else:

        def note_and_perform(effect: Any) -> Any:
            note(effect)
            return perform(effect)

        driver.perform = note_and_perform


async def trace_of(asyncio_: bool) -> list[str]:
    """Publish, fail once, handle, look, leave."""
    trace: list[str] = []

    async def do(came: Any) -> Any:
        return await came if inspect.isawaitable(came) else came

    client: Any = from_url(f"memory://trace-{asyncio_}", asyncio=True) if asyncio_ else from_url(f"memory://trace-{asyncio_}")
    topic: Any = Topic("orders", client)
    recorded(topic._driver, trace)
    group: Any = ConsumerGroupTopic(topic, "billing", retry=RetryPolicy(backoff=(0, 0)), lease=300)
    member: Any = ConsumerGroupMember(group, "m", prefetch=1)
    recorded(member._driver, trace)

    @member.on("*")
    def handle(message: Any) -> None:
        if message["i"] == "2" and message.deliveries == 1:
            raise ValueError("once")

    await do(topic.publish("x", i=0))
    await do(topic.publish_many([("x", {"i": i}) for i in range(1, 6)]))
    assert await do(member.drain()) == 6
    await do(group.info())
    found = await do(member.read(1, timeout=0))
    assert found == []
    await do(member.close())
    await do(topic.close())
    await do(client.aclose() if asyncio_ else client.close())
    return trace


def test_both_colours_leave_the_same_trace() -> None:
    blocking, in_asyncio = asyncio.run(trace_of(False)), asyncio.run(trace_of(True))
    assert blocking == in_asyncio
    assert sum("XREADGROUP" in line for line in blocking) >= 6
    assert sum("XACK" in line for line in blocking) >= 5
