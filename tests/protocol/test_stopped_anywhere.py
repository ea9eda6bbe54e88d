"""Listener and keeper stopped at every effect, in every order: nothing is lost, and what ran twice is counted."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from .stage import Player, Ran, Stage

SITS = {"2": [0.6, 0.6], "4": [12.0, 12.0, 12.0]}  # one sits for more than a second on top of what waits, one for more than a lease
FAILS = {"1": 1, "5": 9}  # one succeeds at its second delivery, one never
ENTRIES = 7


def scene(monkeypatch: Any) -> Stage:
    """A stage with entries that succeed, fail, sit and never succeed."""
    stage = Stage(monkeypatch, SITS, FAILS)
    stage.publish(ENTRIES)
    return stage


def length(monkeypatch: Any) -> int:
    """How many effects an undisturbed member's first run takes."""
    stage = scene(monkeypatch)
    stage.player("m")
    return stage.play()


def check(stage: Stage, told: Any) -> int:
    """Every entry is handled to success or in the dead letters, and nothing is pending; how many succeeded twice."""
    assert stage.pending() == [], told
    dead = {letter["dead:id"] for letter in stage.dead()}
    ids = [entry_id for entry_id, _ in stage.raw.xrange("topic")]
    assert [i for i in ids if not stage.ended[i] and i not in dead] == [], told
    assert len(ids) == ENTRIES
    return sum(1 for i in ids if stage.ended[i] > 1)


def test_an_undisturbed_member_handles_all_once(monkeypatch: Any) -> None:
    stage = scene(monkeypatch)
    stage.player("m")
    stage.play()
    stage.survive("s")
    assert check(stage, "undisturbed") == 0
    assert [letter["dead:reason"] for letter in stage.dead()] == ["failed"]


@pytest.mark.parametrize("survivor", ["another", "m"])
def test_killed_at_every_effect_nothing_is_lost(monkeypatch: Any, survivor: str, capsys: Any) -> None:
    twice = []
    for kill_at in range(1, length(monkeypatch) + 1):
        stage = scene(monkeypatch)
        stage.player("m")
        stage.play(effects=kill_at)
        stage.survive(survivor)
        twice.append(check(stage, f"killed after effect {kill_at}"))
    with capsys.disabled():
        print(f"\n  killed at each of {len(twice)} effects (survivor {survivor!r}): 0 lost, at most {max(twice)} ran twice")
    assert max(twice) <= 4  # one batch: handled, its acknowledgements still noted or on their way


@pytest.mark.slow
def test_killed_in_every_order_of_listener_and_keeper_nothing_is_lost(monkeypatch: Any, capsys: Any) -> None:
    runs, twice = 0, 0
    for begin in range(0, length(monkeypatch), 15):
        for order in itertools.product((0, 1), repeat=6):
            stage = scene(monkeypatch)
            stage.player("m")
            choices = itertools.chain(itertools.repeat(0, begin), order)
            played = stage.play(choices, effects=begin + len(order))
            stage.survive("s")
            twice = max(twice, check(stage, (begin, order, played)))
            runs += 1
    with capsys.disabled():
        print(f"\n  {runs} orders of listener and keeper, each killed at its end: 0 lost, at most {twice} ran twice")
    assert twice <= 4


# -- the stage bites: members that are broken on purpose are caught -----------------------------------------------------------------------------


class AcknowledgesFirst(Player):
    """Acknowledges an entry before its handler runs."""

    def perform(self, actor: Any, effect: Any) -> Any:
        if isinstance(effect, Ran) and effect.what == "start":
            self.hand.ack(effect.message)
        return super().perform(actor, effect)


class NeverClaims(Player):
    """Does not look for the entries of silent members."""

    def perform(self, actor: Any, effect: Any) -> Any:
        self.hand.claim_at = float("inf")
        return super().perform(actor, effect)


def forgets_its_own(hand: Any) -> Any:
    """Instead of looking at what is pending under the member's own name."""
    hand.own = None
    return
    yield


@pytest.mark.parametrize(("broken", "survivor"), [(AcknowledgesFirst, "s"), (NeverClaims, "s"), (Player, "m")])
def test_a_broken_member_is_caught(monkeypatch: Any, broken: type[Player], survivor: str) -> None:
    if broken is Player:
        for room in ("reading", "joining"):
            monkeypatch.setattr(f"streamio.protocol.{room}.taking_own", forgets_its_own)

    def play_all() -> None:
        for kill_at in range(1, length(monkeypatch) + 1, 3):
            stage = scene(monkeypatch)
            stage.make = broken
            stage.player("m")
            stage.play(effects=kill_at)
            stage.survive(survivor)
            check(stage, kill_at)

    with pytest.raises(AssertionError):
        play_all()
