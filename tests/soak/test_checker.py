"""The checker itself, on logs made by hand: what is as it must be passes, and each rule notices when it is broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from .checker import RULES, bound, check
from .evidence import Evidence
from .records import Fault, Life, Log, Run, Sample, Start, read_life, read_published

MOMENTS = [step / 20 for step in range(400)]  # twenty seconds, twenty samples in each


class Story:
    """A run that is told: two members with room for 1 + 8 entries each, from 0 s to 20 s, that left in order at 19 s; nothing else happened yet."""

    def __init__(self) -> None:
        self.lives: list[Life] = []
        self.published: list[tuple[float, int, str]] = []
        self.held: list[tuple[str, str, float, float]] = []  # (name, entry, from, until): pending under that name
        self.faults: list[Fault] = []
        self.life("a")
        self.life("b")

    def life(self, name: str, joined: float = 0.0) -> Life:
        """Another life, that leaves in order at 19 s."""
        life = Life(name, len(self.lives), joined=joined, asked=18.9, left=19.0, ended=19.0, code=0, memory=[(joined + 11, 1000), (18.0, 1100)])
        self.lives.append(life)
        return life

    def publish(self, entry: str, at: float = 1.0) -> str:
        """An entry, acknowledged to its producer; its number is its place."""
        self.published.append((at, len(self.published), entry))
        return entry

    def handle(self, life: int, entry: str, got: float, began: float, ended: float | None, acked: float) -> None:
        """A life had the entry from `got` until `acked`, and ran it from `began` to `ended`."""
        self.lives[life].starts.append(Start(entry, began, ended))
        self.held.append((self.lives[life].name, entry, got, acked))

    def fault(self, kind: str, start: float, end: float, life: int | None = None) -> None:
        """A fault; a killed life ends there."""
        self.faults.append(Fault(kind, start, end, life))
        if life is not None and kind in ("kill", "exit"):
            dead = self.lives[life]
            dead.asked, dead.left, dead.ended, dead.code = None, None, end, -9

    def run(self) -> Run:
        """As the checker gets it."""
        return Run(
            lives=self.lives,
            published=self.published,
            uncertain={},
            faults=self.faults,
            samples=[Sample(at, at + 0.001, self.pending(at)) for at in MOMENTS],
            stream={entry: n for _, n, entry in self.published},
            dead={},
            pending={},
            consumers=["~waiting"],
            finished=18.5,
        )

    def pending(self, at: float) -> dict[str, frozenset[str]]:
        """What is pending at this moment."""
        names = {name for name, *_ in self.held}
        return {name: frozenset(entry for who, entry, start, end in self.held if who == name and start <= at < end) for name in names}


@pytest.fixture
def story() -> Story:
    """One entry, published at 1 s and handled at once."""
    story = Story()
    story.handle(0, story.publish("1-0"), 1.0, 1.01, 1.02, 1.2)
    return story


def broken(run: Run) -> list[int]:
    """The rules that were broken."""
    return sorted({each.rule for each in check(run)})


def repeated(story: Story, freeze: tuple[float, float] | None, second: float = 4.0) -> Run:
    """Entry 2-0 runs at member a from 3 s on, and at member b at `second`; a was frozen meanwhile, or not."""
    story.publish("2-0", 3.0)
    story.handle(0, "2-0", 3.0, 3.01, 7.0, second)
    story.handle(1, "2-0", second, second, second + 0.1, second + 0.3)
    if freeze is not None:
        story.fault("stop", *freeze, life=0)
    return story.run()


def test_a_run_in_which_all_was_well_passes(story: Story) -> None:
    assert check(story.run()) == []


def test_every_rule_but_that_of_order_is_checked() -> None:
    assert set(RULES) == {1, 2, 3, 4, 5, 6, 8, 9}


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


# -- 3, 4 and 5 ----------------------------------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(("through", "rules"), [(6.4, []), (7.6, [9])])
def test_what_a_killed_member_had_must_be_through_within_lease_and_claim_interval(story: Story, through: float, rules: list[int]) -> None:
    story.publish("2-0", 3.0)
    story.handle(0, "2-0", 3.0, 3.1, None, through - 0.2)
    story.handle(1, "2-0", through - 0.2, through - 0.1, through, through + 0.1)
    story.fault("kill", 3.4, 3.41, 0)
    run = story.run()
    (kill,) = Evidence(run).kills
    assert kill.held == {"2-0"} and kill.repeated == 1 and kill.recovery["2-0"] == pytest.approx(through - 3.4)
    assert broken(run) == rules


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
