"""Batches that follow each other quickly: two reads are owed at a time. Killed or cut anywhere, nothing is lost, and room is never exceeded."""

from __future__ import annotations

from typing import Any

import pytest

from streamio.effects import Receive, Write
from streamio.protocol.prefetch import Prefetch
from streamio.protocol.reading import arrived

from .stage import Player, Stage
from .test_cut_anywhere import Cut

ENTRIES = 48
SITS = {"40": [12.0, 12.0, 12.0]}  # on top of what was read ahead, for more than a lease
FAILS = {"21": 1}


def flood(monkeypatch: Any, make: type[Player] = Player) -> tuple[Stage, Any]:
    """A stage with a backlog of entries that are over at once, and its member."""
    stage = Stage(monkeypatch, SITS, FAILS)
    stage.publish(ENTRIES)
    stage.make = make
    player = stage.player("m")
    stage.make = Player
    return stage, player


def in_flight(player: Player) -> list[int]:
    """How many entries each read that is owed asked for."""
    return [argument[0] for exchange, argument in player.hand.owed if exchange is arrived]


def check(stage: Stage, told: Any) -> int:
    """Every entry was handled to success and nothing is pending; how many ran to success twice."""
    assert stage.pending() == [] and stage.dead() == [], told
    ids = [entry_id for entry_id, _ in stage.raw.xrange("topic")]
    assert len(ids) == ENTRIES and [i for i in ids if not stage.ended[i]] == [], told
    return sum(1 for i in ids if stage.ended[i] > 1)


def test_the_next_read_is_written_before_the_reply_to_the_one_before_is_received(monkeypatch: Any) -> None:
    stage, player = flood(monkeypatch)
    owed = []
    stage.hooks.append(lambda player: owed.append(len(in_flight(player))))
    stage.play()
    assert max(owed) == 2
    stage.survive("s")
    assert check(stage, "undisturbed") == 0


@pytest.mark.parametrize(("prefetch", "places"), [(0, 1), (1, 1), (7, 1), (20, 1), (1, 3), (2, 3), (5, 8)])
def test_what_is_in_hand_and_what_is_owed_stay_within_the_room(monkeypatch: Any, prefetch: int, places: int) -> None:
    stage, player = flood(monkeypatch)
    player.hand.prefetch = Prefetch(prefetch, places)
    most = []
    stage.hooks.append(lambda player: most.append(player.hand.in_hand + sum(in_flight(player))))
    stage.play()
    assert max(most) <= places + prefetch


@pytest.mark.slow
@pytest.mark.parametrize("survivor", ["another", "m"])
def test_killed_with_two_reads_owed_nothing_is_lost(monkeypatch: Any, survivor: str) -> None:
    steps = flood(monkeypatch)[0].play()
    for kill_at in range(1, steps + 1):
        stage, player = flood(monkeypatch)
        stage.play(effects=kill_at)
        unsettled = len({*player.hand.acks, *player.hand.flying}) + sum(map(len, player.hand.sent)) + 1
        stage.survive(survivor)
        assert check(stage, f"killed after effect {kill_at}") <= unsettled


@pytest.mark.slow
@pytest.mark.parametrize("what", [Write, Receive])
def test_cut_with_two_reads_owed_nothing_is_lost_and_nothing_repeated(monkeypatch: Any, what: type) -> None:
    at = 1
    while True:
        Cut.at, Cut.what = at, what
        stage, cut = flood(monkeypatch, Cut)
        cut.hand.draining = True
        stage.play()
        if not cut.broken:
            break
        stage.survive("s")
        assert check(stage, f"cut at {what.__name__} {at}") == 0
        at += 1
    assert at > 20
