"""`Topic`: writing, looking, trimming, and reading without a group."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
import redis

from streamio import PublishStopped, PublishUncertain, from_url

from ..proxy import Proxy
from ..world import World

pytestmark = pytest.mark.asyncio
real_only = pytest.mark.parametrize("w", ["blocking-real", "asyncio-real"], indirect=True)


@pytest_asyncio.fixture
async def proxied(w: World) -> Any:
    """A proxy before the world's server, and a topic that is reached through it."""
    assert w.port is not None
    proxy = Proxy(w.port)
    client: Any = from_url(f"redis://127.0.0.1:{proxy.port}", asyncio=True) if w.asyncio else from_url(f"redis://127.0.0.1:{proxy.port}")
    w.clients.append(client)
    yield proxy, w.topic(client=client)
    proxy.close()


def entries(w: World, topic: Any) -> list[tuple[str, dict[str, str]]]:
    """The stream as a foreign client sees it."""
    found: list[tuple[str, dict[str, str]]] = w.raw.xrange(topic.name)
    return found


async def all_of(w: World, iterable: Any) -> list[Any]:
    """Everything an iterable gives."""
    return [item async for item in w.each(iterable)]


# -- publish ------------------------------------------------------------------------------------------------------------------------


async def test_data_and_fields_are_published_together(w: World) -> None:
    topic = w.topic()
    entry_id = await w.do(topic.publish("order.placed", {"a": 1, "b": "ü"}, c=True))
    assert entries(w, topic) == [(entry_id, {"type": "order.placed", "a": "1", "b": "ü", "c": "true"})]


async def test_an_entry_may_have_nothing_but_a_type(w: World) -> None:
    topic = w.topic()
    entry_id = await w.do(topic.publish("ping"))
    assert entries(w, topic) == [(entry_id, {"type": "ping"})]


async def test_headers_have_their_own_place_on_the_wire(w: World) -> None:
    topic = w.topic()
    await w.do(topic.publish("a", x=1, headers={"tenant": "t1", "traceparent": "00-1"}))
    assert entries(w, topic)[0][1] == {"type": "a", "header:tenant": "t1", "traceparent": "00-1", "x": "1"}


async def test_an_entry_id_may_be_given(w: World) -> None:
    topic = w.topic()
    assert [await w.do(topic.publish("a", entry_id=wanted)) for wanted in ("5-3", "7")] == ["5-3", "7-0"]
    if w.version >= (7, 0):
        assert await w.do(topic.publish("a", entry_id="8-*")) == "8-0"


async def test_an_id_below_the_last_is_the_servers_error(w: World) -> None:
    topic = w.topic()
    await w.do(topic.publish("a", entry_id="5-3"))
    with pytest.raises(redis.ResponseError, match="equal or smaller"):
        await w.do(topic.publish("a", entry_id="5-3"))
    assert len(entries(w, topic)) == 1


async def test_a_closed_topic_publishes_no_more(w: World) -> None:
    topic = w.topic()
    await w.do(topic.close())
    assert topic.closed
    with pytest.raises(ValueError, match="closed"):
        await w.do(topic.publish("a"))
    with pytest.raises(ValueError, match="closed"):
        await w.do(topic.publish_many([("a", {})]))


async def test_closing_a_topic_leaves_the_callers_client_open(w: World) -> None:
    client = w.client()
    topic = w.topic(client=client)
    await w.do(topic.publish("a"))
    async with w.block(topic):
        pass
    assert await w.do(client.xlen(topic.name)) == 1


# -- publish_many -------------------------------------------------------------------------------------------------------------------


async def test_many_are_published_from_tuples_and_mappings_in_order(w: World) -> None:
    topic = w.topic()
    ids = await w.do(topic.publish_many([("a", {"i": 0}), {"type": "b", "i": 1}, ("c", None)]))
    rows = [{"type": "a", "i": "0"}, {"type": "b", "i": "1"}, {"type": "c"}]
    assert entries(w, topic) == list(zip(ids, rows, strict=True))


