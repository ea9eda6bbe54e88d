"""How much of a sample is told."""

from __future__ import annotations

import json

from streamio.dashboard.telling import told
from streamio.observing import ConsumerView, GroupView, Sample, TopicView


def group_of(number: int, consumers: int) -> GroupView:
    """A group; the last ones are in trouble."""
    members = tuple(ConsumerView(f"w{each}", each, 1.0, None, False) for each in range(consumers))
    state = "stuck" if number > 95 else "ok"
    return GroupView(f"group{number}", "t", number, 1.0, 2, 1, 1, "1-0", 1, members, None, 1.0, state, "it is as it is")


def sample_of(topics: int, groups: int, consumers: int) -> Sample:
    """A sample of so many."""
    made = tuple(group_of(number, consumers) for number in range(groups))
    rows = [TopicView(f"t{number}", 1, "1-0", "1-0", "1-0", 1, 1, 0, 1.0, made, "ok", None) for number in range(topics)]
    return Sample(1.0, 0.1, "7.0.15", 1, tuple(rows), 0)


def test_the_worst_groups_and_the_busiest_consumers_are_told_and_all_are_counted() -> None:
    (topic,) = told(sample_of(1, 100, 60))["topics"]
    assert [len(topic["groups"]), topic["groups_total"], topic["totals"]["pending"], topic["totals"]["lag"]] == [50, 100, 200, 99]
    assert (topic["totals"]["consumers"], topic["totals"]["troubled"], topic["totals"]["dead"]) == (6000, 4, 100)
    names = {each["name"] for each in topic["groups"]}
    assert {"group96", "group99"} <= names and "group0" not in names
    (group,) = [each for each in topic["groups"] if each["name"] == "group99"]
    assert (len(group["consumers"]), group["consumers_total"]) == (40, 60) and "w0" not in {each["name"] for each in group["consumers"]}


def test_however_many_there_are_the_state_stays_small() -> None:
    assert len(json.dumps(told(sample_of(100, 100, 100)))) < 1_000_000


def test_a_topic_that_is_looked_at_is_told_fully() -> None:
    first, second, *_ = told(sample_of(100, 100, 100), {"t1"})["topics"]
    assert (len(first["groups"]), len(second["groups"]), len(second["groups"][0]["consumers"])) == (5, 50, 50)
