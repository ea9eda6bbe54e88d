"""`handler_timeout`: a handler, or a loop's body, that takes too long has failed from that moment on, whatever it does later."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections import Counter
from datetime import timedelta

import pytest

from streamio import HandlerTimeout, RetryPolicy
from streamio.keys import WAITING, side_key

from ..world import World
from .gates import Gate

pytestmark = pytest.mark.asyncio
LATE = RetryPolicy(backoff=(60, 60), jitter=0)
NOW = RetryPolicy(backoff=(0, 0))


def dead(w: World, group) -> list[dict[str, str]]:
    """The group's dead letters, as a foreign client sees them."""
    return [row for _, row in w.raw.xrange(side_key(group.topic.name, "dead", group.name))]


def parked(w: World, group) -> list[str]:
    """The ids of what waits in nobody's hand."""
    return [row[0] for row in w.pending(group) if row[1] == WAITING]


class Told:
    """A member's events, by name."""

    def __init__(self, member) -> None:
        self.events = []
        for name in ("failed", "retrying", "buried", "succeeded"):
            member.lifecycle.on(name, self.events.append)

    def errors(self) -> list[type]:
        """What failed deliveries failed with."""
        return [type(event.error) for event in self.events if event.name == "failed"]

    def names(self) -> list[str]:
        """What was told, in order."""
        return [event.name for event in self.events]


@pytest.mark.parametrize("concurrency", [1, 2])
@pytest.mark.parametrize("watched", [True, False])
async def test_a_handler_that_takes_too_long_has_failed_at_that_moment(w: World, concurrency: int, watched: bool) -> None:
    group = w.group(retry=LATE)
    member, gate, failed = w.member(group, concurrency=concurrency, handler_timeout=timedelta(seconds=0.1)), Gate(w), []
    member.lifecycle.on("failed", failed.append)
    told = Told(member) if watched else None
    member.on("*", gate.handler)
    await w.do(group.create())
    entry_id = await w.do(group.topic.publish("a"))
    async with w.listening(member):
        await w.until(lambda: parked(w, group))
        assert not gate.seen[0].ack()
        gate.open()
        await w.until(lambda: not gate.inside)
    assert w.pending(group) == [(entry_id, WAITING, 1)]
    (event,) = failed
    assert (event.message.id, event.error.seconds) == (entry_id, 0.1)
    assert "handler_timeout=0.1" in str(event.error)
    assert 0.1 <= event.duration < 3
    assert told is None or told.names() == ["failed", "retrying"]
    info = await w.do(member.info())
    assert (info.handled, info.failed, info.running) == (0, 1, 0)


async def test_a_handler_in_time_is_left_alone(w: World) -> None:
    member, gate = w.member(handler_timeout=5), Gate(w, opened=True, seconds=0.02)
    told = Told(member)
    member.on("*", gate.handler)
    await w.do(member.group.topic.publish_many([("a", {})] * 3))
    assert await w.do(member.drain()) == 3
    assert told.names() == ["succeeded"] * 3


@pytest.mark.parametrize(("value", "error"), [(0, ValueError), (-1, ValueError), ("soon", TypeError)])
async def test_a_timeout_that_is_no_duration_is_refused_by_name(w: World, value: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="handler_timeout"):
        w.member(handler_timeout=value)


async def test_a_clone_has_the_timeout_too(w: World) -> None:
    group = w.group(retry=LATE)
    member, gate = w.member(group, handler_timeout=0.05), Gate(w, seconds=0.2, opened=True)
    member.on("*", gate.handler)
    clone = member.clone()
    told = Told(clone)
    await w.do(group.topic.publish("a"))
    await w.do(clone.drain(retries=False))
    assert told.errors() == [HandlerTimeout]
    await w.do(clone.close())


