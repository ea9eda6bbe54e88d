"""A member as an iterable: the loop body is the handler."""

from __future__ import annotations

import gc
import sys
import threading

import pytest

from streamio import RetryPolicy

from ..world import World

pytestmark = pytest.mark.asyncio


class Stop(Exception):
    """Raised by a loop body."""


async def filled(w: World, count: int = 3, **options):
    """A member whose group has so many entries to read, and their ids."""
    member = w.member(**options)
    return member, await w.do(member.group.topic.publish_many([("a", {"i": i}) for i in range(count)]))


async def take(w: World, member, count: int, error: type[Exception] | None = None) -> list[str]:
    """Loop with a real `for` or `async for`; leave by `break`, or by raising, in the body of message number `count`. The ids seen."""
    seen = []
    if w.asyncio:
        async for message in member:
            seen.append(message.id)
            if len(seen) == count:
                if error is not None:
                    raise error
                break
    else:
        for message in member:
            seen.append(message.id)
            if len(seen) == count:
                if error is not None:
                    raise error
                break
    return seen


async def deliveries(w: World, group, count: int, **options) -> list[tuple[str, int]]:
    """What another member gets next: (id, deliveries), each settled."""
    other, found = w.member(group, **options), {}
    while len(found) < count:
        messages = await w.do(other.read(count, timeout=2))
        assert messages, f"only {found}"
        for message in messages:
            found[message.id] = message.deliveries
            message.ack()
    await w.do(other.close())
    return sorted(found.items())


async def grown(w: World, member, count: int = 40):
    """Let the member learn that its work is quick, so that it reads many entries at once."""
    await w.do(member.group.topic.publish_many([("quick", {}) for _ in range(count)]))
    loop = w.loop(member)
    for _ in range(count):
        await w.next(loop)
    return loop


# -- acknowledging -------------------------------------------------------------------------------------------------------------------------


async def test_an_entry_is_acknowledged_when_the_next_is_asked_for_and_not_before(w: World) -> None:
    member, ids = await filled(w, prefetch=0)
    loop = w.loop(member)
    assert (await w.next(loop)).id == ids[0]
    await w.do(member.flush())
    assert [row[0] for row in w.pending(member.group)] == [ids[0]]
    assert (await w.next(loop)).id == ids[1]
    await w.do(member.flush())
    assert [row[0] for row in w.pending(member.group)] == [ids[1]]


async def test_a_loop_waits_for_what_comes_later(w: World) -> None:
    member, seen = w.member(), []

    def consume():
        for message in member:
            seen.append(message["i"])

    async def consume_asyncio():
        async for message in member:
            seen.append(message["i"])

    future = w.start(consume_asyncio if w.asyncio else consume)
    for i in range(3):
        await w.do(member.group.topic.publish("a", i=i))
        await w.until(lambda i=i: len(seen) == i + 1)
    member.stop()
    await w.until(future.done)
    future.result()
    assert seen == ["0", "1", "2"]


async def test_the_end_of_the_with_block_acknowledges_the_last_one(w: World) -> None:
    member, ids = await filled(w)
    async with w.block(member):
        loop = w.loop(member)
        for _ in range(3):
            await w.next(loop)
    assert w.pending(member.group) == []
    assert await deliveries_left(w, member.group) == []


async def deliveries_left(w: World, group) -> list[tuple[str, int]]:
    """What another member finds at once: (id, deliveries)."""
    other = w.member(group)
    messages = await w.do(other.read(100, timeout=0.05))
    found = [(message.id, message.deliveries) for message in messages]
    for message in messages:
        message.ack()
    return found


async def test_an_exception_in_the_with_block_leaves_the_current_entry_for_another_try_at_once(w: World) -> None:
    member, ids = await filled(w)
    with pytest.raises(Stop):
        async with w.block(member):
            await take(w, member, 2, Stop)
    assert await deliveries(w, member.group, 2) == [(ids[1], 2), (ids[2], 1)]


