"""A member with the only place killed at every effect, while another waits for it: nothing is lost, and never do both have it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from .stage import GROUP, LEASE, TOPIC, Player, Stage
from .test_stopped_anywhere import ENTRIES, FAILS, SITS, check

PLACES = f"{TOPIC}:slots:{{{TOPIC}}}:{GROUP}"


def scene(monkeypatch: Any) -> tuple[Stage, Player, Player]:
    """Two members of a group for one."""
    stage = Stage(monkeypatch, SITS, FAILS)
    stage.publish(ENTRIES)
    players = []
    for name in ("m", "s"):
        player = stage.player(name)
        player.hand.settings = replace(player.hand.settings, max=1, standby=True)
        players.append(player)
    return stage, players[0], players[1]


def check_one_has_it(stage: Stage) -> Any:
    """A hook: nobody runs an entry without a place."""

    def look(player: Player) -> None:
        if player.listener.name == "listener" and player.hand.current is not None and not player.listener.over:
            holders = [name for name, until in stage.raw.zrange(PLACES, 0, -1, withscores=True) if until > stage.now * 1000]
            assert len(holders) <= 1 and (player.name in holders or not holders)

    return look


def test_the_second_waits_until_the_first_is_through(monkeypatch: Any) -> None:
    stage, first, second = scene(monkeypatch)
    stage.hooks.append(check_one_has_it(stage))
    stage.play()
    assert first.hand.handled and stage.raw.zrange(PLACES, 0, -1) == []
    stage.hooks.clear()
    stage.survive("t")
    assert check(stage, "undisturbed") == 0


@pytest.mark.slow
def test_killed_at_every_effect_the_standby_takes_over_within_a_lease(monkeypatch: Any, capsys: Any) -> None:
    at, twice, slowest = 1, 0, 0.0
    while True:
        stage, first, second = scene(monkeypatch)
        stage.play(effects=at)
        if first.listener.over:
            break
        first.kill()
        killed = stage.now
        while not second.hand.seated and not second.listener.over:
            stage.play(effects=1, players=[second])
        slowest = max(slowest, stage.now - killed)
        stage.play(players=[second])
        stage.survive("t")
        twice = max(twice, check(stage, f"killed at {at}"))
        at += 1
    with capsys.disabled():
        print(f"\n  killed at each of {at - 1} effects: 0 lost, at most {twice} ran twice, the standby had the place after {slowest:.1f} s at most")
    assert twice <= 4 and slowest <= LEASE + 2.0 and at > 100
