"""What `request` and `reply_to=` refuse before anything is sent, and requests that wait while their topic is closed."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from ..world import World

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize(
    "options, error, text",
    [
        ({"reply_to": "replies"}, TypeError, "reply_to must be a Topic, not 'replies'"),
        ({"reply_to": 5}, TypeError, "reply_to must be a Topic, not 5"),
        ({"headers": [("a", "b")]}, TypeError, "headers must be a mapping"),
        ({"headers": "trace"}, TypeError, "headers must be a mapping"),
        ({"headers": 5}, TypeError, "headers must be a mapping"),
        *[({name: 1}, TypeError, f"request\\(\\) takes no '{name}'.*goes into data") for name in ("delay", "at", "idempotency_key", "entry_id")],
    ],
)
async def test_what_is_no_request_is_refused_by_name_before_anything_is_sent(w: World, options: Any, error: Any, text: str) -> None:
    topic = w.topic()
    with pytest.raises(error, match=text):
        await w.do(topic.request("ask", **options))
    assert not w.raw.exists(topic.name)


async def test_a_field_with_the_name_of_an_option_goes_into_the_data(w: World) -> None:
    topic = w.topic()
    with pytest.raises(TimeoutError):
        await w.do(topic.request("ask", {"delay": 5}, timeout=0.01))
    ((_, fields),) = w.raw.xrange(topic.name)
    assert fields["delay"] == "5"


async def test_replies_to_the_topic_itself_are_refused(w: World) -> None:
    topic = w.topic()
    for other in (topic, w.topic()):
        with pytest.raises(ValueError, match="is the topic itself"):
            await w.do(topic.request("ask", reply_to=other))
        with pytest.raises(ValueError, match="is the member's own topic"):
            w.member(w.group(topic), reply_to=other)
    assert not w.raw.exists(topic.name)


@pytest.mark.parametrize("w", ["blocking-real", "asyncio-real"], indirect=True)
@pytest.mark.parametrize("count", [1, 5])
async def test_requests_that_wait_end_when_their_topic_is_closed(w: World, count: int) -> None:
    topic = w.topic()
    waiting = [w.start(lambda: topic.request("ask", timeout=30)) for _ in range(count)]
    await w.until(lambda: w.raw.xlen(topic.name) == count)
    await w.until(lambda: any(client["cmd"] == "xread" and "b" in client["flags"] for client in w.raw.client_list()))
    began = time.monotonic()
    await w.do(topic.close())
    ended = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 5)
    assert [(type(error), "is closed" in str(error)) for error in ended] == [(ValueError, True)] * count
    assert time.monotonic() - began < 0.5
    assert topic._driver.waiting == set()


@pytest.mark.parametrize("w", ["blocking-real", "asyncio-real"], indirect=True)
async def test_a_tail_that_waits_ends_when_its_topic_is_closed(w: World) -> None:
    topic = w.topic()
    tail = w.loop(topic.tail())
    reading = w.start(lambda: w.next(tail) if w.asyncio else next(tail))
    await w.until(lambda: any(client["cmd"] == "xread" and "b" in client["flags"] for client in w.raw.client_list()))
    began = time.monotonic()
    await w.do(topic.close())
    with pytest.raises(ValueError, match="is closed"):
        await reading
    assert time.monotonic() - began < 0.5
