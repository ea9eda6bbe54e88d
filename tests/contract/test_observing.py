"""`Observer`: what is seen of streams and groups, on every server and in both colours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from redis.exceptions import ConnectionError

from streamio import from_url
from streamio.observing import History, Observer, PendingView, Sample, TopicView, as_json

from ..world import World
from .test_group_consumers import fill

pytestmark = pytest.mark.asyncio
WAITING = "~waiting"


def observer(w: World, **options: Any) -> Any:
    """An observer in this colour, of this test's keys."""
    made = Observer(w.client(), **{"topics": [f"{w.name}:*"], **options})
    w.things.append(made)
    return made


async def look(w: World, eye: Any, *names: str) -> TopicView:
    """The first topic of a look."""
    sample: Sample = await w.do(eye.look(list(names) or None))
    return sample.topics[0]


async def test_find_gives_the_streams_without_those_that_streamio_keeps_beside_them(w: World) -> None:
    group = w.group()
    ids = fill(w, group, 1, "a")
    w.raw.xadd(w.key("z{tag}"), {"a": 1})
    w.raw.set(w.key("string"), "x")
    w.raw.xadd(f"{w.name}:".encode() + b"\xff", {"a": 1})  # can be no topic
    await w.do(group.bury(*ids))
    await w.do(group.topic.publish("a", delay=60))
    eye = observer(w)
    assert await w.do(eye.find()) == [w.key(), w.key("z{tag}")]
    assert await w.do(eye.find(side_streams=True)) == [w.key(), f"{w.key()}:dead:{{{w.key()}}}:group", w.key("z{tag}")]
    exactly = observer(w, topics=[f"{w.key()}:dead:{{{w.key()}}}:group", w.key("none"), f"{w.name}:z*"])
    assert await w.do(exactly.find()) == [f"{w.key()}:dead:{{{w.key()}}}:group", w.key("z{tag}")]


async def test_a_look_tells_all_about_a_topic_and_its_groups(w: World) -> None:
    group = w.group()
    ids = fill(w, group, 3, "a", "b")
    ids += [w.raw.xadd(group.topic.name, {"type": "a"}) for _ in range(2)]
    w.raw.xgroup_create(group.topic.name, "new", "$")
    await w.do(group.nack(ids[1]))
    await w.do(group.bury(ids[5]))
    await w.do(group.topic.publish("a", delay=60))
    view = await look(w, observer(w))
    assert (view.name, view.length, view.first_id, view.last_id, view.last_generated_id) == (w.key(), 8, ids[0], ids[-1], ids[-1])
    assert (view.entries_added, view.delayed, view.rate_in, view.error) == (8, 1, None, None)
    assert (view.memory is None) == w.embedded
    one, new = view.groups
    assert (one.name, one.topic, one.lag, one.pending, one.waiting, one.dead) == ("group", w.key(), 2, 5, 1, 1)
    assert (one.last_delivered_id, one.entries_read, one.rate_out) == (ids[5], 6, None)
    assert one.lag_seconds is not None and 0 < one.lag_seconds < 60
    assert [(each.name, each.pending, each.stale) for each in one.consumers] == [("a", 2, False), ("b", 2, False)]
    assert one.oldest == PendingView(ids[0], "a", one.oldest.idle, 1)
    assert (new.lag, new.lag_seconds, new.pending, new.consumers, new.oldest, new.state) == (0, 0.0, 0, (), None, "idle")
    assert one.state == view.state == "ok"
    assert one.diagnosis == "keeps up: 4 in hand, 1 entry waits for another try; 1 dead letter to look at"


async def test_rates_are_since_the_last_look_and_survive_a_trim(w: World) -> None:
    group = w.group()
    fill(w, group, 3, "a")
    eye = observer(w)
    first: Sample = await w.do(eye.look())
    fill(w, group, 4, "a")
    w.raw.xtrim(group.topic.name, maxlen=0)
    second: Sample = await w.do(eye.look())
    seconds = second.at - first.at
    assert first.topics[0].rate_in is first.topics[0].groups[0].rate_out is None
    assert second.topics[0].rate_in == pytest.approx(4 / seconds) == second.topics[0].groups[0].rate_out
    w.raw.delete(group.topic.name)
    fill(w, group, 1, "a")
    assert (await look(w, eye)).rate_in is None  # another stream: its counter began anew
    assert (await look(w, eye)).rate_in == 0
    w.raw.delete(group.topic.name)
    assert (await look(w, eye, group.topic.name)).error == "there is no such stream"
    fill(w, group, 9, "a")
    assert (await look(w, eye, group.topic.name)).rate_in is None  # seen to be another one, though its counter is higher


