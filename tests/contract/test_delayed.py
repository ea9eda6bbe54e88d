"""`publish(delay=, at=)`: what waits on the server comes into the stream when it is due, once, whoever moves it."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
import redis

from streamio import DelayedInfo, JSONCodec, PublishUncertain, SetupError, from_url
from streamio.keys import side_key, slot

from ..proxy import Proxy
from ..world import World
from .gates import Gate

pytestmark = pytest.mark.asyncio
real_only = pytest.mark.parametrize("w", ["blocking-real", "asyncio-real"], indirect=True)
FAR = 1000.0


def key_of(topic: Any) -> str:
    """Where the topic's delayed entries wait."""
    return side_key(topic.name, "delayed")


def kept(w: World, topic: Any) -> list[tuple[str, float]]:
    """What waits: members and scores, as a foreign client sees them."""
    found: list[tuple[str, float]] = w.raw.zrange(key_of(topic), 0, -1, withscores=True)
    return found


def evals(w: World) -> int:
    """How often scripts were sent in full."""
    facts = w.raw.info("commandstats")["cmdstat_eval"]
    return int(facts["calls"] + facts["rejected_calls"])


def rows(w: World, topic: Any) -> list[dict[str, str]]:
    """The fields of the stream's entries."""
    return [fields for _, fields in w.raw.xrange(topic.name)]


def make_due(w: World, topic: Any) -> None:
    """Let the time of all that waits be over, in the order in which it would be."""
    w.raw.eval("for i, entry in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do redis.call('ZADD', KEYS[1], i, entry) end", 1, key_of(topic))


async def drained(w: World, topic: Any, name: str = "group", **options: Any) -> list[Any]:
    """The messages that a new member of the group handles."""
    member, seen = w.member(w.group(topic, name), **options), list[Any]()
    member.on("*", seen.append)
    await w.do(member.drain())
    return seen


# -- when it is due -----------------------------------------------------------------------------------------------------------------------


async def test_an_entry_comes_when_it_is_due_and_not_before(w: World) -> None:
    group, seen = w.group(), list[tuple[float, Any]]()
    topic, member = group.topic, w.member(group)
    member.on("a", lambda message: seen.append((time.time(), message)))
    async with w.listening(member):
        await w.until(lambda: w.raw.exists(topic.name))
        due = time.time() + 0.15
        assert (await w.do(topic.publish("a", n=1, delay=0.15))).startswith("delayed-")
        assert rows(w, topic) == [] and len(kept(w, topic)) == 1
        await w.until(lambda: seen)
    ((at, message),) = seen
    assert due - 0.01 <= at < due + 0.25
    assert message.data == {"n": "1"} and message.published_at.timestamp() >= due - 0.01, "its id is from when it was moved"
    assert kept(w, topic) == []


async def test_delays_and_moments_are_told_in_every_way_of_python(w: World) -> None:
    topic, now = w.topic(), time.time()
    there = datetime.fromtimestamp(now + 70, UTC)
    times = {"delay": [70, 70.0, timedelta(seconds=70)], "at": [there, there.astimezone(), there.astimezone().replace(tzinfo=None)]}
    for name, values in times.items():
        for value in values:
            await w.do(topic.publish("a", **{name: value}))
    scores = [score / 1000 for _, score in kept(w, topic)]
    assert len(scores) == 6 and all(now + 69.99 < score < now + 75 for score in scores)
    assert sum(abs(score - (now + 70)) < 0.002 for score in scores) >= 3


async def test_what_is_due_already_is_published_at_once(w: World) -> None:
    topic = w.topic()
    past = datetime.now(UTC) - timedelta(days=1), datetime.min.replace(tzinfo=UTC)
    ids = [await w.do(topic.publish("a", x=1, **when)) for when in ({"delay": 0}, *({"at": at} for at in past))]
    assert [entry_id for entry_id, _ in w.raw.xrange(topic.name)] == ids
    assert rows(w, topic) == 3 * [{"type": "a", "x": "1"}] and kept(w, topic) == []


async def test_entries_come_in_the_order_of_their_time_and_else_of_their_publishing(w: World) -> None:
    topic, at = w.topic(), datetime.now(UTC) + timedelta(seconds=FAR)
    for n, later in enumerate((2, 1, 1, 1, 0, 2)):
        await w.do(topic.publish("a", n=n, at=at + timedelta(seconds=later)))
    assert len({score for _, score in kept(w, topic)}) == 3
    for entry, score in kept(w, topic):
        w.raw.zadd(key_of(topic), {entry: score - 2 * FAR * 1000})
    assert [message["n"] for message in await drained(w, topic)] == ["4", "1", "2", "3", "0", "5"]


