"""What comes out of Redis is text and nothing else, and a page that may not write cannot."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from streamio import Topic

from ..servers import RedisServer
from .serving import Served
from .watching import Watched

pytestmark = [pytest.mark.slow, pytest.mark.real]
Orders = Topic[Any, Any]
EVIL = "<script>document.title='run'</script><img src=x onerror=\"document.title='run'\">"


def test_markup_in_names_payloads_and_errors_is_text(w: Watched, redis: Any) -> None:
    redis.xadd(EVIL, {"type": EVIL, EVIL: EVIL, "data": EVIL})
    redis.xgroup_create(EVIL, EVIL, "0")
    redis.xreadgroup(EVIL, EVIL, {EVIL: ">"})
    with Topic(EVIL, server_of(redis)) as topic:
        topic.publish("x", {"n": 1})
        ((_, ((id, _),)),) = redis.xreadgroup(EVIL, EVIL, {EVIL: ">"})
        topic.group(EVIL).bury(id, reason=EVIL)
    page = w.open()
    expect(page.locator("#cards h3")).to_contain_text(EVIL)
    page.locator("#cards h3 a").click()
    for panel in ("groups-rows", "consumers-rows", "pending-rows", "entries-rows", "dead-rows"):
        expect(page.locator(f"#{panel}")).to_contain_text(EVIL)
    page.locator("#entries-rows [data-do=json]").last.click()
    expect(page.locator("tr.json pre")).to_contain_text("<script>")
    page.locator("[data-action=ack]").first.click()
    expect(page.locator("#ask")).to_contain_text(EVIL)
    assert page.locator("main img, main script, dialog img").count() == 0
    assert "run" not in page.title().split()


def server_of(redis: Any) -> str:
    """The address of the client's server."""
    return f"redis://127.0.0.1:{redis.connection_pool.connection_kwargs['port']}"


def test_a_long_value_is_cut_and_got_on_demand(w: Watched, redis: Any) -> None:
    redis.xadd("orders", {"text": "x" * 1_000_000, "bytes": b"\xff\x00"})
    page = w.open("orders")
    cell = page.locator("#entries-rows td.value").first
    assert len(cell.text_content() or "") < 200
    expect(page.locator("#entries-rows tr").first).to_contain_text("base64 /wA=")
    page.locator("[data-do=json]").click()
    page.get_by_role("button", name="get all of it").click()
    expect(page.get_by_role("button", name="get all of it")).to_have_count(0)
    assert len(page.locator("tr.json pre").text_content() or "") > 1_000_000


def test_a_page_that_only_shows_has_no_buttons_that_act(r: Watched, redis: Any, orders: Orders) -> None:
    orders.group("billing").bury(redis.xpending_range("orders", "billing", "-", "+", 1)[0]["message_id"])
    page = r.open("orders")
    expect(page.locator("#pending-rows tr")).to_have_count(3)
    expect(page.locator("#dead-rows tr")).to_have_count(1)
    assert page.locator("[data-action]").count() == 0
    assert page.evaluate("[...document.querySelectorAll('template')].some((each) => each.content.querySelector('[data-action]'))") is False
    expect(page.locator("footer")).to_contain_text("--allow-writes")
    page.goto(r.served.url)
    assert page.locator("[data-action]").count() == 0
    page.locator("#cards h3 a").click()
    expect(page).to_have_url(f"{r.served.url}?topic=orders")


def test_a_page_elsewhere_cannot_act(w: Watched, redis: Any, orders: Orders) -> None:
    w.expected += ["CORS", "ERR_FAILED", "status of 40"]
    w.page.goto("about:blank")
    for mode, kind in (("no-cors", "text/plain"), ("cors", "application/json")):
        trim = f"{{method: 'POST', mode: '{mode}', headers: {{'Content-Type': '{kind}'}}, body: JSON.stringify({{topic: 'orders', maxlen: 0}})}}"
        w.page.evaluate(f"fetch('{w.served.url}api/trim', {trim}).then(() => 'sent', String)")
    assert redis.xlen("orders") == 20


def test_the_token_is_taken_by_plain_http_in_a_network_too(browser: Browser, server: RedisServer, redis: Any) -> None:
    redis.xadd("orders", {"n": 1})
    with Served(server.url, token="open sesame", hosts=("streams.example",), read_only=False) as served, browser.new_context() as context:
        page = context.new_page()
        page.goto(f"http://streams.example:{served.port}/?topic=orders")
        for token, title in (("wrong", "streamio"), ("open sesame", "orders")):
            page.get_by_label("Token").fill(token)
            page.get_by_role("button").click()
            expect(page.locator("h1")).to_have_text(title)
        assert (
            page.evaluate(
                "fetch('/api/trim', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: '{}'}).then((came) => came.status)"
            )
            == 400
        )
        page.get_by_role("button", name="Forget the token").click()
        expect(page.get_by_label("Token")).to_be_visible()


def test_without_scripts_there_is_a_snapshot(browser: Any, reading: Any, redis: Any, orders: Orders) -> None:
    orders.group("billing").bury(redis.xpending_range("orders", "billing", "-", "+", 1)[0]["message_id"], reason="by hand")
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{reading.url}?topic=orders")
        for panel, text in {
            "figures": "20",
            "groups": "billing",
            "consumers-rows": "b",
            "pending-rows": "may be claimed in",
            "entries-rows": "o-19",
        }.items():
            expect(page.locator(f"#{panel}")).to_contain_text(text)
        expect(page.locator("#dead-rows")).to_contain_text("by hand")
        expect(page.locator("main")).to_contain_text("A snapshot")
        expect(page.locator("#pause")).to_be_hidden()
        page.goto(reading.url)
        expect(page.locator("#cards")).to_contain_text("billing")


def test_what_the_snapshot_says_is_what_the_script_says(w: Watched, redis: Any, orders: Orders) -> None:
    w.expected.append("ERR_FAILED")
    w.page.route("**/api/events", lambda route: route.abort())
    w.page.goto(f"{w.served.url}?topic=orders")
    before = cells(w)
    w.page.unroute("**/api/events")
    w.open("orders")
    w.page.wait_for_function("document.querySelector('#groups-note').textContent !== ''")
    after = cells(w)
    assert before.keys() == after.keys()
    assert {name for name in before if before[name] != after[name]} == set()


def cells(w: Watched) -> dict[str, str]:
    """What stands in the cells that time does not change."""
    found: dict[str, str] = w.page.evaluate(
        """Object.fromEntries([...document.querySelectorAll('#figures, #keeps, #groups tbody, #consumers-rows tr, #pending-rows tr')].flatMap((box) =>
        [...box.querySelectorAll('[data-cell]')].map((cell) => [`${box.id}${box.dataset.key ?? ''} ${cell.dataset.cell}`, cell.textContent.trim()]))
        .filter(([name]) => !/ (idle|inactive|next|newest|oldest|last_delivered|lag_seconds|rate_in|rate_out|diagnosis|memory|state)$/.test(name)))"""
    )
    return found
