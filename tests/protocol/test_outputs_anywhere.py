"""Members whose handlers put something out, killed, cut off and stopped at every effect: each entry's outputs stand once, whatever ran twice."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from redis.exceptions import ConnectionError

from streamio.codec import FlatCodec
from streamio.effects import Receive, Write
from streamio.keys import WAITING
from streamio.protocol import outputting
from streamio.protocol.replying import Outlet

from .stage import GROUP, LEASE, TOPIC, Player, Ran, Stage

OUT = Outlet("out", FlatCodec())
SITS = {"1": [0.6], "3": [12.0, 12.0, 12.0]}  # one sits while another waits behind it, one for more than a lease
FAILS = {"2": 1, "4": 9}  # one succeeds at its second delivery, one never
ENTRIES = 6


class Giving(Player):
    """Its handler puts out two entries for each one that succeeds."""

    parts, weight = 2, 0

    def perform(self, actor: Any, effect: Any) -> Any:
        if isinstance(effect, Ran) and effect.what == "end" and not self.stage.fails(effect.message):
            answer = super().perform(actor, effect)
            self.give(effect.message)
            return answer
        return super().perform(actor, effect)

    def give(self, message: Any) -> None:
        """As the runners do with what a pipe gives."""
        words = [[b"type", b"y", b"of", message.id.encode(), b"part", str(n).encode(), b"x", b"x" * self.weight] for n in range(self.parts)]
        self.hand.give(message, [OUT.add(each, self.stage.now) for each in words])


def scene(monkeypatch: Any, made: type[Player] = Giving, entries: int = ENTRIES, sits: Any = SITS, fails: Any = FAILS) -> Stage:
    """A stage with entries whose handlers succeed, fail, sit and never succeed."""
    stage = Stage(monkeypatch, sits, fails)
    stage.make = made
    stage.publish(entries)
    return stage


def moments(monkeypatch: Any) -> list[int]:
    """After which effects of an undisturbed member's first run anything is different for others: it wrote something, or a handler did."""
    stage = scene(monkeypatch)
    player = stage.player("m")
    stage.play()
    return [at for at, told in enumerate(player.trace, 1) if told.split()[1] in ("Write", "Ran")]


def put_out(stage: Stage) -> list[tuple[str, str]]:
    """(entry, part) of all outputs, in their order."""
    return [(fields["of"], fields["part"]) for _, fields in stage.raw.xrange("out")]


def check(stage: Stage, told: Any, parts: int = Giving.parts) -> int:
    """Each entry's outputs stand once and together, or the entry in the dead letters; nothing is pending. How many were handled twice."""
    assert stage.pending() == [], told
    ids = [entry_id for entry_id, _ in stage.raw.xrange(TOPIC)]
    dead = [letter["dead:id"] for letter in stage.dead()]
    out = put_out(stage)
    of = [entry_id for entry_id, _ in out[::parts]]
    assert out == [(entry_id, str(part)) for entry_id in of for part in range(parts)], told
    assert sorted([*of, *dead]) == sorted(ids), told
    return sum(1 for i in ids if stage.ended[i] > 1)


def test_an_undisturbed_member_puts_out_each_entry_once_and_in_order(monkeypatch: Any) -> None:
    stage = scene(monkeypatch, fails={})
    player = stage.player("m")
    stage.play()
    assert check(stage, "undisturbed") == 0
    assert [entry_id for entry_id, _ in put_out(stage)[::2]] == [entry_id for entry_id, _ in stage.raw.xrange(TOPIC)]
    assert player.hand.settled == ENTRIES and not player.hand.is_noted and not player.hand.sent_outputs


@pytest.mark.slow
def test_killed_at_every_effect_each_entry_is_put_out_once(monkeypatch: Any, capsys: Any) -> None:
    twice = []
    for kill_at, survivor in zip(moments(monkeypatch), itertools.cycle(["another", "m"])):
        stage = scene(monkeypatch)
        stage.player("m")
        stage.play(effects=kill_at)
        stage.survive(survivor)
        twice.append(check(stage, f"killed after effect {kill_at}, {survivor} survives"))
    with capsys.disabled():
        print(f"\n  killed at each of {len(twice)} effects: 0 lost, 0 put out twice, {max(twice)} handled twice at most")
    assert len(twice) > 40 and max(twice) > 0  # handled again, and not put out again