async def test_a_drain_moves_all_that_is_due_and_waits_for_nothing_else(w: World) -> None:
    topic = w.topic()
    await w.do(topic.publish("late", delay=FAR))
    await w.do(topic.publish("soon", delay=FAR / 2))
    entry = kept(w, topic)[0][0]
    w.raw.zadd(key_of(topic), {entry.replace("delayed-", f"delayed-{n:03}"): n for n in range(250)})
    w.raw.zadd(key_of(topic), {entry: 1000})
    seen = await drained(w, topic)
    assert [message.type for message in seen] == 251 * ["soon"]
    assert len(kept(w, topic)) == 1


async def test_a_drain_sees_what_became_due_since_the_member_looked(w: World) -> None:
    topic = w.topic()
    member, seen = w.member(w.group(topic), block=60), list[Any]()
    member.on("a", seen.append)
    await w.do(member.read(timeout=0))
    await w.do(topic.publish("a", delay=FAR))
    make_due(w, topic)
    assert await w.do(member.drain()) == 1


async def test_each_of_many_members_of_several_groups_may_move_and_each_entry_is_moved_once(w: World) -> None:
    topic, seen = w.topic(), {"one": list[str](), "two": list[str]()}
    members = []
    for name in ("one", "one", "two", "two"):
        member = w.member(w.group(w.topic(), name))
        member.on("a", lambda message, told=seen[name]: told.append(message["n"]))
        members.append(member)
    async with w.listening(*members):
        at = datetime.now(UTC) + timedelta(seconds=0.1)
        for n in range(200):
            await w.do(topic.publish("a", n=n, at=at + timedelta(milliseconds=n // 2)))
        await w.until(lambda: all(len(told) >= 200 for told in seen.values()))
    assert {name: Counter(told) for name, told in seen.items()} == {name: Counter(map(str, range(200))) for name in seen}
    assert len(rows(w, topic)) == 200 and kept(w, topic) == []


async def test_a_member_whose_handler_sits_moves_what_is_due_all_the_same(w: World) -> None:
    group, gate = w.group(), Gate(w)
    topic, member = group.topic, w.member(group)
    member.on("a", gate.handler)
    await w.do(topic.publish("a"))
    await w.do(topic.publish("a", delay=0.1))
    async with w.listening(member):
        await w.until(lambda: gate.inside)
        await w.until(lambda: len(rows(w, topic)) == 2)
        assert gate.inside == 1
        gate.open()
        await w.until(lambda: len(gate.left) == 2)


# -- what comes ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", [None, JSONCodec()])
async def test_an_entry_comes_byte_for_byte_as_it_would_have_been_published(w: World, codec: Any) -> None:
    topic = w.topic(codec=codec)
    data = {"ü 5:x,": "\0,:1%s{}", "empty": "", "long": "x" * 5000, **({} if codec else {"raw": bytes(range(256))})}
    for when in ({}, {"delay": FAR}):
        await w.do(topic.publish("a", data, headers={"h": "1", "traceparent": "t"}, **when))
    make_due(w, topic)
    plain, delayed = await drained(w, topic)
    assert delayed.fields == plain.fields and delayed.headers == plain.headers


async def test_an_entry_of_thousands_of_fields_is_delayed_and_one_of_more_is_refused(w: World) -> None:
    topic = w.topic()
    await w.do(topic.publish("a", {f"f{i}": i for i in range(3949)}, delay=FAR))
    with pytest.raises(ValueError, match="3950 fields, not 4001"):
        await w.do(topic.publish("a", {f"f{i}": i for i in range(4000)}, delay=FAR))
    make_due(w, topic)
    (message,) = await drained(w, topic)
    assert len(message.data) == 3949


@pytest.mark.parametrize("retention", [{"maxlen": 10}, {"max_age": 3600}])
async def test_the_retention_of_who_published_holds_when_it_is_moved(w: World, retention: dict[str, Any]) -> None:
    topic = w.topic(**retention)
    await w.do(topic.publish("new", delay=FAR))
    pipe = w.raw.pipeline(transaction=False)
    for i in range(1, 501):
        pipe.xadd(topic.name, {"type": "old"}, id=f"{i}-0")
    pipe.execute()
    make_due(w, topic)
    await drained(w, w.topic())
    assert len(rows(w, topic)) < 200 and rows(w, topic)[-1] == {"type": "new"}  # whole nodes of the stream went


async def test_what_is_kept_lies_beside_its_topic_in_one_slot(w: World) -> None:
    for name in ("one", "two:{tag}", "a{}b"):
        topic = w.topic(name)
        await w.do(topic.publish("a", delay=FAR))
        info = await w.do(topic.delayed())
        assert slot(info.key) == slot(topic.name) and w.raw.zcard(info.key) == 1


# -- looking, taking back, publishing once ------------------------------------------------------------------------------------------------


async def test_it_is_told_how_many_wait_and_when_the_first_is_due(w: World) -> None:
    topic = w.topic()
    key = key_of(topic)
    assert await w.do(topic.delayed()) == DelayedInfo(key, 0, None)
    at = datetime.now(UTC).replace(microsecond=250_000) + timedelta(seconds=FAR)
    await w.do(topic.publish("a", at=at + timedelta(seconds=1)))
    await w.do(topic.publish("a", at=at))
    assert await w.do(topic.delayed()) == DelayedInfo(key, 2, at)
    await w.do(topic.publish("a", delay=9e11))
    w.raw.zremrangebyscore(key, 0, 1e14)
    assert await w.do(topic.delayed()) == DelayedInfo(key, 1, datetime.max.replace(tzinfo=UTC))


async def test_one_that_waits_is_taken_back_by_its_token_and_no_other(w: World) -> None:
    topic, at = w.topic(), datetime.now(UTC) + timedelta(seconds=FAR)
    tokens = [await w.do(topic.publish("a", n=n, at=at)) for n in range(20)]
    tokens += [await w.do(topic.publish("a", n=n, delay=delay)) for n, delay in ((20, 1), (21, 2 * FAR))]
    assert len(set(tokens)) == 22
    for n in (0, 7, 13, 19, 20, 21):
        assert await w.do(topic.cancel_delayed(tokens[n])) is True
        assert await w.do(topic.cancel_delayed(tokens[n])) is False
    make_due(w, topic)
    left = [message["n"] for message in await drained(w, topic)]
    assert left == [str(n) for n in range(20) if n not in (0, 7, 13, 19)]
    assert [await w.do(topic.cancel_delayed(tokens[n])) for n in (1, 18)] == [False, False]


async def test_taking_back_what_is_no_token_is_an_error_and_what_was_published_at_once_is_not_there(w: World) -> None:
    topic = w.topic()
    assert await w.do(topic.cancel_delayed(await w.do(topic.publish("a", delay=0)))) is False
    for token in ("", "delayed-", "x", 5, None, "delayed-1-2-3"):
        with pytest.raises(ValueError, match="token must be what publish gave"):
            await w.do(topic.cancel_delayed(token))


async def test_with_an_idempotency_key_one_waits_however_often_it_is_published(w: World) -> None:
    topic = w.topic()
    first = await w.do(topic.publish("a", n=1, delay=FAR, idempotency_key="k"))
    again = [await w.do(topic.publish("a", n=2, idempotency_key="k", **when)) for when in ({"delay": 5}, {"delay": 0}, {})]
    assert again == 3 * [first] and len(kept(w, topic)) == 1 and rows(w, topic) == []
    assert 23 * 3_600_000 < w.raw.pttl(side_key(topic.name, "published", "k")) <= 24 * 3_600_000
    make_due(w, topic)
    assert [message["n"] for message in await drained(w, topic)] == ["1"]
    assert await w.do(topic.publish("a", n=3, delay=FAR, idempotency_key="k")) == first
    plain = await w.do(topic.publish("b", idempotency_key="l"))
    assert await w.do(topic.publish("b", delay=FAR, idempotency_key="l")) == plain
    at_once = await w.do(topic.publish("c", delay=0, idempotency_key="m"))
    assert await w.do(topic.publish("c", delay=FAR, idempotency_key="m")) == at_once
    assert [row["type"] for row in rows(w, topic)] == ["a", "b", "c"] and kept(w, topic) == []


async def test_what_could_not_be_kept_is_not_remembered_as_published(w: World) -> None:
    topic, guard = w.topic(), side_key(w.key(), "published", "k")
    w.raw.xadd(topic.name, {"a": "b"}, id="18446744073709551615-18446744073709551615")  # no id is left
    with pytest.raises(redis.ResponseError):
        await w.do(topic.publish("a", delay=0, idempotency_key="k"))
    assert not w.raw.exists(guard)


# -- wrong use ----------------------------------------------------------------------------------------------------------------------------

NOW = datetime.now(UTC)
WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"delay": 1, "at": NOW}, ValueError, "delay or at, not both"),
    ({"delay": -1}, ValueError, "delay"),
    ({"delay": float("nan")}, ValueError, "delay"),
    ({"delay": float("inf")}, ValueError, "delay"),
    ({"delay": timedelta(seconds=-1)}, ValueError, "delay"),
    ({"delay": "5"}, TypeError, "delay"),
    ({"delay": True}, TypeError, "delay"),
    ({"at": 5}, TypeError, "at must be a datetime.*goes into data"),
    ({"at": NOW.date()}, TypeError, "at must be a datetime"),
    ({"at": datetime.min}, ValueError, "at must be a moment"),
    ({"delay": 5, "entry_id": "7-1"}, ValueError, "entry_id='7-1'"),
    ({"delay": 5, "idempotency_key": ""}, ValueError, "idempotency_key"),
    ({"delay": 5, "data": {"x": None}}, TypeError, "x"),
]


