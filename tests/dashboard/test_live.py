"""How the dashboard keeps up: one look for all, Redis away, viewers that come, lag and go."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from streamio.dashboard import app, sampler
from streamio.dashboard.events import telling
from streamio.dashboard.serving import listening

from ..servers import RedisServer
from .site import Site, until

MOUNTED = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from streamio.dashboard import app
made = Starlette(routes=[Mount("/streams", app(sys.argv[1]))])
uvicorn.run(made, port=int(sys.argv[2]), log_level="warning", timeout_graceful_shutdown=3, lifespan="off")
"""


@pytest.fixture(scope="module")
def own_server() -> Iterator[RedisServer]:
    """A server of these tests alone: what it is asked can be counted."""
    server = RedisServer("appendonly no").start()
    yield server
    server.remove()


def asked(server: RedisServer, command: str = "xinfo|stream") -> int:
    """How often the server was asked that."""
    client = server.client(decode_responses=True)
    calls = client.info("commandstats").get(f"cmdstat_{command}", {}).get("calls", 0)
    client.close()
    return int(calls)


def test_viewers_share_one_sampler(own_server: RedisServer, serve: Callable[..., Site]) -> None:
    own_server.client().xadd("orders", {"a": 1})
    shared = serve(own_server.url, topics=("orders",))
    with ExitStack() as viewers:
        events = [viewers.enter_context(shared.watching()) for _ in range(5)]
        for each in events:
            assert each.of("state", lambda state: state["viewers"] == 5)["sample"]["topics"][0]["length"] == 1
        before = asked(own_server)
        versions = {int(each.next()["id"].partition("-")[0]) for each in events * 4}
        after = asked(own_server)
    assert after - before <= len(versions) + 1


def test_nobody_looks_when_nobody_watches(own_server: RedisServer, serve: Callable[..., Site], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "LINGER", 0.1)
    own_server.client().xadd("orders", {"a": 1})
    resting = serve(own_server.url, topics=("orders",))
    client = own_server.client(decode_responses=True)
    there = len(client.client_list())
    with resting.watching() as events:
        events.of("state")
        assert len(client.client_list()) > there
    until(lambda: len(client.client_list()) == there)
    assert not resting.dashboard.board.sampler.viewers
    before = asked(own_server)
    assert resting.get("/api/state").json["sample"]["topics"][0]["name"] == "orders"
    assert asked(own_server) == before + 1
    client.close()


def test_one_who_does_not_wait_for_the_first_event_leaves_nothing(site: Site) -> None:
    assert site.ask("HEAD", "/api/events").headers["content-type"].startswith("text/event-stream")
    for _ in range(5):
        connection = site.connect()
        connection.request("GET", "/api/events")
        connection.close()
    until(lambda: not site.dashboard.board.sampler.viewers)


def test_one_who_comes_while_all_is_given_back_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "LINGER", 0.02)

    async def play() -> int:
        looks, closing, closed = 0, asyncio.Event(), asyncio.Event()

        async def look() -> Any:
            nonlocal looks
            looks += 1
            return object()

        async def giving_back() -> None:
            closing.set()
            await closed.wait()

        shared = sampler.Sampler(look, 0.01, giving_back)
        first, second = sampler.Viewer(), sampler.Viewer()
        shared.watch(first)
        await shared.fresh()
        shared.leave(first)
        await closing.wait()
        shared.watch(second)
        closed.set()
        before = looks
        while looks < before + 2:
            await second.news.wait()
            second.news.clear()
        await shared.close()
        return looks

    assert asyncio.run(asyncio.wait_for(play(), 5)) > 1


