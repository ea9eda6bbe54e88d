"""`handover`, `remove_consumer` and `reap` killed at every effect, and with others at work between their effects: nothing pending is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import fakeredis
import pytest

from streamio import ConsumerBusy, ReapResult
from streamio.drivers.blocking import Blocking
from streamio.drivers.source import Source
from streamio.protocol.consumers import PAGE, handing_over, reaping, removing

from .stage import GROUP, LEASE, TOPIC, Stage

WAITING = "~waiting"
ENTRIES = 2 * PAGE + 7


class Play:
    """A stage on which `gone` and `other` left entries pending long ago, with one that is deleted; and one exchange, effect by effect."""

    def __init__(self, monkeypatch: Any, gone: int = ENTRIES) -> None:
        self.stage = Stage(monkeypatch)
        self.raw = self.stage.raw
        self.ids = self.stage.publish(gone + 3)
        self.read("gone", gone)
        self.read("other", 3)
        self.stage.now += 10 * LEASE

    def read(self, consumer: str, count: int) -> list[str]:
        """A foreign client reads and does not acknowledge; the ids."""
        found: Any = self.raw.xreadgroup(GROUP, consumer, {TOPIC: ">"}, count=count)
        return [entry_id for entry_id, _ in found[0][1]] if found else []

    def run(self, exchange: Any, most: int | None = None, between: Callable[[], None] = lambda: None) -> tuple[bool, Any]:
        """Run so many effects of the exchange (None: all) and drop it. Whether it came to its end, and what it came to."""
        driver = Blocking(Source(fakeredis.FakeRedis(server=self.stage.server)), TOPIC)
        done, came = 0, None
        try:
            while most is None or done < most:
                effect = exchange.send(came)
                came, done = driver.perform(effect), done + 1
                between()
            return False, done
        except StopIteration as over:
            return True, over.value
        finally:
            exchange.close()
            driver.close()

    def owners(self) -> dict[str, str]:
        """Whose each pending entry is."""
        rows = self.raw.xpending_range(TOPIC, GROUP, "-", "+", 10_000)
        return {row["message_id"]: row["consumer"] for row in rows}

    def counts(self) -> list[int]:
        """How often each pending entry was delivered."""
        return [row["times_delivered"] for row in self.raw.xpending_range(TOPIC, GROUP, "-", "+", 10_000)]

    def names(self) -> set[str]:
        """The consumers."""
        return {each["name"] for each in self.raw.xinfo_consumers(TOPIC, GROUP)}


WAYS: dict[str, tuple[Callable[[], Any], str]] = {
    "handover": (lambda: handing_over(TOPIC, GROUP, "gone", "heir"), "heir"),
    "handover to nobody": (lambda: handing_over(TOPIC, GROUP, "gone", None), WAITING),
    "remove": (lambda: removing(TOPIC, GROUP, "gone", "heir"), "heir"),
    "reap": (lambda: reaping(TOPIC, GROUP, LEASE, "other"), "other"),
    "reap to nobody": (lambda: reaping(TOPIC, GROUP, LEASE, None), WAITING),
}


@pytest.mark.parametrize("way", WAYS)
def test_killed_at_every_effect_nothing_pending_is_lost(monkeypatch: Any, way: str) -> None:
    make, heir = WAYS[way]
    over, killed_at = False, 0
    while not over:
        play = Play(monkeypatch)
        over, _ = play.run(make(), killed_at)
        owners = play.owners()
        assert list(owners) == play.ids, f"{way}, killed after effect {killed_at}"
        left = [owners[entry_id] == "gone" for entry_id in play.ids[:ENTRIES]]
        assert left == sorted(left)  # the oldest went first
        assert play.run(make())[0]
        assert list(play.owners()) == play.ids
        assert {play.owners()[entry_id] for entry_id in play.ids[:ENTRIES]} == {heir}
        assert set(play.counts()) == {1}
        killed_at += 1
    assert killed_at > 3  # it was killed somewhere in between, too


def test_what_an_owner_reads_while_its_entries_are_handed_over_stays_with_it(monkeypatch: Any) -> None:
    play = Play(monkeypatch)

    def between() -> None:
        for _ in range(PAGE):
            play.ids.append(play.raw.xadd(TOPIC, {"type": "x", "n": "new"}))
        play.read("gone", PAGE)

    assert play.run(handing_over(TOPIC, GROUP, "gone", "heir"), between=between) == (True, ENTRIES)
    assert list(play.owners()) == play.ids
    assert {play.owners()[entry_id] for entry_id in play.ids[ENTRIES + 3 :]} == {"gone"}


def test_an_owner_that_reads_on_is_not_removed_and_said_to_be_alive(monkeypatch: Any) -> None:
    play = Play(monkeypatch)

    def between() -> None:
        play.ids.append(play.raw.xadd(TOPIC, {"type": "x", "n": "new"}))
        play.read("gone", 1)

    with pytest.raises(ConsumerBusy, match=r"alive.*'heir'") as caught:
        play.run(removing(TOPIC, GROUP, "gone", "heir"), between=between)
    assert (caught.value.consumer, caught.value.heir) == ("gone", "heir")
    assert caught.value.pending > 0
    assert list(play.owners()) == play.ids
    assert "gone" in play.names()


def test_what_an_owner_reads_just_before_it_is_removed_is_not_destroyed(monkeypatch: Any) -> None:
    play = Play(monkeypatch, gone=1)
    play.raw.xack(TOPIC, GROUP, play.ids.pop(0))

    def between() -> None:
        play.ids.append(play.raw.xadd(TOPIC, {"type": "x", "n": "new"}))
        play.read("gone", 1)

    with pytest.raises(ConsumerBusy) as caught:
        play.run(removing(TOPIC, GROUP, "gone", None), between=between)
    assert caught.value.pending > 0
    assert list(play.owners()) == play.ids


def test_one_that_speaks_while_it_is_reaped_keeps_what_it_reads(monkeypatch: Any) -> None:
    play = Play(monkeypatch)
    new: list[str] = []

    def between() -> None:
        new.append(play.raw.xadd(TOPIC, {"type": "x", "n": "new"}))
        play.read("gone", 1)

    assert play.run(reaping(TOPIC, GROUP, LEASE, "other"), between=between) == (True, ReapResult((), ENTRIES))
    assert list(play.owners()) == play.ids + new
    assert {play.owners()[entry_id] for entry_id in new} == {"gone"}
    assert "gone" in play.names()


def test_what_was_given_to_one_meanwhile_is_not_taken_from_the_owner_before(monkeypatch: Any) -> None:
    play = Play(monkeypatch)
    claimed: list[str] = []

    def between() -> None:
        mine = [entry_id for entry_id, owner in play.owners().items() if owner == "gone"]
        if mine:
            claimed.append(mine[-1])
            play.raw.xclaim(TOPIC, GROUP, "quick", 0, [mine[-1]], justid=True)

    over, moved = play.run(handing_over(TOPIC, GROUP, "gone", "heir"), between=between)
    assert (over, moved) == (True, ENTRIES - len(claimed))
    assert {play.owners()[entry_id] for entry_id in claimed} == {"quick"}
    assert list(play.owners()) == play.ids
