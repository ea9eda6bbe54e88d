"""Every connection of a member cut at every effect, before the server has heard and after it has done what it was asked; the group destroyed, the
stream deleted at every effect. The member lives on: nothing is lost, and what is not a kill makes nothing run twice."""

from __future__ import annotations

from typing import Any

import pytest
from redis.exceptions import ConnectionError

from streamio.effects import Receive, Write

from .stage import GROUP, TOPIC, Player, Stage
from .test_stopped_anywhere import ENTRIES, FAILS, SITS, check


class Cut(Player):
    """A member whose connection breaks at one of its effects: before a write is sent, or before its reply is received."""

    at = 0  # at which Write or Receive
    what: type = Write
    count = 0
    broken = False

    def perform(self, actor: Any, effect: Any) -> Any:
        if isinstance(effect, (Write, Receive)) and not self.broken:
            self.count += 1
            if self.count >= self.at and isinstance(effect, self.what):
                self.broken = True
                self.driver.drop(effect.line)
                raise ConnectionError("cut")
        return super().perform(actor, effect)


def scene(monkeypatch: Any, at: int, what: type) -> tuple[Stage, Cut]:
    """A stage with a member whose connection is cut."""
    stage = Stage(monkeypatch, SITS, FAILS)
    stage.publish(ENTRIES)
    Cut.at, Cut.what = at, what
    stage.make = Cut
    cut: Any = stage.player("m")
    stage.make = Player
    cut.hand.draining = True
    return stage, cut


@pytest.mark.slow
@pytest.mark.parametrize("what", [Write, Receive])
def test_a_connection_cut_at_every_effect_loses_nothing_and_repeats_nothing(monkeypatch: Any, what: type, capsys: Any) -> None:
    at = 1
    while True:
        stage, cut = scene(monkeypatch, at, what)
        stage.play()
        if not cut.broken:
            break
        twice = [i for i, times in stage.ended.items() if times > 1]
        stage.survive("s")
        told = f"cut at {what.__name__} {at}"
        assert check(stage, told) == 0 and twice == [], told
        assert [letter["dead:id"] for letter in stage.dead()] == [stage.raw.xrange(TOPIC)[5][0]], told
        assert [event.name for event in cut.events if event.name in ("disconnected", "reconnected")] in (
            [], ["disconnected", "reconnected"], ["disconnected"],
        ), told  # fmt: skip
        at += 1
    with capsys.disabled():
        print(f"\n  cut at each of {at - 1} {what.__name__.lower()}s: 0 lost, 0 ran twice, one dead letter")
    assert at > 50


def take_away(stage: Stage, how: str) -> None:
    """What another does to the group."""
    if how == "destroyed":
        stage.raw.xgroup_destroy(TOPIC, GROUP)
    else:
        entries = stage.raw.xrange(TOPIC)
        stage.raw.delete(TOPIC)
        for _, fields in entries:
            stage.raw.xadd(TOPIC, fields)  # what is added before the group is there again is not missed


@pytest.mark.slow
@pytest.mark.parametrize("how", ["destroyed", "deleted"])
def test_a_group_that_vanishes_at_every_effect_comes_back_and_misses_nothing(monkeypatch: Any, how: str, capsys: Any) -> None:
    undisturbed = Stage(monkeypatch, SITS, FAILS)
    undisturbed.publish(ENTRIES)
    undisturbed.player("m")
    steps = undisturbed.play()
    for at in range(20, steps):
        stage = Stage(monkeypatch, SITS, FAILS)
        stage.publish(ENTRIES)
        player = stage.player("m")
        player.hand.draining = True
        stage.play(effects=at)
        if player.listener.over:
            break
        take_away(stage, how)
        stage.play()
        stage.survive("s")
        stage.raw.xgroup_create(TOPIC, GROUP, "0", mkstream=True) if not stage.raw.xinfo_groups(TOPIC) else None
        handled = {*stage.ended, *(letter["dead:id"] for letter in stage.dead())}
        left = [i for i, _ in stage.raw.xrange(TOPIC) if i not in handled]
        assert left == [] and stage.pending() == [], (how, at)
        assert [event.reason for event in player.events if event.name == "group_created"] in ([], ["lost"], ["new"]), (how, at)
    with capsys.disabled():
        print(f"\n  {how} at each of {at - 19} effects: 0 lost")
