"""Redriving stopped at every effect, before or after the server did it: each entry comes back once, and none is lost."""

from __future__ import annotations

from collections import Counter
from typing import Any

import fakeredis
import pytest

from streamio.drivers.blocking import Blocking
from streamio.drivers.source import Source
from streamio.emitter import Lifecycle
from streamio.keys import side_key
from streamio.protocol.redriving import PAGE, Redriving

from .stage import GROUP, LEASE, TOPIC, Stage

DEAD = side_key(TOPIC, "dead", GROUP)
LETTERS = 2 * PAGE + 20


def scene(monkeypatch: Any) -> tuple[Stage, dict[str, str]]:
    """A stage whose group put many entries aside, every third of which was deleted since; the entries' numbers by letter."""
    stage = Stage(monkeypatch)
    stage.publish(LETTERS)
    read = stage.raw.xreadgroup(GROUP, "m", {TOPIC: ">"}, count=LETTERS)[0][1]
    numbers: dict[str, str] = {}
    for entry_id, fields in read:
        facts = ("id", entry_id), ("group", GROUP), ("consumer", "m"), ("deliveries", "5"), ("reason", "failed"), ("error", ""), ("traceback", "")
        letter = {f"dead:{name}": value for name, value in (*facts, ("topic", TOPIC))}
        numbers[stage.raw.xadd(DEAD, {**letter, **fields})] = fields["n"]
        stage.raw.xack(TOPIC, GROUP, entry_id)
    stage.raw.xdel(TOPIC, *[entry_id for entry_id, _ in read[::3]])
    return stage, numbers


def work(ids: list[str]) -> Any:
    """The exchange: of these letters, or of all."""
    redriving = Redriving(DEAD, TOPIC, GROUP, LEASE)
    return redriving.these(ids) if ids else redriving.all()


def play(stage: Stage, exchange: Any, effects: int | None = None, last_is_done: bool = True) -> int:
    """Perform so many effects and then no more; of the last one the reply is lost, or it was not even sent. How many there were."""
    driver = Blocking(Source(fakeredis.FakeRedis(server=stage.server)), DEAD, Lifecycle())
    played, came = 0, None
    try:
        while effects is None or played < effects:
            effect = exchange.send(came)
            played += 1
            if played == effects and not last_is_done:
                break
            came = driver.perform(effect)
    except StopIteration:
        return played
    finally:
        exchange.close()
        driver.close()
    return played


def handled(stage: Stage) -> Counter[str]:
    """How often a member then handles each entry, by number."""
    stage.order.clear()
    stage.player("s")
    stage.play()
    stage.survive("s")
    return Counter(stage.order)


def length(monkeypatch: Any, by_ids: bool) -> int:
    """How many effects an undisturbed redrive takes."""
    stage, numbers = scene(monkeypatch)
    return play(stage, work([*numbers] if by_ids else []))


@pytest.mark.slow
@pytest.mark.parametrize("by_ids", [False, True], ids=["all", "by ids"])
@pytest.mark.parametrize("last_is_done", [False, True], ids=["unsent", "reply lost"])
def test_stopped_at_every_effect_each_letter_is_there_or_its_entry_is_and_never_both(monkeypatch: Any, by_ids: bool, last_is_done: bool) -> None:
    ran = 0
    for effects in range(1, length(monkeypatch, by_ids) + 1):
        stage, numbers = scene(monkeypatch)
        play(stage, work([*numbers] if by_ids else []), effects, last_is_done)
        left = [letter_id for letter_id, _ in stage.raw.xrange(DEAD)]
        back = [number for letter_id, number in numbers.items() if letter_id not in left]
        assert handled(stage) == Counter(back), effects
        ran += bool(back)
        play(stage, work([]))
        assert stage.raw.xlen(DEAD) == 0
        assert handled(stage) == Counter([numbers[letter_id] for letter_id in left]), effects
        assert stage.pending() == []
    assert ran >= 2  # it was stopped between the pages


@pytest.mark.slow
def test_two_redrives_in_every_order_of_their_effects_bring_each_entry_back_once(monkeypatch: Any) -> None:
    most = length(monkeypatch, False)
    for effects in range(most + 1):
        stage, numbers = scene(monkeypatch)
        first, second = work([]), work([*numbers])
        driver = Blocking(Source(fakeredis.FakeRedis(server=stage.server)), DEAD, Lifecycle())
        came, played = None, 0
        while played < effects:
            try:
                came = driver.perform(first.send(came))
            except StopIteration:
                break
            played += 1
        play(stage, second)
        driver.close()
        try:
            while True:
                came = driver.perform(first.send(came))
        except StopIteration as done:
            assert done.value.held == []
        driver.close()
        assert handled(stage) == Counter(numbers.values())
        assert stage.raw.xlen(DEAD) == 0