async def test_a_break_in_the_with_block_decides_nothing_its_end_acknowledges(w: World) -> None:
    member, ids = await filled(w)
    async with w.block(member):
        assert await take(w, member, 2) == ids[:2]
        assert ids[1] in [row[0] for row in w.pending(member.group)]
    assert await deliveries(w, member.group, 1) == [(ids[2], 1)]
    assert w.pending(member.group) == []


async def test_after_a_break_in_the_with_block_an_exception_leaves_the_entry_for_another_try(w: World) -> None:
    member, ids = await filled(w)
    with pytest.raises(Stop):
        async with w.block(member):
            await take(w, member, 2)
            raise Stop
    assert await deliveries(w, member.group, 2) == [(ids[1], 2), (ids[2], 1)]


async def test_a_second_loop_in_the_with_block_goes_on_behind_the_entry_that_was_left(w: World) -> None:
    member, ids = await filled(w)
    async with w.block(member):
        assert await take(w, member, 1) == ids[:1]
        assert await take(w, member, 2) == ids[1:]
    assert w.pending(member.group) == []
    assert await deliveries_left(w, member.group) == []


async def test_a_break_outside_a_with_block_leaves_the_entry_for_another_try_and_gives_the_rest_back_uncounted(w: World) -> None:
    member = w.member()
    loop = await grown(w, member)
    await w.do(member.group.topic.publish_many([("a", {"i": i}) for i in range(6)]))
    ids = [row[0] for row in w.raw.xrange(member.group.topic.name)][-6:]
    assert (await w.next(loop)).id == ids[0]
    assert (await w.next(loop)).id == ids[1]
    del loop
    assert await deliveries(w, member.group, 5) == [(ids[1], 2), *[(entry_id, 1) for entry_id in ids[2:]]]
    assert w.pending(member.group) == []


async def test_an_exception_outside_a_with_block_is_as_a_break(w: World) -> None:
    member, ids = await filled(w)
    with pytest.raises(Stop):
        await take(w, member, 2, Stop)
    assert await deliveries(w, member.group, 2) == [(ids[1], 2), (ids[2], 1)]


async def test_a_second_loop_after_the_first_was_left_continues(w: World) -> None:
    member, ids = await filled(w)
    assert await take(w, member, 1) == ids[:1]
    loop, seen = w.loop(member), []
    for _ in range(3):
        message = await w.next(loop)
        seen.append((message.id, message.deliveries))
    assert sorted(seen) == [(ids[0], 2), (ids[1], 1), (ids[2], 1)]
    member.stop()
    assert await w.next(loop) is None
    assert w.pending(member.group) == []


async def test_what_a_loop_left_is_released_promptly_without_the_collector(w: World) -> None:
    if w.embedded and sys.version_info >= (3, 12):
        pytest.skip("fakeredis 2.40 keeps a refused command's frames in a cycle, and from Python 3.12 on their callers' with them")
    member, ids = await filled(w)
    await w.do(member.group.create())
    gc.disable()
    try:
        await take(w, member, 1)
        await w.until(lambda: {row[1:] for row in w.pending(member.group)} == {("~waiting", 1)}, 2)
    finally:
        gc.enable()


async def test_a_dropped_member_gives_back_what_it_had_and_leaves(w: World) -> None:
    group = w.group()
    ids = await w.do(group.topic.publish_many([("a", {}), ("a", {})]))
    member = group.member("gone", block=0.1)
    loop = w.loop(member)
    assert (await w.next(loop)).id == ids[0]
    del loop, member
    await w.until(lambda: "gone" not in [row["name"] for row in w.raw.xinfo_consumers(group.topic.name, group.name)], 3)
    assert await deliveries(w, group, 2) == [(ids[0], 2), (ids[1], 1)]


# -- one at a time --------------------------------------------------------------------------------------------------------------------------


async def test_a_second_loop_at_once_is_an_error(w: World) -> None:
    member, ids = await filled(w)
    first, second = w.loop(member), w.loop(member)
    await w.next(first)
    with pytest.raises(RuntimeError, match="clone"):
        await w.next(second)
    assert (await w.next(first)).id == ids[1]