def test_a_server_that_goes_away_is_told_and_comes_back(serve: Callable[..., Site]) -> None:
    server = RedisServer("appendonly no").start()
    server.client().xadd("orders", {"a": 1})
    shown = serve(server.url, topics=("orders",))
    with shown.watching() as events:
        assert events.of("state")["stale"] is False
        server.stop()
        stale = events.of("state", lambda state: state["stale"])
        assert stale["sample"]["topics"][0]["name"] == "orders" and "onnect" in stale["reason"]
        assert abs(stale["stale_since"] - time.time()) < 5
        assert shown.get("/healthz").status == 503
        answer = shown.get("/api/entries?topic=orders")
        assert (answer.status, answer.json["ok"]) == (503, False)
        assert "orders" in shown.get("/?topic=orders").text
        server.start()
        assert events.of("state", lambda state: not state["stale"])["reason"] is None
    assert shown.get("/healthz").status == 200
    server.remove()


def test_a_server_that_was_never_there_is_told(serve: Callable[..., Site]) -> None:
    server = RedisServer()
    state = serve(server.url).get("/api/state").json
    assert state["sample"] is None and state["stale"] is True and state["reason"]
    server.remove()


def test_a_page_waits_once_for_a_server_that_says_nothing(serve: Callable[..., Site]) -> None:
    with listening("127.0.0.1", 0) as silent:
        page = serve(f"redis://127.0.0.1:{silent.getsockname()[1]}?socket_timeout=0.3").get("/?topic=orders")
        assert page.status == 200 and "Redis does not answer" in page.text
        silent.settimeout(0.05)
        asked = 0
        with suppress(TimeoutError):
            while True:
                silent.accept()[0].close()
                asked += 1
        assert asked == 1


def test_one_that_comes_back_gets_the_actions_it_missed(site: Site, stream: str) -> None:
    with site.watching() as events:
        first = events.next()
        assert (first["event"], first["retry"]) == ("state", "2000")
    for number in range(3):
        site.post("/api/ack", {"topic": stream, "group": "g", "ids": [f"{number}-1"]})
    with site.watching(Last_Event_ID=first["id"]) as events:
        assert [events.of("log")["command"] for _ in range(3)] == [f"XACK {stream} g {number}-1" for number in range(3)]
    with site.watching() as events:
        assert events.next()["event"] == "state"


def test_a_slow_viewer_makes_nothing_grow() -> None:
    async def slow() -> list[str | None]:
        board = app("memory://slow").board
        viewer = sampler.Viewer()
        events = telling(board, viewer, 0)
        seen = [(await anext(events)).id]
        for _ in range(1000):
            board.sampler.tell()
            board.journal.add("ada", "ack", "orders", "XACK", "done", True)
        seen += [(await anext(events)).id for _ in range(201)]
        viewer.end()
        assert [each async for each in events] == []
        await board.close()
        return seen

    seen = asyncio.run(slow())
    assert len(set(seen)) == 202 and str(seen[-1]).endswith("-1000")


def test_looks_are_never_two_at_a_time_and_leave_the_server_time() -> None:
    async def play() -> tuple[int, int, float]:
        running = most = looks = 0

        async def look() -> Any:
            nonlocal running, most, looks
            running, looks = running + 1, looks + 1
            most = max(most, running)
            await asyncio.sleep(0.02)
            running -= 1
            return object()

        async def nothing() -> None:
            return None

        shared = sampler.Sampler(look, 0.01, nothing)
        shared.watch(sampler.Viewer())
        await asyncio.gather(*(shared.fresh() for _ in range(20)))
        rest = shared.rest
        await shared.close()
        return most, looks, rest

    most, looks, rest = asyncio.run(play())
    assert (most, looks) == (1, 1) and rest >= 0.2


def test_an_error_of_our_own_is_told_and_does_not_end_the_looks(caplog: pytest.LogCaptureFixture) -> None:
    async def play() -> Any:
        async def look() -> Any:
            raise ZeroDivisionError("by zero")

        async def nothing() -> None:
            return None

        shared = sampler.Sampler(look, 0.01, nothing)
        await shared.fresh()
        await shared.close()
        return shared.staleness()

    assert asyncio.run(play())["reason"] == "ZeroDivisionError: by zero"
    assert "could not look" in caplog.text


