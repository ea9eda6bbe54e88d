"""Delayed entries, with listeners and keepers stopped at every effect: each comes into the stream once, whoever moves it, and however often."""

from __future__ import annotations

from typing import Any

import pytest

from streamio.delays import PAGE, packed
from streamio.keys import side_key
from streamio.protocol.hand import NEVER
from streamio.protocol.reading import patience
from streamio.retention import Retention

from .stage import GROUP, TOPIC, Stage

KEY = side_key(TOPIC, "delayed")
DELAYS = (0.2, 0.2, 0.4, 0.5, 0.8, 100.0)  # seconds: some are due while the member handles and reads, some when others have come


def put(stage: Stage, n: int, delay: float) -> None:
    """Delay the entry of this number."""
    due = round((stage.now + delay) * 1000)
    stage.raw.zadd(KEY, {f"delayed-{due}-{n:016}-{n:08x} ".encode() + packed(Retention(), ["type", "x", "n", str(n)]): due})


def scene(monkeypatch: Any, delays: tuple[float, ...] = DELAYS) -> Stage:
    """A stage with one plain entry, whose handler sits, and some that are delayed."""
    stage = Stage(monkeypatch, {"0": [0.3]})
    stage.publish(1)
    for n, delay in enumerate(delays, 1):
        put(stage, n, delay)
    return stage


def moved(stage: Stage) -> list[str]:
    """The numbers of the entries in the stream."""
    return [fields["n"] for _, fields in stage.raw.xrange(TOPIC)]


def finish(stage: Stage, told: Any) -> None:
    """Let a new member come when all are due; then each stands in the stream once, in order, and all were handled."""
    stage.now += max(DELAYS)
    stage.survive("s")
    assert moved(stage) == [str(n) for n in range(len(DELAYS) + 1)], told
    assert stage.raw.zcard(KEY) == 0 and stage.pending() == [], told
    assert all(stage.ended[entry_id] for entry_id, _ in stage.raw.xrange(TOPIC)), told


def writes(monkeypatch: Any, players: int, order: tuple[int, ...]) -> list[int]:
    """After how many effects of an undisturbed play the server was told something: a member that is killed elsewhere leaves the same behind."""
    stage, found, played = scene(monkeypatch), list[int](), 0
    cast = [stage.player(f"m{n}", patient=True) for n in range(players)]
    stage.hooks.append(lambda player: found.append(played) if ": Write" in player.trace[-1] else None)
    choices = iter(order)
    while len(moved(stage)) < len(DELAYS):
        before = [len(player.trace) for player in cast]
        played += 1
        stage.play(choices, effects=1)
        assert before != [len(player.trace) for player in cast]
    return found


@pytest.mark.parametrize(("players", "order"), [(1, ()), (2, (0, 2, 1, 3) * 50)], ids=["one", "two by turns"])
def test_killed_at_every_write_each_is_moved_once(monkeypatch: Any, players: int, order: tuple[int, ...]) -> None:
    found = set()
    for kill_at in writes(monkeypatch, players, order)[::players]:
        stage = scene(monkeypatch)
        for n in range(players):
            stage.player(f"m{n}", patient=True)
        stage.play(order, effects=kill_at)
        found.add(len(moved(stage)))
        finish(stage, kill_at)
    assert len(found) >= 4  # it was stopped between most of them


@pytest.mark.parametrize("after", [False, True], ids=["unsent", "reply lost"])
def test_a_line_that_breaks_at_any_move_doubles_and_loses_nothing(monkeypatch: Any, after: bool) -> None:
    broken = 0
    for at in range(1, 6):
        stage = scene(monkeypatch)
        player = stage.player("m", patient=True)
        perform, seen = player.driver.perform, 0

        def breaking(effect: Any, at: int = at, perform: Any = perform, player: Any = player) -> Any:
            nonlocal seen, broken
            if type(effect).__name__ != "Write" or not any(KEY in words for words in effect.commands):
                return perform(effect)
            seen += 1
            if seen != at:
                return perform(effect)
            broken += 1
            if after:
                perform(effect)
                for _ in effect.commands:
                    player.driver.receive(effect.line)
            player.driver.drop(effect.line)
            raise ConnectionError("as asked")

        player.driver.perform = breaking  # type: ignore[method-assign]
        stage.play(effects=200)
        finish(stage, at)
    assert broken == 5