async def test_a_loop_while_listening_and_a_listener_while_looping_are_errors(w: World) -> None:
    member, _ = await filled(w)
    member.on("a", lambda message: None)
    loop = w.loop(member)
    await w.next(loop)
    for call in (member.connect_and_listen, member.drain, member.read):
        with pytest.raises(RuntimeError, match="iterating"):
            await w.do(call())
    del loop
    async with w.listening(member):
        await w.until(lambda: w.pending(member.group) == [])
        with pytest.raises(RuntimeError, match="listening"):
            await w.next(w.loop(member))


async def test_the_wrong_keyword_names_the_right_one(w: World) -> None:
    member = w.member()
    with pytest.raises(TypeError, match="async for" if w.asyncio else "for"):
        iter(member) if w.asyncio else aiter(member)


async def test_listeners_are_not_called_while_looping(w: World) -> None:
    member, ids = await filled(w)
    seen = []
    member.on("a", seen.append)
    assert await take(w, member, 3) == ids
    assert seen == []


# -- ending ---------------------------------------------------------------------------------------------------------------------------------


async def test_stop_ends_the_loop_from_within(w: World) -> None:
    member, ids = await filled(w)
    loop = w.loop(member)
    assert (await w.next(loop)).id == ids[0]
    member.stop()
    assert await w.next(loop) is None
    assert await deliveries(w, member.group, 2) == [(ids[1], 1), (ids[2], 1)]


async def test_stop_ends_a_loop_that_waits(w: World) -> None:
    member, began = w.member(), threading.Event()

    def consume():
        began.set()
        return [message for message in member]

    async def consume_asyncio():
        began.set()
        return [message async for message in member]

    future = w.start(consume_asyncio if w.asyncio else consume)
    await w.until(began.is_set)
    member.stop()
    await w.until(future.done)
    assert future.result() == []


async def test_a_loop_can_begin_again_after_stop(w: World) -> None:
    member, ids = await filled(w)
    loop = w.loop(member)
    await w.next(loop)
    member.stop()
    assert await w.next(loop) is None
    assert sorted(await take(w, member, 2)) == ids[1:]


async def test_stop_before_the_loop_ends_it_at_once(w: World) -> None:
    member, _ = await filled(w)
    member.stop()
    assert await w.next(w.loop(member)) is None
    assert (await w.next(w.loop(member))) is not None


# -- settling by hand -----------------------------------------------------------------------------------------------------------------------


async def test_a_body_may_settle_for_itself(w: World) -> None:
    group = w.group(retry=RetryPolicy(backoff=(5, 5)))
    member, ids = w.member(group), await w.do(group.topic.publish_many([("a", {"i": i}) for i in range(3)]))
    loop = w.loop(member)
    first = await w.next(loop)
    assert first.ack() is True
    assert first.ack() is False
    assert (await w.next(loop)).nack(20) is True
    assert (await w.next(loop)).bury("no good") is True
    member.stop()
    assert await w.next(loop) is None
    assert w.pending(group) == [(ids[1], "~waiting", 1)]
    assert w.raw.xlen(f"{group.topic.name}:dead:{{{group.topic.name}}}:group") == 1


async def test_with_ack_manual_a_loop_acknowledges_nothing_by_itself(w: World) -> None:
    member, ids = await filled(w, ack="manual")
    loop, held = w.loop(member), []
    for _ in range(3):
        held.append(await w.next(loop))
    held[1].ack()
    await w.do(member.flush())
    assert [row[0] for row in w.pending(member.group)] == [ids[0], ids[2]]


async def test_a_group_is_an_iterable_itself(w: World) -> None:
    group = w.group()
    ids = await w.do(group.topic.publish_many([("a", {}), ("a", {})]))
    loop = w.loop(group)
    assert [(await w.next(loop)).id for _ in range(2)] == ids
    group.stop()
    assert await w.next(loop) is None
    assert w.pending(group) == []
