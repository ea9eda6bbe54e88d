"""`on_batch`: what comes in one list and when, and what becomes of each entry by what the handler returns."""

from __future__ import annotations

import asyncio
import time

import pytest

from streamio import HandlerTimeout, NotAcknowledged, RetryPolicy
from streamio.keys import WAITING, side_key

from ..world import World
from .gates import Gate

pytestmark = pytest.mark.asyncio
SOON = RetryPolicy(backoff=(0.02, 0.02))
LATE = RetryPolicy(backoff=(60, 60), jitter=0)


def coloured(w: World, function):
    """The function, as a coroutine function in asyncio."""

    async def in_asyncio(messages):
        return function(messages)

    return in_asyncio if w.asyncio else function


def numbers(messages) -> list[int]:
    """What the entries were numbered with."""
    return [int(message["n"]) for message in messages]


async def published(w: World, topic, count: int, type: str = "a", start: int = 0) -> list[str]:
    """Entries numbered from `start`; the group is there before the first."""
    await w.do(topic.group("group").create("0"))
    return await w.do(topic.publish_many([(type, {"n": n}) for n in range(start, start + count)]))


def dead(w: World, group) -> list[dict[str, str]]:
    """The group's dead letters, as a foreign client sees them."""
    return [row for _, row in w.raw.xrange(side_key(group.topic.name, "dead", group.name))]


class Lists:
    """A batch handler that writes down its lists, and returns what `says` says of them."""

    def __init__(self, w: World, says=lambda messages: None) -> None:
        self.says, self.seen, self.deliveries = says, [], []
        self.handler = coloured(w, self.handle)

    def handle(self, messages):
        """The handler."""
        self.seen.append(numbers(messages))
        self.deliveries.append([message.deliveries for message in messages])
        return self.says(messages)


# -- adding and removing ----------------------------------------------------------------------------------------------------------------


async def test_on_batch_works_as_a_call_and_as_a_decorator_and_gives_the_function_back(w: World) -> None:
    member, lists, others = w.member(), Lists(w), Lists(w)
    assert member.on_batch(lists.handler, size=3, wait=30, type="a") is lists.handler
    assert member.on_batch(size=2, wait=30, type="b")(others.handler) is others.handler
    await published(w, member.group.topic, 3, "a")
    await published(w, member.group.topic, 2, "b")
    assert await w.do(member.drain()) == 5
    assert (lists.seen, others.seen) == ([[0, 1, 2]], [[0, 1]])


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"size": 0}, ValueError),
        ({"size": True}, ValueError),
        ({"size": 1.5}, ValueError),
        ({"size": "9"}, ValueError),
        ({"wait": 0}, ValueError),
        ({"wait": -1}, ValueError),
        ({"wait": "soon"}, TypeError),
        ({"type": 5}, TypeError),
    ],
)
async def test_a_wrong_setting_is_refused_by_name(w: World, options: dict, error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(options))):
        w.member().on_batch(lambda messages: None, **options)


async def test_what_cannot_be_a_batch_handler_is_refused(w: World) -> None:
    def generator(messages):
        yield messages

    async def coroutine(messages):
        """On an asyncio member this is fine."""

    for wrong in ("text", generator, *([] if w.asyncio else [coroutine])):
        with pytest.raises(TypeError):
            w.member().on_batch(wrong)


async def test_a_type_has_either_listeners_or_one_batch_handler(w: World) -> None:
    group = w.group()
    member = w.member(group)
    member.on("a.*", print)
    member.on_batch(print, type="b")
    group.on("c", print)
    group.on_batch(print, type="d")
    for add in (member.on, member.once, group.on):
        with pytest.raises(ValueError, match="'b'"):
            add("b", print)
    with pytest.raises(ValueError, match="'d'"):
        member.on("d", print)
    for emitter, event in ((member, "a.*"), (member, "b"), (member, "c"), (member, "d"), (group, "a.*"), (group, "b")):
        with pytest.raises(ValueError, match=repr(event).replace("*", r"\*")):
            emitter.on_batch(repr, type=event)
    other = w.member(group)
    other.on_batch(print, type="b")  # members are not each other's business
    assert other.listeners("b") == [print]


