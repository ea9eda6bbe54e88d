"""A member as an emitter: who is called with what, and what becomes of an entry by what its handlers do."""

from __future__ import annotations

import inspect
import threading

import pytest
from pyee import EventEmitter

from streamio import ConsumerGroupMember, RetryPolicy, from_url

from ..world import World
from .gates import Failing, Gate

pytestmark = pytest.mark.asyncio
SOON = RetryPolicy(backoff=(0.02, 0.02))


def dead_letters(w: World, group, client=None):
    """The dead letters of a group, as a foreign client sees them."""
    key = group.topic.name
    return (client or w.raw).xrange(f"{key}:dead:{{{key}}}:{group.name}")


# -- adding and removing listeners ------------------------------------------------------------------------------------------------------


async def test_a_member_is_an_event_emitter_of_pyee(w: World) -> None:
    assert isinstance(w.member(), EventEmitter)
    assert isinstance(w.group(), EventEmitter)


async def test_on_works_as_a_call_and_as_a_decorator_and_gives_the_function_back(w: World) -> None:
    member, seen = w.member(), []

    def first(message):
        seen.append(("first", message["i"]))

    @member.on("a")
    def second(message):
        seen.append(("second", message["i"]))

    assert member.on("a", first) is first
    assert member.listeners("a") == [second, first]
    async with w.listening(member):
        await w.do(member.group.topic.publish("a", i=1))
        await w.until(lambda: len(seen) == 2)
    assert seen == [("second", "1"), ("first", "1")]


async def test_add_listener_and_handlers_at_construction_are_the_same_as_on(w: World) -> None:
    seen = []
    member = w.member(handlers={"a": lambda message: seen.append("a"), "b.*": lambda message: seen.append("b")})
    member.add_listener("c", lambda message: seen.append("c"))
    assert member.event_names() == {"a", "b.*", "c"}
    await w.do(member.group.topic.publish_many([("a", {}), ("b.1", {}), ("c", {})]))
    await w.do(member.drain())
    assert seen == ["a", "b", "c"]


async def test_a_removed_listener_is_not_called(w: World) -> None:
    member, seen = w.member(), []
    gone, stays = member.on("a", lambda message: seen.append("gone")), member.on("a", lambda message: seen.append("stays"))
    await w.do(member.group.topic.publish("a"))
    await w.do(member.drain())
    member.remove_listener("a", gone)
    assert member.listeners("a") == [stays]
    await w.do(member.group.topic.publish("a"))
    await w.do(member.drain())
    assert seen == ["gone", "stays", "stays"]
    with pytest.raises(KeyError):
        member.remove_listener("a", gone)


async def test_listeners_may_come_and_go_while_the_member_listens(w: World) -> None:
    member, seen = w.member(), []
    first = member.on("a", lambda message: seen.append("first"))
    async with w.listening(member):
        await w.do(member.group.topic.publish("a"))
        await w.until(lambda: seen == ["first"])
        member.on("a", lambda message: seen.append("second"))
        member.remove_listener("a", first)
        await w.do(member.group.topic.publish("a"))
        await w.until(lambda: seen == ["first", "second"])


async def test_the_groups_listeners_run_before_the_members_own(w: World) -> None:
    group, seen = w.group(), []
    member = w.member(group)
    member.on("*", lambda message: seen.append("member's *"))
    member.on("a", lambda message: seen.append("member's a"))
    group.on("a", lambda message: seen.append("group's a"))
    await w.do(group.topic.publish("a"))
    await w.do(member.drain())
    assert seen == ["group's a", "member's *", "member's a"]


async def test_a_listener_of_the_group_alone_is_enough_to_listen(w: World) -> None:
    group, seen = w.group(), []
    member = w.member(group)
    group.on("a", lambda message: seen.append(message.type))
    await w.do(group.topic.publish("a"))
    await w.do(member.drain())
    assert seen == ["a"]