async def test_wrong_use_is_named_before_anything_is_written(w: World) -> None:
    topic = w.topic()
    for call, kind, words in WRONG:
        with pytest.raises(kind, match=words):
            await w.do(topic.publish("a", **call))
    assert w.raw.keys(f"{topic.name}*") == []


async def test_a_key_of_another_type_is_named_and_members_go_on_without(w: World) -> None:
    topic = w.topic()
    key = key_of(topic)
    w.raw.rpush(key, "x")
    with pytest.raises(SetupError, match=f"{key} to be a zset, and it holds a list"):
        await w.do(topic.publish("a", delay=FAR))
    member, seen, told = w.member(w.group(topic, claim_interval=0.02), block=0.02), list[Any](), list[Any]()
    member.on("*", seen.append)
    member.lifecycle.on("error", told.append)
    looks = set[float]()
    async with w.listening(member):
        await w.until(lambda: told)
        await w.do(topic.publish("a"))
        await w.until(lambda: seen and (looks.add(member._hand.look_at) or len(looks) > 3))
        w.raw.delete(key)
        await w.do(topic.publish("b", delay=0.05))
        await w.until(lambda: len(seen) == 2)
    assert len(told) == 1 and key in told[0].reason and "WRONGTYPE" in str(told[0].error)
    w.raw.delete(topic.name)
    w.raw.set(topic.name, "x")
    with pytest.raises(SetupError, match=f"{topic.name} to be a stream, and it holds a string"):
        await w.do(topic.publish("a", delay=FAR, idempotency_key="k"))
    assert not w.raw.exists(key, side_key(topic.name, "published", "k"))