async def test_the_lag_is_what_is_there_to_come(w: World) -> None:
    group = w.group()
    ids = fill(w, group, 2, "a", "b")
    eye = observer(w)
    late = [w.raw.xadd(group.topic.name, {"type": "a"}) for _ in range(3)]
    w.raw.xdel(group.topic.name, late[0])  # real servers do not know the lag any more
    lag = (await look(w, eye)).groups[0].lag
    assert lag in (None, 2)
    w.raw.xdel(group.topic.name, *late[1:])
    (seen,) = (await look(w, eye)).groups
    assert (seen.lag, seen.lag_seconds) == (0, 0.0)
    w.raw.xgroup_setid(group.topic.name, group.name, "0")
    w.raw.xdel(group.topic.name, ids[0])
    (seen,) = (await look(w, eye)).groups
    assert seen.lag == 3


async def test_what_is_no_stream_or_gone_is_there_with_its_error(w: World) -> None:
    fill(w, w.group(), 1, "a")
    w.raw.set(w.key("string"), "x")
    eye = observer(w, topics=[w.key(), w.key("gone")])
    sample: Sample = await w.do(eye.look([w.key("string"), w.key("gone"), w.key()]))
    assert [(each.state, each.error) for each in sample.topics] == [
        ("unknown", "the key holds something else than a stream"),
        ("unknown", "there is no such stream"),
        ("ok", None),
    ]
    both: Sample = await w.do(eye.look())
    assert [each.name for each in both.topics] == [w.key("gone"), w.key()]  # what was named is shown where it is not there, too


async def test_a_topic_that_comes_and_one_that_goes_are_noticed(w: World) -> None:
    fill(w, w.group(), 1, "a")
    eye = observer(w)
    assert [each.name for each in (await w.do(eye.look())).topics] == [w.key()]
    w.raw.delete(w.key())
    w.raw.xadd(w.key("other"), {"a": 1})
    assert (await look(w, eye)).error == "there is no such stream"
    assert [each.name for each in (await w.do(eye.look())).topics] == [w.key("other")]


async def test_more_topics_than_asked_for_are_counted(w: World) -> None:
    for number in range(7):
        w.raw.xadd(w.key(f"t{number}"), {"a": 1})
    sample: Sample = await w.do(observer(w, most=3).look())
    assert ([each.name for each in sample.topics], sample.left_out) == ([w.key("t0"), w.key("t1"), w.key("t2")], 4)


async def test_hundreds_of_groups_are_seen(w: World) -> None:
    topic = w.topic()
    await w.do(topic.publish("a"))
    for number in range(120):
        w.raw.xgroup_create(topic.name, f"g{number:03}", "0")
    view = await look(w, observer(w))
    assert [(each.name, each.lag) for each in view.groups] == [(f"g{number:03}", 1) for number in range(120)]
    assert {each.diagnosis for each in view.groups} == {"no member reads this group: start one"}


async def test_the_memory_of_all_topics_is_known_after_some_looks(w: World) -> None:
    for number in range(12):
        w.raw.xadd(w.key(f"t{number}"), {"a": 1})
    eye = observer(w)
    known = [sum(each.memory is not None for each in (await w.do(eye.look())).topics) for _ in range(3)]
    assert known == ([0, 0, 0] if w.embedded else [5, 10, 12])


async def test_a_crash_is_diagnosed_and_a_stale_consumer_named(w: World) -> None:
    group = w.group()
    fill(w, group, 3, "gone")
    w.age(group, "gone", 60)
    eye = observer(w, lease=0.01)
    await w.until(lambda: w.raw.xinfo_consumers(group.topic.name, group.name)[0]["idle"] > 10)
    (seen,) = (await look(w, eye)).groups
    assert (seen.state, seen.consumers[0].stale) == ("stuck", True)
    assert seen.diagnosis.startswith("received but not acknowledged for 60 s (3 entries pending): crashes or a missing ack")


async def test_what_waits_shows_its_own_time(w: World) -> None:
    group = w.group()
    fill(w, group, 1, "gone")
    await w.do(group.handover("gone", None))
    oldest = (await look(w, observer(w))).groups[0].oldest
    assert (oldest.consumer, oldest.idle < 60) == (WAITING, True)
    await w.do(group.nack(oldest.id))
    oldest = (await look(w, observer(w))).groups[0].oldest
    assert (oldest.consumer, oldest.idle < 60) == (WAITING, True)


