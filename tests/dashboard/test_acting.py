"""What can be done from the dashboard, and what Redis says of it afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from streamio.dashboard.journal import Journal

from .site import Reply, Site


def ids_of(raw: Any, stream: str) -> list[str]:
    """The ids of the stream's entries."""
    return [each for each, _ in raw.xrange(stream)]


def owners(raw: Any, stream: str) -> list[str]:
    """Whose the pending entries are, by id."""
    return [each["consumer"] for each in raw.xpending_range(stream, "g", "-", "+", 100)]


def done(answer: Reply) -> Any:
    """What an action that went well says."""
    assert answer.status == 200 and answer.json["ok"] is True, answer.text
    return answer.json


def test_entries_are_added(site: Site, key: str, raw: Any) -> None:
    came = done(site.post("/api/produce", {"topic": key, "type": "order.placed", "fields": {"n": "a b"}, "count": 3}))
    assert came["message"] == "3 entries added" and came["command"] == f'XADD {key} * type order.placed n "a b"'
    assert raw.xrange(key) == [(each, {"type": "order.placed", "n": "a b"}) for each in came["result"]["ids"]]


def test_nested_data_is_added_as_json(site: Site, key: str, raw: Any) -> None:
    done(site.post("/api/produce", {"topic": key, "type": "t", "data": {"lines": [1, {"a": None}]}}))
    assert raw.xrange(key)[0][1] == {"type": "t", "data": '{"lines":[1,{"a":null}]}'}


def test_an_entry_without_a_type_has_none(site: Site, key: str, raw: Any) -> None:
    assert done(site.post("/api/produce", {"topic": key, "fields": {"n": 1}}))["command"] == f"XADD {key} * n 1"
    assert done(site.post("/api/produce", {"topic": key, "data": [1]}))["command"] == f"XADD {key} * data [1]"
    assert [fields for _, fields in raw.xrange(key)] == [{"n": "1"}, {"data": "[1]"}]
    refused = site.post("/api/produce", {"topic": key})
    assert refused.status == 400 and "a field at least" in refused.json["error"]


def test_the_command_of_a_trim_by_age_names_an_id(site: Site, stream: str, raw: Any) -> None:
    words = done(site.post("/api/trim", {"topic": stream, "max_age": "1h", "exact": True}))["command"].split()
    assert words[:4] == ["XTRIM", stream, "MINID", "="] and abs(raw.time()[0] - 3600 - int(words[4]) / 1000) < 60
    assert raw.execute_command(*words) == 0


def test_what_is_idle_is_claimed(site: Site, stream: str, raw: Any) -> None:
    raw.execute_command("XCLAIM", stream, "g", "w1", 0, ids_of(raw, stream)[0], "IDLE", 9000, "JUSTID")
    came = done(site.post("/api/claim", {"topic": stream, "group": "g", "to": "w2", "idle": 5}))
    assert (came["message"], came["command"]) == ("1 entry claimed for w2", f"XAUTOCLAIM {stream} g w2 5000 0-0 COUNT 100")
    assert owners(raw, stream) == ["w2", "w1", "w1", "w2"]


def test_entries_are_claimed_by_id(site: Site, stream: str, raw: Any) -> None:
    ids = ids_of(raw, stream)
    came = done(site.post("/api/claim", {"topic": stream, "group": "g", "to": "w3", "ids": ids[:2]}))
    assert came["command"] == f"XCLAIM {stream} g w3 0 {ids[0]} {ids[1]}" and came["result"]["claimed"] == ids[:2]
    assert owners(raw, stream) == ["w3", "w3", "w1", "w2"]


def test_entries_are_acknowledged(site: Site, stream: str, raw: Any) -> None:
    ids = ids_of(raw, stream)
    came = done(site.post("/api/ack", {"topic": stream, "group": "g", "ids": ids[:2]}))
    assert (came["message"], came["command"]) == ("2 entries acknowledged", f"XACK {stream} g {ids[0]} {ids[1]}")
    assert owners(raw, stream) == ["w1", "w2"]


