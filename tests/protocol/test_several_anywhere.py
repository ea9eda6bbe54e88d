"""A member of two topics stopped, killed and cut off while it waits for news of both: what it has is each group's, and nothing is lost.

Where every effect would take long, one in `step` is tried.
"""

from __future__ import annotations

from typing import Any

import pytest
from redis.exceptions import ConnectionError

from streamio.effects import Receive, Write
from streamio.keys import WAITING

from .ensemble import GROUP, TOPICS, TwoTopics, Whole

FEED = [(0, "one", 0), (2, "two", 10), (2, "two", 11), (2, "one", 1), (2, "one", 2), (2, "two", 12), (4.5, "two", 13)]
SITS = {"2": [0.6], "10": [0.02]}
FAILS = {"12": 1}  # it succeeds at its second delivery
ENDS = 6.5


def scene(monkeypatch: Any, blocks: bool = True, make: Any = Whole, **options: Any) -> tuple[TwoTopics, Any]:
    """A stage with a member of both topics, which is stopped when all is handled, or before it would look at the silent members."""
    stage = TwoTopics(monkeypatch, FEED, sits=SITS, fails=FAILS)
    stage.blocks, stage.make = blocks, make
    whole: Any = stage.player("m", patient=True, **options)

    def stop(player: Any) -> None:
        late = stage.now - stage.begin - ENDS
        if late >= 0 and not whole.hand.stopping and (late > 5 or not stage.left()):
            whole.stop()

    stage.hooks.append(stop)
    return stage, whole


def window(monkeypatch: Any, kinds: Any = None, **options: Any) -> list[int]:
    """The effects of an undisturbed run from the first wait for both topics on: all, or those of these kinds."""
    stage, whole = scene(monkeypatch, **options)
    marks: list[bool] = []

    def mark(player: Any) -> None:
        waits = any("joint" in told or "aside" in told for told in whole.trace)
        marks.append(waits and (kinds is None or player.trace[-1].split()[1] in kinds))

    stage.hooks.append(mark)
    stage.play()
    assert stage.left() == [], "undisturbed it handles all itself"
    return [at for at, marked in enumerate(marks, 1) if marked]


def check(stage: TwoTopics, told: Any) -> int:
    """Every entry is handled to success or in the dead letters, and nothing is pending; how many succeeded twice."""
    assert stage.pending() == [], told
    numbers = [fields["n"] for topic in TOPICS for _, fields in stage.raw.xrange(topic)]
    dead = {letter["n"] for letter in stage.dead()}
    assert len(numbers) == len(FEED) and [n for n in numbers if not stage.ended[n] and n not in dead] == [], told
    return sum(1 for n in numbers if stage.ended[n] > 1)


TOGETHER: dict[str, Any] = {}
EMBEDDED, APART = {"blocks": False}, {"apart": True}


@pytest.mark.parametrize(
    ("how", "step", "survivor"),
    [(TOGETHER, 2, "plain"), (TOGETHER, 1, "another"), (TOGETHER, 1, "itself"), (EMBEDDED, 3, "itself"), (APART, 2, "another")],
)
def test_killed_anywhere_nothing_is_lost(monkeypatch: Any, how: Any, step: int, survivor: str) -> None:
    twice = []
    for kill_at in window(monkeypatch, ("Write", "Ran"), **how)[::step]:
        stage, _ = scene(monkeypatch, **how)
        stage.play(effects=kill_at)
        stage.survive_by(survivor)
        twice.append(check(stage, f"killed after effect {kill_at}"))
    assert max(twice) <= 4  # handled, the acknowledgements still noted or on their way: as of a plain member


@pytest.mark.parametrize(("how", "step"), [(TOGETHER, 3), (EMBEDDED, 7), (APART, 7)])
def test_stopped_anywhere_nothing_runs_twice_and_nothing_is_left_under_its_name(monkeypatch: Any, how: Any, step: int) -> None:
    for stop_at in window(monkeypatch, **how)[::step]:
        stage, whole = scene(monkeypatch, **how)
        stage.play(effects=stop_at)
        whole.stop()
        stage.play()
        assert not [row for row in stage.pending() if row[1] != WAITING], stop_at
        assert "m" not in [each["name"] for topic in TOPICS for each in stage.raw.xinfo_consumers(topic, GROUP)], stop_at
        assert stage.left() == sorted(n for _, _, n in FEED if not stage.ended[str(n)]), stop_at
        assert set(stage.ended.values()) <= {1}, stop_at


class Cut(Whole):
    """A member whose joint line breaks: before a write is sent, or when it was answered and nothing was heard."""

    at, what, count = 0, Write, 0

    def perform(self, actor: Any, effect: Any) -> Any:
        if isinstance(effect, self.what) and effect.line.name == "joint":
            self.count += 1
            if self.count == self.at:
                self.driver.drop(effect.line)
                raise ConnectionError("cut")
        return super().perform(actor, effect)


@pytest.mark.parametrize("blocks", [True, False])
@pytest.mark.parametrize("what", [Write, Receive])
def test_a_reply_of_the_joint_line_that_is_lost_loses_nothing_and_repeats_nothing(monkeypatch: Any, blocks: bool, what: type) -> None:
    Cut.at, Cut.what = 1, what
    while True:
        stage, cut = scene(monkeypatch, blocks, Cut)
        stage.play()
        if cut.count < cut.at:
            break
        assert stage.left() == [], f"{cut.at}: it found itself what it had lost"
        assert check(stage, f"cut at {cut.at}") == 0
        Cut.at += 1
    assert Cut.at > 3