async def test_it_is_tried_again_and_buried_at_the_last_delivery(w: World) -> None:
    group = w.group(retry=RetryPolicy(max_deliveries=2, backoff=(0, 0)))
    member, gate = w.member(group, handler_timeout=0.05), Gate(w, seconds=0.1, opened=True)
    member.on("*", gate.handler)
    await w.do(group.topic.publish("a"))
    assert await w.do(member.drain()) == 1
    assert [message.deliveries for message in gate.seen] == [1, 2]
    assert [(row["dead:reason"], row["dead:error"].split(":")[0]) for row in dead(w, group)] == [("failed", "HandlerTimeout")]


async def test_the_policy_may_refuse_another_try(w: World) -> None:
    group = w.group(retry=RetryPolicy(retry_on=ConnectionError))
    member, gate = w.member(group, handler_timeout=0.05), Gate(w, seconds=0.1, opened=True)
    member.on("*", gate.handler)
    await w.do(group.topic.publish("a"))
    assert await w.do(member.drain()) == 1
    assert len(gate.seen) == len(dead(w, group)) == 1


async def test_a_once_listener_stays_for_the_next_try(w: World) -> None:
    group = w.group(retry=NOW)
    member, gate = w.member(group, handler_timeout=0.1), Gate(w, seconds=0.2, opened=True)

    async def sit_asyncio(message) -> None:
        await asyncio.sleep(0.2 if message.deliveries == 1 else 0)

    member.once("*", sit_asyncio if w.asyncio else lambda message: time.sleep(0.2 if message.deliveries == 1 else 0))
    await w.do(group.topic.publish("a"))
    assert await w.do(member.drain()) == 1
    assert member.event_names() == set() and gate.seen == []


async def test_a_peer_handles_it_while_the_first_handler_still_sits(w: World) -> None:
    group = w.group(retry=NOW)
    member, gate, seen = w.member(group, "m", handler_timeout=0.1), Gate(w), []
    peer = w.member(group, "peer")
    member.on("*", gate.sit if not w.asyncio else stubborn(gate))
    peer.on("*", seen.append)
    await w.do(group.topic.publish("a"))
    async with w.listening(member):
        await w.until(lambda: gate.inside)
        async with w.listening(peer):
            await w.until(lambda: seen)
            assert gate.inside
            await w.until(lambda: not w.pending(group))
            gate.open()
            await w.until(lambda: not gate.inside)
    assert [message.deliveries for message in (gate.seen[0], *seen)] == [1, 2]


def stubborn(gate: Gate):
    """A coroutine function that goes on where it is cancelled."""

    async def sit(message) -> None:
        try:
            await gate.sit_asyncio(message)
        except asyncio.CancelledError:
            await gate.sit_asyncio(message)

    return sit


async def test_a_handler_that_cannot_be_ended_keeps_its_place_and_what_waits_behind_it_is_given_back(w: World) -> None:
    group = w.group(retry=LATE)
    member, gate, seen = w.member(group, "m", prefetch=20, handler_timeout=0.1), Gate(w), []
    peer = w.member(group, "peer")
    member.on("*", gate.sit if not w.asyncio else stubborn(gate))
    peer.on("*", seen.append)
    await w.do(group.create())
    first, *others = await w.do(group.topic.publish_many([("a", {"n": n}) for n in range(6)]))
    async with w.listening(member):
        await w.until(lambda: gate.inside and parked(w, group) == [first, *others])
        async with w.listening(peer):
            await w.until(lambda: len(seen) == 5)
        assert {message.id for message in gate.seen} == {first}
        assert [(row[0], row[2]) for row in w.pending(group)] == [(first, 1)]
        gate.open()
        await w.until(lambda: not gate.inside)
    assert {message.deliveries for message in seen} == {1}


async def test_other_places_go_on_beside_one_that_is_kept(w: World) -> None:
    group = w.group(retry=LATE)
    member, gate, seen = w.member(group, concurrency=2, handler_timeout=0.1), Gate(w), Counter()
    sit = stubborn(gate) if w.asyncio else gate.sit

    def handler(message):
        seen[message["n"]] += 1
        return sit(message) if message["n"] == "0" else None

    member.on("*", handler)
    await w.do(group.topic.publish_many([("a", {"n": n}) for n in range(30)]))
    async with w.listening(member):
        await w.until(lambda: len(seen) == 30 and len(w.pending(group)) == 1)
        gate.open()
        await w.until(lambda: not gate.inside)
    assert max(seen.values()) == 1


