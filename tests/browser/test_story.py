"""The demo's story, as a newcomer goes through it: in a browser, step by step, on a real server that is asked afterwards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from ..demo.shop import Shop
from ..servers import RedisServer
from .conftest import watched

pytestmark = [pytest.mark.slow, pytest.mark.real]
KEY = "story:orders"


@pytest.fixture(scope="module")
def shop(real_server: RedisServer) -> Iterator[Shop]:
    """A demo on the real server, whose entries may be claimed after 1.2 s."""
    made = Shop("-u", real_server.url, "--stream-key", KEY, "--claim-idle", "1200ms", "--rate", "20", "--latency", "5ms", "--seed", "1")
    yield made
    made.stop()


@pytest.fixture
def raw(real_server: RedisServer) -> Iterator[Any]:
    """A foreign client."""
    with real_server.client(decode_responses=True) as client:
        yield client


@pytest.fixture(scope="module")
def page(browser: Browser, shop: Shop) -> Iterator[Page]:
    """The demo's page, watched."""
    for each in watched(browser, shop):  # type: ignore[arg-type]
        each.expected.append("409 (Conflict)")  # a lever that was refused
        yield each.open(KEY)


def step(page: Page, key: str) -> Any:
    """A step of the story."""
    return page.locator(f"#demo [data-step={key}]")


def is_done(page: Page, key: str) -> None:
    """Wait until the step is ticked off."""
    expect(step(page, key)).to_have_attribute("data-done", "yes")


def press(page: Page, key: str, name: str) -> None:
    """Press a button of a step, which is open by then, or is opened."""
    if not step(page, key).get_by_role("button", name=name).is_visible():
        step(page, key).locator("summary").click()
    step(page, key).get_by_role("button", name=name).click()


def worker(page: Page, name: str) -> Any:
    """A worker's row."""
    return page.locator(f'#demo tr[data-worker="{name}"]')


def cell(page: Page, name: str, what: str) -> Any:
    """A cell of a worker's row."""
    return worker(page, name).locator(f'td[data-cell="{what}"]')


def settled(raw: Any) -> dict[str, tuple[int, int]]:
    """What each group has not read, and not acknowledged."""
    return {each["name"]: (each["lag"], each["pending"]) for each in raw.xinfo_groups(KEY)}


def test_the_story_end_to_end(page: Page, shop: Shop, raw: Any) -> None:
    is_done(page, "watch")
    press(page, "produce", "Produce 300")
    is_done(page, "produce")
    press(page, "crash", "Crash worker-a")
    expect(worker(page, "worker-a")).to_contain_text("down")
    press(page, "watch", "Pause the orders")
    shop.until(lambda state: state["producer"]["paused"])
    expect(cell(page, "worker-a", "pending")).to_have_text("3")
    lost = [row["message_id"] for row in raw.xpending_range(KEY, "notifications", "-", "+", 10, "worker-a")]
    assert len(lost) == 3
    is_done(page, "wait")
    press(page, "claim", "Claim for worker-b")
    is_done(page, "claim")
    expect(step(page, "claim")).to_contain_text("3 dropped, and every one of them was handled all the same.")
    expect(worker(page, "worker-a")).to_contain_text("works")
    expect(cell(page, "worker-b", "reaped")).to_have_text("3")
    state = shop.until(lambda state: all(count == state["stats"]["produced"] for count in state["acked"].values()))
    assert state["stats"]["produced"] == raw.xinfo_stream(KEY)["entries-added"] >= 300
    assert settled(raw) == {"notifications": (0, 0), "analytics": (0, 0)}
    assert raw.xpending(KEY, "notifications")["pending"] == 0