async def test_where_patterns_overlap_the_listeners_get_the_message(w: World) -> None:
    member, lists, single = w.member(), Lists(w), []
    member.on_batch(lists.handler, size=10, wait=30)
    member.on("a", lambda message: single.append(int(message["n"])))
    for n, type in enumerate("abab"):
        await published(w, member.group.topic, 1, type, n)
    assert await w.do(member.drain()) == 4
    assert (single, lists.seen) == ([0, 2], [[1, 3]])


async def test_of_several_batch_handlers_the_first_gets_the_message_and_the_groups_before_the_members(w: World) -> None:
    group = w.group()
    member, of_group, first, second = w.member(group), Lists(w), Lists(w), Lists(w)
    member.on_batch(first.handler, type="*", wait=30)
    member.on_batch(second.handler, type="a", wait=30)
    group.on_batch(of_group.handler, type="b", wait=30)
    for type in "ab":
        await published(w, group.topic, 2, type)
    await w.do(member.drain())
    assert (of_group.seen, first.seen, second.seen) == ([[0, 1]], [[0, 1]], [])


async def test_a_batch_handler_can_be_looked_at_and_removed(w: World) -> None:
    member = w.member()
    member.on_batch(print, type="a.*")
    member.on("b", repr)
    assert (member.listeners("a.*"), member.event_names()) == ([print], {"a.*", "b"})
    with pytest.raises(KeyError):
        member.remove_listener("a.*", repr)
    member.remove_listener("a.*", print)
    member.remove_listener("b", repr)
    assert (member.listeners("a.*"), member.event_names()) == ([], set())
    with pytest.raises(ValueError, match="nothing listens"):
        await w.do(member.connect_and_listen())
    member.on_batch(print)
    member.remove_all_listeners()
    with pytest.raises(ValueError, match="nothing listens"):
        await w.do(member.connect_and_listen())


async def test_a_batch_handler_that_is_removed_or_added_later_is_so_at_once(w: World) -> None:
    member, lists, others = w.member(), Lists(w), Lists(w)
    member.on_batch(lists.handler, size=1)
    async with w.listening(member):
        await published(w, member.group.topic, 1)
        await w.until(lambda: lists.seen)
        member.remove_listener("*", lists.handler)
        member.on_batch(others.handler, size=2, wait=30)
        await published(w, member.group.topic, 2)
        await w.until(lambda: others.seen)
    assert (lists.seen, others.seen) == ([[0]], [[0, 1]])


async def test_a_clone_has_the_batch_handlers_too(w: World) -> None:
    member, lists = w.member(), Lists(w)
    member.on_batch(lists.handler, size=2, wait=30)
    clone = member.clone(block=0.1)
    await published(w, member.group.topic, 4)
    assert await w.do(clone.drain()) == 4
    assert lists.seen == [[0, 1], [2, 3]]
    await w.do(clone.close())


async def test_emit_calls_a_batch_handler_with_a_list(w: World) -> None:
    member, seen = w.member(), []
    member.on_batch(seen.append, type="a")
    assert member.emit("a", 1, 2) and not member.emit("b", 3)
    assert seen == [[1, 2]]


async def test_a_loop_calls_no_batch_handler(w: World) -> None:
    member, lists = w.member(), Lists(w)
    member.on_batch(lists.handler, size=1)
    await published(w, member.group.topic, 2)
    seen = []
    async with w.block(member):
        async for message in w.each(member):
            seen.append(int(message["n"]))
            if len(seen) == 2:
                member.stop()
    assert (seen, lists.seen) == ([0, 1], [])


# -- what comes in one list, and when ---------------------------------------------------------------------------------------------------


async def test_a_list_starts_when_it_is_full(w: World) -> None:
    member, lists = w.member(), Lists(w)
    member.on_batch(lists.handler, size=4, wait=30)
    async with w.listening(member):
        await published(w, member.group.topic, 6)
        await w.until(lambda: lists.seen)
        await published(w, member.group.topic, 2, start=6)
        await w.until(lambda: len(lists.seen) == 2)
    assert lists.seen == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert w.pending(member.group) == []


