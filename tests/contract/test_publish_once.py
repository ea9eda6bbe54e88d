"""`publish(idempotency_key=)`: what is published again with the same key stands in the stream once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import pytest_asyncio
import redis

from streamio import JSONCodec, PublishUncertain, SetupError, from_url
from streamio.keys import side_key, slot

from ..proxy import Proxy
from ..world import World

pytestmark = pytest.mark.asyncio
real_only = pytest.mark.parametrize("w", ["blocking-real", "asyncio-real"], indirect=True)
DAY = 24 * 3600 * 1000


def rows(w: World, topic: Any) -> list[tuple[str, dict[str, str]]]:
    """The stream as a foreign client sees it."""
    found: list[tuple[str, dict[str, str]]] = w.raw.xrange(topic.name)
    return found


def guard(topic: Any, key: str) -> str:
    """The key that remembers what was published with an idempotency key."""
    return side_key(topic.name, "published", key)


async def test_a_second_publish_with_the_same_key_gives_the_first_id_and_adds_nothing(w: World) -> None:
    topic = w.topic()
    first = await w.do(topic.publish("a", {"n": 1}, idempotency_key="k"))
    assert await w.do(topic.publish("b", n=2, idempotency_key="k")) == first
    assert rows(w, topic) == [(first, {"type": "a", "n": "1"})]


async def test_other_keys_and_none_add_each_their_own(w: World) -> None:
    topic = w.topic()
    ids = [await w.do(topic.publish("a", idempotency_key=key)) for key in ("1", "2", None, None, "%31", "1:", "{1}", "é \n", "1")]
    assert len(set(ids)) == 8 and ids[0] == ids[-1]
    assert len(rows(w, topic)) == 8


async def test_topics_do_not_share_keys(w: World) -> None:
    for name in ("one", "two", "one:{tag}", "a{}b"):
        topic = w.topic(name)
        await w.do(topic.publish("a", idempotency_key="k"))
        assert len(rows(w, topic)) == 1
        assert slot(guard(topic, "k")) == slot(topic.name)
        assert w.raw.exists(guard(topic, "k"))


async def test_the_key_is_remembered_for_a_day_from_the_first_publish(w: World) -> None:
    topic = w.topic()
    first = await w.do(topic.publish("a", idempotency_key="k"))
    assert DAY - 60_000 < w.raw.pttl(guard(topic, "k")) <= DAY
    w.raw.pexpire(guard(topic, "k"), 40_000)
    assert await w.do(topic.publish("a", idempotency_key="k")) == first
    assert w.raw.pttl(guard(topic, "k")) <= 40_000
    w.raw.pexpire(guard(topic, "k"), 1)
    await w.until(lambda: not w.raw.exists(guard(topic, "k")))
    assert await w.do(topic.publish("a", idempotency_key="k")) != first
    assert len(rows(w, topic)) == 2


async def test_a_repeat_gives_the_first_id_even_where_that_entry_is_gone(w: World) -> None:
    topic = w.topic()
    first = await w.do(topic.publish("a", idempotency_key="k"))
    await w.do(topic.delete(first))
    assert await w.do(topic.publish("a", idempotency_key="k")) == first
    assert rows(w, topic) == []


async def test_many_with_the_same_key_at_once_add_one(w: World) -> None:
    topics = [w.topic() for _ in range(8)]
    found = await asyncio.gather(*(w.start(lambda t=topic: t.publish("a", idempotency_key="k")) for topic in topics))
    assert len(set(found)) == len(rows(w, topics[0])) == 1


async def test_an_id_of_ones_own_goes_with_a_key(w: World) -> None:
    topic = w.topic()
    assert await w.do(topic.publish("a", entry_id="5-1", idempotency_key="k")) == "5-1"
    assert await w.do(topic.publish("a", entry_id="5-1", idempotency_key="k")) == "5-1"
    assert await w.do(topic.publish("a", entry_id="6", idempotency_key="l")) == "6-0"
    assert [entry_id for entry_id, _ in rows(w, topic)] == ["5-1", "6-0"]


async def test_what_the_server_refuses_is_not_remembered_as_published(w: World) -> None:
    topic = w.topic()
    await w.do(topic.publish("a", entry_id="5-1"))
    with pytest.raises(redis.ResponseError, match="equal or smaller"):
        await w.do(topic.publish("a", entry_id="4-1", idempotency_key="k"))
    assert not w.raw.exists(guard(topic, "k"))
    assert await w.do(topic.publish("a", entry_id="6-1", idempotency_key="k")) == "6-1"


@pytest.mark.parametrize("retention", [{"maxlen": 10}, {"max_age": 3600}])
async def test_retention_goes_with_a_key(w: World, retention: dict[str, Any]) -> None:
    topic = w.topic(**retention)
    pipe = w.raw.pipeline(transaction=False)
    for i in range(1, 501):
        pipe.xadd(topic.name, {"type": "old"}, id=f"{i}-0")
    pipe.execute()
    last = await w.do(topic.publish("new", idempotency_key="k"))
    found = rows(w, topic)
    assert found[-1][0] == last
    assert len(found) < 200  # whole nodes of the stream went


async def test_a_repeat_does_not_turn_back_the_servers_time_that_retention_goes_by(w: World) -> None:
    topic = w.topic(max_age=3600)
    await w.do(topic.publish("a", idempotency_key="k"))
    w.raw.set(guard(topic, "k"), "5-0")
    before = topic._publisher.server_time
    assert await w.do(topic.publish("a", idempotency_key="k")) == "5-0"
    assert topic._publisher.server_time == before > 5


@pytest.mark.parametrize("codec", [None, JSONCodec()])
async def test_data_and_headers_are_written_as_without_a_key(w: World, codec: Any) -> None:
    topic = w.topic(codec=codec)
    plain = await w.do(topic.publish("a", {"x": "ü", "y": 2}, headers={"h": "1"}))
    once = await w.do(topic.publish("a", {"x": "ü", "y": 2}, headers={"h": "1"}, idempotency_key="k"))
    found = dict(rows(w, topic))
    assert found[plain] == found[once]


# -- wrong use ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "kind"), [("", ValueError), (5, TypeError), (b"k", TypeError), ("\ud800", ValueError), ("x" * 70_000, ValueError)], ids=repr
)
async def test_a_bad_key_is_refused_by_name_before_anything_is_written(w: World, key: Any, kind: type[Exception]) -> None:
    topic = w.topic()
    with pytest.raises(kind, match="idempotency_key"):
        await w.do(topic.publish("a", idempotency_key=key))
    assert w.raw.keys(f"{topic.name}*") == []


@pytest.mark.parametrize("call", [{"data": {"x": None}}, {"data": {"x": 1}, "x": 2}, {"entry_id": "x"}, {"data": {f"f{i}": 1 for i in range(4000)}}])
async def test_bad_data_is_refused_before_anything_is_written(w: World, call: dict[str, Any]) -> None:
    topic = w.topic()
    with pytest.raises((TypeError, ValueError)):
        await w.do(topic.publish("a", **call, idempotency_key="k"))
    assert w.raw.keys(f"{topic.name}*") == []


async def test_an_entry_of_thousands_of_fields_goes_with_a_key(w: World) -> None:
    topic = w.topic(maxlen=10)
    first = await w.do(topic.publish("a", {f"f{i}": i for i in range(3949)}, idempotency_key="k"))
    assert len(dict(rows(w, topic))[first]) == 3950


async def test_a_key_of_another_type_is_named(w: World) -> None:
    topic = w.topic()
    w.raw.rpush(guard(topic, "k"), "x")
    with pytest.raises(SetupError, match="published.* holds a list"):
        await w.do(topic.publish("a", idempotency_key="k"))
    assert rows(w, topic) == []
    w.raw.set(topic.name, "x")
    with pytest.raises(SetupError, match=rf"'{topic.name}' holds something else than a stream"):
        await w.do(topic.publish("a", idempotency_key="l"))
    assert not w.raw.exists(guard(topic, "l"))


@real_only
async def test_without_the_right_to_remember_nothing_is_written(w: World) -> None:
    w.raw.acl_setuser("writer", enabled=True, nopass=True, commands=["+@all", "-set"], keys=["*"])
    topic = w.topic(client=w.client(username="writer", password=""))
    with pytest.raises(redis.ResponseError):
        await w.do(topic.publish("a", idempotency_key="k"))
    assert rows(w, topic) == []


# -- lost replies -------------------------------------------------------------------------------------------------------------------------


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
@pytest.mark.parametrize("flushed", [False, True], ids=["the script is known", "the script is not known"])
@pytest.mark.parametrize("cut", [b"EVALSHA", b"EVAL\r\n"])
async def test_an_uncertain_publish_may_be_repeated_with_its_key(w: World, proxied: tuple[Proxy, Any], flushed: bool, cut: bytes) -> None:
    proxy, topic = proxied
    await w.do(topic.publish("before", idempotency_key="other"))
    if flushed:
        w.raw.script_flush()
    if (cut == b"EVALSHA") or flushed:
        proxy.cut(cut)
        with pytest.raises(PublishUncertain, match=topic.name):
            await w.do(topic.publish("precious", idempotency_key="k"))
        assert proxy.cuts == 0
    written = [entry_id for entry_id, row in rows(w, topic) if row["type"] == "precious"]
    assert len(written) == (0 if flushed == (cut == b"EVALSHA") else 1)
    again = await w.do(topic.publish("precious", idempotency_key="k"))
    assert [entry_id for entry_id, row in rows(w, topic) if row["type"] == "precious"] == [again]
    assert written in ([], [again])