async def test_what_is_no_entry_is_set_aside_and_stands_in_nobodys_way(w: World) -> None:
    topic = w.topic()
    key = key_of(topic)
    await w.do(topic.publish("a", delay=FAR))
    entry = kept(w, topic)[0][0]
    head = entry.split(" ", 1)[0]
    junk = [
        "",
        "x",
        f"{head} 5:abc,",
        f"{head} 3:abc",
        f"{head} 0:;1:0;1:a;1:b;",
        f"{head} 0:,1:0,1:a,",
        f"{head} 1:X,1:0,1:a,1:b,",
        f"{head} 6:MINID,1:x,1:a,1:b,",
        f"{entry}9",
    ]
    w.raw.zadd(key, {thing: n for n, thing in enumerate([*junk, entry])})
    member, seen, told = w.member(w.group(topic)), list[Any](), list[Any]()
    member.on("*", seen.append)
    member.lifecycle.on("error", told.append)
    assert await w.do(member.drain()) == 1
    assert sum(event.count for event in told) == 9 and key in str(told[0].error)
    assert sorted(thing for thing, _ in kept(w, topic)) == sorted(junk)
    assert (await w.do(topic.delayed())).waiting == 0
    assert await w.do(member.clone().drain()) == 0 and len(told) == 1


@real_only
@pytest.mark.parametrize("lacks", [{"keys": ["*:topic", "*:dead:*"]}, {"commands": ["+@all", "-zrem"], "keys": ["*"]}], ids=["key", "command"])
async def test_without_the_right_to_it_a_member_says_so_once_and_goes_on(w: World, lacks: dict[str, Any]) -> None:
    user = f"{w.name}-poor"
    w.raw.acl_setuser(user, **{"enabled": True, "nopass": True, "commands": ["+@all"], **lacks})
    topic, rich = w.topic(client=w.client(username=user, password="")), w.topic()
    await w.do(rich.publish("late", delay=FAR))
    make_due(w, topic)
    if "commands" not in lacks:
        with pytest.raises(SetupError, match=r"ACL.*delayed"):
            await w.do(topic.publish("a", delay=FAR))
    member, seen, told = w.member(w.group(topic, claim_interval=0.02), block=0.02), list[Any](), list[Any]()
    member.on("a", seen.append)
    member.lifecycle.on("error", told.append)
    async with w.listening(member):
        await w.until(lambda: told)
        looks = evals(w)
        for n in range(1, 4):
            before = w.raw.info("commandstats")["cmdstat_xreadgroup"]["calls"]
            await w.do(topic.publish("a"))
            await w.until(lambda n=n, b=before: len(seen) == n and w.raw.info("commandstats")["cmdstat_xreadgroup"]["calls"] > b + 2)
        assert evals(w) == looks, "it looks no more"
    assert len(told) == 1 and "delayed" in told[0].reason
    assert [row["type"] for row in rows(w, topic)] == ["a", "a", "a"] and len(kept(w, topic)) == 1
    w.raw.acl_deluser(user)