async def test_patterns_match_what_begins_so_and_nothing_else(w: World) -> None:
    member, seen = w.member(), []
    for pattern in ("order.*", "*", "order.placed", "order", "or?er.placed", "[o]rder.placed"):
        member.on(pattern, lambda message, pattern=pattern: seen.append((message.type, pattern)))
    types = ["order.placed", "order.", "order", "reorder.placed", "[o]rder.placed"]
    await w.do(member.group.topic.publish_many([(type, {}) for type in types]))
    await w.do(member.drain())
    assert [(type, {pattern for of, pattern in seen if of == type}) for type in types] == [
        ("order.placed", {"order.*", "*", "order.placed"}),
        ("order.", {"order.*", "*"}),
        ("order", {"*", "order"}),
        ("reorder.placed", {"*"}),
        ("[o]rder.placed", {"*", "[o]rder.placed"}),
    ]


async def test_a_once_listener_is_gone_when_its_entry_succeeded(w: World) -> None:
    member, seen = w.member(), []

    @member.once("a")
    def once(message):
        seen.append(("once", message["i"]))

    member.on("a", lambda message: seen.append(("on", message["i"])))
    await w.do(member.group.topic.publish_many([("a", {"i": 1}), ("a", {"i": 2})]))
    await w.do(member.drain())
    assert seen == [("once", "1"), ("on", "1"), ("on", "2")]
    assert once not in member.listeners("a")


async def test_a_once_listener_that_failed_gets_the_retry(w: World) -> None:
    member, failing = w.member(w.group(retry=SOON)), Failing(2)
    member.once("a", failing)
    await w.do(member.group.topic.publish("a"))
    assert await w.do(member.drain()) == 1
    assert failing.tries == [1, 2, 3]
    assert member.event_names() == set()


async def test_a_once_listener_stays_when_a_later_listener_failed(w: World) -> None:
    member, seen, failing = w.member(w.group(retry=SOON)), [], Failing(1)
    member.once("a", lambda message: seen.append(message.deliveries))
    member.on("a", failing)
    await w.do(member.group.topic.publish("a"))
    await w.do(member.drain())
    assert (seen, failing.tries) == ([1, 2], [1, 2])


async def test_a_once_listener_of_the_group_gets_one_entry_for_all_members(w: World) -> None:
    group, seen = w.group(), []
    members = [w.member(group), w.member(group)]
    group.once("a", lambda message: seen.append(message.id))
    group.on("a", lambda message: None)
    for member in members:
        await w.do(group.topic.publish("a"))
        await w.do(member.drain())
    assert len(seen) == 1


async def test_no_type_that_a_producer_writes_does_harm(w: World) -> None:
    member, seen = w.member(), []
    member.on("last", lambda message: seen.append(message.type))
    types = ["error", "new_listener", "stopped", "started", "failed", "__class__", "*", "order.*", "", "é\n"]
    await w.do(member.group.topic.publish_many([(type, {}) for type in types if type]))
    w.raw.xadd(member.group.topic.name, {"no": "type"})
    await w.do(member.group.topic.publish("last"))
    await w.do(member.drain())
    assert seen == ["last"]
    assert w.pending(member.group) == []


@pytest.mark.parametrize("type", ["error", "new_listener", "stopped"])
async def test_a_type_with_a_name_of_ours_can_be_listened_to(w: World, type: str) -> None:
    member, seen = w.member(), []
    member.on(type, lambda message: seen.append(message["x"]))
    member.on("other", print)  # pyee emits new_listener here; ours does not
    await w.do(member.group.topic.publish(type, x="of the producer"))
    await w.do(member.drain())
    await w.do(member.close())
    assert seen == ["of the producer"]


async def test_emit_calls_the_listeners_here_and_now(w: World) -> None:
    member, seen = w.member(), []
    member.on("a", seen.append)
    assert member.emit("a", 1) is True
    assert member.emit("b", 2) is False
    assert member.emit("error", ValueError("an entry type like others")) is False
    assert seen == [1]


async def test_what_is_no_listener_is_refused_at_once(w: World) -> None:
    member = w.member()
    with pytest.raises(TypeError, match="must be callable"):
        member.on("a", "not a function")
    with pytest.raises(TypeError, match="must be a str"):
        member.on(1, print)
    assert member.event_names() == set()