async def test_a_loops_body_that_takes_too_long_has_failed(w: World) -> None:
    group = w.group(retry=LATE)
    member, seen = w.member(group, prefetch=10, handler_timeout=0.1), []
    told = Told(member)
    await w.do(group.create())
    ids = await w.do(group.topic.publish_many([("a", {"n": n}) for n in range(3)]))
    async for message in w.each(member):
        seen.append(message["n"])
        if len(seen) == 1:
            await w.until(lambda: len(parked(w, group)) == 3)  # this one, and what waited behind it
            assert not message.ack()
        if len(seen) == 3:
            member.stop()
    assert seen == ["0", "1", "2"]
    assert w.pending(group) == [(ids[0], WAITING, 1)]
    assert told.errors() == [HandlerTimeout]


async def test_a_loops_body_in_time_is_acknowledged(w: World) -> None:
    group = w.group()
    member, seen = w.member(group, handler_timeout=5), []
    await w.do(group.topic.publish_many([("a", {"n": n}) for n in range(3)]))
    async for message in w.each(member):
        seen.append(message["n"])
        if len(seen) == 3:
            member.stop()
    assert seen == ["0", "1", "2"] and w.pending(group) == []


@pytest.mark.parametrize("manual", [False, True])
async def test_a_loop_that_is_left_in_time_has_not_failed(w: World, manual: bool) -> None:
    group = w.group(retry=LATE)
    member = w.member(group, handler_timeout=0.1, **({"ack": "manual"} if manual else {}))
    told = Told(member)
    entry_id = await w.do(group.topic.publish("a"))
    loop = w.loop(member)
    message = await w.next(loop)
    del loop, message
    await w.until(lambda: w.pending(group) == [(entry_id, WAITING, 1)])
    await asyncio.sleep(0.15)
    assert told.names() == []


# -- what is not to be taken for it -----------------------------------------------------------------------------------------------------


async def test_a_handlers_own_timeout_error_is_its_own(w: World) -> None:
    group = w.group(retry=LATE)
    member = w.member(group, handler_timeout=5)
    told = Told(member)

    async def wait_asyncio(message) -> None:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(5)

    def wait(message) -> None:
        raise TimeoutError

    member.on("*", wait_asyncio if w.asyncio else wait)
    await w.do(group.topic.publish("a"))
    await w.do(member.drain(retries=False))
    assert told.errors() == [TimeoutError]


