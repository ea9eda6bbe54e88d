"""The engine's rules, each where it would break first. Played on the stage: no threads, no waiting, time that is made."""

from __future__ import annotations

from typing import Any

import pytest
from redis.exceptions import ConnectionError

from streamio import RetryPolicy
from streamio.delays import MOVE
from streamio.effects import NOW, Write
from streamio.keys import WAITING
from streamio.protocol.notes import Parking
from streamio.protocol.reading import reading
from streamio.protocol.settling import sending

from .stage import LEASE, Player, Stage

SITS = {"2": [0.6, 0.6], "4": [12.0, 12.0, 12.0]}
FAILS = {"1": 1}
NOTHING = "18446744073709551615-18446744073709551614"  # the greeting reads above this id


def effects_of_a_run(monkeypatch: Any) -> int:
    stage = Stage(monkeypatch, SITS, FAILS)
    stage.publish(7)
    stage.player("m")
    return stage.play()


# -- a note is taken by one writer, and goes back when its write or its reply fails ----------------------------------------------------------


@pytest.mark.parametrize("fails_at", [1, 2, 3, 4])
def test_a_note_whose_write_or_reply_fails_goes_back(monkeypatch: Any, fails_at: int) -> None:
    stage = Stage(monkeypatch)
    stage.publish(3)
    player = stage.player("m", prefetch=0)
    hand = player.hand
    hand.acks.extend(["1-1", "1-2"])
    hand.notes.append(Parking("1-3", 0.0, 1))
    exchange, came = sending(hand, hand.side), None
    effect = next(exchange)
    for _ in range(fails_at - 1):
        came = player.driver.perform(effect) if not isinstance(effect, Write) else player.perform(player.keeper, effect)
        effect = exchange.send(came)
    with pytest.raises(ConnectionError):
        exchange.throw(ConnectionError("cut"))
    sent = fails_at > 2  # the XACK was answered before the cut
    assert set(hand.acks) == (set() if sent else {"1-1", "1-2"})
    assert [note.id for note in hand.notes] == ["1-3"]  # type: ignore[union-attr]
    assert not hand.flying


# -- a read that is to end is ended, also where it was called for just before it blocked ---------------------------------------------------------


def test_a_stop_right_before_a_read_blocks_rings_for_the_keeper(monkeypatch: Any) -> None:
    hand = Stage(monkeypatch).player("m").hand
    bell: Any = hand.bell
    exchange = reading(hand, 2.0)
    assert next(exchange) == NOW
    hand.halt(stopping=True)
    bell.rung = False  # the keeper looked, and no read blocked
    write = exchange.send(0.0)
    assert "BLOCK" in write.commands[-1] and hand.blocked and bell.rung


# -- nothing starts whose lease may have run out ----------------------------------------------------------------------------------------------


def test_a_frozen_member_starts_nothing_that_is_anothers_now(monkeypatch: Any) -> None:
    stage = Stage(monkeypatch)
    ids = stage.publish(6)
    frozen = stage.player("frozen", prefetch=20)
    while not frozen.hand.fresh:
        stage.play(effects=1)
    held = [message.id for message in frozen.hand.fresh]
    stage.now += LEASE * 2
    peer = stage.player("peer")
    stage.play(players=[peer])
    assert all(stage.ended[i] == 1 for i in ids)
    stage.play(players=[frozen])
    assert all(stage.started[i] == 1 for i in ids)
    lost = [i for event in frozen.events if event.name == "lease_lost" for i in event.ids]
    assert lost == held


def test_a_frozen_member_goes_on_with_what_nobody_took(monkeypatch: Any) -> None:
    stage = Stage(monkeypatch)
    ids = stage.publish(6)
    frozen = stage.player("frozen", prefetch=20)
    while not frozen.hand.fresh:
        stage.play(effects=1)
    stage.now += LEASE * 2
    stage.play()
    assert all(stage.ended[i] == 1 for i in ids)
    assert stage.pending() == []


# -- all that is pending under a member's name is in its hand ---------------------------------------------------------------------------------


def test_what_is_pending_under_the_name_is_known_after_every_effect(monkeypatch: Any) -> None:
    stage = Stage(monkeypatch, SITS, FAILS)
    stage.publish(7)
    player = stage.player("m")
    checked = []

    def look(_: Player) -> None:
        hand = player.hand
        if hand.owed or hand.own is not None or player.locked is not None:
            return
        mine = {i for i, owner, _ in stage.pending() if owner == "m"}
        assert mine <= hand.known(), player.trace[-3:]
        checked.append(len(mine))

    stage.hooks.append(look)
    stage.play()
    assert max(checked) >= 1 and len(checked) > 10


