"""Requests and their replies: `topic.request`, `reply_to`, and what becomes of those that wait when something breaks."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time
from contextlib import asynccontextmanager

import pytest

from streamio import AtLeastOnce, JSONCodec, PublishUncertain, RequestTimeout, RetryPolicy, SetupError, Topic, from_url
from streamio.keys import side_key

from ..proxy import Proxy
from ..servers import RedisServer
from ..world import World

pytestmark = pytest.mark.asyncio
SOON = RetryPolicy(backoff=(0.01, 0.01), jitter=0)


def coloured(w: World, function):
    """The function, as a coroutine function in asyncio."""

    async def in_asyncio(message):
        return function(message)

    return in_asyncio if w.asyncio else function


@asynccontextmanager
async def answered(w: World, *handlers, topic=None, **options):
    """A topic whose entries are handled by these."""
    member = w.member(w.group(w.topic() if topic is None else topic, retry=SOON), **options)
    for handler in handlers:
        member.on("*", coloured(w, handler))
    async with w.listening(member):
        yield member.group.topic


def replies_of(w: World, name: str = "topic") -> list[str]:
    """The keys of the streams on which replies to requests come."""
    return [key for key in w.raw.keys(w.key("*")) if key.startswith(side_key(w.key(name), "replies"))]


def dead(w: World, name: str = "topic") -> list[dict[str, str]]:
    """The dead letters."""
    return [fields for _, fields in w.raw.xrange(side_key(w.key(name), "dead", "group"))]


def entries(w: World, name: str) -> list[dict[str, str]]:
    """What stands in a stream."""
    return [fields for _, fields in w.raw.xrange(w.key(name))]


# -- values ----------------------------------------------------------------------------------------------------------------------------

GIVEN = [
    None, "text", "", 7, 1.5, True, {"a": "b", "n": 1, "yes": True}, {}, {"raw": b"\xff\x00"}, {"lines": [1, {"of": None}]}, [1, "two", None],
    {"type": "mine"}, "ä\u2028",
]  # fmt: skip
FLAT = {6: {"a": "b", "n": "1", "yes": "true"}}  # what comes back of a flat mapping, as of any data


async def test_what_a_handler_returns_is_the_reply_none_too(w: World) -> None:
    async with answered(w, lambda message: GIVEN[int(message["place"])]) as topic:
        for place, value in enumerate(GIVEN):
            assert await w.do(topic.request("ask", place=place)) == FLAT.get(place, value), value
    assert w.raw.xpending(topic.name, "group")["pending"] == 0


async def test_a_topic_with_json_replies_as_its_codec_writes(w: World) -> None:
    topic = w.topic(codec=JSONCodec())
    async with answered(w, lambda message: message.data["value"], topic=topic):
        for value in (None, 7, {"n": 1}, [{"deep": [True]}], "text"):
            assert await w.do(topic.request("ask", {"value": value})) == value


async def test_of_several_listeners_the_last_that_returns_anything_gives_the_reply(w: World) -> None:
    async with answered(w, lambda message: "first", lambda message: "second", lambda message: None) as topic:
        assert await w.do(topic.request("ask")) == "second"


async def test_a_handler_that_fails_first_replies_at_its_retry_and_once(w: World) -> None:
    tries = []

    def handle(message):
        tries.append(message.deliveries)
        if len(tries) < 3:
            raise ValueError("not yet")
        return len(tries)

    async with answered(w, handle) as topic:
        assert await w.do(topic.request("ask")) == 3
    assert tries == [1, 2, 3] and [w.raw.xlen(key) for key in replies_of(w)] == [1]


async def test_a_listener_for_one_message_replies_and_is_gone(w: World) -> None:
    member = w.member(w.group(retry=SOON))
    member.once("ask", coloured(w, lambda message: "once"))
    member.on("ask", coloured(w, lambda message: None))
    async with w.listening(member):
        assert [await w.do(member.group.topic.request("ask")) for _ in range(2)] == ["once", None]


@pytest.mark.parametrize("concurrency", [1, 20])
async def test_many_requests_at_once_get_each_its_own_reply_over_few_connections(w: World, concurrency: int) -> None:
    many = 100
    async with answered(w, lambda message: {"n": message["n"]}, concurrency=concurrency) as topic:
        await w.do(topic.request("ask", n=0))
        if not w.embedded:
            before = len(w.raw.client_list())
        asked = [w.start(lambda n=n: topic.request("ask", n=n, timeout=20)) for n in range(many)]
        assert [int(reply["n"]) for reply in await asyncio.gather(*asked)] == [*range(many)]
        if not w.embedded:
            assert len(w.raw.client_list()) <= before + 2
        assert not topic._desks[None][1].waiting and not topic._desks[None][1].outbox
    assert len(replies_of(w)) == 1


# -- time ------------------------------------------------------------------------------------------------------------------------------


async def test_no_reply_in_time_is_a_timeout_error_and_a_late_one_harms_nobody(w: World) -> None:
    topic = w.topic()
    began = time.monotonic()
    with pytest.raises(RequestTimeout, match=rf"{topic.name}.*timeout=0.05") as told:
        await w.do(topic.request("ask", n=1, timeout=0.05))
    assert isinstance(told.value, TimeoutError) and (told.value.topic, told.value.seconds) == (topic.name, 0.05)
    assert 0.05 <= time.monotonic() - began < 2 and w.raw.xlen(topic.name) == 1
    async with answered(w, lambda message: message["n"], topic=topic):
        await w.until(lambda: [w.raw.xlen(key) for key in replies_of(w)] == [1])  # the late one
        assert await w.do(topic.request("ask", n=2)) == "2"
    assert not topic._desks[None][1].waiting


async def test_the_stream_of_the_replies_expires_and_is_trimmed(w: World, monkeypatch) -> None:
    monkeypatch.setattr("streamio.protocol.requesting.KEPT", 5)
    async with answered(w, lambda message: "x") as topic:
        for _ in range(20):
            await w.do(topic.request("ask"))
    (key,) = replies_of(w)
    assert 0 < w.raw.pttl(key) <= 60_000 and w.raw.xlen(key) <= 6


# -- others on the wire ----------------------------------------------------------------------------------------------------------------


async def test_a_foreign_client_replies_by_an_xadd_to_the_key_that_the_entry_names(w: World) -> None:
    topic = w.topic()
    asked = w.start(lambda: topic.request("ask", n=1, timeout=5))
    await w.until(lambda: w.raw.exists(topic.name))
    (fields,) = [fields for _, fields in w.raw.xrange(topic.name)]
    w.raw.xadd(fields["header:reply_to"], {"type": "reply", "header:correlation_id": "nobody's", "answer": "wrong"})
    w.raw.xadd(fields["header:reply_to"], {"odd": "\udcff".encode("utf-8", "surrogateescape")})
    w.raw.xadd(fields["header:reply_to"], {"type": "reply", "header:correlation_id": fields["header:correlation_id"], "answer": "right"})
    assert await asked == {"answer": "right"}


async def test_a_foreign_request_is_replied_to_where_it_says_and_by_its_id_where_it_has_no_correlation_id(w: World) -> None:
    async with answered(w, lambda message: {"n": message["n"]} if "n" in message.data else None) as topic:
        first = w.raw.xadd(topic.name, {"type": "ask", "header:reply_to": w.key("mine"), "n": "1"})
        w.raw.xadd(topic.name, {"header:reply_to": w.key("mine"), "header:correlation_id": "c-2", "type": "ask"})
        await w.until(lambda: w.raw.xlen(w.key("mine")) == 2)
    assert entries(w, "mine")[0] == {"type": "reply", "header:correlation_id": first, "n": "1"}
    assert entries(w, "mine")[1]["header:correlation_id"] == "c-2" and w.raw.ttl(w.key("mine")) == -1


async def test_a_value_that_looks_like_the_header_asks_for_no_reply(w: World) -> None:
    async with answered(w, lambda message: "value") as topic:
        w.raw.xadd(topic.name, {"type": "ask", "field": "header:reply_to"})
        w.raw.xadd(topic.name, {"field": "header:reply_to", "type": "ask"})
        assert await w.do(topic.request("ask", timeout=5)) == "value"
        await w.until(lambda: w.raw.xpending(topic.name, "group")["pending"] == 0)
    assert dead(w) == []


async def test_what_request_itself_writes_is_refused_as_a_header(w: World) -> None:
    topic = w.topic()
    for name in ("reply_to", "correlation_id"):
        with pytest.raises(ValueError, match=name):
            await w.do(topic.request("ask", headers={name: "x"}))
    with pytest.raises(ValueError, match="type"):
        await w.do(topic.request("ask", {"type": 1}))
    with pytest.raises((TypeError, ValueError), match="timeout"):
        await w.do(topic.request("ask", timeout=-1))
    assert not w.raw.exists(topic.name) and not (topic._desks and topic._desks[None][1].waiting)


async def test_a_closed_topic_asks_nothing(w: World) -> None:
    topic = w.topic()
    await w.do(topic.close())
    with pytest.raises(ValueError, match="closed"):
        await w.do(topic.request("ask"))


# -- reply_to of a member --------------------------------------------------------------------------------------------------------------


async def test_a_member_replies_to_its_own_topic_but_not_none_and_an_entry_that_asks_gets_its_own_reply(w: World) -> None:
    back = w.topic("back")
    async with answered(w, lambda message: {"n": message["n"]} if message["n"] != "2" else None, reply_to=back) as topic:
        ids = await w.do(topic.publish_many([("a", {"n": 1}), ("a", {"n": 2})]))
        await w.do(topic.publish("a", {"n": 3}, headers={"correlation_id": "c-3"}))
        await w.until(lambda: w.raw.xlen(back.name) == 2)
        assert await w.do(topic.request("a", n=4)) == {"n": "4"}
    assert entries(w, "back") == [
        {"type": "reply", "header:correlation_id": ids[0], "n": "1"}, {"type": "reply", "header:correlation_id": "c-3", "n": "3"},
    ]  # fmt: skip
    assert w.raw.ttl(back.name) == -1


async def test_a_member_may_reply_to_another_server_at_least_once(w: World) -> None:
    url = f"memory://{w.name}-other" if w.embedded else f"{w.url}/1"
    back = w.topic("back", from_url(url, asyncio=w.asyncio))
    with pytest.warns(AtLeastOnce, match="another server") as told:
        member = w.member(w.group(retry=SOON), reply_to=back)
    assert "world.py" in told[0].filename  # where the member was made
    member.on("*", coloured(w, lambda message: message["n"] if message["n"] != "2" else None))
    await w.do(member.group.topic.publish_many([("a", {"n": n}) for n in (1, 2, 3)]))
    assert await w.do(member.drain()) == 3
    with from_url(url, decode_responses=True) as raw:
        assert [fields["data"] for _, fields in raw.xrange(back.name)] == ['"1"', '"3"']
        raw.delete(back.name)
    assert w.pending(member.group) == []
    await w.do(back.client.aclose() if w.asyncio else back.client.close()) if hasattr(back, "client") else None


async def test_reply_to_that_is_no_stream_is_refused_when_made_or_at_the_start(w: World) -> None:
    with pytest.raises(TypeError, match="reply_to must be a Topic"):
        w.member(reply_to="back")
    with pytest.raises(TypeError, match="one colour"):
        w.member(reply_to=Topic("back", from_url(w.url, asyncio=not w.asyncio)))
    w.raw.set(w.key("back"), "text")
    member = w.member(reply_to=w.topic("back"))
    member.on("*", coloured(w, lambda message: None))
    with pytest.raises(SetupError, match=w.key("back")):
        await w.do(member.drain())


# -- cancelled, interrupted, broken ----------------------------------------------------------------------------------------------------


async def test_cancelled_at_any_moment_a_request_harms_no_other(w: World) -> None:
    if not w.asyncio:
        pytest.skip("a blocking request cannot be cancelled")

    async def handle(message):
        await asyncio.sleep(0.001)
        return message["n"]

    member = w.member(w.group(), concurrency=20)
    member.on("*", handle)
    topic = member.group.topic
    async with w.listening(member):
        await topic.request("ask", n=-1)
        others = [asyncio.ensure_future(topic.request("ask", n=n, timeout=10)) for n in range(10)]
        for turns in range(40):  # from before it is sent to after its reply has come
            task = asyncio.ensure_future(topic.request("ask", n=1000 + turns, timeout=10))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            others.append(asyncio.ensure_future(topic.request("ask", n=len(others), timeout=10)))
        assert await asyncio.gather(*others) == [str(n) for n in range(len(others))]
    desk = topic._desks[None][1]
    assert not desk.waiting and not desk.outbox and len(desk.reader) == len(desk.sender) == 1


class Interrupt(BaseException):
    """As KeyboardInterrupt."""


async def test_interrupted_at_any_effect_a_blocking_request_leaves_the_others_their_replies(w: World) -> None:
    if w.asyncio:
        pytest.skip("of blocking code")
    async with answered(w, lambda message: message["n"], concurrency=4) as topic:
        topic.request("ask", n=0)
        driver, desk, perform = topic._driver, topic._desks[None][1], topic._driver.perform
        for at in range(1, 6):
            left = [at]

            def interrupted(effect, left=left):
                if threading.current_thread() is threading.main_thread():
                    left[0] -= 1
                    if left[0] == 0:
                        raise Interrupt
                return perform(effect)

            others = [w.start(lambda n=n: topic.request("ask", n=n, timeout=5)) for n in range(3)]
            driver.perform = interrupted
            try:
                topic.request("ask", n=at, timeout=5)
            except Interrupt:
                pass
            finally:
                driver.perform = perform
            found = await asyncio.gather(*others, return_exceptions=True)
            assert all(reply == str(n) or isinstance(reply, PublishUncertain) for n, reply in enumerate(found)), found
            assert topic.request("ask", n="after", timeout=5) == "after"
        await w.until(lambda: not desk.waiting)
        assert not desk.outbox and len(desk.reader) == len(desk.sender) == 1


async def test_the_others_of_a_write_that_was_interrupted_are_told_at_once(w: World) -> None:
    if w.asyncio:
        pytest.skip("of blocking code")
    topic = w.topic()
    with pytest.raises(RequestTimeout):
        topic.request("ask", timeout=0.01)
    desk, driver = topic._desks[None][1], topic._driver
    first, second = desk.expect(), desk.expect()
    desk.outbox.extend([first, second])
    perform = driver.perform

    def interrupted(effect):
        raise Interrupt

    driver.perform = interrupted
    with pytest.raises(Interrupt):
        driver.run(desk.sending())
    driver.perform = perform
    assert [type(each.error) for each in (first, second)] == [PublishUncertain] * 2 and not desk.outbox


@pytest.mark.parametrize("what", ["line", "server"])
async def test_a_request_that_waits_outlasts_a_broken_connection_and_a_server_that_restarts(w: World, what: str, tmp_path) -> None:
    if w.embedded:
        pytest.skip("the embedded server has no connections")
    server = RedisServer("appendonly yes").start() if what == "server" else RedisServer().start()
    proxy = Proxy(server.port)
    topic = Topic("topic", from_url(f"redis://127.0.0.1:{proxy.port}", asyncio=w.asyncio))
    w.things.append(topic)
    try:
        asked = w.start(lambda: topic.request("ask", timeout=15))
        raw = server.client(decode_responses=True)
        await w.until(lambda: raw.exists("topic"))
        if what == "server":
            server.stop()
            server.start()
        else:
            raw.client_kill_filter(_type="normal", skipme=True)
        ((_, fields),) = raw.xrange("topic")
        raw.xadd(fields["header:reply_to"], {"type": "reply", "header:correlation_id": fields["header:correlation_id"], "answer": "42"})
        assert await asked == {"answer": "42"}
        raw.close()
    finally:
        await w.do(topic.close())
        w.things.remove(topic)
        proxy.close()
        server.remove()


async def test_where_the_reply_to_the_write_is_lost_the_request_is_in_doubt(w: World) -> None:
    if w.embedded:
        pytest.skip("the embedded server has no connections")
    proxy = Proxy(w.port)
    topic = Topic(w.key("topic"), from_url(f"redis://127.0.0.1:{proxy.port}", asyncio=w.asyncio))
    w.things.append(topic)
    try:
        with pytest.raises(RequestTimeout):
            await w.do(topic.request("ask", timeout=0.01))
        proxy.cut(b"XADD")
        with pytest.raises(PublishUncertain):
            await w.do(topic.request("ask", n="lost", timeout=5))
        assert w.raw.xlen(topic.name) == 2 and not topic._desks[None][1].waiting
        async with answered(w, lambda message: message.data.get("n"), topic=w.topic()):
            assert await w.do(topic.request("ask", n="after", timeout=5)) == "after"
    finally:
        proxy.close()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # a closed loop's connections
@pytest.mark.parametrize("w", ["asyncio-real"], indirect=True)
async def test_one_event_loop_after_the_other_may_ask(w: World) -> None:
    topic = Topic(w.key(), from_url(w.url, asyncio=True))

    async def ask(n: int) -> None:
        member = topic.group(f"g{n}", start="$").member(block=0.05)
        member.on("*", coloured(w, lambda message: message["n"]))
        await member.connect()
        listening = asyncio.ensure_future(member.connect_and_listen())
        assert await topic.request("ask", n=n) == str(n)
        member.stop()
        await listening
        await member.close()

    def loops() -> None:
        for n in range(2):
            asyncio.run(ask(n))
        asyncio.run(topic.close())

    await asyncio.to_thread(loops)
    gc.collect()


FORK = """
import os, sys, threading
from streamio import Topic
topic = Topic(sys.argv[2], sys.argv[1])
assert topic.request("ask", n="before", timeout=5) == "before"
held = threading.Thread(target=lambda: topic.request("ask", n="held", timeout=5))
held.start()
child = os.fork()
who = "parent" if child else "child"
found = [topic.request("ask", n=f"{who} {n}", timeout=5) for n in range(20)]
assert found == [f"{who} {n}" for n in range(20)], found
if not child:
    os._exit(0)
held.join()
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.parametrize("w", ["blocking-real"], indirect=True)
async def test_parent_and_child_ask_side_by_side_after_a_fork(w: World) -> None:
    async with answered(w, lambda message: message["n"], concurrency=4) as topic:
        words = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK, w.url, topic.name]
        done = await asyncio.to_thread(subprocess.run, words, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")
