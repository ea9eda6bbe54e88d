"""What the dashboard shows."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from streamio.keys import side_key

from .site import Site, until

SCRIPT = "<script>alert(1)</script>"


def topic_in(state: Any, name: str) -> Any:
    """The topic of this name in a state."""
    return next((each for each in state["sample"]["topics"] if each["name"] == name), None)


def shown(site: Site, name: str) -> Any:
    """The state when the topic is in it: who asks for a topic need not wait until it is found among all."""
    site.get(f"/api/history?topic={name}")
    return until(lambda: found if topic_in(found := site.get("/api/state").json, name) else None)


def test_the_state_tells_topics_groups_and_consumers(site: Site, stream: str) -> None:
    state = shown(site, stream)
    topic = topic_in(state, stream)
    (group,) = topic["groups"]
    assert (topic["length"], group["name"], group["pending"], group["lag"]) == (5, "g", 4, 1)
    assert [(each["name"], each["pending"]) for each in group["consumers"]] == [("w1", 3), ("w2", 1)]
    assert (state["read_only"], state["stale"], state["demo"]) == (False, False, None)
    assert topic["totals"]["pending"] == 4


def test_the_page_is_a_snapshot_that_needs_no_script(site: Site, stream: str, raw: Any) -> None:
    raw.xadd(stream, {"type": "odd", "text": SCRIPT})
    shown(site, stream)
    page = site.get(f"/?topic={stream}")
    assert page.status == 200 and page.headers["content-type"].startswith("text/html")
    assert raw.xinfo_stream(stream)["last-generated-id"] in page.text
    assert "order.placed" in page.text and "w1" in page.text
    assert SCRIPT not in page.text and "&lt;script&gt;alert(1)" in page.text


def test_the_snapshot_counts_what_it_does_not_show(site: Site, stream: str, raw: Any) -> None:
    for number in range(60):
        raw.xgroup_create(stream, f"more{number}", "0" if number == 7 else "$")
        raw.xgroup_createconsumer(stream, "g", f"c{number}")
    raw.xreadgroup("more7", "c", {stream: ">"})
    until(
        lambda: (topic_in(shown(site, stream), stream)["totals"]["consumers"], topic_in(shown(site, stream), stream)["totals"]["pending"]) == (63, 9)
    )
    text = " ".join(site.get(f"/?topic={stream}").text.split())
    for part in ('data-cell="consumers">62<', 'data-cell="pending">9<', 'id="groups-more" >… 11 more<', 'id="consumers-more" >… 13 more<'):
        assert part in text, part
    assert 'data-cell="pending">9<' in site.get("/").text


def test_the_overview_names_every_topic(reader: Site, stream: str) -> None:
    shown(reader, stream)
    assert stream in reader.get("/").text


def test_entries_come_newest_first_where_that_is_asked_for(site: Site, stream: str, raw: Any) -> None:
    ids = [each for each, _ in raw.xrange(stream)]
    came = site.get(f"/api/entries?topic={stream}&reverse=true&count=2").json
    assert [each["id"] for each in came["entries"]] == [ids[4], ids[3]]
    assert (came["scanned"], came["next"]) == (2, ids[3])
    older = site.get(f"/api/entries?topic={stream}&reverse=true&end=({came['next']}").json
    assert [each["id"] for each in older["entries"]] == ids[2::-1]
    assert came["entries"][0]["fields"] == {"type": "order.paid", "n": "4"}


def test_entries_are_found_by_type_field_and_time(site: Site, stream: str, raw: Any) -> None:
    ids = [each for each, _ in raw.xrange(stream)]
    raw.xadd(stream, {"type": "nested", "data": json.dumps({"card": True, "n": 7})})

    def numbers(query: str) -> list[str]:
        return [each["fields"].get("n") for each in site.get(f"/api/entries?topic={stream}&{query}").json["entries"]]

    assert numbers("type=order.placed") == ["1", "3"]
    assert numbers("type=order.*") == ["0", "1", "2", "3", "4"]
    assert numbers("where=n=3") == ["3"]
    assert len(numbers("where=n=7")) == 1
    assert len(numbers("where=card=true")) == 1
    assert numbers(f"start={ids[1]}&end={ids[2]}") == ["1", "2"]
    assert numbers("start=%2B1&end=-2") == ["1", "2", "3"]
    assert len(numbers("start=@-1h")) == 6
    assert numbers("end=@-1h") == []
    assert site.get(f"/api/entries?topic={stream}&where=n=3").json["scanned"] == 6


def test_a_long_field_is_cut_in_lists_and_whole_in_the_export(site: Site, stream: str, raw: Any) -> None:
    entry = raw.xadd(stream, {"type": "big", "body": "x" * 1_000_000, "bytes": b"\xff" * 5000})
    (shown,) = site.get(f"/api/entries?topic={stream}&start={entry}").json["entries"]
    assert len(shown["fields"]["body"]) == 2000
    assert shown["cut"] == {"body": 1_000_000, "bytes": 5000}
    (whole,) = site.get(f"/api/entries?topic={stream}&start={entry}&full=true").json["entries"]
    assert len(whole["fields"]["body"]) == 1_000_000
    export = site.get(f"/api/export?topic={stream}&start={entry}")
    assert json.loads(export.text)["fields"]["body"] == "x" * 1_000_000
    assert export.headers["content-disposition"] == f'attachment; filename="{stream}.jsonl"'


def test_many_long_entries_are_read_in_small_pages(site: Site, key: str, raw: Any) -> None:
    with raw.pipeline() as pipeline:
        for _ in range(60):
            pipeline.xadd(key, {"body": "x" * 1_000_000})
        pipeline.execute()
    came = site.get(f"/api/entries?topic={key}&where=body=none&count=500").json
    assert came["scanned"] < 60 and came["next"]
    raw.delete(key)


def test_an_export_has_every_entry_as_a_line(site: Site, key: str, raw: Any) -> None:
    for number in range(1200):
        raw.xadd(key, {"n": number})
    lines = site.get(f"/api/export?topic={key}").text.splitlines()
    assert [json.loads(each)["fields"]["n"] for each in lines] == [str(number) for number in range(1200)]


def test_pending_entries_tell_when_they_may_be_claimed(site: Site, stream: str) -> None:
    rows = site.get(f"/api/pending?topic={stream}&group=g&lease=10").json["pending"]
    assert [(each["consumer"], each["deliveries"]) for each in rows] == [("w1", 1)] * 3 + [("w2", 1)]
    assert all(9 < each["due"] + each["idle"] <= 10.01 for each in rows)
    assert [each["consumer"] for each in site.get(f"/api/pending?topic={stream}&group=g&consumer=w2").json["pending"]] == ["w2"]
    assert site.get(f"/api/pending?topic={stream}&group=g&idle=1h").json["pending"] == []


def test_pending_entries_of_all_groups_come_where_none_is_named(site: Site, stream: str) -> None:
    until(lambda: len(site.get(f"/api/pending?topic={stream}").json["pending"]) == 4)


def test_dead_letters_are_told_with_their_reason(site: Site, stream: str, raw: Any) -> None:
    (entry, *_), *_ = raw.xrange(stream)
    assert site.post("/api/bury", {"topic": stream, "group": "g", "ids": [entry], "reason": "no use"}).status == 200
    (letter,) = site.get(f"/api/dead?topic={stream}&group=g").json["dead"]
    assert (letter["entry_id"], letter["reason"], letter["fields"]["n"], letter["group"]) == (entry, "no use", "0", "g")


def test_a_history_grows_with_each_look(site: Site, stream: str) -> None:
    shown(site, stream)
    with site.watching() as events:
        for _ in range(3):
            events.of("state", lambda state: topic_in(state, stream))
    series = site.get(f"/api/history?topic={stream}&group=g").json
    assert len({len(values) for values in series.values()}) == 1
    assert series["pending"][-1] == 4 and set(series) >= {"at", "length", "rate_in", "rate_out", "lag", "lag_seconds", "oldest_idle", "latency"}


def test_deliveries_are_counted(site: Site, stream: str, raw: Any) -> None:
    raw.xclaim(stream, "g", "w2", 0, [raw.xrange(stream)[0][0]])
    found = site.get(f"/api/latency?topic={stream}&group=g").json
    assert found["deliveries"] == {"1": 3, "2": 1} and found["held"]["count"] == 4


def test_groups_come_in_pages(site: Site, key: str, raw: Any) -> None:
    for number in range(60):
        raw.xgroup_create(key, f"group{number:02}", "0", mkstream=True)
    state = shown(site, key)
    assert (len(topic_in(state, key)["groups"]), topic_in(state, key)["groups_total"]) == (50, 60)
    page = site.get(f"/api/groups?topic={key}&offset=50").json
    assert (len(page["groups"]), page["total"]) == (10, 60)
    assert [each["name"] for each in site.get(f"/api/groups?topic={key}&match=group07").json["groups"]] == ["group07"]


def test_what_is_kept_beside_a_topic_is_no_topic(site: Site, stream: str, raw: Any) -> None:
    beside = side_key(stream, "dead", "g")
    raw.xadd(beside, {"dead:id": "1-0"})
    state = shown(site, stream)
    assert topic_in(state, beside) is None
    assert site.get(f"/api/entries?topic={quote(beside)}").status == 403


def test_other_topics_are_not_shown(site: Site, raw: Any) -> None:
    raw.xadd("secret", {"a": 1})
    assert topic_in(site.get("/api/state").json, "secret") is None
    for path in ("entries", "export", "pending", "dead", "history", "latency"):
        answer = site.get(f"/api/{path}?topic=secret&group=g")
        assert (answer.status, answer.json["ok"]) == (403, False)
    assert site.get("/?topic=secret").status == 200


def test_masked_fields_cannot_be_guessed_at_nor_read_in_the_log(serve: Callable[..., Site], key: str, raw: Any) -> None:
    hiding = serve(mask=("card",), read_only=False)
    raw.xadd(key, {"header:card": "1234", "data": '{"card":"1234"}', "n": 1})
    for where, status in (("header:card=1234", 403), ("card=1234", 403), ('data={"card":"1234"}', 200), ("n=1", 200)):
        came = hiding.get(f"/api/entries?topic={key}&where={quote(where)}")
        assert came.status == status and (status == 403 or len(came.json["entries"]) == (where == "n=1")), where
    for values in ({"fields": {"card": "1234"}}, {"fields": {"data": '{"card":"1234"}'}}, {"data": {"inside": [{"card": "1234"}]}}):
        assert hiding.post("/api/produce", {"topic": key, **values}).status == 200
    assert "card" in hiding.get("/api/log").text and "1234" not in hiding.get("/api/log").text


def test_masked_fields_are_never_shown(serve: Callable[..., Site], stream: str, raw: Any) -> None:
    hiding = serve(mask=("card",), read_only=False)
    entry = raw.xadd(stream, {"card": "4111", "data": json.dumps({"a": [{"card": "4111"}]}), "header:card": "4111"})
    raw.xreadgroup("g", "w1", {stream: ">"})
    hiding.post("/api/bury", {"topic": stream, "group": "g", "ids": [entry]})
    hiding.post("/api/produce", {"topic": stream, "type": "t", "fields": {"card": "4111"}})
    paths = [f"/api/entries?topic={stream}", f"/api/export?topic={stream}", f"/api/dead?topic={stream}&group=g", f"/?topic={stream}", "/api/log"]
    for path in paths:
        answer = hiding.get(path)
        assert answer.status == 200 and "4111" not in answer.text
    assert hiding.get(f"/api/entries?topic={stream}&where=card=4111").status == 403


@pytest.mark.parametrize(
    "query",
    ["", "topic=shop0&count=x", "topic=shop0&count=0", "topic=shop0&start=never", "topic=shop0&where=n", "topic=shop0&start=%2B999999999", "topic="],
)
def test_a_wrong_question_gets_a_clear_answer(site: Site, query: str) -> None:
    answer = site.get(f"/api/entries?{query}")
    assert answer.status == 400 and answer.json["ok"] is False and len(answer.json["error"]) > 15


def test_what_is_not_there_is_told_as_json(site: Site) -> None:
    assert (site.get("/nothing").status, site.get("/nothing").json["ok"]) == (404, False)
    assert site.get("/api/claim").status == 405


def test_a_stream_that_is_none_is_told(site: Site, key: str, raw: Any) -> None:
    raw.set(key, "text")
    for path in ("entries", "export"):
        answer = site.get(f"/api/{path}?topic={key}")
        assert answer.status == 404 and key in answer.json["error"]


def test_prometheus_is_told_what_the_page_shows(site: Site, stream: str) -> None:
    shown(site, stream)
    answer = site.get("/metrics")
    assert answer.status == 200 and answer.headers["content-type"].startswith("text/plain")
    assert any(stream in line and line.endswith(" 5.0") for line in answer.text.splitlines())


def test_metrics_name_the_extra_that_is_missing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "streamio.telemetry.prometheus", raising=False)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    answer = site.get("/metrics")
    assert answer.status == 501 and "streamio[prometheus]" in answer.json["error"]


def test_scripts_and_styles_come_from_the_dashboard_itself(site: Site) -> None:
    answer = site.get("/static/icon.svg")
    assert answer.status == 200 and answer.headers["cache-control"] == "no-cache"
    assert "http://" not in site.get("/").text.replace("http://www.w3.org", "") and "https://" not in site.get("/").text