@pytest.mark.slow
def test_stopped_at_any_effect_nothing_is_handled_twice_and_nothing_stays_under_the_name(monkeypatch: Any) -> None:
    for stop_at in moments(monkeypatch)[::3]:
        stage = scene(monkeypatch)
        player = stage.player("m", patient=True)
        stage.play(effects=stop_at)
        player.hand.halt(stopping=True)
        stage.play()
        assert not [row for row in stage.pending() if row[1] != WAITING], stop_at
        assert "m" not in [each["name"] for each in stage.raw.xinfo_consumers(TOPIC, GROUP)], stop_at
        assert not player.hand.is_noted and not player.hand.sent_outputs and not player.hand.flying, stop_at
        stage.survive("s")
        assert check(stage, stop_at) == 0, stop_at


# -- a connection that breaks -----------------------------------------------------------------------------------------------------------


class Cut(Giving):
    """Its connection breaks once: before a write is sent, or before its reply is received. Entries are put out in order all the same."""

    at, what = 0, Write
    count, broken = 0, False

    def perform(self, actor: Any, effect: Any) -> Any:
        if isinstance(effect, (Write, Receive)) and not self.broken:
            self.count += 1
            if self.count >= self.at and isinstance(effect, self.what):
                self.broken = True
                self.driver.drop(effect.line)
                raise ConnectionError("cut")
        return super().perform(actor, effect)


@pytest.mark.slow
@pytest.mark.parametrize("what", [Write, Receive])
def test_cut_off_at_every_effect_each_entry_is_put_out_once_in_order_and_none_is_told_as_lost(monkeypatch: Any, what: type, capsys: Any) -> None:
    for at in itertools.count(1):
        Cut.at, Cut.what = at, what
        stage = scene(monkeypatch, Cut, sits={"0": [0.01], "1": [0.6]}, fails={})
        cut: Any = stage.player("m")
        cut.hand.draining = True
        stage.play()
        if not cut.broken:
            break
        told = f"cut at {what.__name__} {at}"
        stage.survive("s")
        assert check(stage, told) == 0, told
        assert [entry_id for entry_id, _ in put_out(stage)[::2]] == [entry_id for entry_id, _ in stage.raw.xrange(TOPIC)], told
        assert not [event for event in cut.events if event.name in ("lease_lost", "missing", "failed", "buried")], told
    with capsys.disabled():
        print(f"\n  cut at each of {at - 1} {what.__name__.lower()}s: 0 lost, 0 put out twice, in order")
    assert at > 20


class Forgetting(Cut):
    """The server forgets each entry as it is read: nobody can tell whether what was sent and not answered was done."""

    def listening(self) -> Any:
        self.hand.settings = replace(self.hand.settings, ack="none")
        return super().listening()


def test_with_ack_none_a_step_whose_reply_is_lost_never_goes_again(monkeypatch: Any) -> None:
    for at in itertools.count(20):
        Cut.at, Cut.what = at, Receive
        stage = scene(monkeypatch, Forgetting, 4, {}, {})
        cut: Any = stage.player("m")
        cut.hand.draining = True
        stage.play()
        if not cut.broken:
            break
        out = put_out(stage)
        assert len(out) == len({*out}) and not cut.hand.is_noted, at
    assert at > 24


class Swallowed(Giving):
    """One write of its reading line never arrives, and that shows only when its first reply is waited for."""

    at, count, good = 0, 0, -1

    def perform(self, actor: Any, effect: Any) -> Any:
        if isinstance(effect, (Write, Receive)) and effect.line is self.hand.reading and self.good != -2:
            if self.good == -1 and isinstance(effect, Write):
                self.count += 1
                if self.count == self.at:
                    self.good = max(0, len(self.hand.owed) - len(effect.commands))  # replies that come all the same
                    return None
            elif self.good == 0 or isinstance(effect, Write):
                self.good = -2
                self.driver.drop(effect.line)
                raise ConnectionError("swallowed")
            elif self.good > 0:
                self.good -= 1
        return super().perform(actor, effect)


