"""`ConsumerGroupTopic`: the group on the server, what it tells, its listeners, its pool of members."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from streamio import GroupInUse, GroupLost, RetryPolicy, SetupError

from ..world import World

pytestmark = pytest.mark.asyncio
real_only = pytest.mark.parametrize("w", ["blocking-real", "asyncio-real"], indirect=True)


def fill(w: World, topic: Any, count: int = 10) -> list[str]:
    """Entries `1000-0`, `2000-0`, … by a foreign producer."""
    pipe = w.raw.pipeline(transaction=False)
    for i in range(1, count + 1):
        pipe.xadd(topic.name, {"type": "a", "i": i}, id=f"{i * 1000}-0")
    ids: list[str] = pipe.execute()
    return ids


async def first(w: World, group: Any) -> str | None:
    """The id of the first entry that a new member of the group reads."""
    found = await w.do(w.member(group).read(1, timeout=0))
    return found[0].id if found else None


# -- making, moving, destroying -------------------------------------------------------------------------------------------------------


async def test_a_group_is_made_once_and_the_stream_with_it(w: World) -> None:
    group = w.group()
    assert await w.do(group.create()) is True
    assert await w.do(group.create()) is False
    assert [each["name"] for each in w.raw.xinfo_groups(group.topic.name)] == ["group"]
    assert w.raw.xlen(group.topic.name) == 0


async def test_a_group_that_exists_keeps_its_place(w: World) -> None:
    group = w.group()
    ids = fill(w, group.topic)
    await w.do(group.create("5000-0"))
    assert await w.do(group.create("0")) is False
    assert await first(w, group) == ids[5]


@pytest.mark.parametrize(
    ("start", "place"),
    [
        ("0", 0),
        (0, 0),
        ("-", 0),
        ("4000-0", 4),
        ("4000", 4),
        (datetime.fromtimestamp(4.5, UTC), 4),
        (datetime.fromtimestamp(4.5), 4),
        (timedelta(days=365 * 200), 0),
        (timedelta(hours=1), None),
        ("$", None),
        ("+", None),
    ],
)
@pytest.mark.parametrize("how", ["setting", "create", "seek"])
async def test_a_group_begins_where_it_is_told(w: World, start: Any, place: int | None, how: str) -> None:
    topic = w.topic()
    ids = fill(w, topic)
    group = w.group(topic, start=start) if how == "setting" else w.group(topic)
    if how == "create":
        await w.do(group.create(start))
    elif how == "seek":
        await w.do(group.create("7000-0"))
        await w.do(group.seek(start))
    assert await first(w, group) == (None if place is None else ids[place])


async def test_a_group_begun_at_the_end_gets_what_comes_then(w: World) -> None:
    group = w.group(start="$")
    fill(w, group.topic)
    await w.do(group.create())
    new = w.raw.xadd(group.topic.name, {"type": "new"})
    assert await first(w, group) == new


async def test_many_may_make_the_same_group_at_once(w: World) -> None:
    group = w.group()
    others = [w.group(w.topic()) for _ in range(7)]
    made = await asyncio.gather(*(w.start(each.create) for each in (group, *others)))
    assert sorted(made) == [False] * 7 + [True]


async def test_seeking_back_delivers_again_and_keeps_what_is_pending(w: World) -> None:
    group = w.group()
    fill(w, group.topic, 3)
    member = w.member(group, "me")
    held = await w.do(member.read(2, timeout=0))
    await w.do(group.seek("0"))
    assert [row[0] for row in w.pending(group)] == [message.id for message in held]
    assert await first(w, group) == "1000-0"


async def test_destroy_tells_whether_there_was_a_group(w: World) -> None:
    group = w.group()
    assert await w.do(group.destroy()) is False
    await w.do(group.create())
    assert await w.do(group.destroy()) is True
    assert w.raw.xinfo_groups(group.topic.name) == []


async def test_a_group_with_a_live_member_is_not_destroyed(w: World) -> None:
    group = w.group()
    member = w.member(group, "worker", handlers={"*": print_nothing})
    async with w.listening(member):
        await w.do(group.topic.publish("a"))
        await w.until(lambda: known(w, group))
        with pytest.raises(GroupInUse, match="worker") as caught:
            await w.do(group.destroy())
        assert caught.value.members == ("worker",)
    assert await w.do(group.destroy()) is True


async def test_a_member_that_never_got_anything_is_alive_too(w: World) -> None:
    group = w.group()
    member = w.member(group, "worker", handlers={"*": print_nothing})
    async with w.listening(member):
        await w.until(lambda: known(w, group))
        assert (await w.do(group.info())).short == 0
        with pytest.raises(GroupInUse, match="worker"):
            await w.do(group.destroy())


def known(w: World, group: Any) -> list[str]:
    """The members that the server knows."""
    if not w.raw.exists(group.topic.name) or not w.raw.xinfo_groups(group.topic.name):
        return []
    return [each["name"] for each in w.raw.xinfo_consumers(group.topic.name, group.name)]


def print_nothing(message: Any) -> None:
    """A handler."""


async def test_a_group_is_destroyed_by_force_and_its_members_here_stop(w: World) -> None:
    group = w.group()
    group.on("*", print_nothing)
    member = w.member(group, "worker")
    listening = w.start(member.connect_and_listen)
    await w.do(group.topic.publish("a"))
    await w.until(lambda: known(w, group))
    assert await w.do(group.destroy(force=True)) is True
    await asyncio.wait_for(listening, 10)


async def test_a_member_that_went_silent_for_a_lease_does_not_keep_the_group(w: World) -> None:
    group = w.group(lease=0.05)
    fill(w, group.topic, 1)
    await w.do(group.create())
    w.raw.xreadgroup(group.name, "dead", {group.topic.name: ">"})
    await w.until(lambda: w.raw.xinfo_consumers(group.topic.name, group.name)[0]["idle"] > 50)
    assert await w.do(group.destroy()) is True


async def test_connect_makes_the_group_and_leaves_no_member(w: World) -> None:
    group = w.group(max=1)
    await w.do(group.connect())
    assert [each["name"] for each in w.raw.xinfo_groups(group.topic.name)] == ["group"]
    assert w.raw.xinfo_consumers(group.topic.name, group.name) == []
    await w.do(group.connect())
    assert await w.do(group.create()) is False


# -- info, consumers, pending ---------------------------------------------------------------------------------------------------------


async def test_info_tells_where_the_group_stands(w: World) -> None:
    group = w.group(min=3)
    ids = fill(w, group.topic)
    member = w.member(group, "me")
    messages = await w.do(member.read(4, timeout=0))
    messages[0].ack()
    messages[1].nack(delay=20)
    await w.do(member.flush())
    info = await w.do(group.info())
    assert (info.name, info.topic, info.consumers, info.short) == ("group", group.topic.name, 1, 2)
    assert (info.pending, info.waiting, info.lag, info.last_delivered_id) == (3, 1, 6 if w.version >= (7, 0) else None, ids[3])


async def test_before_its_first_entry_a_group_lags_by_all_of_the_stream(w: World) -> None:
    group = w.group()
    ids = fill(w, group.topic)
    await w.do(group.create())
    assert (await w.do(group.info())).lag == 10
    await w.do(w.member(group).read(3, timeout=0))
    await w.do(group.topic.delete(ids[6]))
    await w.do(group.topic.delete(*ids[:4]))
    assert (await w.do(group.info())).lag == 5
    assert (await w.do(group.topic.groups()))[0].lag == 5


async def test_the_lag_is_none_where_the_server_does_not_know(w: World) -> None:
    group = w.group()
    ids = fill(w, group.topic)
    await w.do(group.create())
    await w.do(w.member(group).read(3, timeout=0))
    await w.do(group.topic.delete(ids[6]))
    assert (await w.do(group.info())).lag is None


async def test_info_of_a_group_that_does_not_exist_is_a_setup_error(w: World) -> None:
    group = w.group()
    with pytest.raises(SetupError, match=r"'group'"):
        await w.do(group.info())
    fill(w, group.topic, 1)
    with pytest.raises(SetupError, match=group.topic.name):
        await w.do(group.info())


async def test_consumers_are_members_and_waiting_entries_are_none(w: World) -> None:
    group = w.group()
    fill(w, group.topic, 3)
    member = w.member(group, "me")
    messages = await w.do(member.read(3, timeout=0))
    messages[2].nack(delay=20)
    await w.do(member.flush())
    (consumer,) = await w.do(group.consumers())
    assert (consumer.name, consumer.pending) == ("me", 2)
    assert 0 <= consumer.idle < 20
    assert {row[1] for row in w.pending(group)} == {"me", "~waiting"}


async def test_a_group_that_does_not_exist_has_no_consumers_and_nothing_pending(w: World) -> None:
    group = w.group()
    assert await w.do(group.consumers()) == []
    assert await w.do(group.pending()) == []
    fill(w, group.topic, 1)
    assert await w.do(group.consumers()) == []
    assert await w.do(group.pending()) == []


async def test_pending_tells_whose_each_entry_is(w: World) -> None:
    group = w.group()
    ids = fill(w, group.topic, 3)
    await w.do(group.create())
    w.raw.xreadgroup(group.name, "one", {group.topic.name: ">"}, 2)
    w.raw.xreadgroup(group.name, "two", {group.topic.name: ">"}, 1)
    w.age(group, "one", 60)
    rows = await w.do(group.pending())
    assert [(row.id, row.consumer, row.deliveries) for row in rows] == [(ids[0], "one", 1), (ids[1], "one", 1), (ids[2], "two", 1)]
    assert [row.idle >= 60 for row in rows] == [True, True, False]
    assert [row.id for row in await w.do(group.pending(idle=30))] == ids[:2]
    assert [row.id for row in await w.do(group.pending(idle=timedelta(seconds=30)))] == ids[:2]
    assert [row.id for row in await w.do(group.pending(consumer="two"))] == ids[2:]
    assert [row.id for row in await w.do(group.pending(consumer="one", count=1))] == ids[:1]
    assert await w.do(group.pending(consumer="two", idle=30)) == []
    assert await w.do(group.pending(count=0)) == []


async def test_pending_gives_more_than_one_page(w: World) -> None:
    group = w.group()
    ids = fill(w, group.topic, 2300)
    await w.do(group.create())
    w.raw.xreadgroup(group.name, "one", {group.topic.name: ">"}, 2300)
    assert [row.id for row in await w.do(group.pending())] == ids
    assert [row.id for row in await w.do(group.pending(count=1500))] == ids[:1500]


# -- listeners ------------------------------------------------------------------------------------------------------------------------


async def test_a_groups_listeners_run_before_the_members_own(w: World) -> None:
    group, seen = w.group(), []
    one, two = w.member(group, "one"), w.member(group, "two")
    one.on("a", lambda message: seen.append("one"))
    two.on("a", lambda message: seen.append("two"))
    group.on("a", lambda message: seen.append("group"))
    async with w.listening(one):
        await w.do(group.topic.publish("a"))
        await w.until(lambda: len(seen) == 2)
    async with w.listening(two):
        await w.do(group.topic.publish("a"))
        await w.until(lambda: len(seen) == 4)
    assert seen == ["group", "one", "group", "two"]


async def test_a_listener_of_the_group_is_enough_for_its_members(w: World) -> None:
    group, seen = w.group(), []
    member = w.member(group)

    @group.on("order.*")
    def handler(message: Any) -> None:
        seen.append((message.type, message.group))

    async with w.listening(member):
        await w.do(group.topic.publish("order.placed"))
        await w.until(lambda: seen)
    assert seen == [("order.placed", "group")]


async def test_once_of_a_group_is_for_one_entry_of_all_its_members(w: World) -> None:
    group, seen = w.group(), []
    group.once("a", lambda message: seen.append("once"))
    group.on("a", lambda message: seen.append("on"))
    one, two = w.member(group, "one"), w.member(group, "two")
    async with w.listening(one, two):
        for _ in range(6):
            await w.do(group.topic.publish("a"))
        await w.until(lambda: seen.count("on") == 6)
    assert seen.count("once") == 1


async def test_once_stays_until_its_entry_succeeded(w: World) -> None:
    group, tries = w.group(retry=RetryPolicy(backoff=(0.02, 0.02))), []

    @group.once("a")
    def handler(message: Any) -> None:
        tries.append(message.deliveries)
        if len(tries) < 3:
            raise ValueError("not yet")

    member = w.member(group)
    async with w.listening(member):
        await w.do(group.topic.publish("a"))
        await w.until(lambda: len(tries) == 3 and not w.pending(group))
        await w.until(lambda: not group.any_listener())
    assert tries == [1, 2, 3]


async def test_a_listener_added_to_a_group_while_its_member_listens_is_called(w: World) -> None:
    group, seen = w.group(), []
    member = w.member(group, handlers={"a": lambda message: seen.append("own")})
    async with w.listening(member):
        await w.do(group.topic.publish("a"))
        await w.until(lambda: seen == ["own"])
        later = group.on("a", lambda message: seen.append("later"))
        await w.do(group.topic.publish("a"))
        await w.until(lambda: seen == ["own", "later", "own"])
        group.remove_listener("a", later)
        await w.do(group.topic.publish("a"))
        await w.until(lambda: seen == ["own", "later", "own", "own"])


# -- the group as a loop and as a pool ---------------------------------------------------------------------------------------------------


async def test_a_group_is_iterable_itself(w: World) -> None:
    group = w.group()
    ids = fill(w, group.topic, 3)
    loop = w.loop(group)
    assert [(await w.next(loop)).id for _ in range(3)] == ids
    group.stop()
    assert await w.next(loop) is None
    assert w.pending(group) == []


@pytest.mark.slow
async def test_a_pool_of_members_shares_the_entries(w: World) -> None:
    group = w.group()
    handled: list[str] = []
    busy: set[str] = set()
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()

    def mark(message: Any) -> None:
        busy.add(message._hand.settings.me)
        if len(busy) == 3:
            loop.call_soon_threadsafe(gate.set)

    if w.asyncio:

        async def handler(message: Any) -> None:
            mark(message)
            await gate.wait()
            handled.append(message.id)
    else:

        def handler(message: Any) -> None:
            mark(message)
            asyncio.run_coroutine_threadsafe(gate.wait(), loop).result(10)
            handled.append(message.id)

    group.on("*", handler)
    ids = fill(w, group.topic, 30)
    listening = w.start(lambda: group.connect_and_listen(members=3))
    await w.until(lambda: len(handled) == 30)
    group.stop()
    await asyncio.wait_for(listening, 20)
    assert sorted(handled) == sorted(ids)
    assert len(busy) == 3
    assert w.pending(group) == []


@pytest.mark.slow
async def test_a_pool_has_min_members_where_no_number_is_given(w: World) -> None:
    group = w.group(min=2)
    group.on("*", print_nothing)
    listening = w.start(group.connect_and_listen)
    await w.until(lambda: [member._hand.state for member in list(group._members)] == ["listening"] * 2)
    group.stop()
    await asyncio.wait_for(listening, 20)


async def test_a_pool_stopped_before_it_began_returns_at_once(w: World) -> None:
    group = w.group()
    group.on("*", print_nothing)
    group.stop()
    await asyncio.wait_for(w.start(group.connect_and_listen), 5)


@pytest.mark.slow
async def test_an_error_of_one_member_ends_the_pool(w: World) -> None:
    group = w.group(on_group_lost="raise")
    group.on("*", print_nothing)
    listening = w.start(lambda: group.connect_and_listen(members=2))
    await w.until(lambda: [member._hand.state for member in list(group._members)] == ["listening"] * 2)
    w.raw.xgroup_destroy(group.topic.name, group.name)
    await w.do(group.topic.publish("a"))
    with pytest.raises(GroupLost, match="'group'"):
        await asyncio.wait_for(listening, 20)


async def test_a_pool_without_a_listener_is_refused(w: World) -> None:
    with pytest.raises(ValueError, match="nothing listens on group"):
        await w.do(w.group().connect_and_listen())


@pytest.mark.parametrize("members", [0, -1, 1.5, "2", True])
async def test_a_pool_of_no_number_is_refused(w: World, members: Any) -> None:
    group = w.group()
    group.on("*", print_nothing)
    with pytest.raises(ValueError, match="members"):
        await w.do(group.connect_and_listen(members=members))


async def test_closing_a_group_closes_its_members_here(w: World) -> None:
    group = w.group()
    group.on("*", print_nothing)
    member = w.member(group, "me")
    listening = w.start(member.connect_and_listen)
    await w.until(lambda: member._hand.state == "listening")
    await w.do(group.close())
    await asyncio.wait_for(listening, 10)
    assert (await w.do(member.info())).state == "closed"
    with pytest.raises(RuntimeError, match="closed"):
        await w.do(member.connect())


async def test_a_group_makes_its_members(w: World) -> None:
    group = w.group()
    member = group.member("me", concurrency=2)
    w.things.append(member)
    assert (member.group, member.id) == (group, "me")


async def test_a_groups_own_options_are_used_by_its_members(w: World) -> None:
    group = w.group(lease=7, claim_interval=3, unhandled="leave")
    settings = w.member(group)._hand.settings
    assert (settings.lease, settings.claim_interval, settings.unhandled) == (7, 3, "leave")
    assert w.group(lease=8).claim_interval == 4


async def test_a_group_that_begins_at_a_moment_gets_the_entry_of_that_moment(w: World) -> None:
    topic = w.topic()
    w.raw.xadd(topic.name, {"type": "x", "n": 1}, id="1700000000000-0")
    w.raw.xadd(topic.name, {"type": "x", "n": 2}, id="1700000000001-0")
    moment = datetime.fromtimestamp(1_700_000_000, tz=UTC)
    seen: list[str] = []
    for group in (w.group(topic, "a", start=moment), w.group(topic, "b", start="$")):
        await w.do(group.create())
        await w.do(group.seek(moment))
        member = w.member(group)
        member.on("*", lambda message: seen.append(message["n"]))
        await w.do(member.drain())
    assert seen == ["1", "2"] * 2


async def test_a_group_that_begins_some_time_ago_gets_what_came_since(w: World) -> None:
    topic = w.topic()
    w.raw.xadd(topic.name, {"type": "x", "n": "old"}, id="1700000000000-0")
    await w.do(topic.publish("x", n="new"))
    group, seen = w.group(topic, start=timedelta(minutes=5)), []
    await w.do(group.create())
    member = w.member(group)
    member.on("*", lambda message: seen.append(message["n"]))
    await w.do(member.drain())
    assert seen == ["new"]


@pytest.mark.parametrize("w", ["asyncio-embedded", "asyncio-real"], indirect=True)
@pytest.mark.parametrize("stubborn", [False, True])
async def test_a_pool_that_is_cancelled_cancels_its_handlers_and_ends_after_them(w: World, stubborn: bool) -> None:
    group, inside, ended = w.group(min=2), [], []

    async def handler(message: Any) -> None:
        inside.append(message.id)
        try:
            await asyncio.sleep(20)
        finally:
            try:
                await asyncio.sleep(20 * stubborn)  # until it is cancelled again
            finally:
                ended.append(message.id)

    group.on("*", handler)
    fill(w, group.topic, 1)
    before = asyncio.all_tasks()
    task = asyncio.ensure_future(group.connect_and_listen())
    await w.until(lambda: inside)
    for _ in range(1 + stubborn):
        task.cancel()
        await asyncio.sleep(0.1)
    await asyncio.wait({task}, timeout=5)
    assert task.cancelled()
    assert ended == inside
    assert asyncio.all_tasks() == before
