"""Every button of the page, pressed: what it did is read back from Redis by a plain client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from streamio import Topic

from .watching import Watched, row

pytestmark = [pytest.mark.slow, pytest.mark.real]
Orders = Topic[Any, Any]


def pending(redis: Any) -> dict[str, tuple[str, int]]:
    """The ids that are pending in `billing`: whose, and how often delivered."""
    return {each["message_id"]: (each["consumer"], each["times_delivered"]) for each in redis.xpending_range("orders", "billing", "-", "+", 100)}


def test_entries_are_added_with_their_type_and_fields(w: Watched, redis: Any, orders: Orders) -> None:
    page = w.open("orders")
    page.get_by_text("Add entries", exact=True).click()
    form = page.locator("form[data-action=produce]")
    form.get_by_label("How many").fill("3")
    form.get_by_label("Type").fill("order.shipped")
    form.get_by_label("Fields").fill("customer=ada\ntotal=a=b")
    form.get_by_role("button", name="Add").click()
    w.done("3 entries added")
    assert [each for _, each in redis.xrevrange("orders", count=3)] == [{"type": "order.shipped", "customer": "ada", "total": "a=b"}] * 3
    expect(page.locator("#entries-rows tr").first).to_contain_text("order.shipped")
    expect(page.locator("#log-rows tr").first).to_contain_text("XADD orders *")


def test_the_overview_makes_a_topic_and_says_what_cannot_be_read(w: Watched, redis: Any) -> None:
    page = w.open()
    form = page.locator("form[data-action=produce]")
    form.get_by_label("Topic").fill("fresh")
    form.get_by_label("Fields").fill("no equals sign")
    form.get_by_role("button", name="Add").click()
    w.done("is not name=value")
    assert redis.exists("fresh") == 0
    form.get_by_label("Fields").fill('{"a": "1"}')
    form.get_by_role("button", name="Add").click()
    w.done("1 entry added")
    assert redis.xlen("fresh") == 1
    expect(page.locator("#cards")).to_contain_text("fresh")


def test_a_pending_entry_is_acknowledged_only_with_consent(w: Watched, redis: Any, orders: Orders) -> None:
    page, (id, *_) = w.open("orders"), pending(redis)
    row(page, "pending", id).get_by_role("button", name="ack", exact=False).first.click()
    expect(page.locator("#ask")).to_contain_text("billing of orders")
    page.get_by_role("button", name="Cancel").click()
    assert id in pending(redis)
    row(page, "pending", id).locator("[data-action=ack]").click()
    w.answer("Acknowledge")
    w.done("1 entry acknowledged")
    assert id not in pending(redis) and len(pending(redis)) == 3
    expect(page.locator("#pending-rows")).not_to_contain_text(id)


def test_a_pending_entry_is_given_back(w: Watched, redis: Any, orders: Orders) -> None:
    page, (id, *_) = w.open("orders"), pending(redis)
    row(page, "pending", id).locator("[data-action=nack]").click()
    w.done("1 entry given back")
    assert pending(redis)[id][0] == "~waiting"
    expect(row(page, "pending", id)).to_contain_text("nobody (waiting)")


def test_a_pending_entry_is_claimed_for_a_chosen_consumer(w: Watched, redis: Any, orders: Orders) -> None:
    page, (id, *_) = w.open("orders"), pending(redis)
    row(page, "pending", id).locator("[data-action=claim]").click()
    w.answer("Claim", to="b")
    w.done("1 entry claimed for b")
    assert [name for name, _ in pending(redis).values()].count("b") == 1 and pending(redis)[id][0] == "b"


def test_a_pending_entry_is_buried_and_redriven(w: Watched, redis: Any, orders: Orders) -> None:
    page, (id, *_) = w.open("orders"), pending(redis)
    row(page, "pending", id).locator("[data-action=bury]").click()
    w.answer("Bury", reason="card declined")
    w.done("1 entry put among the dead letters")
    ((_, letter),) = redis.xrange("orders:dead:{orders}:billing")
    assert (letter["dead:id"], letter["dead:reason"]) == (id, "card declined") and id not in pending(redis)
    expect(row(page, "dead", id)).to_contain_text("card declined")
    row(page, "dead", id).locator("[data-action=redrive]").click()
    w.done("1 dead letter brought back")
    assert redis.xlen("orders:dead:{orders}:billing") == 0


def test_dead_letters_are_dropped_one_by_one_and_redriven_all(w: Watched, redis: Any, orders: Orders) -> None:
    ids = [*pending(redis)]
    orders.group("billing").bury(*ids[:3], reason="by hand")
    page = w.open("orders")
    row(page, "dead", ids[0]).locator("[data-action=drop]").click()
    w.answer("Drop")
    w.done("1 dead letter dropped")
    assert redis.xlen("orders:dead:{orders}:billing") == 2
    expect(row(page, "groups", "billing").locator("[data-cell=dead]")).to_have_text("2")  # the dialog counts as the page does
    page.locator("[data-action=redrive-all]").click()
    expect(page.locator("#ask")).to_contain_text("billing: 2 entries")
    w.answer("Redrive all")
    w.done("2 dead letters brought back")
    assert redis.xlen("orders:dead:{orders}:billing") == 0
    expect(page.locator("#dead-empty")).to_be_visible()


def test_what_is_idle_is_claimed(w: Watched, redis: Any, orders: Orders) -> None:
    redis.xclaim("orders", "billing", "a", 0, [*pending(redis)][:3], idle=60_000)
    page = w.open("orders")
    page.get_by_text("Claim what is idle").click()
    form = page.locator("form[data-action=claim]")
    form.get_by_label("For consumer").fill("c")
    form.get_by_label("Idle for at least").fill("50")
    form.get_by_role("button", name="Claim").click()
    w.done("3 entries claimed for c")
    w.done("XAUTOCLAIM orders billing c 50000")
    assert sorted(name for name, _ in pending(redis).values()) == ["a", "c", "c", "c"]


def test_a_group_is_created_and_moved_after_a_preview(w: Watched, redis: Any, orders: Orders) -> None:
    page = w.open("orders")
    page.get_by_text("Create a group").click()
    page.locator("#groups").get_by_label("Group", exact=True).fill("mail")
    page.locator("[data-action=group-create]").click()
    w.done("group mail created")
    row(page, "groups", "mail").locator("[data-action=seek]").click()
    w.answer("Look what that means", position="end")
    expect(page.locator("#ask")).to_contain_text("20 entries would be passed over")
    w.answer("Move mail")
    w.done("group mail moved")
    (mail,) = [each for each in redis.xinfo_groups("orders") if each["name"] == "mail"]
    assert mail["last-delivered-id"] == redis.xrevrange("orders", count=1)[0][0]


def test_a_group_with_live_members_is_moved_only_by_force(w: Watched, redis: Any, orders: Orders) -> None:
    w.expected.append("the server responded with a status of 40")
    page, before = w.open("orders"), redis.xinfo_groups("orders")[0]["last-delivered-id"]
    for force in ("", "yes"):
        row(page, "groups", "billing").locator("[data-action=seek]").click()
        w.answer("Look what that means", position="start")
        w.answer("Move billing", force=force)
        w.done("group billing moved" if force else "stop them first")
        assert (redis.xinfo_groups("orders")[0]["last-delivered-id"] == before) is not bool(force)


def test_a_consumer_is_removed_and_its_heir_gets_what_it_had(w: Watched, redis: Any, orders: Orders) -> None:
    page = w.open("orders")
    page.locator('#consumers tr[data-key="billing a"] [data-action=remove]').click()
    expect(page.locator("#ask")).to_contain_text("4 entries pending")
    w.answer("Remove a", heir="b")
    w.done("consumer a removed")
    assert {name for name, _ in pending(redis).values()} == {"b"} and len(pending(redis)) == 4
    assert [each["name"] for each in redis.xinfo_consumers("orders", "billing")] == ["b"]


def test_trimming_tells_first_what_is_not_acknowledged(w: Watched, redis: Any, orders: Orders) -> None:
    page = w.open("orders")
    form = page.locator("form[data-action=trim]")
    form.get_by_label("Entries").fill("5")
    form.locator("[data-action=trim-preview]").click()
    expect(page.locator("#trim-preview")).to_contain_text("15 entries would go")
    expect(page.locator("#trim-preview")).to_contain_text("4 of them are pending in billing")
    expect(page.locator("#trim-preview")).to_contain_text("7 of them were not delivered to billing")
    assert redis.xlen("orders") == 20
    form.locator("[data-action=trim]").click()
    expect(page.locator("#ask")).to_contain_text("Trim orders?")
    w.answer("Trim 15 entries")
    w.done("15 entries removed")
    assert redis.xlen("orders") == 5


@pytest.mark.parametrize(("by", "value", "left"), [("acked", None, 16), ("max_age", "1h", 20), ("minid", "second", 19)])
def test_each_way_of_trimming_is_there(w: Watched, redis: Any, orders: Orders, by: str, value: str | None, left: int) -> None:
    page, form = w.open("orders"), w.page.locator("form[data-action=trim]")
    form.get_by_label("Keep").select_option(by)
    if value is not None:
        form.locator("[name=value]").fill(redis.xrange("orders", count=2)[1][0] if value == "second" else value)
    form.locator("[data-action=trim]").click()
    if left == 20:
        w.done("Nothing to trim")
    else:
        w.answer(f"Trim {20 - left} entr")
        w.done("removed")
    expect(page.locator('#keeps [data-cell="length"]')).to_have_text(str(left))
    assert redis.xlen("orders") == left


def test_entries_are_exported_as_lines_of_json(w: Watched, redis: Any, orders: Orders, tmp_path: Path) -> None:
    page = w.open("orders")
    with page.expect_download() as download:
        page.get_by_text("Export JSON Lines").click()
    download.value.save_as(tmp_path / "orders.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "orders.jsonl").read_text().splitlines()]
    assert [each["id"] for each in lines] == [id for id, _ in redis.xrange("orders")]
    assert lines[3]["fields"] == {"type": "order.paid", "order": "o-3", "total": "9"}