async def test_a_list_that_is_not_full_starts_after_its_wait(w: World) -> None:
    member, lists, at = w.member(block=30), Lists(w), []
    lists.says = lambda messages: at.append(time.monotonic())
    member.on_batch(lists.handler, size=100, wait=0.2)
    async with w.listening(member):
        await w.until(lambda: w.raw.exists(member.group.topic.name) and w.raw.xinfo_groups(member.group.topic.name))
        began = time.monotonic()
        await published(w, member.group.topic, 1)
        await published(w, member.group.topic, 2, start=1)
        await w.until(lambda: lists.seen)
    assert lists.seen == [[0, 1, 2]]
    assert 0.19 <= at[0] - began < 3


async def test_a_drain_does_not_wait_for_a_list_to_fill(w: World) -> None:
    member, lists = w.member(), Lists(w)
    member.on_batch(lists.handler, size=4, wait=600)
    await published(w, member.group.topic, 6)
    assert await asyncio.wait_for(asyncio.ensure_future(w.start(member.drain)), 8) == 6
    assert lists.seen == [[0, 1, 2, 3], [4, 5]]


@pytest.mark.parametrize("prefetch", ["auto", 0, 3])
async def test_the_first_list_is_full_where_there_is_enough(w: World, prefetch: int | str) -> None:
    member, lists = w.member(prefetch=prefetch), Lists(w)
    member.on_batch(lists.handler, size=50, wait=600)
    await published(w, member.group.topic, 120)
    assert await w.do(member.drain()) == 120
    assert [len(seen) for seen in lists.seen] == [50, 50, 20]
    assert [n for seen in lists.seen for n in seen] == [*range(120)]


async def test_the_groups_batches_and_the_members_are_both_full(w: World) -> None:
    group = w.group()
    member, lists, others = w.member(group), Lists(w), Lists(w)
    group.on_batch(lists.handler, size=40, wait=600, type="a")
    member.on_batch(others.handler, size=4, wait=600, type="b")
    await published(w, group.topic, 40, "a")
    await published(w, group.topic, 4, "b")
    reads = w.raw.info("commandstats").get("cmdstat_xreadgroup", {}).get("calls", 0) if not w.embedded else 0
    async with w.listening(member):
        await w.until(lambda: lists.seen and others.seen)
    assert ([len(seen) for seen in lists.seen], [len(seen) for seen in others.seen]) == ([40], [4])
    if not w.embedded:
        assert w.raw.info("commandstats")["cmdstat_xreadgroup"]["calls"] - reads < 12


async def test_two_batch_handlers_gather_side_by_side(w: World) -> None:
    member, lists, others = w.member(), Lists(w), Lists(w)
    member.on_batch(lists.handler, size=5, wait=600, type="a")
    member.on_batch(others.handler, size=3, wait=600, type="b")
    for n in range(6):
        await published(w, member.group.topic, 1, "ab"[n % 2], n)
    assert await w.do(member.drain()) == 6
    assert (lists.seen, others.seen) == ([[0, 2, 4]], [[1, 3, 5]])


async def test_a_batch_takes_one_slot_of_the_concurrency(w: World) -> None:
    member, gate = w.member(concurrency=2), Gate(w)
    member.on_batch(gate.handler, size=3, wait=30)
    async with w.listening(member):
        await published(w, member.group.topic, 9)
        await w.until(lambda: gate.inside == 2)
        info = await w.do(member.info())
        assert info.running == 6
        gate.open()
        await w.until(lambda: len(gate.left) == 3)
    assert gate.most == 2
    assert sorted(n for each in gate.left for n in numbers(each)) == [*range(9)]


async def test_what_is_gathered_is_told_and_is_not_read_again(w: World) -> None:
    member, lists = w.member(), Lists(w)
    member.on_batch(lists.handler, size=100, wait=30)
    await published(w, member.group.topic, 3)
    async with w.listening(member):
        await w.until(lambda: len(w.pending(member.group)) == 3)
        info = await w.do(member.info())
        assert (info.waiting, info.running) == (3, 0)
    assert lists.seen == []