def test_entries_are_given_back(site: Site, stream: str, raw: Any) -> None:
    assert done(site.post("/api/nack", {"topic": stream, "group": "g", "ids": ids_of(raw, stream)[:1]}))["result"] == {"count": 1}
    assert owners(raw, stream) == ["~waiting", "w1", "w1", "w2"]
    assert site.get(f"/api/pending?topic={stream}&group=g&count=1").json["pending"][0]["due"] == 0


def test_entries_become_dead_letters_and_come_back(site: Site, stream: str, raw: Any) -> None:
    ids = ids_of(raw, stream)
    done(site.post("/api/bury", {"topic": stream, "group": "g", "ids": ids[:3]}))
    letters = [each["id"] for each in site.get(f"/api/dead?topic={stream}&group=g").json["dead"]]
    assert owners(raw, stream) == ["w2"] and len(letters) == 3
    assert done(site.post("/api/drop", {"topic": stream, "group": "g", "ids": letters[:1]}))["message"] == "1 dead letter dropped"
    assert done(site.post("/api/redrive", {"topic": stream, "group": "g", "ids": letters[1:2]}))["message"] == "1 dead letter brought back"
    assert done(site.post("/api/redrive", {"topic": stream, "group": "g"}))["message"] == "1 dead letter brought back"
    assert owners(raw, stream) == ["~waiting", "~waiting", "w2"]


def test_a_group_is_made_where_it_is_to_begin(site: Site, stream: str, raw: Any) -> None:
    ids = ids_of(raw, stream)
    assert (
        done(site.post("/api/group/create", {"topic": stream, "group": "late", "start": "end"}))["command"]
        == f"XGROUP CREATE {stream} late $ MKSTREAM"
    )
    done(site.post("/api/group/create", {"topic": stream, "group": "early"}))
    done(site.post("/api/group/create", {"topic": stream, "group": "last two", "start": "-2"}))
    assert {each["name"]: each["lag"] for each in raw.xinfo_groups(stream)}["early"] == 5
    assert raw.xreadgroup("last two", "c", {stream: ">"})[0][1][0][0] == ids[3]
    assert raw.xreadgroup("late", "c", {stream: ">"}) == []
    assert done(site.post("/api/group/create", {"topic": stream, "group": "late"}))["result"] == {"created": False}


def test_a_group_moves_after_a_preview_and_not_under_live_members(site: Site, stream: str, raw: Any) -> None:
    asked = {"topic": stream, "group": "g", "position": "start"}
    preview = done(site.post("/api/group/seek", {**asked, "preview": True}))
    assert preview["result"]["entries"] == 4 and preview["result"]["forward"] is False
    refused = site.post("/api/group/seek", asked)
    assert refused.status == 409 and "live members (w1, w2)" in refused.json["error"]
    assert raw.xinfo_groups(stream)[0]["lag"] == 1
    done(site.post("/api/group/seek", {**asked, "force": True}))
    assert raw.xinfo_groups(stream)[0]["last-delivered-id"] == "0-0"


def test_a_consumer_goes_when_somebody_takes_what_it_has(site: Site, stream: str, raw: Any) -> None:
    asked = {"topic": stream, "group": "g", "name": "w1"}
    refused = site.post("/api/consumer/remove", asked)
    assert refused.status == 409 and "3 entries pending" in refused.json["error"]
    done(site.post("/api/consumer/remove", {**asked, "heir": "w2"}))
    assert owners(raw, stream) == ["w2"] * 4
    assert [each["name"] for each in raw.xinfo_consumers(stream, "g")] == ["w2"]


def test_a_trim_tells_beforehand_what_is_not_acknowledged(site: Site, stream: str, raw: Any) -> None:
    asked = {"topic": stream, "maxlen": 0, "exact": True}
    preview = done(site.post("/api/trim", {**asked, "preview": True}))
    assert preview["message"] == "5 entries would go: 4 pending in g, 1 not delivered to g yet"
    assert raw.xlen(stream) == 5
    assert done(site.post("/api/trim", {"topic": stream, "acked": True, "exact": True}))["message"].startswith("0 entries removed; group g")
    ids = ids_of(raw, stream)
    assert done(site.post("/api/trim", {"topic": stream, "minid": ids[2], "exact": True}))["command"] == f"XTRIM {stream} MINID = {ids[2]}"
    assert raw.xlen(stream) == 3
    assert done(site.post("/api/trim", asked))["message"] == "3 entries removed"