# -- stopping is a flag: wherever it is set, nothing is lost, nothing runs twice, and nothing is left under the name ---------------------------


def test_stopped_cleanly_at_every_effect_nothing_runs_twice(monkeypatch: Any) -> None:
    for stop_at in range(1, effects_of_a_run(monkeypatch)):
        stage = Stage(monkeypatch, SITS, FAILS)
        ids = stage.publish(7)
        player = stage.player("m", patient=True)
        stage.play(effects=stop_at)
        player.hand.halt(stopping=True)
        stage.play()
        assert not [row for row in stage.pending() if row[1] != WAITING], stop_at
        assert "m" not in [each["name"] for each in stage.raw.xinfo_consumers("topic", "group")], stop_at
        stage.survive("s")
        assert [stage.ended[i] for i in ids] == [1] * 7, stop_at
        assert stage.pending() == []


# -- the order of writes --------------------------------------------------------------------------------------------------------------------


def test_acknowledgements_stand_before_the_read_in_its_write_and_no_script_that_may_have_to_be_repeated(monkeypatch: Any) -> None:
    stage = Stage(monkeypatch, SITS, FAILS)
    stage.publish(7)
    player = stage.player("m")
    stage.play()
    writes = [line.split("Write reading ")[1].split(" | ") for line in player.trace if line.startswith("listener: Write reading")]
    with_news = [words for words in writes if "XREADGROUP >" in words and "DISCARD" not in words]
    assert any(words[0].startswith("XACK") for words in with_news)
    for words in with_news:
        assert words[-1] == "XREADGROUP >"
        assert all(word.startswith(("XACK", "CLIENT ID", "XREADGROUP 1844", f"EVAL {MOVE.body}")) for word in words[:-1])


def test_a_redelivery_is_counted_and_answered_before_its_handler_starts(monkeypatch: Any) -> None:
    stage = Stage(monkeypatch, fails={"0": 2})
    (entry_id,) = stage.publish(1)
    player = stage.player("m", patient=True)
    seen = []

    def ran(one: Player, what: str, message: Any) -> None:
        if what == "start":
            seen.append((message.deliveries, [row[2] for row in stage.pending()]))
        Stage.ran(stage, one, what, message)
        if what == "end" and len(seen) == 3:
            player.hand.halt(stopping=True)

    stage.ran = ran  # type: ignore[method-assign]
    stage.play()
    assert seen == [(1, [1]), (2, [2]), (3, [3])]
    assert stage.pending() == []


# -- listener and keeper meet only in the hand --------------------------------------------------------------------------------------------------


def test_the_keeper_has_the_reading_line_only_while_the_listener_does_not(monkeypatch: Any) -> None:
    stage = Stage(monkeypatch, {"3": [40.0]})
    stage.publish(12)
    player = stage.player("m")
    holders: list[str] = []

    def look(_: Player) -> None:
        if player.trace[-1].startswith(("keeper: Write reading", "listener: Write reading")):
            holders.append(player.trace[-1].split(":")[0])
            assert player.locked is not None and player.locked.name == holders[-1]

    stage.hooks.append(look)
    stage.play()
    assert set(holders) == {"keeper", "listener"}
    assert any(line.startswith("keeper: Write side") for line in player.trace)


# -- the five mechanisms together -----------------------------------------------------------------------------------------------------------


def test_what_was_read_ahead_under_a_sitting_handler_never_runs_twice(monkeypatch: Any) -> None:
    stage = Stage(monkeypatch, {"9": [LEASE * 0.9, LEASE * 0.9, LEASE * 0.7]})
    ids = stage.publish(40)
    member = stage.player("member", patient=True)
    peer = stage.player("peer", patient=True)

    def ran(one: Player, what: str, message: Any) -> None:
        Stage.ran(stage, one, what, message)
        if all(stage.ended[i] for i in ids):
            for each in (member, peer):
                each.hand.halt(stopping=True)

    stage.ran = ran  # type: ignore[method-assign]
    stage.play()
    assert [stage.started[i] for i in ids] == [1] * 40
    assert stage.pending() == []