# -- replies that are lost ----------------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def proxied(w: World) -> Any:
    """A proxy before the world's server, and a topic that is reached through it."""
    assert w.port is not None
    proxy = Proxy(w.port)
    client: Any = from_url(f"redis://127.0.0.1:{proxy.port}", asyncio=True) if w.asyncio else from_url(f"redis://127.0.0.1:{proxy.port}")
    w.clients.append(client)
    yield proxy, w.topic(client=client)
    proxy.close()


@real_only
async def test_a_delayed_publish_whose_reply_is_lost_is_said_to_be_uncertain_and_sent_once(w: World, proxied: tuple[Proxy, Any]) -> None:
    proxy, topic = proxied
    await w.do(topic.publish("first", delay=FAR))
    proxy.cut(b"EVALSHA")
    with pytest.raises(PublishUncertain):
        await w.do(topic.publish("precious", delay=FAR, idempotency_key="k"))
    assert len(kept(w, topic)) == 2
    assert (await w.do(topic.publish("precious", delay=FAR, idempotency_key="k"))).startswith("delayed-")
    assert len(kept(w, topic)) == 2


@real_only
@pytest.mark.parametrize("by", ["listener", "keeper"])
async def test_a_move_whose_reply_is_lost_loses_and_doubles_nothing(w: World, proxied: tuple[Proxy, Any], by: str) -> None:
    proxy, topic = proxied
    for n in range(5):
        await w.do(topic.publish("a", n=n, delay=FAR if by == "listener" else 0.15))
    if by == "listener":
        make_due(w, topic)
    member, seen = w.member(w.group(topic), block=0.1 if by == "listener" else 5), list[str]()
    member.on("a", lambda message: seen.append(message["n"]))
    proxy.cut(b"ZREM" if by == "listener" else b"EVALSHA")
    async with w.listening(member):
        await w.until(lambda: len(seen) >= 5 and not proxy.cuts)
    assert sorted(seen) == list("01234") and len(rows(w, topic)) == 5 and kept(w, topic) == []


# -- what it costs ------------------------------------------------------------------------------------------------------------------------


@real_only
async def test_an_idle_member_looks_without_a_write_of_its_own(w: World) -> None:
    topic = w.topic()
    await w.do(topic.publish("late", delay=FAR))
    member, writes = w.member(w.group(topic), block=0.1), list[tuple[str, list[Any]]]()
    member.on("a", print)
    write = member._driver.write
    member._driver.write = lambda line, commands: (writes.append((line.name, [str(words[0]) for words in commands])), write(line, commands))[1]
    async with w.listening(member):
        await w.until(lambda: len(writes) > 10)
        before, began = len(writes), time.monotonic()
        await w.until(lambda: len(writes) >= before + 3)
        took, made = time.monotonic() - began, writes[before:]
    assert {name for name, _ in made} == {"reading"} and len(made) <= took / 0.1 + 2
    assert all(words[-1] == "XREADGROUP" and words.count("EVAL") == 1 for _, words in made)