async def test_the_private_hooks_of_pyee_that_we_override_are_there(w: World) -> None:
    def names(function) -> list[str]:
        return list(inspect.signature(function).parameters)

    assert names(EventEmitter._add_event_handler) == ["self", "event", "k", "v"]
    assert names(EventEmitter._emit_run) == ["self", "f", "args", "kwargs"]
    assert names(EventEmitter._emit_handle_potential_error) == ["self", "event", "error"]
    plain = EventEmitter()
    plain.on("a", print)
    assert list(plain._events["a"].items()) == [(print, print)]
    assert {"acquire", "release"} <= set(dir(plain._lock))


async def test_on_of_pyee_goes_through_the_hook_that_we_override(w: World) -> None:
    added = []

    class Hooked(EventEmitter):
        def _add_event_handler(self, event, k, v):
            added.append((event, k))

    emitter = Hooked()
    emitter.on("a", print)
    emitter.add_listener("b", print)
    assert added == [("a", print), ("b", print)]


# -- colours -----------------------------------------------------------------------------------------------------------------------------


async def test_thread_true_runs_a_plain_handler_beside_the_event_loop(w: World) -> None:
    member, seen = w.member(), []
    if not w.asyncio:
        with pytest.raises(TypeError, match="asyncio"):
            member.on("a", print, thread=True)
        return
    member.on("a", lambda message: seen.append(threading.get_ident()), thread=True)
    member.on("a", lambda message: seen.append(threading.get_ident()))
    await w.do(member.group.topic.publish("a"))
    await w.do(member.drain())
    assert len(set(seen)) == 2 and seen[1] == threading.get_ident()


async def test_thread_true_fails_as_the_handler_fails(w: World) -> None:
    if not w.asyncio:
        pytest.skip("thread=True is for asyncio")
    member, failing = w.member(w.group(retry=SOON)), Failing(1)
    member.on("a", failing, thread=True)
    await w.do(member.group.topic.publish("a"))
    await w.do(member.drain())
    assert failing.tries == [1, 2]


async def test_a_coroutine_handler_is_refused_on_a_blocking_member_and_awaited_on_an_asyncio_one(w: World) -> None:
    member, seen = w.member(), []

    async def handler(message) -> None:
        seen.append(message.type)

    if not w.asyncio:
        with pytest.raises(TypeError, match="coroutine function"):
            member.on("a", handler)
        with pytest.raises(TypeError, match="coroutine function"):
            w.member(handlers={"a": handler})
        return
    member.on("a", handler)
    await w.do(member.group.topic.publish("a"))
    await w.do(member.drain())
    assert seen == ["a"]


async def test_an_awaitable_from_a_plain_function_is_a_failure_on_a_blocking_member(w: World) -> None:
    group = w.group(retry=RetryPolicy(max_deliveries=1))
    member, awaited = w.member(group), []

    async def work() -> None:
        awaited.append(1)

    member.on("a", lambda message: work())
    await w.do(group.topic.publish("a"))
    await w.do(member.drain())
    assert len(awaited) == (1 if w.asyncio else 0)
    assert len(dead_letters(w, group)) == (0 if w.asyncio else 1)


# -- what becomes of an entry --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, False, True, 0, "text", []])
async def test_a_handler_that_returned_is_acknowledged_whatever_the_value(w: World, value) -> None:
    member = w.member()
    member.on("a", lambda message: value)
    await w.do(member.group.topic.publish("a"))
    assert await w.do(member.drain()) == 1
    assert w.pending(member.group) == []
    assert dead_letters(w, member.group) == []


async def test_the_first_exception_fails_the_entry_and_the_retry_runs_all_listeners_again(w: World) -> None:
    member, seen, failing = w.member(w.group(retry=SOON)), [], Failing(1)
    member.on("a", lambda message: seen.append(("before", message.deliveries)))
    member.on("a", failing)
    member.on("a", lambda message: seen.append(("after", message.deliveries)))
    await w.do(member.group.topic.publish("a"))
    await w.do(member.drain())
    assert seen == [("before", 1), ("before", 2), ("after", 2)]
    assert w.pending(member.group) == []


