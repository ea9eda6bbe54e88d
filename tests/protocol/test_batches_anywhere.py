"""A member with a batch handler, killed and stopped at every effect: nothing is lost, and nobody is buried with another's entry."""

from __future__ import annotations

import itertools
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import pytest

from streamio.drivers.running import Runner
from streamio.emitter import Batched, Handlers, Lifecycle
from streamio.keys import WAITING
from streamio.protocol.gathering import Batch
from streamio.protocol.joining import joining, leaving

from .stage import LEASE, Player, Ran, Sit, Stage

SITS = {"2": [0.6, 0.6], "4": [12.0, 12.0, 12.0]}  # longer than a second, longer than a lease
FAILS = {"1": 1, "5": 9}  # one succeeds at its second delivery, one never
ENTRIES, SIZE, WAIT = 8, 3, 4.0


class Batching(Player):
    """Gathers three entries, or what came within four seconds, as the workers' loop does."""

    handler_timeout: float | None = None

    def listening(self) -> Generator[Any, Any, None]:
        hand = self.hand
        hand.settings = replace(hand.settings, handler_timeout=self.handler_timeout)
        handlers = Handlers()
        listener = Batched(print, SIZE, WAIT)
        handlers._add_batch_handler("*", listener)
        runner = Runner(hand, self.driver, handlers, Lifecycle())
        runner.clock = lambda: self.stage.now
        runner.begin_gathering()
        yield from self.alone(joining(hand))
        hand.state = "listening"
        while True:
            hand.current = None
            thing = yield from self.next_message()
            if thing is None:
                break
            hand.current = thing
            batch = thing if isinstance(thing, Batch) else runner.fill(listener, thing)
            if batch is not None and runner.takes(batch):
                yield from self.handling(runner, batch)
        runner.end_gathering()
        yield from self.alone(leaving(hand))
        hand.finished = True

    def handling(self, runner: Runner, batch: Batch) -> Generator[Any, Any, None]:
        """The batch handler: it sits as long as its entries ask for, and says which are done."""
        limit = runner.starts(batch.started)
        for message in batch.started:
            yield Ran("start", message)
            for seconds in self.stage.sits(message):
                yield Sit(seconds)
        done = {message.id for message in batch.started if not self.stage.fails(message)}
        if runner.is_over(limit):
            return
        for message in batch.started:
            yield Ran("end", message)
        runner.returned(batch, done, self.stage.now)


class Limited(Batching):
    """The same with a handler_timeout, which one of the entries exceeds."""

    handler_timeout = 8.0


def scene(monkeypatch: Any, made: type[Player] = Batching) -> Stage:
    """A stage with entries that succeed, fail, sit and never succeed."""
    stage = Stage(monkeypatch, SITS, FAILS)
    stage.make = made
    stage.publish(ENTRIES)
    return stage


def length(monkeypatch: Any, made: type[Player] = Batching) -> int:
    """How many effects an undisturbed member's first run takes."""
    stage = scene(monkeypatch, made)
    stage.player("m", patient=False)
    return stage.play()


def check(stage: Stage, told: Any, buried: set[str]) -> int:
    """Every entry is handled to success or in the dead letters, and there only where it is to be `buried`, or where the member was killed between the
    count of its last delivery and that delivery; how many succeeded twice."""
    assert stage.pending() == [], told
    innocent = [letter["dead:id"] for letter in stage.dead() if letter["n"] not in buried]
    assert all(stage.started[i] >= stage.retry.max_deliveries - 1 for i in innocent), told
    dead = {letter["dead:id"] for letter in stage.dead()}
    ids = [entry_id for entry_id, _ in stage.raw.xrange("topic")]
    assert [i for i in ids if not stage.ended[i] and i not in dead] == [], told
    return sum(1 for i in ids if stage.ended[i] > 1)


def test_an_undisturbed_batching_member_handles_all_once(monkeypatch: Any) -> None:
    stage = scene(monkeypatch)
    player = stage.player("m")
    stage.play()
    stage.survive("s")
    assert check(stage, "undisturbed", {"5"}) == 0
    assert [letter["dead:reason"] for letter in stage.dead()] == ["failed"]
    assert stage.order[:SIZE] == ["0", "1", "2"] and player.hand.handled >= SIZE