async def test_publishing_nothing_gives_nothing(w: World) -> None:
    topic = w.topic()
    assert await w.do(topic.publish_many([])) == []
    assert await w.do(topic.publish_many(iter(()))) == []
    assert not w.raw.exists(topic.name)


async def test_many_are_written_in_batches_of_five_hundred(w: World) -> None:
    topic, lengths = w.topic(), []

    def items() -> Any:
        for i in range(1100):
            lengths.append(w.raw.xlen(topic.name)) if i in (499, 500, 1000) else None
            yield "a", {"i": i}

    ids = await w.do(topic.publish_many(items()))
    assert lengths == [0, 500, 1000]
    assert [(entry_id, row["i"]) for entry_id, row in entries(w, topic)] == [(entry_id, str(i)) for i, entry_id in enumerate(ids)]


async def test_an_async_iterable_is_published_where_the_topic_is_asyncio(w: World) -> None:
    topic = w.topic()

    async def items() -> Any:
        for i in range(700):
            yield "a", {"i": i}

    if w.asyncio:
        assert len(await topic.publish_many(items())) == w.raw.xlen(topic.name) == 700
    else:
        with pytest.raises(TypeError, match="not an async one"):
            topic.publish_many(items())


@pytest.mark.parametrize("bad", [("a", {"i": None}), ("a",), "ab", {"i": 1}, (1, {}), ("a", {"type": 1}), ("a", {"x": "\ud800"}), None])
@pytest.mark.parametrize("place", [0, 2, 502])
async def test_a_bad_item_stops_publishing_and_the_error_tells_where(w: World, bad: Any, place: int) -> None:
    topic = w.topic()
    items: list[Any] = [("a", {"i": i}) for i in range(place)] + [bad] + [("a", {"i": "behind"})] * 3
    with pytest.raises(PublishStopped, match=f"item {place}") as caught:
        await w.do(topic.publish_many(items))
    assert caught.value.index == place
    assert caught.value.ids == [entry_id for entry_id, _ in entries(w, topic)]
    assert len(caught.value.ids) == place
    assert isinstance(caught.value.__cause__, (TypeError, ValueError))


async def test_an_iterable_that_raises_stops_publishing(w: World) -> None:
    topic = w.topic()

    def items() -> Any:
        for i in range(503):
            yield "a", {"i": i}
        raise OSError("disk")

    with pytest.raises(PublishStopped, match="disk") as caught:
        await w.do(topic.publish_many(items()))
    assert caught.value.index == len(caught.value.ids) == w.raw.xlen(topic.name) == 503
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize("w", ["asyncio-embedded", "asyncio-real"], indirect=True)
async def test_an_async_iterable_that_raises_stops_publishing(w: World) -> None:
    topic = w.topic()

    async def items() -> Any:
        yield "a", {"i": 0}
        raise OSError("disk")

    with pytest.raises(PublishStopped, match="disk") as caught:
        await topic.publish_many(items())
    assert caught.value.index == len(caught.value.ids) == w.raw.xlen(topic.name) == 1


@pytest.mark.parametrize("items", ["text", b"text", {"type": "a"}, None, 5])
async def test_what_is_no_iterable_of_items_is_refused(w: World, items: Any) -> None:
    with pytest.raises(TypeError, match="publish_many takes an iterable"):
        await w.do(w.topic().publish_many(items))


# -- lost replies and closed connections ----------------------------------------------------------------------------------------------


@real_only
async def test_a_lost_reply_is_told_and_the_entry_stands_once(w: World, proxied: tuple[Proxy, Any]) -> None:
    proxy, topic = proxied
    await w.do(topic.publish("before"))
    proxy.cut(b"precious")
    with pytest.raises(PublishUncertain, match=topic.name) as caught:
        await w.do(topic.publish("precious"))
    assert isinstance(caught.value.__cause__, redis.ConnectionError)
    assert [row["type"] for _, row in entries(w, topic)] == ["before", "precious"]
    await w.do(topic.publish("after"))
    assert [row["type"] for _, row in entries(w, topic)] == ["before", "precious", "after"]


