"""`nack`, `bury` and `claim` killed at every effect: no entry is lost, and calling again does the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from streamio.keys import side_key
from streamio.protocol.acting import BURIED, PAGE, acknowledging, burying_ids, claiming_all, claiming_ids, giving_back

from .stage import GROUP, LEASE, TOPIC
from .test_consumers_stopped_anywhere import WAITING, Play

ENTRIES = PAGE + 7
Way = Callable[[list[str]], Any]
WAYS: dict[str, tuple[Way, str | None]] = {
    "nack": (lambda ids: giving_back(TOPIC, GROUP, LEASE, 0, ids), WAITING),
    "claim ids": (lambda ids: claiming_ids(TOPIC, GROUP, "heir", (0.0, 0.0), ids, None), "heir"),
    "claim all": (lambda _: claiming_all(TOPIC, GROUP, "heir", (0.0, 0.0), None), "heir"),
    "bury": (lambda ids: burying_ids(TOPIC, GROUP, ids[: BURIED + 3], "by hand"), None),
}


def letters(play: Play) -> list[str]:
    """The entries that have a dead letter."""
    return [fields["dead:id"] for _, fields in play.raw.xrange(side_key(TOPIC, "dead", GROUP))]


@pytest.mark.parametrize("way", WAYS)
def test_killed_at_every_effect_no_entry_is_lost(monkeypatch: Any, way: str) -> None:
    make, heir = WAYS[way]
    over, killed_at = False, 0
    while not over:
        play = Play(monkeypatch, ENTRIES)
        play.raw.xdel(TOPIC, play.ids[1])
        over, _ = play.run(make(play.ids), killed_at)
        assert Counter([*play.owners(), *letters(play)]) == Counter(play.ids), f"{way}, killed after effect {killed_at}"
        assert play.run(make(play.ids))[0]
        assert Counter([*play.owners(), *letters(play)]) == Counter(play.ids)
        assert letters(play) == (play.ids[: BURIED + 3] if heir is None else [play.ids[1]])
        assert heir is None or {*play.owners().values()} == {heir}
        assert {*play.counts()} == {1}
        killed_at += 1


def test_what_changes_hands_between_the_look_and_the_burial_is_buried_as_the_new_owners(monkeypatch: Any) -> None:
    play = Play(monkeypatch, 3)
    hands = iter(["thief", "heir"])

    def snatch() -> None:
        if name := next(hands, None):
            play.raw.xclaim(TOPIC, GROUP, name, 0, play.ids[:1], justid=True)

    assert play.run(burying_ids(TOPIC, GROUP, play.ids[:2], "by hand"), between=snatch) == (True, 2)
    assert sorted(letters(play)) == play.ids[:2]


def test_what_was_acknowledged_before_the_burial_is_left_alone(monkeypatch: Any) -> None:
    play = Play(monkeypatch, 3)
    between = iter([lambda: play.raw.xack(TOPIC, GROUP, play.ids[0])])
    assert play.run(burying_ids(TOPIC, GROUP, play.ids[:2], "by hand"), between=lambda: next(between, int)() and None) == (True, 1)
    assert letters(play) == play.ids[1:2]


def test_thousands_of_acknowledgements_are_settled_where_one_is_stopped(monkeypatch: Any) -> None:
    play = Play(monkeypatch, 1200)
    assert play.run(acknowledging(TOPIC, GROUP, play.ids), 1) == (False, 1)
    assert list(play.owners()) == play.ids[500:]
    assert play.run(acknowledging(TOPIC, GROUP, play.ids)) == (True, len(play.ids) - 500)