@pytest.mark.parametrize(
    ("path", "values", "status", "says"),
    [
        ("ack", {"group": "g"}, 400, "ids"),
        ("ack", {"group": "g", "ids": []}, 400, "ids"),
        ("ack", {"group": "g", "ids": ["x"]}, 400, "x"),
        ("claim", {"group": "none", "to": "w", "idle": 0}, 404, "no consumer group 'none'"),
        ("claim", {"group": "g", "to": "w"}, 400, "ids, or idle"),
        ("claim", {"group": "g", "to": "w", "idle": "soon"}, 400, "soon"),
        ("redrive", {"group": "g", "idz": ["1-0"]}, 400, "idz"),
        ("drop", {"group": "g"}, 400, "ids"),
        ("produce", {"fields": "n=1"}, 400, "fields"),
        ("produce", {"fields": {"n": {}}}, 400, "'n'"),
        ("produce", {"fields": {"n": 1}, "count": 501}, 400, "count"),
        ("trim", {}, 400, "trim takes one of"),
        ("trim", {"maxlen": -1}, 400, "maxlen"),
        ("group/seek", {"group": "g"}, 400, "position"),
        ("group/create", {"group": "new", "start": "whenever"}, 400, "whenever"),
        ("consumer/remove", {"group": "g", "name": "~waiting"}, 400, "reserved"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_sentence(site: Site, stream: str, raw: Any, path: str, values: Any, status: int, says: str) -> None:
    answer = site.post(f"/api/{path}", {"topic": stream, **values})
    assert (answer.status, answer.json["ok"]) == (status, False)
    assert says in answer.json["error"] and len(owners(raw, stream)) == 4 and raw.xlen(stream) == 5


def test_only_the_topics_that_are_shown_may_be_touched(site: Site, raw: Any) -> None:
    for topic in ("secret", "shop:dead:{shop}:g"):
        assert site.post("/api/produce", {"topic": topic, "type": "t", "fields": {"a": "1"}}).status == 403
    assert not raw.exists("shop:dead:{shop}:g")


def test_every_action_is_in_the_log_with_who_did_it(site: Site, stream: str, raw: Any) -> None:
    ids = ids_of(raw, stream)
    with site.watching() as events:
        events.of("state")
        site.post("/api/ack", {"topic": stream, "group": "g", "ids": ids[:1]})
        live = events.of("log")
    site.post("/api/claim", {"topic": stream, "group": "none", "to": "w", "ids": ids[:1]})
    refused, acked = site.get("/api/log?count=2").json["log"]
    assert acked == live
    assert (acked["who"], acked["action"], acked["target"], acked["command"]) == ("127.0.0.1", "ack", stream, f"XACK {stream} g {ids[0]}")
    assert (acked["ok"], refused["ok"]) == (True, False) and "no consumer group" in refused["outcome"]


def test_the_log_keeps_only_the_newest() -> None:
    journal = Journal()
    for number in range(1000):
        journal.add("ada", "ack", "o" * number, "XACK " + "1-0 " * number, "done" * number, True)
    assert len(journal.newest(1000)) == len(journal.above(0)) == 200
    assert journal.newest(1)[0]["number"] == 1000 and all(len(str(said)) < 500 for said in journal.newest(1)[0].values())


def test_an_action_shows_at_once(serve: Callable[..., Site], stream: str, raw: Any) -> None:
    slow = serve(topics=(stream,), interval=60, read_only=False)

    def pending(state: Any) -> list[int]:
        return [group["pending"] for topic in state["sample"]["topics"] if topic["name"] == stream for group in topic["groups"]]

    with slow.watching() as events:
        assert pending(events.of("state")) == [4]
        slow.post("/api/ack", {"topic": stream, "group": "g", "ids": ids_of(raw, stream)})
        events.of("state", lambda state: pending(state) == [0])