@real_only
async def test_a_lost_reply_to_many_tells_which_are_known_to_be_written(w: World, proxied: tuple[Proxy, Any]) -> None:
    proxy, topic = proxied
    proxy.cut(b"item-700")
    with pytest.raises(PublishUncertain) as caught:
        await w.do(topic.publish_many([("a", {"i": f"item-{i}"}) for i in range(1200)]))
    found = entries(w, topic)
    assert 500 <= caught.value.index == len(caught.value.ids) <= 700
    assert caught.value.ids == [entry_id for entry_id, _ in found][: caught.value.index]
    assert [row["i"] for _, row in found] == [f"item-{i}" for i in range(len(found))]


@real_only
async def test_where_the_server_goes_between_two_batches_the_ids_so_far_are_told(w: World, proxied: tuple[Proxy, Any]) -> None:
    proxy, topic = proxied

    def items() -> Any:
        for i in range(700):
            if i == 600:
                proxy.close()
            yield "a", {"i": i}

    with pytest.raises(PublishStopped, match="stopped at item 500") as caught:
        await w.do(topic.publish_many(items()))
    assert isinstance(caught.value.__cause__, redis.ConnectionError)
    assert caught.value.ids == [entry_id for entry_id, _ in entries(w, topic)]
    assert len(caught.value.ids) == 500


@real_only
async def test_an_idle_connection_that_the_server_closed_is_replaced_without_a_double(w: World) -> None:
    topic = w.topic()
    await w.do(topic.publish("a"))
    w.raw.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    await w.until(lambda: len(w.raw.client_list()) == 1)
    await w.do(topic.publish("b"))
    assert [row["type"] for _, row in entries(w, topic)] == ["a", "b"]


@real_only
async def test_a_server_that_is_not_there_is_redis_own_connection_error(w: World) -> None:
    client: Any = from_url("redis://127.0.0.1:1", asyncio=True) if w.asyncio else from_url("redis://127.0.0.1:1")
    w.clients.append(client)
    with pytest.raises(redis.ConnectionError):
        await w.do(w.topic(client=client).publish("a"))


# -- looking and deleting -----------------------------------------------------------------------------------------------------------


async def test_a_stream_that_does_not_exist_is_empty(w: World) -> None:
    topic = w.topic()
    info = await w.do(topic.info())
    assert (info.name, info.length, info.groups, info.first_id, info.last_id) == (topic.name, 0, 0, None, None)
    assert await w.do(topic.length()) == 0
    assert await w.do(topic.groups()) == []
    assert await w.do(topic.delete("1-1")) == 0
    assert await all_of(w, topic.replay()) == []
    assert (await w.do(topic.trim(maxlen=0))).removed == 0
    assert (await w.do(topic.trim(acked=True))).removed == 0
    assert not w.raw.exists(topic.name)


async def test_info_tells_the_streams_facts(w: World) -> None:
    topic = w.topic()
    ids = await w.do(topic.publish_many([("a", {"i": i}) for i in range(5)]))
    await w.do(topic.delete(ids[4]))
    await w.do(topic.group("g").create())
    info = await w.do(topic.info())
    assert (info.length, info.groups, info.first_id, info.last_id) == (4, 1, ids[0], ids[3])
    assert (info.last_generated_id, info.entries_added) == (ids[4], 5 if w.version >= (7, 0) else None)


async def test_delete_tells_how_many_there_were(w: World) -> None:
    topic = w.topic()
    ids = await w.do(topic.publish_many([("a", {"i": i}) for i in range(3)]))
    assert await w.do(topic.delete(ids[0], ids[2], "1-1")) == 2
    assert await w.do(topic.delete(ids[0])) == 0
    assert await w.do(topic.delete()) == 0
    assert await w.do(topic.length()) == 1