@pytest.mark.slow
def test_what_a_lost_write_put_out_comes_before_what_the_keeper_brings_meanwhile(monkeypatch: Any) -> None:
    for at in itertools.count(12):
        Swallowed.at = at
        stage = scene(monkeypatch, Swallowed, 130, {"70": [0.3]}, {})
        player: Any = stage.player("m")
        player.hand.draining = True
        stage.play()
        if player.good == -1:
            break
        stage.survive("s")
        assert check(stage, at) == 0, at
        names = {entry_id: fields["n"] for entry_id, fields in stage.raw.xrange(TOPIC)}
        assert [names[entry_id] for entry_id, _ in put_out(stage)[::2]] == stage.order, at
    assert at > 18


def test_scripts_that_the_server_forgot_lose_nothing_double_nothing_and_keep_the_order(monkeypatch: Any) -> None:
    stage = scene(monkeypatch, entries=600, sits={}, fails={})
    player = stage.player("m", prefetch=250)
    flushed = []

    def forget(_: Player) -> None:
        if "Write" in player.trace[-1] or len(player.hand.outputs) > 220:  # two pages in one write
            flushed.append(stage.raw.script_flush())

    stage.hooks.append(forget)
    stage.play()
    assert len(flushed) > 10 and check(stage, "flushed") == 0
    assert [entry_id for entry_id, _ in put_out(stage)[::2]] == [entry_id for entry_id, _ in stage.raw.xrange(TOPIC)]
    assert [event.name for event in player.events] == ["group_created"] or not player.events


# -- one that was frozen ----------------------------------------------------------------------------------------------------------------


def frozen_with_output(stage: Stage) -> tuple[Player, Player]:
    """One that stood still before it could send what its first entry put out, while another one took the entry over and was through with it."""
    zombie = stage.player("zombie", patient=True)
    while not zombie.hand.outputs:
        stage.play(effects=1)
    stage.now += LEASE * 2
    peer = stage.player("peer")
    stage.play(players=[peer])
    return zombie, peer


def test_one_that_was_frozen_puts_out_nothing_of_what_another_was_through_with(monkeypatch: Any) -> None:
    stage = scene(monkeypatch, sits={}, fails={})
    zombie, peer = frozen_with_output(stage)
    stage.play(players=[zombie], effects=300)
    zombie.hand.halt(stopping=True)
    stage.play(players=[zombie])
    first = stage.raw.xrange(TOPIC)[0][0]
    assert check(stage, "thawed") == 1 and stage.ended[first] == 2
    assert first in [i for event in zombie.events if event.name == "lease_lost" for i in event.ids]
    assert [event.name for event in peer.events] == ["claimed"] and not [
        event for event in zombie.events if event.name in ("missing", "buried", "failed")
    ]


def test_one_that_was_frozen_puts_out_nothing_while_another_still_has_the_entry(monkeypatch: Any) -> None:
    stage = scene(monkeypatch, sits={"0": [1.0]}, fails={})
    zombie = stage.player("zombie", patient=True)
    while not zombie.hand.outputs:
        stage.play(effects=1)
    first, stage.now = stage.raw.xrange(TOPIC)[0][0], stage.now + LEASE * 2
    stage.raw.xclaim(TOPIC, GROUP, "peer", 0, [first])
    stage.play(players=[zombie], effects=300)
    assert first not in [entry_id for entry_id, _ in put_out(stage)]
    assert first in [i for event in zombie.events if event.name == "lease_lost" for i in event.ids]
    assert (first, "peer") in [row[:2] for row in stage.pending()]


# -- how much in one step ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("entries", "weight", "pages"), [(450, 0, 3), (24, 100_000, 4)])
def test_many_outputs_and_large_ones_go_in_several_steps(monkeypatch: Any, entries: int, weight: int, pages: int) -> None:
    monkeypatch.setattr(Giving, "weight", weight)
    steps: list[int] = []
    asked = outputting.step
    monkeypatch.setattr(outputting, "step", lambda hand, notes: steps.append(len(notes)) or asked(hand, notes))
    stage = scene(monkeypatch, entries=entries, sits={}, fails={})
    player = stage.player("m", prefetch=entries)
    stage.play()
    assert check(stage, entries) == 0 and player.hand.settled == entries
    assert len(steps) >= pages and max(steps) <= outputting.PAGE and sum(steps) == entries