def test_the_keeper_moves_what_is_due_in_time_while_the_handler_sits_and_the_read_blocks(monkeypatch: Any) -> None:
    stage = scene(monkeypatch)
    began, times = stage.now, dict[int, float]()
    stage.hooks.append(lambda player: times.setdefault(len(moved(stage)), stage.now - began))
    stage.player("m", patient=True)
    stage.play(effects=400)
    late = [times[count] - due for count, due in ((3, 0.2), (4, 0.4), (5, 0.5), (6, 0.8))]
    assert all(0 <= each < 0.01 for each in late), late


def test_more_than_a_page_is_moved_at_once_page_after_page(monkeypatch: Any) -> None:
    stage = scene(monkeypatch, (1.0,) * (3 * PAGE + 1))
    stage.player("m", patient=True)
    stage.now += 5
    stage.play(effects=2000)
    assert moved(stage) == [str(n) for n in range(3 * PAGE + 2)] and stage.raw.zcard(KEY) == 0
    assert stage.order == moved(stage)


def test_a_member_whose_group_reads_without_acknowledging_moves_them_too(monkeypatch: Any) -> None:
    stage = scene(monkeypatch, (1.0,))
    player = stage.player("m", patient=True)
    object.__setattr__(player.hand.settings, "ack", "none")
    stage.play(effects=120)
    assert stage.order == ["0", "1"] and stage.raw.xpending(TOPIC, GROUP)["pending"] == 0


def test_a_member_that_never_runs_dry_looks_once_in_a_block(monkeypatch: Any) -> None:
    stage = Stage(monkeypatch, {str(n): [0.001] for n in range(400)})
    stage.publish(400)
    player = stage.player("m", prefetch=10, patient=True)
    for name, value in (("ack", "none"), ("block", 0.05)):
        object.__setattr__(player.hand.settings, name, value)
    stage.play(effects=100)
    put(stage, 400, 0.0)
    began = stage.now
    while stage.raw.zcard(KEY):
        stage.play(effects=1)
    assert stage.now - began < 0.1 and len(stage.order) < 300, "the backlog was not over"


def test_what_is_delayed_for_a_moment_is_found_within_a_block_whenever_it_comes(monkeypatch: Any) -> None:
    for phase in range(1, 8):
        stage = scene(monkeypatch, ())
        stage.player("m", patient=True)
        began = stage.now
        while stage.now < began + 4 + phase / 4:
            stage.play(effects=1)
        stage.raw.xadd(TOPIC, {"type": "x", "n": "1"})  # a read ends, and another one begins
        while len(stage.order) < 2:
            stage.play(effects=1)
        put(stage, 2, 0.0)
        since = stage.now
        while stage.raw.zcard(KEY):
            stage.play(effects=1)
        assert stage.now - since < 2.01, phase


def test_a_read_that_began_between_two_looks_blocks_until_the_next_at_most(monkeypatch: Any) -> None:
    hand = scene(monkeypatch, ()).player("m").hand
    hand.poll_at = hand.claim_at = NEVER
    hand.look_at = 100.5
    assert patience(hand, 100.0, None) == 0.5


def test_an_idle_member_looks_when_it_looks_for_what_waits_and_then_only(monkeypatch: Any) -> None:
    stage = scene(monkeypatch, (10_000.0,))
    player = stage.player("m", patient=True)
    began = stage.now
    while stage.now < began + 10.5:
        stage.play(effects=1)
    player.hand.look_at += 0.01  # as if the two looks had drifted apart
    before = len(player.trace)
    while stage.now < began + 30.5:
        stage.play(effects=1)
    writes = [line for line in player.trace[before:] if "Write" in line]
    assert sum("XREADGROUP >" in line for line in writes) <= 2 * 10 + 2 and not any("keeper" in line for line in writes)
    assert 10 <= sum("EVAL " in line for line in writes) <= 11