@pytest.mark.parametrize("w", ["asyncio-embedded", "asyncio-real"], indirect=True)
class TestAsyncio:
    """What there is in asyncio only."""

    async def test_the_handler_is_cancelled(self, w: World) -> None:
        group = w.group(retry=LATE)
        member, seen = w.member(group, handler_timeout=0.05), []

        async def sit(message) -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise

        member.on("*", sit)
        await w.do(group.topic.publish_many([("a", {})] * 2))
        assert await asyncio.wait_for(member.drain(retries=False), 8) == 0
        assert seen == ["cancelled"] * 2
        assert len(parked(w, group)) == 2

    @pytest.mark.parametrize("concurrency", [1, 2])
    async def test_a_handlers_own_cancelled_error_ends_listening(self, w: World, concurrency: int) -> None:
        group = w.group()
        member = w.member(group, concurrency=concurrency, handler_timeout=5)
        told = Told(member)

        async def end(message) -> None:
            raise asyncio.CancelledError

        member.on("*", end)
        entry_id = await w.do(group.topic.publish("a"))
        if concurrency == 1:
            with pytest.raises(asyncio.CancelledError):
                await member.connect_and_listen()
        else:
            await asyncio.wait_for(member.connect_and_listen(), 8)
        assert w.pending(group) == [(entry_id, WAITING, 0)]
        assert told.names() == []

    async def test_who_cancels_the_listening_cancels_it(self, w: World) -> None:
        group = w.group()
        member, gate = w.member(group, handler_timeout=5), Gate(w)
        member.on("*", gate.handler)
        entry_id = await w.do(group.topic.publish("a"))
        task = asyncio.ensure_future(member.connect_and_listen())
        await w.until(lambda: gate.inside)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert w.pending(group) == [(entry_id, WAITING, 0)]

    async def test_a_plain_function_that_held_up_the_loop_has_failed(self, w: World) -> None:
        group = w.group(retry=LATE)
        member = w.member(group, handler_timeout=0.05)
        told = Told(member)
        member.on("*", lambda message: time.sleep(0.1))
        await w.do(group.topic.publish("a"))
        assert await member.drain(retries=False) == 0
        assert told.errors() == [HandlerTimeout]

    async def test_a_thread_is_waited_for(self, w: World) -> None:
        group = w.group(retry=LATE)
        member, seen, go = w.member(group, handler_timeout=0.1), [], threading.Event()

        def sit(message) -> None:
            seen.append(message["n"])
            go.wait(8)

        member.on("*", sit, thread=True)
        await w.do(group.create())
        ids = await w.do(group.topic.publish_many([("a", {"n": n}) for n in range(2)]))
        async with w.listening(member):
            await w.until(lambda: ids[0] in parked(w, group))
            assert seen == ["0"]
            go.set()
            await w.until(lambda: [row[0] for row in w.pending(group)] == [ids[0]])


# -- extend() ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_extend_gives_a_delivery_its_full_time_again(w: World, concurrency: int) -> None:
    group = w.group(retry=LATE)
    member = w.member(group, concurrency=concurrency, handler_timeout=0.3)
    told = Told(member)

    def steps(message):
        for _ in range(6):
            yield 0.1
            assert message.extend()

    async def sit_asyncio(message) -> None:
        for step in steps(message):
            await asyncio.sleep(step)

    def sit(message) -> None:
        for step in steps(message):
            time.sleep(step)

    member.on("*", sit_asyncio if w.asyncio else sit)
    await w.do(group.topic.publish("a"))
    assert await w.do(member.drain()) == 1
    assert told.names() == ["succeeded"]


async def test_extend_from_another_thread_and_of_one_in_a_batch_will_do(w: World) -> None:
    group = w.group(retry=LATE)
    member = w.member(group, handler_timeout=0.3)
    told, done = Told(member), []

    def extending(messages) -> threading.Thread:
        def run() -> None:
            for _ in range(6):
                time.sleep(0.1)
                done.append(messages[1].extend())

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    async def sit_asyncio(messages) -> None:
        thread = extending(messages)
        while thread.is_alive():
            await asyncio.sleep(0.01)

    member.on_batch(sit_asyncio if w.asyncio else lambda messages: extending(messages).join(), size=3)
    await w.do(group.topic.publish_many([("a", {})] * 3))
    assert await w.do(member.drain()) == 3
    assert told.names() == ["succeeded"] * 3 and done == [True] * 6


async def test_extend_in_a_loops_body(w: World) -> None:
    group = w.group(retry=LATE)
    member = w.member(group, handler_timeout=0.3)
    told = Told(member)
    await w.do(group.topic.publish("a"))
    async for message in w.each(member):
        for _ in range(6):
            await asyncio.sleep(0.1)
            assert message.extend()
        member.stop()
    assert w.pending(group) == [] and told.errors() == []


async def test_extend_is_a_plain_function_and_false_after_the_time_is_over(w: World) -> None:
    group = w.group(retry=LATE)
    member, gate = w.member(group, handler_timeout=0.1), Gate(w)
    member.on("*", gate.sit if not w.asyncio else stubborn(gate))
    await w.do(group.create())
    await w.do(group.topic.publish("a"))
    async with w.listening(member):
        await w.until(lambda: parked(w, group))
        extended = gate.seen[0].extend()
        assert not inspect.isawaitable(extended) and extended is False
        gate.open()
        await w.until(lambda: not gate.inside)