def test_the_rest_of_the_story(page: Page, shop: Shop, raw: Any) -> None:
    press(page, "behind", "Pause worker-c")
    expect(worker(page, "worker-c")).to_contain_text("paused")
    press(page, "produce", "Produce 300")
    expect(step(page, "behind")).to_contain_text(re.compile("analytics (299|300)"))
    press(page, "behind", "Let worker-c go on")
    is_done(page, "behind")
    press(page, "peers", "Add worker-d")
    expect(worker(page, "worker-d")).to_contain_text("works")
    press(page, "peers", "Remove worker-d")
    is_done(page, "peers")
    assert "worker-d" not in [each["name"] for each in raw.xinfo_consumers(KEY, "notifications")]
    press(page, "poison", "Spoil the next 3")
    press(page, "produce", "Produce 300")
    expect(step(page, "poison")).to_contain_text("3 among the dead letters")
    press(page, "poison", "Mend the handler")
    expect(step(page, "poison")).to_contain_text("understands commas.")
    press(page, "poison", "Redrive")
    expect(page.locator("#result")).to_contain_text("3 dead letters brought back to analytics")
    is_done(page, "poison")
    press(page, "past", "Replay 20")
    is_done(page, "past")
    expect(page.locator("#demo-result li")).to_have_count(20)
    expect(page.locator("#story-count")).to_have_text("9 of 9")


def test_every_lever_does_what_it_says(page: Page, shop: Shop, raw: Any) -> None:
    def form(name: str) -> Any:
        return page.locator(f"#demo [data-form={name}]")

    shop.until(lambda state: len(set(state["acked"].values())) == 1)  # analytics caught up
    form("produce").locator("[name=count]").fill("4")
    form("produce").locator("[name=type]").select_option("order.shipped")
    form("produce").get_by_role("button", name="Produce").click()
    expect(page.locator("#result")).to_contain_text("4 orders published")
    assert [fields["type"] for _, fields in raw.xrevrange(KEY, count=4)] == ["order.shipped"] * 4
    form("producer").locator("[name=rate]").fill("7")
    form("producer").get_by_role("button", name="Set").click()
    shop.until(lambda state: state["producer"]["rate"] == 7)
    page.locator('#demo [data-team="analytics"] [name=name]').fill("worker-z")
    page.locator('#demo [data-team="analytics"]').get_by_role("button", name="Add worker").click()
    page.locator("#crash-n").fill("1")
    worker(page, "worker-z").get_by_role("button", name="crash next 1").click()
    expect(worker(page, "worker-z")).to_contain_text("will drop 1")
    worker(page, "worker-z").get_by_role("button", name="remove").click()
    expect(worker(page, "worker-z")).to_have_count(0)
    worker(page, "worker-b").get_by_role("button", name="pause").click()
    expect(worker(page, "worker-b")).to_contain_text("paused")
    worker(page, "worker-b").get_by_role("button", name="resume").click()
    expect(worker(page, "worker-b")).to_contain_text("works")
    form("claim").locator("[name=to]").select_option(label="worker-b (notifications)")
    form("claim").get_by_role("button", name="Claim").click()
    expect(page.locator("#result")).to_contain_text("0 entries claimed for worker-b")
    raw.xgroup_createconsumer(KEY, "analytics", "somebody")
    expect(worker(page, "somebody")).to_contain_text("orphaned")
    worker(page, "worker-c").get_by_role("button", name="remove").click()
    expect(page.locator("#result")).to_contain_text("worker-c has no peer in group 'analytics'")
    form("trim").locator("[name=maxlen]").fill("9")
    form("trim").get_by_role("button", name="Preview").click()
    expect(page.locator("#result")).to_contain_text("would go, 0 of them not acknowledged yet")
    form("trim").get_by_role("button", name="Trim", exact=True).click()
    page.locator("#ask").get_by_role("button", name="Trim").click()
    expect(page.locator("#result")).to_contain_text("trimmed")
    assert raw.xlen(KEY) == 9
    raw.set("story:mine", "x")
    form("reset").get_by_role("button", name="Reset").click()
    page.locator("#ask").get_by_role("button", name="Reset").click()
    expect(page.locator("#result")).to_contain_text("everything is as at the beginning")
    expect(worker(page, "somebody")).to_have_count(0)
    expect(page.locator("#story-count")).not_to_have_text("9 of 9")
    assert raw.get("story:mine") == "x"


def test_the_page_has_no_serious_fault_for_who_cannot_see_it(page: Page, shop: Shop) -> None:
    from axe_playwright_python.sync_playwright import Axe

    shop.do("crash", group="notifications", worker="worker-a")
    shop.do("produce", count=30)
    expect(worker(page, "worker-a")).to_contain_text("down")
    found = Axe().run(page, context="#demo").response["violations"]
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found if each["impact"] in ("serious", "critical")] == []