@pytest.mark.slow
@pytest.mark.parametrize("survivor", ["another", "m"])
def test_killed_at_every_effect_nothing_is_lost(monkeypatch: Any, survivor: str, capsys: Any) -> None:
    twice = []
    for kill_at in range(1, length(monkeypatch) + 1):
        stage = scene(monkeypatch)
        stage.player("m")
        stage.play(effects=kill_at)
        stage.survive(survivor)
        twice.append(check(stage, f"killed after effect {kill_at}", {"5"}))
    with capsys.disabled():
        print(f"\n  a batching member killed at each of {len(twice)} effects (survivor {survivor!r}): 0 lost, at most {max(twice)} ran twice")
    assert max(twice) <= 2 * SIZE  # a batch that is through, its acknowledgements not sent, and the one that ran


@pytest.mark.slow
def test_killed_at_any_effect_with_a_handler_timeout_nothing_is_lost(monkeypatch: Any) -> None:
    for kill_at in range(1, length(monkeypatch, Limited) + 1, 3):
        stage = scene(monkeypatch, Limited)
        stage.player("m")
        stage.play(effects=kill_at)
        stage.survive("s")
        check(stage, f"killed after effect {kill_at}", {"4", "5"})  # 4 takes too long each time


@pytest.mark.slow
def test_killed_in_every_order_of_listener_and_keeper_nothing_is_lost(monkeypatch: Any) -> None:
    for begin in range(0, length(monkeypatch), 11):
        for order in itertools.product((0, 1), repeat=4):
            stage = scene(monkeypatch)
            stage.player("m")
            stage.play(itertools.chain(itertools.repeat(0, begin), order), effects=begin + len(order))
            stage.survive("s")
            check(stage, (begin, order), {"5"})


@pytest.mark.slow
def test_stopped_cleanly_at_every_effect_nothing_runs_twice(monkeypatch: Any) -> None:
    for stop_at in range(1, length(monkeypatch)):
        stage = scene(monkeypatch)
        player = stage.player("m", patient=True)
        stage.play(effects=stop_at)
        player.hand.halt(stopping=True)
        stage.play()
        assert not [row for row in stage.pending() if row[1] != WAITING], stop_at
        assert "m" not in [each["name"] for each in stage.raw.xinfo_consumers("topic", "group")], stop_at
        stage.survive("s")
        assert check(stage, stop_at, {"5"}) == 0, stop_at


def test_what_is_pending_under_the_name_is_known_after_every_effect(monkeypatch: Any) -> None:
    stage = scene(monkeypatch)
    player = stage.player("m")
    most = 0

    def look(_: Player) -> None:
        nonlocal most
        hand = player.hand
        if not hand.owed and hand.own is None and player.locked is None:
            mine = {i for i, owner, _ in stage.pending() if owner == "m"}
            assert mine <= hand.known(), player.trace[-3:]
            most = max(most, len(mine))

    stage.hooks.append(look)
    stage.play()
    assert most >= SIZE


def test_a_batch_whose_lease_may_have_run_out_is_looked_after_before_it_starts(monkeypatch: Any) -> None:
    stage = Stage(monkeypatch)
    stage.make = Batching
    ids = stage.publish(2)
    frozen = stage.player("frozen", patient=True)
    while len(frozen.hand.gathered) == 0 or len(frozen.hand.unstarted()) < 2:
        stage.play(effects=1)
    stage.now += LEASE * 2
    peer = stage.player("peer")
    stage.play(players=[peer])
    assert all(stage.ended[i] == 1 for i in ids)
    stage.play(players=[frozen], effects=200)
    assert all(stage.started[i] == 1 for i in ids)
    assert sorted(i for event in frozen.events if event.name == "lease_lost" for i in event.ids) == sorted(ids)


# -- the stage bites --------------------------------------------------------------------------------------------------------------------


class AcknowledgesFirst(Batching):
    """Acknowledges a batch before its handler runs."""

    def perform(self, actor: Any, effect: Any) -> Any:
        if isinstance(effect, Ran) and effect.what == "start":
            self.hand.ack(effect.message)
        return super().perform(actor, effect)


def test_a_member_that_acknowledges_first_is_caught(monkeypatch: Any) -> None:
    def play_all() -> None:
        for kill_at in range(1, length(monkeypatch) + 1, 3):
            stage = scene(monkeypatch, AcknowledgesFirst)
            stage.player("m")
            stage.play(effects=kill_at)
            stage.survive("s")
            check(stage, kill_at, {"5"})

    with pytest.raises(AssertionError):
        play_all()