async def test_groups_tells_of_every_group(w: World) -> None:
    topic = w.topic()
    await w.do(topic.publish_many([("a", {})] * 3))
    await w.do(topic.group("one").create())
    await w.do(topic.group("two").create("$"))
    assert [(each.name, each.topic, each.lag) for each in await w.do(topic.groups())] == [("one", topic.name, 3), ("two", topic.name, 0)]


async def test_a_topic_makes_its_groups(w: World) -> None:
    topic = w.topic()
    group = topic.group("g", lease=5, max=3)
    assert (group.topic, group.name, group.lease, group.max) == (topic, "g", 5, 3)


# -- trimming -----------------------------------------------------------------------------------------------------------------------


async def filled(w: World, count: int = 10) -> tuple[Any, list[str]]:
    """A topic with entries `1000-0`, `2000-0`, … (one a second, at the beginning of time)."""
    topic = w.topic()
    pipe = w.raw.pipeline(transaction=False)
    for i in range(1, count + 1):
        pipe.xadd(topic.name, {"type": "a", "i": i}, id=f"{i * 1000}-0")
    return topic, pipe.execute()


async def test_trim_keeps_the_newest_so_many(w: World) -> None:
    topic, ids = await filled(w)
    result = await w.do(topic.trim(maxlen=3, exact=True))
    assert (result.removed, result.held_by) == (7, None)
    assert [entry_id for entry_id, _ in entries(w, topic)] == ids[7:]


async def test_an_approximate_trim_removes_whole_nodes_only(w: World) -> None:
    topic, _ = await filled(w, 350)
    assert (await w.do(topic.trim(maxlen=60))).removed == 200
    assert (await w.do(topic.trim(maxlen=60))).removed == 0


@pytest.mark.parametrize("minid", ["4000", "4000-0", 4000, "3000-1", datetime.fromtimestamp(4, UTC)])
async def test_trim_keeps_what_is_not_below_a_position(w: World, minid: Any) -> None:
    topic, ids = await filled(w)
    assert (await w.do(topic.trim(minid=minid, exact=True))).removed == 3
    assert entries(w, topic)[0][0] == ids[3]


@pytest.mark.parametrize("max_age", [60, timedelta(minutes=1)])
async def test_trim_keeps_what_is_young(w: World, max_age: Any) -> None:
    topic, _ = await filled(w)
    young = await w.do(topic.publish("young"))
    assert (await w.do(topic.trim(max_age=max_age, exact=True))).removed == 10
    assert [entry_id for entry_id, _ in entries(w, topic)] == [young]


@pytest.mark.parametrize("limits", [{}, {"maxlen": 1, "minid": "5"}, {"maxlen": 1, "max_age": 1, "acked": True}])
async def test_trim_takes_one_limit(w: World, limits: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="trim takes one of maxlen, max_age and minid"):
        await w.do(w.topic().trim(**limits))


async def read(w: World, topic: Any, group: str, count: int, acked: int = 0) -> None:
    """Let a foreign consumer of a group read entries and acknowledge the first of them."""
    w.raw.xgroup_create(topic.name, group, "0")
    if count:
        ((_, found),) = w.raw.xreadgroup(group, "foreign", {topic.name: ">"}, count)
        w.raw.xack(topic.name, group, *[entry_id for entry_id, _ in found[:acked]]) if acked else None


async def test_trimming_what_is_acknowledged_keeps_what_a_group_that_was_moved_back_reads_again(w: World) -> None:
    group = w.group()
    topic = group.topic
    ids = await w.do(topic.publish_many(("a", {"n": n}) for n in range(10)))
    w.raw.xgroup_create(topic.name, group.name, "0")
    w.raw.xreadgroup(group.name, "reader", {topic.name: ">"})
    w.raw.xack(topic.name, group.name, *ids[:9])
    await w.do(group.seek(ids[2]))
    assert (await w.do(topic.preview_trim(acked=True, exact=True))).entries == 3
    assert (await w.do(topic.trim(acked=True, exact=True))).removed == 3
    assert [entry_id for entry_id, _ in w.raw.xrange(topic.name)] == ids[3:]