def test_a_mounted_dashboard_needs_no_lifespan(real_server: RedisServer, stream: str) -> None:
    made = app(real_server.url, topics=(stream,), read_only=False)
    outer = Site(None, "/streams", Starlette(routes=[Mount("/streams", made)]))
    try:
        page = outer.get(f"/?topic={stream}")
        assert page.status == 200 and 'href="/streams/static/' in page.text and 'href="/static' not in page.text
        assert outer.get("/static/icon.svg").status == 200
        assert outer.post("/api/produce", {"topic": stream, "type": "t"}).status == 200
        with outer.watching() as events:
            assert events.of("state")["sample"]["topics"][0]["length"] == 6
        until(lambda: not made.board.sampler.viewers)
    finally:
        outer.close()


def test_a_prefix_is_kept_in_all_addresses(serve: Callable[..., Site]) -> None:
    served = serve(prefix="/streams/", token="t0ken")
    assert served.get("/").headers["location"] == "/streams/login"
    assert "/streams/static/dashboard.css" in served.get("/login").text
    served.base = ""  # as a proxy asks that takes the prefix away
    assert served.get("/").headers["location"] == "/streams/login"
    assert served.get("/healthz").status == served.get("/static/icon.svg").status == 200
    assert served.get("/api/state").status == served.post("/api/ack", {}).status == 401
    assert "/streams/static" in served.get("/", Authorization="Bearer t0ken").text
    assert served.get("/streamsapi/state", Authorization="Bearer t0ken").status == 404
    served.base = "/streams"
    assert served.get("/healthz").status == served.get("/static/icon.svg").status == 200
    assert served.get("/api/state").status == 401
    assert "/streams/static" in served.get("/", Authorization="Bearer t0ken").text


def test_viewers_are_let_go_before_the_server_ends(serve: Callable[..., Site], capfd: pytest.CaptureFixture[str]) -> None:
    served = serve()
    with ExitStack() as viewers:
        events = [viewers.enter_context(served.watching()) for _ in range(3)]
        for each in events:
            each.of("state")
        served.close()
        for each in events:
            each.answer.read()  # (IncompleteRead where the stream was cut)
    assert capfd.readouterr().err == ""


def ended(process: subprocess.Popen[str], port: int, base: str) -> tuple[float, str]:
    """How long the process takes to end with three viewers attached, and what it said."""
    site = Site.__new__(Site)
    site.port, site.base = port, base
    with ExitStack() as viewers:
        for _ in range(3):
            viewers.enter_context(site.watching()).of("state")
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.wait(10)
        took = time.monotonic() - started
    return took, process.communicate()[1]


@pytest.mark.slow
def test_the_server_ends_at_once_with_viewers_attached(real_server: RedisServer) -> None:
    words = [sys.executable, "-m", "streamio.dashboard", "--url", real_server.url, "--port", "0"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    address = process.stderr.readline().strip()
    took, said = ended(process, int(address.rstrip("/").rpartition(":")[2]), "")
    assert took < 4 and said == "" and process.returncode == 130


@pytest.mark.slow
def test_a_server_that_it_is_mounted_in_ends_with_viewers_attached(real_server: RedisServer) -> None:
    port = RedisServer(port=None).port
    process = subprocess.Popen([sys.executable, "-c", MOUNTED, real_server.url, str(port)], stderr=subprocess.PIPE, text=True)
    site = Site.__new__(Site)
    site.port, site.base = port, "/streams"

    def answers() -> bool:
        try:
            return site.get("/healthz").status == 200
        except ConnectionError:
            return False

    until(answers)
    took, said = ended(process, port, "/streams")
    assert took < 5 and "without completing" not in said and "Traceback" not in said.replace("KeyboardInterrupt", "")
