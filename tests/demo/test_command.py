"""`streamio demo` as people start it: a page, what it answers, what it refuses, how it ends."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from ..servers import RedisServer
from .shop import Shop

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    """One without any Redis."""
    made = Shop("--rate", "0", "--claim-idle", "300ms", "--seed", "1")
    yield made
    made.stop()


def test_it_needs_no_redis_and_says_where_the_page_is(shop: Shop) -> None:
    assert "shows the demo, on an embedded server; Ctrl-C ends it and removes its keys" in shop.said
    assert shop.state()["topic"] == "streamio:demo:orders"
    assert shop.state()["claim_idle"] == 0.3


def test_every_lever_has_its_address(shop: Shop) -> None:
    assert len(shop.do("produce")["ids"]) == 10
    assert len(shop.do("produce", count=3, type="order.paid")["ids"]) == 3
    assert shop.do("producer", rate=1, paused=True) == {"paused": True, "rate": 1.0}
    assert len(shop.ask("api/demo/replay?count=2")[1]["result"]["entries"]) == 2
    assert shop.do("crash", group="notifications", worker="worker-a") == {"crash_queued": 3}
    shop.do("produce", count=20)
    shop.until(lambda state: not state["groups"]["notifications"][0]["alive"])
    assert shop.do("trim", maxlen=5, preview=True)["entries"] == 28
    assert len(shop.do("claim", group="notifications", to="worker-b", idle=0)["claimed"]) == 3
    assert shop.do("spoil", count=2) == {"queued": 2} and shop.do("mend") == {"mended": True} and shop.do("redrive") == {"count": 0}
    shop.do("pause", group="analytics", worker="worker-c")
    shop.do("resume", group="analytics", worker="worker-c")
    shop.do("add-worker", group="analytics", name="worker-d")
    assert shop.do("remove-worker", group="analytics", name="worker-c")["heir"] == "worker-d"
    shop.do("trim", maxlen=0)
    shop.do("reset")
    assert shop.state()["stats"] == {"produced": 0, "acked": 0, "claimed": 0}
    told = [each["action"] for each in shop.ask("api/log")[1]["log"]]
    assert told.count("demo trim") == 1 and "demo reset" in told  # a preview is no action


@pytest.mark.parametrize(
    ("act", "values", "status", "error"),
    [
        ("add-worker", {"group": "analytics"}, 400, "name must be given"),
        ("add-worker", {"group": "analytics", "name": "worker-c"}, 409, "has a worker 'worker-c' already"),
        ("remove-worker", {"group": "analytics", "name": "nobody"}, 409, "has no worker 'nobody'"),
        ("remove-worker", {"group": "analytics", "name": "worker-c"}, 409, "has no peer"),
        ("crash", {"group": "analytics", "worker": "worker-c", "count": 0}, 400, "count must be a whole number from 1 to 100"),
        ("crash", {"group": "analytics", "worker": "worker-x"}, 404, "has no worker 'worker-x'"),
        ("claim", {"group": "analytics", "to": "worker-c", "idle": "soon"}, 400, "idle"),
        ("produce", {"number": 3}, 400, "'number' is no setting here"),
        ("producer", {"rate": 1e9}, 400, "rate must be a number of orders per second from 0 to 100"),
        ("trim", {"maxlen": -1}, 400, "maxlen must be a whole number"),
    ],
)
def test_what_is_not_done_is_said(shop: Shop, act: str, values: Any, status: int, error: str) -> None:
    came, answer = shop.ask(f"api/demo/{act}", values)
    assert (came, answer["ok"]) == (status, False)
    assert error in answer["error"]


def test_other_sites_cannot_pull_the_levers(shop: Shop) -> None:
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.example"}):
        assert shop.ask("api/demo/reset", {}, **headers)[0] == 403
    assert shop.ask("api/demo/reset", {}, **{"Content-Type": "text/plain"})[0] == 415


def test_the_page_touches_the_demos_stream_only(shop: Shop) -> None:
    assert shop.ask("api/trim", {"topic": "somebody's", "maxlen": 0})[0] == 403


def test_on_a_real_server_its_keys_come_and_go(real_server: RedisServer) -> None:
    with real_server.client(decode_responses=True) as raw:
        shop = Shop("-u", real_server.url, "--stream-key", "command:demo", "--rate", "50", "--maxlen", "30")
        shop.until(lambda state: state["stats"]["acked"] > 4)
        assert sorted(raw.scan_iter("command:demo*")) == [
            "command:demo",
            "command:demo:demo-alive:{command:demo}",
            "command:demo:demo:{command:demo}",
        ]
        took = shop.stop()
        assert (shop.process.returncode, list(raw.scan_iter("command:demo*"))) == (130, [])
        assert took < 2.5
        assert "Traceback" not in shop.said


def test_a_termination_ends_it_too(shop: Shop) -> None:
    assert shop.stop(signal.SIGTERM) < 2.5
    assert "Traceback" not in shop.said
