"""The page lives: it shows what changes, and leaves alone what somebody reads or types."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from streamio import Topic

from ..servers import RedisServer
from .conftest import watched
from .serving import Served
from .watching import Watched, row

pytestmark = [pytest.mark.slow, pytest.mark.real]
Orders = Topic[Any, Any]


def length(page: Page) -> Any:
    """The topic's length on the page."""
    return page.locator('#figures [data-cell="length"]')


def test_what_changes_is_shown_and_typed_text_and_focus_stay(w: Watched, redis: Any, orders: Orders) -> None:
    page = w.open("orders")
    page.get_by_text("Create a group").click()
    field = page.locator("#groups").get_by_label("Group", exact=True)
    field.press_sequentially("half a na")
    page.locator("#plots-group").evaluate("each => each.dataset.mark = 'same'")
    redis.xgroup_create("orders", "mail", "0")
    orders.publish("order.paid", {"order": "new"})
    expect(length(page)).to_have_text("21")
    expect(row(page, "groups", "mail")).to_contain_text("21")
    expect(field).to_have_value("half a na")
    expect(field).to_be_focused()
    expect(page.locator("#plots-group")).to_have_attribute("data-mark", "same")
    redis.xgroup_destroy("orders", "mail")
    expect(page.locator("#groups tbody[data-key]")).to_have_count(1)


def test_a_button_keeps_the_focus_while_rows_around_it_change(w: Watched, redis: Any, orders: Orders) -> None:
    page = w.open("orders")
    row(page, "groups", "billing").locator("button").focus()
    redis.xgroup_create("orders", "a-first", "0")
    expect(row(page, "groups", "a-first")).to_be_visible()
    expect(row(page, "groups", "billing").locator("button")).to_be_focused()


def test_paused_it_stands_still_and_then_goes_on(w: Watched, redis: Any, orders: Orders) -> None:
    page = w.open("orders")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#live")).to_contain_text("paused")
    orders.publish("order.paid", {"order": "new"})
    with page.expect_response(re.compile("api/log")):  # so long that a new state came: it is made at once after an action
        page.evaluate("fetch(document.body.dataset.root + '/api/log')")
    page.wait_for_timeout(500)
    expect(length(page)).to_have_text("20")
    page.locator("body").press("p")
    expect(length(page)).to_have_text("21")
    expect(page.get_by_role("button", name="Pause")).to_have_attribute("aria-pressed", "false")


def test_entries_that_are_held_tell_how_many_are_new(w: Watched, redis: Any, orders: Orders) -> None:
    page, first = w.open("orders"), w.page.locator("#entries-rows tr").first
    expect(first).to_contain_text("o-19")
    page.get_by_role("button", name="Hold").click()
    orders.publish_many([("order.paid", {"order": f"n-{number}"}) for number in range(3)])
    expect(page.locator("#entries-new")).to_have_text("3 new")
    expect(first).to_contain_text("o-19")
    page.locator("#entries-new").click()
    expect(first).to_contain_text("n-2")
    page.get_by_role("button", name="Hold").click()
    orders.publish("order.paid", {"order": "n-3"})
    expect(first).to_contain_text("n-3")


def test_an_entry_that_is_read_stays_open(w: Watched, redis: Any, orders: Orders) -> None:
    page, first = w.open("orders"), w.page.locator("#entries-rows tr").first
    first.get_by_role("button", name="JSON").click()
    expect(page.locator("tr.json pre")).to_contain_text('"order": "o-19"')
    orders.publish("order.paid", {"order": "new"})
    expect(page.locator("#entries-new")).to_have_text("1 new")
    expect(page.locator("tr.json pre")).to_be_visible()
    first.get_by_role("button", name="JSON").click()
    expect(page.locator("tr.json")).to_have_count(0)