async def test_an_entry_that_fails_does_not_keep_others_from_being_handled(w: World) -> None:
    member, seen = w.member(w.group(retry=RetryPolicy(backoff=(5, 5)))), []

    @member.on("a")
    def handler(message):
        seen.append(message["i"])
        assert message["i"] != "1"

    await w.do(member.group.topic.publish_many([("a", {"i": i}) for i in range(4)]))
    await w.do(member.drain(retries=False))
    assert seen == ["0", "1", "2", "3"]


async def test_what_failed_waits_for_nobody_by_name_until_the_policy_lets_it(w: World) -> None:
    group = w.group(retry=RetryPolicy(backoff=(5, 5)))
    member = w.member(group)
    member.on("a", Failing())
    entry_id = await w.do(group.topic.publish("a"))
    assert await w.do(member.drain(retries=False)) == 0
    assert w.pending(group) == [(entry_id, "~waiting", 1)]


async def test_an_entry_that_keeps_failing_becomes_a_dead_letter_with_its_bytes_and_id(w: World) -> None:
    group = w.group(retry=RetryPolicy(max_deliveries=3, backoff=(0.02, 0.02)))
    member, failing = w.member(group), Failing()
    member.on("*", failing)
    foreign = from_url(w.url)
    fields = {b"type": b"a", b"bad": b"\xff\xfe", "ü".encode(): b""}
    entry_id = foreign.xadd(group.topic.name, fields)
    assert await w.do(member.drain()) == 1
    letters = dead_letters(w, group, foreign)
    foreign.close()
    assert failing.tries == [1, 2, 3]
    assert w.pending(group) == []
    assert len(letters) == 1
    letter = letters[0][1]
    assert {name: value for name, value in letter.items() if not name.startswith(b"dead:")} == fields
    assert (letter[b"dead:id"], letter[b"dead:deliveries"], letter[b"dead:reason"]) == (entry_id, b"3", b"failed")
    assert letter[b"dead:error"] == b"ValueError: not this time"


async def test_an_error_whose_text_is_no_utf8_is_buried_like_others(w: World) -> None:
    group = w.group(retry=RetryPolicy(max_deliveries=1))
    member = w.member(group)

    @member.on("a")
    def handler(message):
        raise ValueError("\udcff")

    await w.do(group.topic.publish("a"))
    await w.do(member.drain())
    assert [letter["dead:error"] for _, letter in dead_letters(w, group)] == ["ValueError: \\udcff"]


async def test_an_error_that_is_not_worth_a_retry_is_buried_at_once(w: World) -> None:
    group = w.group(retry=RetryPolicy(retry_on=(OSError,)))
    member, failing = w.member(group), Failing()
    member.on("a", failing)
    await w.do(group.topic.publish("a"))
    await w.do(member.drain())
    assert failing.tries == [1]
    assert len(dead_letters(w, group)) == 1


async def test_an_unhandled_entry_is_acknowledged_unless_the_group_says_otherwise(w: World) -> None:
    member = w.member()
    member.on("other", print)
    await w.do(member.group.topic.publish("a"))
    assert await w.do(member.drain()) == 1
    assert w.pending(member.group) == [] and dead_letters(w, member.group) == []


async def test_an_unhandled_entry_can_be_left_for_members_that_know_its_type(w: World) -> None:
    group, seen = w.group(unhandled="leave", lease=5), []
    member, other = w.member(group), w.member(group)
    member.on("other", print)
    other.on("a", lambda message: seen.append(message.id))
    entry_id = await w.do(group.topic.publish("a"))
    assert await w.do(member.drain()) == 0
    assert [(row[0], row[1]) for row in w.pending(group)] == [(entry_id, "~waiting")]
    w.age(group, "~waiting", 6)
    await w.do(other.drain())
    assert seen == [entry_id]


