"""The checker itself, on logs made by hand: what is as it must be passes, and each rule notices (3, 4 and 5: `test_repeats.py`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from .checker import RULES, check
from .evidence import Evidence
from .records import Life, Log, Run, read_life, read_published
from .story import Story, broken, repeated


def test_a_run_in_which_all_was_well_passes(story: Story) -> None:
    assert check(story.run()) == []


def test_every_rule_but_that_of_order_is_checked() -> None:
    assert set(RULES) == {1, 2, 3, 4, 5, 6, 8, 9, 10}


# -- 1 and 2 -------------------------------------------------------------------------------------------------------------------------------


def test_a_publish_that_was_acknowledged_must_be_in_the_stream(story: Story) -> None:
    run = story.run()
    assert broken(replace(run, published=[*run.published, (18.0, 9, "9-0")])) == [1]


def test_an_entry_may_be_there_twice_only_where_its_publish_was_uncertain(story: Story) -> None:
    story.handle(1, "1-1", 1.0, 1.01, 1.02, 1.2)
    run = story.run()
    run.stream["1-1"] = 0
    assert broken(run) == [1]
    assert broken(replace(run, uncertain={0: 1})) == []


def test_an_entry_that_was_never_started_or_never_through_is_lost(story: Story) -> None:
    story.publish("2-0", 2.0)
    assert 2 in broken(story.run())
    story.handle(0, "2-0", 2.0, 2.1, None, 2.2)
    assert 2 in broken(story.run())


def test_an_entry_among_the_dead_letters_is_not_lost(story: Story) -> None:
    run = story.run()
    run.stream["2-0"] = -1
    assert broken(replace(run, dead={"2-0": "undecodable"}, expected_dead={"2-0": "undecodable"})) == []


# -- 10 ------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outputs", "rules"),
    [
        ([("1-0", 1), ("1-0", 2)], []),
        ([("1-0", 2), ("1-0", 1), ("1-0", 2)], [10]),
        ([("1-0", 1)], [10]),
        ([], [10]),
        ([("1-0", 1), ("1-0", 2), ("9-0", 1)], [10]),
        (None, []),
    ],
)
def test_each_output_of_a_pipe_must_stand_there_once(story: Story, outputs: list[tuple[str, int]] | None, rules: list[int]) -> None:
    assert broken(replace(story.run(), outputs=outputs)) == rules


def test_a_dead_letter_may_have_put_out_nothing(story: Story) -> None:
    run = replace(story.run(), dead={"2-0": "failed"}, expected_dead={"2-0": "failed"}, outputs=[("1-0", 1), ("1-0", 2)])
    run.stream["2-0"] = 1
    assert broken(run) == []
    assert broken(replace(run, outputs=[("1-0", 1), ("1-0", 2), ("2-0", 1)])) == [10]


# -- 6, 8 and 9 ----------------------------------------------------------------------------------------------------------------------------


def leaves_with_a_rest(run: Run) -> None:
    """The member left in order, and something is pending under its name after."""
    run.samples = [replace(sample, pending={"a": frozenset({"1-0"})}) if sample.start >= 19 else sample for sample in run.samples]


def never_leaves(run: Run) -> None:
    """The member was told to leave, and did not."""
    run.lives[0].left, run.lives[0].code = None, -9


def leaves_with_an_error(run: Run) -> None:
    """The member left with an error code."""
    run.lives[0].code = 1


def ends_by_itself(run: Run) -> None:
    """The member ended, and nobody had told it to."""
    run.lives[0].asked, run.lives[0].left, run.lives[0].ended, run.lives[0].code = None, None, 5.0, 1


@pytest.mark.parametrize("spoil", [leaves_with_a_rest, never_leaves, leaves_with_an_error, ends_by_itself])
def test_a_member_that_does_not_leave_in_order_is_noticed(story: Story, spoil: Callable[[Run], None]) -> None:
    run = story.run()
    spoil(run)
    assert broken(run) == [6]


@pytest.mark.parametrize(("cut", "rules"), [(18.5, [6]), (20.0, [])])
def test_what_a_member_cannot_give_back_while_it_is_cut_off_may_stay(story: Story, cut: float, rules: list[int]) -> None:
    story.fault("cut", 18.0, cut)
    run = story.run()
    leaves_with_a_rest(run)
    assert broken(run) == rules


def test_what_is_pending_under_a_successor_of_the_same_name_is_the_successors(story: Story) -> None:
    story.lives[0].asked, story.lives[0].left, story.lives[0].ended = 4.0, 4.1, 4.2
    story.life("a", joined=4.3)
    story.handle(2, story.publish("2-0", 4.5), 4.5, 4.6, 4.7, 4.8)
    assert broken(story.run()) == []


def test_where_members_only_left_in_order_nothing_may_run_twice(story: Story) -> None:
    run = repeated(story, freeze=(3.2, 6.0), second=5.5)
    assert broken(replace(run, only_stops=True)) == [6]


def test_what_is_pending_at_the_end_is_noticed(story: Story) -> None:
    assert broken(replace(story.run(), pending={"a": 1})) == [8]
    assert broken(replace(story.run(), pending={"~waiting": 1})) == [8]


@pytest.mark.parametrize(("killed", "rules"), [(None, [8]), (18.5 - 8.1, [8]), (18.5 - 6.9, [])])
def test_only_records_of_members_killed_of_late_may_be_listed_at_the_end(story: Story, killed: float | None, rules: list[int]) -> None:
    if killed is not None:
        story.fault("kill", killed, killed, 1)
    assert broken(replace(story.run(), consumers=["~waiting", "b"])) == rules


@pytest.mark.parametrize(("cut", "rules"), [(18.5, [8]), (20.0, [])])
def test_the_record_of_a_member_that_was_cut_off_as_it_left_may_be_listed(story: Story, cut: float, rules: list[int]) -> None:
    story.fault("cut", 18.0, cut)
    assert broken(replace(story.run(), consumers=["b"])) == rules


def test_a_server_that_starts_again_takes_killed_members_for_just_heard_of(story: Story) -> None:
    story.fault("kill", 9.0, 9.0, 1)
    story.fault("server", 14.0, 14.5)
    assert broken(replace(story.run(), consumers=["b"])) == []


def test_records_of_killed_members_may_stay_where_nothing_sweeps(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.soak.checker.SWEPT", None)
    story.fault("kill", 9.0, 9.0, 1)
    assert broken(replace(story.run(), consumers=["b"])) == []


@pytest.mark.parametrize(
    ("dead", "rules"), [({}, [2, 8]), ({"2-0": "failed"}, [8]), ({"2-0": "poison"}, []), ({"2-0": "poison", "1-0": "poison"}, [8])]
)
def test_the_dead_letters_must_be_those_that_were_meant(story: Story, dead: dict[str, str], rules: list[int]) -> None:
    run = story.run()
    run.stream["2-0"] = 150
    assert broken(replace(run, dead=dead, expected_dead={"2-0": "poison"})) == rules


def test_a_member_that_grows_is_noticed(story: Story) -> None:
    run = story.run()
    run.lives[0].memory = [(1.0, 500), (11.0, 1000), (18.0, 1299)]
    assert broken(run) == []
    run.lives[0].memory[-1] = (18.0, 1301)
    assert broken(run) == [8]


@pytest.mark.parametrize(("through", "rules"), [(10.9, []), (11.1, [9])])
def test_a_standstill_while_entries_wait_is_noticed(story: Story, through: float, rules: list[int]) -> None:
    story.handle(0, story.publish("2-0", 3.0), 3.0, through - 0.1, through, through + 0.2)
    assert broken(story.run()) == rules


def test_a_standstill_in_which_nothing_waits_is_none(story: Story) -> None:
    story.handle(0, story.publish("2-0", 15.0), 15.0, 15.1, 15.2, 15.3)
    assert broken(story.run()) == []


@pytest.mark.parametrize(("through", "rules"), [(6.4, []), (8.6, [9])])
def test_what_a_killed_member_had_must_be_through_within_lease_and_claim_interval(story: Story, through: float, rules: list[int]) -> None:
    story.publish("2-0", 3.0)
    story.handle(0, "2-0", 3.0, 3.1, None, through - 0.2)
    story.handle(1, "2-0", through - 0.2, through - 0.1, through, through + 0.1)
    story.fault("kill", 3.4, 3.41, 0)
    run = story.run()
    (kill,) = Evidence(run).kills
    assert kill.held == {"2-0"} and kill.repeated == 1 and kill.recovery["2-0"] == pytest.approx(through - 3.4)
    assert broken(run) == rules


def test_what_was_handed_back_on_its_way_may_take_longer(story: Story) -> None:
    story.publish("2-0", 3.0)
    story.handle(0, "2-0", 3.0, 3.1, None, 6.0)
    story.held.append(("~waiting", "2-0", 6.0, 8.0))
    story.handle(1, "2-0", 8.0, 8.5, 8.6, 8.7)
    story.fault("kill", 3.4, 3.41, 0)
    assert broken(story.run()) == []


# -- reading logs ----------------------------------------------------------------------------------------------------------------------------


def test_logs_are_read_as_they_were_written(tmp_path: Path) -> None:
    member, producer = Log(tmp_path / "member"), Log(tmp_path / "producer")
    for words in (("B", "on"), ("R", "1-0"), ("S", "1-0", 7), ("E", "1-0"), ("S", "2-0", 8), ("X", "2-0"), ("V", "error", "a\nb"), ("Q",)):
        member.write(*words)
    for words in (("U", 7), ("U", 7), ("F", 7, "refused"), ("P", 7, "1-0")):
        producer.write(*words)
    life = Life("a", 0)
    read_life(life, tmp_path / "member")
    published, uncertain = read_published([tmp_path / "producer"])
    assert life.joined is not None and life.left is not None and life.joined < life.left
    assert [(start.id, start.end is not None, start.raised) for start in life.starts] == [("1-0", True, False), ("2-0", False, True)]
    assert [text for _, text in life.events] == ["error a b"]
    assert [(n, entry) for _, n, entry in published] == [(7, "1-0")] and uncertain == {7: 2}
