"""The page can be read by everybody: axe finds nothing serious, a narrow screen suffices, and what it loads is small and its own."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

import streamio
from streamio import Topic

from .conftest import watched
from .serving import Served
from .watching import Watched

STATIC = Path(streamio.__file__).parent / "dashboard" / "static"
NEVER = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "http://", "https://", "@import")
Orders = Topic[Any, Any]


def serious(w: Watched, part: str = "html", *rules: str) -> list[tuple[str, list[str]]]:
    """What axe finds serious or critical in a part of the page, and where."""
    found = Axe().run(w.page, part, {"resultTypes": ["violations"], **({"runOnly": [*rules]} if rules else {})}).response["violations"]
    return [(each["id"], [node["html"][:120] for node in each["nodes"]]) for each in found if each["impact"] in ("serious", "critical")]


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.parametrize(("scheme", "rules"), [("light", ()), ("dark", ("color-contrast",))])
def test_axe_finds_nothing_serious(browser: Browser, writing: Served, redis: Any, orders: Orders, scheme: Any, rules: tuple[str, ...]) -> None:
    ids = [each["message_id"] for each in redis.xpending_range("orders", "billing", "-", "+", 10)]
    orders.trim(maxlen=13)
    orders.group("billing").bury(ids[0], reason="by hand")
    for w in watched(browser, writing, color_scheme=scheme):
        page = w.open("orders")
        expect(page.locator("#dead-rows tr")).to_have_count(1)
        for summary in page.locator(".acts summary, figure[data-plot=deliveries] summary, #dead summary:visible").all():
            summary.click()
        page.locator("#entries-rows [data-do=json]").first.click()
        page.locator("[data-action=nack]").first.click()
        w.done("given back")
        assert serious(w, "html", *rules) == []
        page.locator("[data-action=bury]").first.click()
        assert serious(w, "#ask", *rules) == []
        page.keyboard.press("Escape")
        w.open()
        assert serious(w, "html", *rules) == []


@pytest.mark.slow
@pytest.mark.real
def test_nothing_makes_the_page_wider_than_the_screen(w: Watched, redis: Any, orders: Orders) -> None:
    redis.xadd("a-name-without-end-" + "x" * 200, {"field": "y" * 1000})
    for topic in ("orders", None):
        page = w.open(topic)
        for summary in page.locator("summary:visible").all():
            summary.click()
        page.locator("form[data-action=produce] [name=fields]").fill("a" * 300)
        for width in (1280, 400, 320):
            page.set_viewport_size({"width": width, "height": 700})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (topic, width)


def test_the_vendored_files_are_the_ones_that_were_published() -> None:
    listed = dict(reversed(line.split()) for line in (STATIC / "vendor" / "sha256sums").read_text().splitlines())
    files = {path.name for path in (STATIC / "vendor").iterdir()} - {"sha256sums"}
    assert files == set(listed) == {"uPlot.iife.min.js", "uPlot.min.css", "uPlot.LICENSE"}
    assert listed == {name: hashlib.sha256((STATIC / "vendor" / name).read_bytes()).hexdigest() for name in listed}


def test_the_script_is_in_short_modules_and_the_style_is_small() -> None:
    modules = [*(STATIC / "js").glob("*.js")]
    assert modules and [path.name for path in modules if len(path.read_text().splitlines()) >= 200] == []
    assert (STATIC / "dashboard.css").stat().st_size < 10_000


def test_no_script_writes_markup_or_asks_another_host() -> None:
    for path in [*(STATIC / "js").glob("*.js"), STATIC / "dashboard.css"]:
        text = path.read_text()
        assert not [
            word
            for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "http://", "https://", "@import")
            if word in text
        ], path.name