@pytest.mark.slow
@pytest.mark.parametrize("concurrency", [1, 2])
async def test_what_is_gathered_for_longer_than_a_lease_stays_with_its_member(w: World, concurrency: int) -> None:
    group = w.group(lease=0.4, claim_interval=0.1)
    member, peer, lists, stolen = w.member(group, "m", concurrency=concurrency), w.member(group, "peer"), Lists(w), []
    member.on_batch(lists.handler, size=100, wait=1.5)
    peer.on("*", stolen.append)
    await published(w, group.topic, 3)
    async with w.listening(member):
        await w.until(lambda: len(w.pending(group)) == 3)
        async with w.listening(peer):
            await w.until(lambda: lists.seen)
            await w.until(lambda: not w.pending(group))
    assert (lists.seen, lists.deliveries, stolen) == ([[0, 1, 2]], [[1, 1, 1]], [])


# -- what a batch handler says ----------------------------------------------------------------------------------------------------------

ALL = [lambda messages: None, lambda messages: True, lambda messages: [m.id for m in messages], lambda messages: (m for m in messages)]
SOME = [lambda m: [m[1].id], lambda m: {m[1]}, lambda m: (each.id for each in m[1:2]), lambda m: {m[1].id: "any mapping's keys"}]
NONE = [lambda messages: False, lambda messages: [], lambda messages: set()]


@pytest.mark.parametrize("says", ALL)
async def test_all_are_acknowledged(w: World, says) -> None:
    member, lists = w.member(), Lists(w, says)
    member.on_batch(lists.handler, size=3)
    await published(w, member.group.topic, 3)
    assert await w.do(member.drain()) == 3
    assert (lists.seen, w.pending(member.group)) == ([[0, 1, 2]], [])
    info = await w.do(member.info())
    assert (info.handled, info.failed) == (3, 0)


@pytest.mark.parametrize("says", SOME)
async def test_these_are_acknowledged_and_the_others_tried_again(w: World, says) -> None:
    group = w.group(retry=LATE)
    member, lists = w.member(group), Lists(w, says)
    member.on_batch(lists.handler, size=3)
    ids = await published(w, group.topic, 3)
    assert await w.do(member.drain(retries=False)) == 1
    assert w.pending(group) == [(ids[0], WAITING, 1), (ids[2], WAITING, 1)]


@pytest.mark.parametrize("says", NONE)
async def test_none_is_acknowledged(w: World, says) -> None:
    group = w.group(retry=LATE)
    member = w.member(group)
    member.on_batch(Lists(w, says).handler, size=3)
    ids = await published(w, group.topic, 3)
    assert await w.do(member.drain(retries=False)) == 0
    assert w.pending(group) == [(entry_id, WAITING, 1) for entry_id in ids]


async def test_what_failed_comes_again_by_its_own_retry_policy(w: World) -> None:
    group = w.group(retry=SOON)
    member = w.member(group)
    lists = Lists(w, lambda messages: [m for m in messages if m["n"] == "1" or m.deliveries > 1])
    member.on_batch(lists.handler, size=3, wait=0.1)
    await published(w, group.topic, 3)
    assert await w.do(member.drain()) == 3
    assert sorted(n for seen in lists.seen[1:] for n in seen) == [0, 2]
    assert lists.deliveries[0] == [1, 1, 1] and {n for each in lists.deliveries[1:] for n in each} == {2}


async def raising(messages):
    """What a blocking batch handler must not return."""


def unknown(messages):
    return [messages[0].id, "1-1"]


WRONG = [(lambda m: m[0].id, TypeError), (lambda m: 1, TypeError), (lambda m: b"x", TypeError), (unknown, ValueError), (lambda m: [[]], TypeError)]


@pytest.mark.parametrize(("says", "error"), WRONG)
async def test_a_result_that_says_nothing_is_an_error_and_all_failed(w: World, says, error: type[Exception]) -> None:
    group = w.group(retry=LATE)
    member, failed = w.member(group), []
    member.lifecycle.on("failed", failed.append)
    member.on_batch(Lists(w, says).handler, size=3)
    ids = await published(w, group.topic, 3)
    assert await w.do(member.drain(retries=False)) == 0
    assert w.pending(group) == [(entry_id, WAITING, 1) for entry_id in ids]
    assert [type(event.error) for event in failed] == [error] * 3
    assert [event.message.id for event in failed] == ids


async def test_an_awaitable_of_a_plain_function_is_awaited_in_asyncio_and_an_error_elsewhere(w: World) -> None:
    group = w.group(retry=LATE)
    member, failed = w.member(group), []
    member.lifecycle.on("failed", failed.append)
    member.on_batch(lambda messages: raising(messages), size=2)
    await published(w, group.topic, 2)
    assert await w.do(member.drain(retries=False)) == (2 if w.asyncio else 0)
    assert [type(event.error) for event in failed] == ([] if w.asyncio else [TypeError, TypeError])