async def test_trimming_what_is_acknowledged_removes_nothing_without_a_group(w: World) -> None:
    topic, _ = await filled(w)
    result = await w.do(topic.trim(acked=True, exact=True))
    assert (result.removed, result.held_by) == (0, None)
    assert await w.do(topic.length()) == 10


async def test_a_pending_entry_holds_back_what_is_not_below_it(w: World) -> None:
    topic, ids = await filled(w)
    await read(w, topic, "slow", 8, acked=3)
    await read(w, topic, "quick", 10, acked=10)
    result = await w.do(topic.trim(acked=True, exact=True))
    assert (result.removed, result.held_by.group, result.held_by.oldest) == (3, "slow", ids[3])
    assert result.held_by.since == datetime.fromtimestamp(4, UTC)
    assert entries(w, topic)[0][0] == ids[3]


async def test_a_pending_entry_behind_acknowledged_ones_is_not_lost(w: World) -> None:
    topic, ids = await filled(w)
    await read(w, topic, "g", 10)
    w.raw.xack(topic.name, "g", *ids[:2], *ids[5:])
    await w.do(topic.trim(acked=True, exact=True))
    assert [entry_id for entry_id, _ in entries(w, topic)] == ids[2:]


async def test_what_a_group_has_not_read_is_kept(w: World) -> None:
    topic, ids = await filled(w)
    await read(w, topic, "g", 4, acked=4)
    result = await w.do(topic.trim(acked=True, exact=True))
    assert (result.removed, result.held_by.group) == (4, "g")
    assert entries(w, topic)[0][0] == ids[4]


async def test_all_goes_when_all_is_acknowledged(w: World) -> None:
    topic, _ = await filled(w)
    await read(w, topic, "g", 10, acked=10)
    result = await w.do(topic.trim(acked=True, exact=True))
    assert (result.removed, result.held_by) == (10, None)
    assert await w.do(topic.length()) == 0


async def test_a_group_that_read_nothing_holds_everything(w: World) -> None:
    topic, _ = await filled(w)
    await read(w, topic, "quick", 10, acked=10)
    await read(w, topic, "new", 0)
    result = await w.do(topic.trim(acked=True, exact=True))
    assert (result.removed, result.held_by.group) == (0, "new")


async def test_an_abandoned_group_may_be_ignored(w: World) -> None:
    topic, _ = await filled(w)
    await read(w, topic, "quick", 10, acked=10)
    await read(w, topic, "old", 0)
    assert (await w.do(topic.trim(acked=True, exact=True, ignore=["old"]))).removed == 10
    topic, _ = await filled_again(w, topic)
    assert (await w.do(topic.trim(acked=True, exact=True, ignore=["old", "quick"]))).removed == 0


async def filled_again(w: World, topic: Any) -> tuple[Any, Any]:
    """One entry more."""
    return topic, w.raw.xadd(topic.name, {"type": "a"}, id="99000-0")


@pytest.mark.parametrize(
    ("limits", "removed", "held"),
    [
        ({"maxlen": 8}, 2, False),
        ({"maxlen": 5}, 5, False),
        ({"maxlen": 4}, 5, True),
        ({"maxlen": 0}, 5, True),
        ({"maxlen": 10}, 0, False),
        ({"maxlen": 99}, 0, False),
        ({"minid": "3000-0"}, 2, False),
        ({"minid": "6000-0"}, 5, False),
        ({"minid": "6000-1"}, 5, True),
        ({"minid": "9000"}, 5, True),
        ({"max_age": 60}, 5, True),
    ],
)
async def test_acknowledged_and_a_limit_remove_what_both_allow(w: World, limits: dict[str, Any], removed: int, held: bool) -> None:
    topic, _ = await filled(w)
    await read(w, topic, "g", 7, acked=5)
    result = await w.do(topic.trim(acked=True, exact=True, **limits))
    assert (result.removed, result.held_by is not None) == (removed, held)
    assert await w.do(topic.length()) == 10 - removed