def test_the_innocent_behind_a_process_killer_are_not_buried(monkeypatch: Any) -> None:
    stage = Stage(monkeypatch)
    ids = stage.publish(20)
    for life in range(30):
        member = stage.player(f"life{life}", prefetch=40)

        def ran(one: Player, what: str, message: Any) -> None:
            if what == "start" and message["n"] == "3":
                stage.started[message.id] += 1
                one.kill()
                raise SystemError("the process is gone")
            Stage.ran(stage, one, what, message)

        stage.ran = ran  # type: ignore[method-assign]
        try:
            stage.play(players=[member])
        except SystemError:
            pass
        member.kill()
        stage.now += LEASE * 1.6
        if not stage.pending():
            break
    assert [letter["dead:id"] for letter in stage.dead()] == [ids[3]]
    assert stage.dead()[0]["dead:reason"] == "poison"
    assert stage.started[ids[3]] == 5
    assert [stage.ended[i] for i in ids[4:]] == [1] * 16
    assert all(stage.ended[i] <= 2 for i in ids[:3])  # handled before, their acknowledgements died as notes


def test_a_wait_that_is_longer_than_the_lease_is_kept(monkeypatch: Any) -> None:
    stage = Stage(monkeypatch, fails={"0": 1})
    stage.retry = RetryPolicy(backoff=(60, 60), jitter=0)
    (entry_id,) = stage.publish(1)
    members = [stage.player(name, patient=True) for name in ("a", "b")]
    starts: list[float] = []

    def ran(one: Player, what: str, message: Any) -> None:
        Stage.ran(stage, one, what, message)
        if what == "start":
            starts.append(stage.now)
        if stage.ended[entry_id]:
            for each in members:
                each.hand.halt(stopping=True)

    stage.ran = ran  # type: ignore[method-assign]
    stage.play()
    assert 60 <= starts[1] - starts[0] <= 60 + 2.5
    assert stage.pending() == []


def test_the_wait_of_a_member_that_died_ends_early_but_not_within_a_lease(monkeypatch: Any) -> None:
    stage = Stage(monkeypatch, fails={"0": 1})
    stage.retry = RetryPolicy(backoff=(600, 600), jitter=0)
    stage.publish(1)
    first = stage.player("first", patient=True)
    while not any(row[1] == WAITING for row in stage.pending()):
        stage.play(effects=1)
    died = stage.now
    first.kill()
    second = stage.player("second", patient=True)
    while sum(stage.ended.values()) == 0:
        stage.play(effects=1, players=[second])
    assert LEASE <= stage.now - died <= LEASE + 5


def test_a_dead_letter_that_cannot_be_written_leaves_its_entry_pending(monkeypatch: Any) -> None:
    stage = Stage(monkeypatch, fails={"0": 99})
    stage.retry = RetryPolicy(max_deliveries=1)
    (entry_id,) = stage.publish(1)
    stage.raw.set("topic:dead:{topic}:group", "no stream")
    member = stage.player("m")
    stage.play()
    assert [(row[0], row[1]) for row in stage.pending()] == [(entry_id, WAITING)]
    assert [event.ids for event in member.events if event.name == "error"] == [[entry_id]]
    stage.raw.delete("topic:dead:{topic}:group")
    stage.survive("s")
    assert [letter["dead:id"] for letter in stage.dead()] == [entry_id]
    assert stage.pending() == []


def test_a_failed_entry_is_taken_by_one_of_two_members(monkeypatch: Any) -> None:
    stage = Stage(monkeypatch, fails={str(n): 1 for n in range(10)})
    ids = stage.publish(10)
    members = [stage.player(name, patient=True) for name in ("a", "b")]

    def ran(one: Player, what: str, message: Any) -> None:
        Stage.ran(stage, one, what, message)
        if all(stage.ended[i] for i in ids):
            for each in members:
                each.hand.halt(stopping=True)

    stage.ran = ran  # type: ignore[method-assign]
    stage.play()
    assert [stage.started[i] for i in ids] == [2] * 10
    assert stage.pending() == []


def test_a_lone_member_keeps_the_streams_order_when_handlers_turn_slow(monkeypatch: Any) -> None:
    stage = Stage(monkeypatch, {str(n): [3.0] for n in range(40, 60)})
    stage.publish(60)
    member = stage.player("m")
    stage.play()
    assert stage.order == [str(n) for n in range(60)]
    assert any("keeper" in line for line in member.trace)
    assert stage.pending() == []
