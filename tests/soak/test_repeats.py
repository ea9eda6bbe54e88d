"""What the checker makes of entries that ran more than once: rules 3, 4 and 5, on logs made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from .checker import bound, check
from .evidence import Evidence
from .records import Fault
from .story import Story, broken, repeated


def test_what_runs_twice_without_a_fault_is_noticed(story: Story) -> None:
    run = repeated(story, freeze=None)
    assert broken(run) == [3, 4]


def test_a_freeze_of_a_member_that_had_the_entry_excuses(story: Story) -> None:
    assert broken(repeated(story, freeze=(3.2, 6.0), second=5.5)) == []


def test_a_freeze_before_the_receipt_of_the_entry_excuses_nothing(story: Story) -> None:
    assert broken(repeated(story, freeze=(0.2, 2.5))) == [3]


def test_a_fault_after_the_last_start_excuses_nothing(story: Story) -> None:
    assert broken(repeated(story, freeze=(4.5, 7.0))) == [3]


def test_a_freeze_of_a_member_that_never_had_the_entry_excuses_nothing(story: Story) -> None:
    story.life("c")
    run = repeated(story, freeze=None)
    assert broken(replace(run, faults=[Fault("stop", 2.9, 6.0, 2)])) == [3]


def test_a_fault_between_receipt_and_start_excuses(story: Story) -> None:
    story.publish("2-0", 2.0)
    story.handle(0, "2-0", 2.0, 9.0, 9.1, 9.2)
    story.handle(1, "2-0", 9.15, 9.2, 9.3, 9.4)
    assert 3 in broken(story.run())
    story.fault("cut", 5.0, 5.0)
    assert 3 not in broken(story.run())


@pytest.mark.parametrize(("kind", "end", "excused"), [("server", 1.0, True), ("server", 0.2, False), ("cut", 2.95, True), ("cut", 2.5, False)])
def test_a_fault_of_the_server_excuses_for_a_while(story: Story, kind: str, end: float, excused: bool) -> None:
    story.fault(kind, end - 0.1, end)
    assert (3 in broken(repeated(story, freeze=None))) is not excused


def test_a_handler_that_raised_is_meant_to_run_again(story: Story) -> None:
    run = repeated(story, freeze=None)
    run.lives[0].starts[-1].raised = True
    assert broken(run) == []


def test_a_run_with_more_repeats_than_its_faults_account_for_is_noticed(story: Story) -> None:
    story.fault("kill", 3.5, 3.5, 0)
    for number in range(10):
        entry = story.publish(f"2-{number}", 3.0)
        story.handle(0, entry, 3.0, 3.01, 3.02, 5.7)
        story.handle(1, entry, 5.7, 5.8, 5.9, 6.0)
    run = story.run()
    assert bound(Evidence(run)) == 9 and broken(run) == [4]
    run.lives[0].prefetch = 9
    assert broken(run) == []


@pytest.mark.parametrize(("count", "rules"), [(9, []), (10, [4])])
def test_a_killed_member_with_more_in_hand_than_it_may_have_is_noticed(story: Story, count: int, rules: list[int]) -> None:
    story.fault("kill", 3.5, 3.5, 0)
    for number in range(count):
        entry = story.publish(f"2-{number}", 3.0)
        story.held.append(("a", entry, 3.0, 5.7))
        story.handle(1, entry, 5.7, 5.8, 5.9, 6.0)
    assert broken(story.run()) == rules


def test_what_an_earlier_life_had_in_hand_is_not_its_successors(story: Story) -> None:
    story.life("a", joined=4.0).prefetch = 0
    for number in range(3):
        entry = story.publish(f"2-{number}", 3.0)
        story.held.append(("a", entry, 3.0, 7.2))
        story.handle(1, entry, 7.2, 7.3, 7.4, 7.5)
    story.fault("kill", 3.5, 3.5, 0)
    story.fault("kill", 5.0, 5.0, 2)
    assert broken(story.run()) == []


def test_a_short_freeze_accounts_for_nothing(story: Story) -> None:
    run = repeated(story, freeze=(3.5, 4.5), second=4.4)
    assert broken(run) == [4]


def test_a_start_after_the_acknowledgement_of_another_member_is_noticed(story: Story) -> None:
    story.publish("2-0", 3.0)
    story.handle(1, "2-0", 5.5, 5.5, 5.6, 5.7)
    story.handle(0, "2-0", 3.0, 6.5, 6.6, 5.5)  # got at 3 s, lost at 5.5 s, started at 6.5 s all the same
    story.fault("stop", 3.2, 6.2, 0)
    assert broken(story.run()) == [5]


def test_a_second_start_by_the_same_member_is_a_repeat_and_no_zombie(story: Story) -> None:
    story.publish("2-0", 3.0)
    story.handle(0, "2-0", 3.0, 3.1, 3.2, 3.4)
    story.handle(0, "2-0", 3.0, 6.5, 6.6, 3.4)
    assert broken(story.run()) == [3, 4]


def test_a_start_of_what_was_received_less_than_a_lease_before_is_none_of_it(story: Story) -> None:
    story.publish("2-0", 3.0)
    story.handle(1, "2-0", 5.0, 5.0, 5.1, 5.2)
    story.handle(0, "2-0", 4.0, 5.9, 6.0, 4.6)
    story.fault("stop", 4.2, 5.7, 0)
    assert broken(story.run()) == []


def test_a_start_that_the_freeze_came_before_by_a_hair_is_spared_once(story: Story) -> None:
    for entry in ("2-0", "3-0"):
        story.publish(entry, 3.0)
        story.handle(1, entry, 5.5, 5.5, 5.6, 5.7)
        story.handle(0, entry, 3.0, 6.21, 6.3, 5.5)
    story.fault("stop", 3.2, 6.2, 0)
    assert [each.text.split()[3] for each in check(story.run()) if each.rule == 5] == ["3-0"]