async def test_what_the_handler_settled_itself_keeps_its_verdict(w: World) -> None:
    group = w.group(retry=LATE)
    member = w.member(group)

    def settle(messages):
        assert messages[0].ack() and messages[1].nack(30) and messages[2].bury("no good")
        raise ValueError("after that")

    member.on_batch(coloured(w, settle), size=4)
    ids = await published(w, group.topic, 4)
    assert await w.do(member.drain(retries=False)) == 2
    assert w.pending(group) == [(ids[1], WAITING, 1), (ids[3], WAITING, 1)]
    assert [(row["dead:id"], row["dead:reason"]) for row in dead(w, group)] == [(ids[2], "no good")]
    assert (await w.do(member.info())).failed == 1


async def test_the_list_is_the_handlers_own(w: World) -> None:
    member = w.member()
    member.on_batch(coloured(w, lambda messages: messages.clear()), size=3)
    await published(w, member.group.topic, 3)
    assert await w.do(member.drain()) == 3


async def test_each_message_has_its_own_events(w: World) -> None:
    group = w.group(retry=LATE)
    member, told = w.member(group), []
    for name in ("started", "succeeded", "failed", "retrying"):
        member.lifecycle.on(name, lambda event: told.append((event.name, event.message["n"], type(event.error))))
    member.on_batch(Lists(w, lambda messages: messages[:1]).handler, size=2)
    await published(w, group.topic, 2)
    await w.do(member.drain(retries=False))
    assert told == [
        ("started", "0", type(None)),
        ("started", "1", type(None)),
        ("succeeded", "0", type(None)),
        ("failed", "1", NotAcknowledged),
        ("retrying", "1", NotAcknowledged),
    ]


async def test_what_is_left_out_is_tried_again_whatever_errors_the_policy_retries_on(w: World) -> None:
    group = w.group(retry=RetryPolicy(max_deliveries=2, backoff=(0, 0), retry_on=ConnectionError))
    member, lists = w.member(group), Lists(w, lambda messages: False)
    member.on_batch(lists.handler, size=2, wait=0.05)
    await published(w, group.topic, 1)
    assert await w.do(member.drain()) == 1
    assert lists.deliveries == [[1], [2]]
    assert [(row["dead:reason"], row["dead:error"].split(":")[0]) for row in dead(w, group)] == [("failed", "NotAcknowledged")]


async def test_who_fails_with_an_entry_that_cannot_succeed_is_not_buried_with_it(w: World) -> None:
    group = w.group(retry=RetryPolicy(max_deliveries=3, backoff=(0.02, 0.02)))
    member = w.member(group)

    def all_or_none(messages):
        if any(message["n"] == "2" for message in messages):
            raise ValueError("the database refuses the whole list")

    lists = Lists(w, all_or_none)
    member.on_batch(lists.handler, size=5, wait=0.2)
    await published(w, group.topic, 5)
    assert await w.do(member.drain()) == 5
    assert [row["n"] for row in dead(w, group)] == ["2"]
    assert sorted(len(seen) for seen in lists.seen)[:5] == [1, 1, 1, 1, 1]
    assert all(len(seen) == 1 for seen, counts in zip(lists.seen, lists.deliveries, strict=True) if 3 in counts)


# -- stopping, pausing, ways to settle --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_stop_gives_back_what_is_gathered_uncounted(w: World, concurrency: int) -> None:
    group = w.group()
    member, lists = w.member(group, concurrency=concurrency), Lists(w)
    member.on_batch(lists.handler, size=100, wait=60)
    ids = await published(w, group.topic, 3)
    async with w.listening(member):
        await w.until(lambda: len(w.pending(group)) == 3)
    assert w.pending(group) == [(entry_id, WAITING, 0) for entry_id in ids]
    peer, others = w.member(group), Lists(w)
    peer.on_batch(others.handler, size=3, wait=60)
    assert await w.do(peer.drain()) == 3
    assert (lists.seen, others.seen, others.deliveries) == ([], [[0, 1, 2]], [[1, 1, 1]])