async def test_an_approximate_trim_of_what_is_acknowledged_never_removes_more(w: World) -> None:
    topic, _ = await filled(w, 350)
    await read(w, topic, "g", 260, acked=250)
    result = await w.do(topic.trim(acked=True))
    assert (result.removed, result.held_by.group) == (200, "g")


# -- retention ----------------------------------------------------------------------------------------------------------------------


async def test_maxlen_keeps_about_the_newest_at_each_publish(w: World) -> None:
    topic = w.topic(maxlen=100)
    await w.do(topic.publish_many([("a", {"i": i}) for i in range(450)]))
    last = await w.do(topic.publish("a", i=450))
    found = entries(w, topic)
    assert 100 <= len(found) <= 250
    assert found[-1] == (last, {"type": "a", "i": "450"})


async def test_max_age_removes_the_old_at_each_publish(w: World) -> None:
    old, _ = await filled(w, 250)
    topic = w.topic(max_age=60)
    assert topic.name == old.name
    young = await w.do(topic.publish("a"))
    found = entries(w, topic)
    assert len(found) <= 51
    assert found[-1][0] == young


async def test_an_id_of_the_callers_does_not_set_the_clock_of_max_age(w: World) -> None:
    topic = w.topic(max_age=timedelta(minutes=1))
    for i in range(1, 251):
        await w.do(topic.publish("old", entry_id=f"{i}-1"))
    await w.do(topic.publish("young"))
    assert await w.do(topic.length()) <= 51


# -- replay -------------------------------------------------------------------------------------------------------------------------


async def test_replay_gives_the_whole_history_as_messages(w: World) -> None:
    topic = w.topic()
    entry_id = await w.do(topic.publish("a", {"x": 1}, headers={"h": "v"}))
    (message,) = await all_of(w, topic.replay())
    assert (message.id, message.type, message.data, message.headers) == (entry_id, "a", {"x": "1"}, {"h": "v"})
    assert (message.topic, message.group, message.deliveries, message.claimed) == (topic.name, None, 1, False)