def test_entries_are_filtered_and_their_fields_are_columns(w: Watched, redis: Any, orders: Orders) -> None:
    page, form, rows = w.open("orders"), w.page.locator("#entries-filter"), w.page.locator("#entries-rows tr")
    expect(page.locator("#entries-table thead")).to_contain_text(re.compile("Entry.*Type.*order.*total"))
    form.get_by_label("Type").fill("order.paid")
    form.get_by_role("button", name="Show").click()
    expect(rows).to_have_count(10)
    form.get_by_label("Field").fill("order=o-7")
    form.get_by_role("button", name="Show").click()
    expect(rows).to_have_count(1)
    expect(page.locator("#entries-note")).to_contain_text("20 looked at")
    form.get_by_role("button", name="Clear").click()
    expect(rows).to_have_count(20)
    form.get_by_label("From").fill(redis.xrange("orders", count=18)[-1][0])
    form.get_by_role("button", name="Show").click()
    expect(rows).to_have_count(3)


def test_ids_are_shown_as_local_time_and_copied_and_traces_told(w: Watched, redis: Any, orders: Orders) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    id = orders.publish("order.paid", {"order": "new"}, headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    page = w.open("orders")
    newest = page.locator("#entries-rows tr").first
    expect(newest.locator("th")).to_have_text(id)
    page.get_by_role("button", name="Local time").click()
    expect(newest.locator("th")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d\.\d{3}$"))
    expect(newest.locator("th [data-cell=id]")).to_have_attribute("title", id)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    newest.get_by_role("button", name="copy id").click()
    w.done(f"Copied id {id}")
    assert page.evaluate("navigator.clipboard.readText()") == id
    newest.get_by_role("button", name="trace").click()
    w.done(f"Copied trace {trace}")


def test_a_trace_is_opened_where_traces_are(r: Watched, redis: Any) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    id = redis.xadd("orders", {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    page = r.open("orders")
    expect(page.locator('#figures [data-cell="last_id"]')).to_have_text(id)
    expect(page.locator('#keeps [data-cell="first_id"]')).to_have_text(id)
    page.context.route("http://traces.example/**", lambda route: route.fulfill(body="a trace"))
    with page.context.expect_page() as opened:
        page.get_by_role("button", name="trace").click()
    assert opened.value.url == f"http://traces.example/{trace}"
    opened.value.close()


def test_keys_filter_and_pause_but_not_while_somebody_types(w: Watched, redis: Any, orders: Orders) -> None:
    redis.xgroup_create("orders", "mail", "0")
    page, groups = w.open("orders"), w.page.locator("#groups tbody[data-key]:visible")
    expect(groups).to_have_count(2)
    page.locator("body").press("/")
    expect(page.locator("#filter")).to_be_focused()
    page.keyboard.type("mailp/")
    expect(page.locator("#filter")).to_have_value("mailp/")
    expect(page.locator("#live")).to_contain_text("live")
    page.locator("#filter").fill("mail")
    expect(groups).to_have_count(1)
    page.keyboard.press("Escape")
    expect(groups).to_have_count(2)
    page.locator("#filter").blur()
    page.keyboard.press("p")
    expect(page.locator("#live")).to_contain_text("paused")


def test_the_first_key_leads_past_the_header(w: Watched, redis: Any, orders: Orders) -> None:
    page = w.open("orders")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the panels")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_every_plot_has_a_table_that_says_the_same(w: Watched, redis: Any, orders: Orders) -> None:
    page = w.open("orders")
    expect(page.locator("figure canvas")).to_have_count(6)
    for name, text in (("pending", "4"), ("lag", "12"), ("deliveries", "1"), ("rates", "/s")):
        figure = page.locator(f"figure[data-plot={name}]")
        figure.locator("summary").click()
        expect(figure.locator("tbody tr").first).to_contain_text(text)


def test_a_long_list_is_cut_and_says_how_many_more(w: Watched, redis: Any, orders: Orders) -> None:
    redis.xreadgroup("billing", "a", {"orders": ">"})
    orders.publish_many([("x", {"n": number}) for number in range(70)])
    redis.xreadgroup("billing", "a", {"orders": ">"})
    page, rows = w.open("orders"), w.page.locator("#pending-rows tr")
    expect(rows).to_have_count(50)
    expect(page.locator("#pending-more")).to_contain_text("… 36 more")
    page.locator("#pending-more button").click()
    expect(rows).to_have_count(86)


def test_of_very_many_groups_the_worst_are_shown_and_any_can_be_found(w: Watched, redis: Any, orders: Orders) -> None:
    for number in range(120):
        redis.xgroup_create("orders", f"g-{number:03}", "$")
    page, rows = w.open("orders"), w.page.locator("#groups tbody[data-key]")
    expect(rows).to_have_count(50)
    expect(row(page, "groups", "billing")).to_be_visible()
    expect(page.locator("#groups-more")).to_contain_text("… 71 more")
    page.locator("#groups-more button").click()
    expect(rows).to_have_count(121)
    page.locator("#filter").fill("g-11")
    expect(rows).to_have_count(10)


def test_a_server_that_is_away_is_told_and_comes_back(browser: Browser) -> None:
    server = RedisServer("appendonly no").start()
    with Topic("orders", server.url) as topic:
        topic.publish("order.paid", {"order": "o-1"})
    try:
        with Served(server.url) as served:
            for w in watched(browser, served):
                w.expected += ["the server responded with a status of 503"]
                page = w.open("orders")
                server.kill()
                expect(page.locator("#banner")).to_contain_text("Redis does not answer")
                expect(page.locator("#banner")).to_contain_text(re.compile(r"Stale since \d\d:\d\d:\d\d"))
                expect(length(page)).to_have_text("1")
                server.start()
                expect(page.locator("#banner")).to_be_hidden()
                expect(page.locator("#topic-error")).to_contain_text("no stream")
    finally:
        server.remove()


def test_a_dashboard_that_ends_is_told(server: RedisServer, browser: Browser, redis: Any, orders: Orders) -> None:
    served = Served(server.url)
    served.__enter__()
    for w in watched(browser, served):
        w.expected += ["ERR_"]
        page = w.open("orders")
        served.__exit__(None, None, None)
        expect(page.locator("#banner")).to_contain_text("The dashboard does not answer")
        expect(page.locator("#live")).to_have_attribute("data-live", "stale")


def test_what_is_not_shown_one_by_one_is_counted_all_the_same(w: Watched, redis: Any) -> None:
    redis.xadd("many", {"n": 1})
    for number in range(60):
        redis.xgroup_create("many", f"g{number:02}", "0")
        redis.xreadgroup(f"g{number:02}", "a", {"many": ">"})
        redis.xadd(f"many:dead:{{many}}:g{number:02}", {"dead:id": "1-0", "dead:reason": "failed"})
    page = w.open()
    expect(page.locator('#cards [data-cell="pending"]')).to_have_text("60")
    page.locator("#cards h3 a").click()
    expect(page.locator("#groups-note")).to_have_text("60 read this topic")
    for part, text in {
        '#figures [data-cell="pending"]': "60",
        '#figures [data-cell="dead"]': "60",
        "#groups-more": "10 more",
        "#consumers-more": "10 more",
    }.items():
        expect(page.locator(part)).to_contain_text(text)
    expect(page.locator("#pending-note")).to_contain_text("60 delivered")
    page.locator("[data-action=redrive-all]").click()
    expect(page.locator("#ask")).to_contain_text("g59: 1 entry")
    page.get_by_role("button", name="Cancel").click()


def test_names_with_blanks_are_not_taken_for_one_another(w: Watched, redis: Any) -> None:
    redis.xadd("orders", {"n": 1})
    for group, consumer in (("a b", "c"), ("a", "b c")):
        redis.xgroup_create("orders", group, "0")
        redis.xgroup_createconsumer("orders", group, consumer)
    page = w.open("orders")
    for _ in range(2):
        expect(page.locator("#consumers-rows th")).to_have_text(["b c", "c"])
        redis.xadd("orders", {"n": 2})
        expect(length(page)).to_have_text(str(redis.xlen("orders")))