async def test_a_retry_that_is_gathered_is_given_back_uncounted_too(w: World) -> None:
    group = w.group(retry=SOON)
    member, peer, lists = w.member(group), w.member(group), Lists(w)
    member.on_batch(Lists(w, lambda messages: False).handler, size=2)
    peer.on_batch(lists.handler, size=100, wait=60)
    ids = await published(w, group.topic, 2)
    await w.do(member.drain(retries=False))
    async with w.listening(peer):
        await w.until(lambda: [row[1] for row in w.pending(group)] == [peer.id] * 2)
    assert w.pending(group) == [(entry_id, WAITING, 1) for entry_id in ids]
    assert lists.seen == []


async def test_pause_gives_back_what_is_gathered(w: World) -> None:
    group = w.group()
    member, lists = w.member(group), Lists(w)
    member.on_batch(lists.handler, size=100, wait=0.3)
    ids = await published(w, group.topic, 3)
    async with w.listening(member):
        await w.until(lambda: len(w.pending(group)) == 3)
        member.pause()
        await w.until(lambda: w.pending(group) == [(entry_id, WAITING, 0) for entry_id in ids])
        assert lists.seen == []
        member.resume()
        await w.until(lambda: lists.seen)
    assert (lists.seen, lists.deliveries) == ([[0, 1, 2]], [[1, 1, 1]])


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_stop_lets_a_running_batch_finish(w: World, concurrency: int) -> None:
    member, gate = w.member(concurrency=concurrency), Gate(w)
    member.on_batch(gate.handler, size=3, wait=60)
    await published(w, member.group.topic, 3)
    async with w.listening(member):
        await w.until(lambda: gate.inside)
        member.stop()
        gate.open()
    assert len(gate.left) == 1
    assert w.pending(member.group) == []


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_what_is_no_exception_ends_listening_and_gives_the_batch_back_uncounted(w: World, concurrency: int) -> None:
    member = w.member(concurrency=concurrency)

    def end(messages):
        raise SystemExit(3)

    member.on_batch(coloured(w, end), size=2)
    ids = await published(w, member.group.topic, 2)
    try:
        await w.do(member.connect_and_listen())
    except SystemExit as raised:
        assert raised.code == 3
    assert w.pending(member.group) == [(entry_id, WAITING, 0) for entry_id in ids]


async def test_a_manual_batch_is_settled_by_hand(w: World) -> None:
    group = w.group()
    member, kept = w.member(group, ack="manual"), []
    member.on_batch(coloured(w, kept.extend), size=3)
    ids = await published(w, group.topic, 3)
    async with w.listening(member):
        await w.until(lambda: len(kept) == 3)
        assert [row[:2] for row in w.pending(group)] == [(entry_id, member.id) for entry_id in ids]
        for message in kept:
            assert message.ack()
        await w.until(lambda: not w.pending(group))


async def test_with_ack_none_nothing_comes_twice(w: World) -> None:
    group = w.group(retry=RetryPolicy(backoff=(0, 0)))
    member, lists = w.member(group, ack="none"), Lists(w, lambda messages: False)
    member.on_batch(lists.handler, size=2)
    await published(w, group.topic, 2)
    await w.do(member.drain())
    assert (lists.seen, w.pending(group)) == ([[0, 1]], [])


# -- handler_timeout --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_a_batch_that_takes_too_long_has_failed(w: World, concurrency: int) -> None:
    group = w.group(retry=LATE)
    member, gate, failed = w.member(group, concurrency=concurrency, handler_timeout=0.1), Gate(w), []
    member.lifecycle.on("failed", failed.append)
    member.on_batch(gate.handler, size=3, wait=60)
    ids = await published(w, group.topic, 3)
    async with w.listening(member):
        await w.until(lambda: w.pending(group) == [(entry_id, WAITING, 1) for entry_id in ids])
        assert not any(message.ack() for message in gate.seen[0])
        gate.open()
        await w.until(lambda: not gate.inside)
    assert [(event.message.id, type(event.error)) for event in failed] == [(entry_id, HandlerTimeout) for entry_id in ids]
    assert w.pending(group) == [(entry_id, WAITING, 1) for entry_id in ids]
    info = await w.do(member.info())
    assert (info.handled, info.failed) == (0, 3)