@pytest.mark.parametrize(
    ("bounds", "places"),
    [
        ({}, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        ({"start": "3000-0", "end": "5000-0"}, [3, 4, 5]),
        ({"start": "(3000-0", "end": "(5000-0"}, [4]),
        ({"start": 9000}, [9, 10]),
        ({"start": datetime.fromtimestamp(3, UTC), "end": datetime.fromtimestamp(4.5, UTC)}, [3, 4]),
        ({"end": timedelta(hours=1), "start": "9500"}, [10]),
        ({"start": timedelta(hours=1)}, []),
        ({"count": 3}, [1, 2, 3]),
        ({"count": 0}, []),
        ({"reverse": True, "count": 2}, [10, 9]),
        ({"reverse": True, "start": "2000", "end": "4000"}, [4, 3, 2]),
    ],
)
async def test_replay_goes_from_start_to_end(w: World, bounds: dict[str, Any], places: list[int]) -> None:
    topic, _ = await filled(w)
    assert [message["i"] for message in await all_of(w, topic.replay(**bounds))] == [str(place) for place in places]


@pytest.mark.parametrize("reverse", [False, True])
async def test_replay_reads_page_by_page_to_the_end(w: World, reverse: bool) -> None:
    topic, ids = await filled(w, 1234)
    assert [message.id for message in await all_of(w, topic.replay(reverse=reverse))] == (ids[::-1] if reverse else ids)
    assert len(await all_of(w, topic.replay(count=1100, reverse=reverse))) == 1100


async def test_replay_reads_no_further_than_the_loop_goes(w: World) -> None:
    topic, _ = await filled(w, 1200)
    seen = []
    async for message in w.each(topic.replay()):
        seen.append(message.id)
        if len(seen) == 1:
            w.raw.xtrim(topic.name, maxlen=0, approximate=False)
    assert 1 <= len(seen) <= 500


async def test_replay_reads_nothing_before_it_is_looped_over_and_each_loop_begins_anew(w: World) -> None:
    topic = w.topic()
    replay = topic.replay()
    await w.do(topic.publish("a"))
    assert [message.type for message in await all_of(w, replay)] == ["a"]
    await w.do(topic.publish("b"))
    assert [message.type for message in await all_of(w, replay)] == ["a", "b"]


async def test_a_replayed_message_cannot_be_settled(w: World) -> None:
    topic, _ = await filled(w, 1)
    (message,) = await all_of(w, topic.replay())
    for settle in (message.ack, message.nack, message.bury):
        with pytest.raises(RuntimeError, match="without a group"):
            settle()


# -- tail ---------------------------------------------------------------------------------------------------------------------------


def following(w: World, tail: Any, seen: list[str], last: str) -> Any:
    """A call that takes the types of what a tail gives, up to the last."""

    async def follow() -> None:
        async with aclosing(aiter(tail)) as loop:
            async for message in loop:
                seen.append(message.type)
                if message.type == last:
                    return

    def follow_blocking() -> None:
        for message in tail:
            seen.append(message.type)
            if message.type == last:
                return

    return follow if w.asyncio else follow_blocking


async def test_a_tail_from_now_sees_what_anybody_adds_from_then_on(w: World) -> None:
    topic, seen = w.topic(), []
    w.raw.xadd(topic.name, {"type": "before"})
    follower = w.start(following(w, topic.tail(), seen, "last"))
    while not seen:  # until the tail has begun
        w.raw.xadd(topic.name, {"type": "tick"})
        await asyncio.sleep(0.005)
    for i in range(20):
        w.raw.xadd(topic.name, {"type": f"e{i}"})
    w.raw.xadd(topic.name, {"type": "last"})
    await asyncio.wait_for(follower, 10)
    assert "before" not in seen
    assert [type for type in seen if type != "tick"] == [*(f"e{i}" for i in range(20)), "last"]


async def test_a_tail_of_a_stream_that_does_not_exist_waits_for_it(w: World) -> None:
    topic, seen = w.topic(), []
    follower = w.start(following(w, topic.tail(), seen, "last"))
    while not seen:
        w.raw.xadd(topic.name, {"type": "tick"})
        await asyncio.sleep(0.005)
    w.raw.xadd(topic.name, {"type": "last"})
    await asyncio.wait_for(follower, 10)


@pytest.mark.parametrize(("start", "above"), [("2000-0", 698), (2000, 698), (datetime.fromtimestamp(2, UTC), 699), ("-", 700)])
async def test_a_tail_begins_above_an_id_and_at_a_moment(w: World, start: Any, above: int) -> None:
    topic, _ = await filled(w, 700)
    w.raw.xadd(topic.name, {"type": "last"})
    seen: list[str] = []
    await asyncio.wait_for(w.start(following(w, topic.tail(start), seen, "last")), 10)
    assert seen == ["a"] * above + ["last"]


async def test_two_tails_see_the_same(w: World) -> None:
    topic, _ = await filled(w, 3)
    w.raw.xadd(topic.name, {"type": "last"})
    seen: list[list[str]] = [[], []]
    followers = [w.start(following(w, topic.tail("0"), each, "last")) for each in seen]
    await asyncio.wait_for(asyncio.gather(*followers), 10)
    assert seen == [["a", "a", "a", "last"]] * 2
    assert await w.do(topic.groups()) == []
