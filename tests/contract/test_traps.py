"""What looks right and would lose entries, kill a member or tell a wrong number."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from streamio import RetryPolicy, SetupError

from ..world import World

pytestmark = pytest.mark.asyncio


async def drained(w: World, member: Any) -> list[dict[str, str]]:
    """One entry, drained; the dead letters."""
    group = member.group
    await w.do(group.topic.publish("x"))
    await w.do(member.drain())
    return [fields for _, fields in w.raw.xrange(f"{group.topic.name}:dead:{{{group.topic.name}}}:group")]


def yields(message: Any) -> Any:
    yield message


async def yields_async(message: Any) -> Any:
    yield message


@pytest.mark.parametrize("function", [yields, yields_async])
async def test_a_generator_function_is_no_listener(w: World, function: Any) -> None:
    with pytest.raises(TypeError, match="yield|coroutine"):
        w.member().on("x", function)


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_a_listener_that_returns_a_generator_has_failed(w: World, concurrency: int) -> None:
    member = w.member(w.group(retry=RetryPolicy(max_deliveries=1)), concurrency=concurrency)
    member.on("x", lambda message: yields(message))
    assert [letter["dead:reason"] for letter in await drained(w, member)] == ["failed"]


@pytest.mark.parametrize("w", ["asyncio-embedded", "asyncio-real"], indirect=True)
async def test_a_coroutine_that_a_thread_returned_has_failed(w: World) -> None:
    async def real(message: Any) -> None: ...

    member = w.member(w.group(retry=RetryPolicy(max_deliveries=1)))
    member.on("x", lambda message: real(message), thread=True)
    (letter,) = await drained(w, member)
    assert "awaitable" in letter["dead:error"]


async def test_a_message_is_buried_with_an_exception_for_a_reason(w: World) -> None:
    member = w.member()
    member.on("x", lambda message: message.bury(ValueError("no such customer")))
    (letter,) = await drained(w, member)
    assert (letter["dead:reason"], letter["dead:error"]) == ("buried", "ValueError: no such customer")


@pytest.mark.parametrize("reason", [None, 404, ValueError])
async def test_a_reason_that_is_none_is_refused_and_the_entry_tried_again(w: World, reason: Any) -> None:
    member = w.member(w.group(retry=RetryPolicy(max_deliveries=1)))
    member.on("x", lambda message: message.bury(reason))
    (letter,) = await drained(w, member)
    assert letter["dead:reason"] == "failed"
    assert "reason must be" in letter["dead:error"]


async def test_there_is_no_lag_at_the_end_of_the_stream(w: World) -> None:
    group = w.group()
    await w.do(group.topic.publish_many([("x", {"n": n}) for n in range(10)]))
    member = w.member(group)
    (message,) = await w.do(member.read(1, timeout=1))
    message.ack()
    await w.do(group.topic.trim(maxlen=3, exact=True))
    member.on("*", lambda message: None)
    await w.do(member.drain())
    assert (await w.do(group.info())).lag == 0
    assert [each.short for each in await w.do(group.topic.groups())] == [None]


async def test_a_closed_topic_does_nothing_more(w: World) -> None:
    topic = w.topic()
    await w.do(topic.publish("x"))
    await w.do(topic.close())
    for call in (topic.length, topic.info, topic.groups, lambda: topic.publish("x"), lambda: topic.group("g").create()):
        with pytest.raises(ValueError, match="is closed"):
            await w.do(call())


@pytest.mark.parametrize("exists", [False, True])
async def test_seek_of_no_group_says_so(w: World, exists: bool) -> None:
    group = w.group()
    if exists:
        await w.do(group.topic.publish("x"))
    with pytest.raises(SetupError, match="has no consumer group 'group'"):
        await w.do(group.seek("$"))


async def test_more_members_than_max_are_refused_before_anything_is_written(w: World) -> None:
    group = w.group(max=2)
    group.on("*", lambda message: None)
    with pytest.raises(ValueError, match="members=3 must not be greater than max=2"):
        await w.do(group.connect_and_listen(members=3))
    assert w.raw.exists(group.topic.name) == 0


async def test_lifecycle_listeners_are_checked(w: World) -> None:
    async def later(event: Any) -> None: ...

    member = w.member()
    with pytest.raises(TypeError, match="callable"):
        member.lifecycle.on("failed", 42)
    if not w.asyncio:
        with pytest.raises(TypeError, match="coroutine"):
            member.lifecycle.on("failed", later)


async def test_the_last_possible_entry_ends_a_replay(w: World) -> None:
    topic = w.topic()
    highest = "18446744073709551615-18446744073709551615"
    await w.do(topic.publish("x", entry_id=highest))
    assert [message.id async for message in w.each(topic.replay())] == [highest]


async def test_a_signature_tells_what_an_operation_gives(w: World) -> None:
    signature = inspect.signature(w.topic().publish)
    names = ["type", "data", "headers", "entry_id", "idempotency_key", "delay", "at", "fields"]
    assert list(signature.parameters) == names
    assert signature.return_annotation == "str"