async def test_a_sample_is_plain_json_with_names_of_any_bytes(w: World) -> None:
    topic = w.topic()
    await w.do(topic.publish("a"))
    w.raw.execute_command("XGROUP", "CREATE", topic.name, b"\xff\x00", "0")
    sample: Sample = await w.do(observer(w).look())
    told = as_json(sample)
    assert json.loads(json.dumps(told, ensure_ascii=False).encode()) == told
    assert told["topics"][0]["groups"][0]["name"] == "\\xff\x00"
    assert told["topics"][0]["groups"][0]["consumers"] == []
    assert sample.server.startswith("7") and sample.took > 0 and (sample.memory is None) == w.embedded


async def test_a_history_of_looks_is_there_for_plots(w: World) -> None:
    group = w.group()
    fill(w, group, 2, "a")
    eye, history = observer(w), History()
    for _ in range(2):
        history.add(await w.do(eye.look()))
    found = history.series(w.key(), "group")
    assert [*found] == ["at", "length", "rate_in", "rate_out", "lag", "lag_seconds", "pending", "oldest_idle"]
    assert (found["length"], found["pending"], found["rate_in"]) == ([2, 2], [2, 2], [None, 0])


async def test_the_observer_is_a_context_and_closed_after_it(w: World) -> None:
    async with w.block(observer(w)) as eye:
        assert (await w.do(eye.look())).topics == ()
    with pytest.raises(ValueError, match="the observer is closed"):
        await w.do(eye.look())
    with pytest.raises(ValueError, match="the observer is closed"):
        await w.do(eye.find())


async def test_the_wrong_keyword_names_the_right_one(w: World) -> None:
    eye = observer(w)
    if w.asyncio:
        with pytest.raises(TypeError, match="write `async with` instead of `with`"), eye:
            pass
    else:
        with pytest.raises(TypeError, match=r"write `….look\(\)` instead of `await ….look\(\)`"):
            await eye.look()


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda w: Observer(w.client(), topics="orders"), TypeError, "topics must be a list of names"),
        (lambda w: Observer(w.client(), topics=[""]), ValueError, "name in topics must not be empty"),
        (lambda w: Observer(w.client(), most=0), ValueError, "most must be a whole number"),
        (lambda w: Observer(w.client(), lease="x"), TypeError, "lease must be seconds"),
        (lambda w: Observer(5), TypeError, "client must be"),
        (lambda w: observer(w).look("orders"), TypeError, "names must be a list"),
        (lambda w: observer(w).look([5]), TypeError, "name in names must be a str"),
        (lambda w: History(0), ValueError, "seconds must be a number of seconds, more than 0"),
    ],
)
async def test_bad_arguments_are_refused_by_name(w: World, make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        await w.do(make(w))


async def test_a_user_without_a_right_is_told_which(w: World) -> None:
    if w.embedded:
        return  # it has no users
    group = w.group()
    fill(w, group, 2, "a")
    for right, what in (("xinfo", "unknown"), ("xpending", "ok")):
        w.raw.acl_setuser(w.name, enabled=True, nopass=True, keys=["*"], commands=["+@all", f"-{right}", "-info", "-memory"])
        client: Any = from_url(w.url.replace("//", f"//{w.name}:x@"), asyncio=w.asyncio)
        w.clients.append(client)
        eye = Observer(client, topics=[w.key()])
        w.things.append(eye)
        sample = await w.do(eye.look())
        assert (sample.server, sample.memory, sample.topics[0].state, sample.topics[0].memory) == ("", None, what, None)
        assert f"'{right}" in sample.topics[0].error
    assert sample.topics[0].length == 2 and sample.topics[0].groups[0].oldest is None
    w.raw.acl_deluser(w.name)


async def test_a_server_that_is_away_is_an_error_and_its_return_is_noticed(w: World) -> None:
    if w.embedded:
        return
    fill(w, w.group(), 1, "a")
    eye = observer(w)
    await w.do(eye.look())
    w.raw.client_kill_filter(skipme=True, _type="normal")
    assert (await look(w, eye)).length == 1
    away = Observer(w.client(), topics=["*"])
    w.things.append(away)
    away._nodes.source.client.connection_pool.connection_kwargs["port"] = 1
    with pytest.raises(ConnectionError):
        await w.do(away.look())