async def test_an_unhandled_entry_can_be_buried(w: World) -> None:
    group = w.group(unhandled="bury")
    member = w.member(group)
    member.on("other", print)
    await w.do(group.topic.publish("a"))
    assert await w.do(member.drain()) == 1
    assert w.pending(group) == []
    assert [letter["dead:reason"] for _, letter in dead_letters(w, group)] == ["unhandled"]


async def test_to_listen_without_any_listener_is_an_error(w: World) -> None:
    member = w.member()
    with pytest.raises(ValueError, match="nothing listens"):
        await w.do(member.connect_and_listen())
    with pytest.raises(ValueError, match="nothing listens"):
        await w.do(member.drain())


class Ending(BaseException):
    """What ends a program, and is no Exception."""


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_a_base_exception_of_a_handler_ends_the_listening_and_leaves_the_entry_uncounted(w: World, concurrency: int) -> None:
    group, seen = w.group(), []
    member, other = w.member(group, concurrency=concurrency), w.member(group)

    @member.on("a")
    def handler(message):
        raise Ending

    other.on("a", lambda message: seen.append(message.deliveries))
    await w.do(group.topic.publish("a"))
    with pytest.raises(Ending):
        await w.do(member.connect_and_listen())
    await w.do(other.drain())
    assert seen == [1]


# -- concurrency ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_so_many_handlers_run_at_once_and_never_more(w: World) -> None:
    member, gate = w.member(concurrency=4), Gate(w)
    member.on("a", gate.handler)
    await w.do(member.group.topic.publish_many([("a", {"i": i}) for i in range(30)]))
    async with w.listening(member):
        await w.until(lambda: gate.inside == 4)
        gate.open()
        await w.until(lambda: len(gate.left) == 30)
    assert gate.most == 4
    assert sorted(int(message["i"]) for message in gate.left) == list(range(30))
    assert w.pending(member.group) == []


@pytest.mark.slow
async def test_failures_of_concurrent_handlers_are_retried_one_by_one(w: World) -> None:
    member, tries = w.member(w.group(retry=SOON), concurrency=3), {}

    @member.on("a")
    def handler(message):
        tries.setdefault(message["i"], []).append(message.deliveries)
        if int(message["i"]) % 3 == 0 and message.deliveries < 2:
            raise ValueError("once more")

    await w.do(member.group.topic.publish_many([("a", {"i": i}) for i in range(12)]))
    assert await w.do(member.drain()) == 12
    assert tries == {str(i): [1, 2] if i % 3 == 0 else [1] for i in range(12)}


@pytest.mark.slow
async def test_stop_waits_for_running_handlers(w: World) -> None:
    member, gate = w.member(concurrency=3, prefetch=0), Gate(w)
    member.on("a", gate.handler)
    await w.do(member.group.topic.publish_many([("a", {"i": i}) for i in range(5)]))
    future = w.start(member.connect_and_listen)
    await w.until(lambda: gate.inside == 3)
    member.stop()
    await w.until(lambda: not future.done())
    gate.open()
    await w.until(future.done)
    future.result()
    assert len(gate.left) == 3
    assert {row[1:] for row in w.pending(member.group)} <= {("~waiting", 0)}


@pytest.mark.slow
async def test_handlers_that_outlast_the_grace_are_abandoned_and_their_entries_stay_pending(w: World) -> None:
    member, gate = w.member(id="me", concurrency=2, grace=0.1), Gate(w)
    member.on("a", gate.handler)
    ids = await w.do(member.group.topic.publish_many([("a", {}), ("a", {})]))
    future = w.start(member.connect_and_listen)
    await w.until(lambda: gate.inside == 2)
    member.stop()
    await w.until(future.done, 3)
    future.result()
    pending = [row[0] for row in w.pending(member.group)]
    gate.open()
    assert pending == ids


async def test_concurrency_must_be_a_whole_number_of_one_or_more(w: World) -> None:
    group = w.group()
    for wrong in (0, -1, True, 1.5, "2"):
        with pytest.raises(ValueError, match="concurrency"):
            ConsumerGroupMember(group, concurrency=wrong)
