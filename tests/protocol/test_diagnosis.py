"""A group's state and diagnosis, rates, and the rings of a history: each rule by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from streamio.keys import is_side_stream, side_key
from streamio.observing import ConsumerView, GroupView, History, PendingView, Sample, TopicView
from streamio.observing.diagnosis import Signs, diagnosed, is_stale, told, worst
from streamio.observing.rates import place, rate, rate_of
from streamio.observing.seeing import age

ALIVE = ConsumerView("a", 0, 1.0, None, False)
SILENT = ConsumerView("b", 0, 240.0, None, False)
HOLDING = ConsumerView("b", 3, 240.0, None, True)
OLDEST = PendingView("1-1", "a", 42.0, 1)
LATE = {"lag": 5, "lag_seconds": 42.0}


@pytest.mark.parametrize(
    ("state", "sentence", "signs"),
    [
        ("idle", "nothing to do", {}),
        ("idle", "nothing to do", {"consumers": (SILENT,), "rate_in": 0.0}),
        ("idle", "nothing to do; 2 dead letters to look at", {"dead": 2}),
        ("ok", "keeps up", {"rate_in": 3.0, "consumers": (ALIVE,)}),
        ("ok", "keeps up", {"lag": 3, "lag_seconds": 0.2, "before": 1, "consumers": (ALIVE,)}),
        ("ok", "keeps up", {"lag": 3, "lag_seconds": 0.2, "consumers": (SILENT,)}),  # a foreign reader that waits is silent on Redis 7.0
        ("ok", "keeps up", {"lag": None, "lag_seconds": None, "rate_in": 1.0, "consumers": (ALIVE,)}),
        ("ok", "keeps up: 4 in hand", {"pending": 4, "consumers": (ALIVE,), "oldest": replace(OLDEST, idle=2.0)}),
        ("ok", "keeps up: 1 in hand, 3 entries wait for another try", {"pending": 4, "waiting": 3, "consumers": (ALIVE,)}),
        (
            "ok",
            "keeps up: 1 entry waits for another try",
            {"pending": 1, "waiting": 1, "consumers": (ALIVE,), "oldest": replace(OLDEST, consumer="~waiting")},
        ),
        ("stuck", "no member reads this group: start one", {"lag": 1, "lag_seconds": 0.0}),
        ("stuck", "no member has read this group for 4 min: start one", {**LATE, "consumers": (SILENT,)}),
        ("stuck", "no member reads this group: start one", {"lag": None, "lag_seconds": 42.0}),
        ("stuck", "received but not acknowledged for 42 s (1 entry pending)", {"pending": 1, "oldest": OLDEST, "consumers": (ALIVE,)}),
        ("stuck", "received but not acknowledged for 4 min (3 entries pending)", {"pending": 5, "waiting": 2, "consumers": (ALIVE, HOLDING)}),
        ("stuck", "2 entries wait for another try, and no member is there: start one", {"pending": 2, "waiting": 2, "consumers": (SILENT,)}),
        ("behind", "producers outpace consumers: add consumers", {**LATE, "before": 4, "consumers": (ALIVE,)}),
        ("behind", "producers outpace consumers (120/s in, 80/s out): add consumers", {**LATE, "before": 4, "rate_in": 120.0, "rate_out": 80.0}),
        ("behind", "42 s behind, and catching up", {**LATE, "before": 9, "consumers": (ALIVE,)}),
        ("behind", "42 s behind, and members take nothing", {**LATE, "before": 5, "rate_out": 0.0, "consumers": (ALIVE,)}),
        ("behind", "42 s behind: add consumers, or make handlers faster", {**LATE, "before": 5, "rate_out": 1.0, "consumers": (ALIVE,)}),
        ("behind", "42 s behind: add consumers", {"lag": None, "lag_seconds": 42.0, "consumers": (ALIVE,)}),
        ("ok", "keeps up", {"lag": 5, "lag_seconds": 5.0, "before": 5, "consumers": (ALIVE,)}),
    ],
)
def test_a_group_is_diagnosed_by_the_first_rule_that_holds(state: str, sentence: str, signs: dict[str, Any]) -> None:
    given = {**signs, "consumers": signs.get("consumers", (ALIVE,))} if "rate_out" in signs else signs
    found = diagnosed(Signs(**given))
    assert found[0] == state
    assert found[1].startswith(sentence)


def test_the_limit_and_the_lease_are_the_observers() -> None:
    signs = Signs(lag=5, lag_seconds=5.0, consumers=(ALIVE,))
    assert diagnosed(signs)[0] == "ok" and diagnosed(replace(signs, limit=4))[0] == "behind"
    held = Signs(pending=1, oldest=OLDEST, consumers=(ALIVE,))
    assert diagnosed(held)[0] == "stuck" and diagnosed(replace(held, lease=60))[0] == "ok"


@pytest.mark.parametrize(("pending", "idle", "stale"), [(0, 3500, False), (0, 3601, True), (1, 29, False), (1, 31, True)])
def test_a_consumer_is_stale_after_a_lease_with_something_pending_or_an_hour(pending: int, idle: float, stale: bool) -> None:
    assert is_stale(pending, idle, 30.0) is stale


def test_times_are_told_as_people_say_them() -> None:
    assert [told(each) for each in (0.02, 5, 119, 120, 7199, 7200, 172_800)] == ["20 ms", "5 s", "119 s", "2 min", "120 min", "2 h", "2 days"]


def test_a_topic_is_as_its_worst_group() -> None:
    assert [worst(each) for each in ([], ["idle", "ok"], ["ok", "behind"], ["behind", "stuck", "idle"])] == ["idle", "ok", "behind", "stuck"]


@pytest.mark.parametrize(
    ("before", "now", "seconds", "expected"), [(None, 5, 1, None), (5, None, 1, None), (5, 5, 2, 0), (5, 9, 2, 2), (9, 5, 2, None), (5, 9, 0, None)]
)
def test_a_rate_is_never_negative_and_unknown_where_a_counter_is(before: Any, now: Any, seconds: float, expected: Any) -> None:
    assert rate(before, now, seconds) == expected


def test_a_groups_place_is_the_servers_count_or_what_is_left_and_the_two_are_not_mixed() -> None:
    counted, left = place({"entries-read": 7}, 10, 3), place({"entries-read": None}, 10, 3)
    assert (counted, left, place({}, None, None), place({}, 10, None)) == (("read", 7), ("left", 7), None, None)
    assert rate_of(counted, left, 1) is None
    assert rate_of(("left", 5), left, 2) == 1


def test_the_age_of_an_entry_is_told_where_its_id_is_a_time() -> None:
    assert age(None, 1e9) == 0
    assert age("999999990000-5", 1e9) == 10
    assert age("1000000005000-0", 1e9) == 0  # a clock that went back
    assert age("7-1", 1e9) is None


@pytest.mark.parametrize("topic", ["orders", "orders:{eu}", "a:dead:b", "ünï"])
def test_dead_letters_and_replies_are_side_streams_and_topics_are_not(topic: str) -> None:
    assert is_side_stream(side_key(topic, "dead", "a:b"))
    assert is_side_stream(side_key(topic, "replies", "token"))
    assert not is_side_stream(topic)
    assert not is_side_stream(f"{topic}:deadline")
    assert not is_side_stream(":dead:x")


def sample(at: float, **groups: int | None) -> Sample:
    """A sample of the topic `t` and these groups with their lags."""
    views = tuple(GroupView(name, "t", lag, 1.0, 2, 0, 0, "0-0", None, (), OLDEST, None, "ok", "") for name, lag in groups.items())
    return Sample(at, 0.1, "7", None, (TopicView("t", int(at), None, None, "0-0", None, None, 0, 0.5, views, "ok", None),), 0)


def test_a_history_keeps_so_many_samples_and_their_gaps() -> None:
    history = History(seconds=4, interval=1)
    for at, groups in enumerate([{"g": 1}, {"g": None}, {}, {"g": 4, "h": 9}, {"g": 5}, {"g": 6}], 1):
        history.add(sample(at, **groups))
    assert history.series("t") == {"at": [3, 4, 5, 6], "length": [3, 4, 5, 6], "rate_in": [0.5] * 4}
    found = history.series("t", "g")
    assert (found["lag"], found["oldest_idle"], found["rate_out"]) == ([None, 4, 5, 6], [None, 42, 42, 42], [None] * 4)
    assert history.series("t", "h")["lag"] == [None, 9, None, None]
    assert history.series("none", "g") == dict.fromkeys(found, [None] * 4) | {"at": found["at"]}


def test_a_history_takes_a_sample_once_and_forgets_what_is_gone() -> None:
    history = History(seconds=3, interval=1)
    history.add(sample(1, g=1, h=2))
    history.add(sample(1, g=7, h=2))
    assert history.series("t", "g")["lag"] == [1]
    for at in range(2, 6):
        history.add(sample(at, g=at))
    assert history.series("t", "g")["lag"] == [3, 4, 5]
    assert {*history._rings} == {("t", None), ("t", "g")}


def test_a_history_begins_anew_where_the_clock_went_back() -> None:
    history = History(seconds=3, interval=1)
    for at in (5, 6, 2, 3):
        history.add(sample(at, g=at))
    assert history.series("t", "g")["at"] == history.series("t", "g")["lag"] == [2, 3]
