"""Member processes that are killed, frozen and stopped, in all styles: what is lost (nothing), what runs twice, and how soon it goes on."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ..servers import RedisServer
from .crew import STYLES, Crew

pytestmark = [pytest.mark.slow, pytest.mark.real]
Make = Callable[..., Crew]


@pytest.fixture
def crew(real_server: RedisServer, tmp_path: Path) -> Iterator[Make]:
    """Makes the test's crew."""
    made: list[Crew] = []

    def make(**settings: Any) -> Crew:
        made.append(Crew(real_server, tmp_path, **settings))
        return made[-1]

    yield make
    for each in made:
        each.close()


def all_in_hand(crew: Crew, members: tuple[str, ...], each: int) -> Callable[[], bool]:
    """Whether each of these members runs one entry and has the others waiting in hand."""

    def holds() -> bool:
        owners = [owner for owner, _ in crew.pending().values()]
        return {line.member for line in crew.lines("begin")} >= set(members) and all(owners.count(name) == each for name in members)

    return holds


def began_by(crew: Crew, entries: set[str]) -> set[tuple[str, str]]:
    """Which of the first four members began these."""
    return {(line.member, line.entry) for line in crew.lines("begin") if line.entry in entries and line.member in STYLES}


# -- killed ---------------------------------------------------------------------------------------------------------------------------------


def test_what_a_killed_member_had_is_handled_within_its_lease_and_no_more_than_that_runs_twice(crew: Make) -> None:
    group = crew(lease=1.0, claim_interval=0.3)
    concurrency, prefetch = 1, 9
    group.start("on", "survivor", prefetch=0)
    for style in STYLES:
        group.start(style, style, prefetch=prefetch, concurrency=concurrency)
    group.ready("survivor", *STYLES)
    written = group.publish([0.02] * 100)
    group.until(lambda: {line.member for line in group.lines("end")} >= {*STYLES, "survivor"})
    killed = group.kill(*STYLES)
    left = {name: group.pending(name) for name in STYLES}
    group.until(lambda: not group.pending() and set(group.times("end")) == set(written))

    began = {line.entry: line.time for line in group.lines("begin") if line.member == "survivor"}
    assert sum(map(len, left.values())), "the kill came in the middle of the work"
    assert all(len(entries) <= concurrency + prefetch for entries in left.values())
    assert {entry for entry, count in group.times("begin").items() if count > 1} <= {entry for entries in left.values() for entry in entries}
    # the survivor is busy with the stream's other entries meanwhile, and takes what it claims between them
    assert max(began[entry] for entries in left.values() for entry in entries) - killed < 1.0 + 0.3 + 0.02 * 40 + 0.5


def test_what_a_group_had_that_was_killed_at_once_is_handled_by_members_of_other_names(crew: Make) -> None:
    group = crew(lease=0.6, claim_interval=0.2)
    for style in STYLES:
        group.start(style, style, prefetch=9)
    group.ready(*STYLES)
    written = group.publish([0.05] * 60)
    group.until(lambda: {line.member for line in group.lines("end")} >= set(STYLES))
    group.kill(*STYLES)
    left = group.pending()
    for style in STYLES:
        group.start(style, f"new-{style}")
    group.until(lambda: set(group.times("end")) == set(written) and not group.pending())
    assert left, "the kill came in the middle of the work"
    assert {entry for entry, count in group.times("begin").items() if count > 1} <= set(left)
    assert group.stop() == [0] * 4


def test_an_entry_that_ends_its_process_is_buried_while_a_supervisor_keeps_the_members_alive(crew: Make) -> None:
    group = crew(lease=0.4, claim_interval=0.1)
    written = group.publish([0.01] * 12)
    [killer] = group.publish([0], type="exit")
    written += group.publish([0.01] * 12)
    restarts = 0
    for style in STYLES:
        group.start(style, style, prefetch=5)

    def supervised() -> bool:
        nonlocal restarts
        for name in group.ended():
            restarts += 1
            group.start(name.partition("/")[0], f"{name.partition('/')[0]}/{restarts}", prefetch=5)
        return not group.pending() and set(group.times("end")) >= set(written)

    group.until(supervised, deadly=True)
    [letter] = group.client.xrange(f"{group.topic}:dead:{{{group.topic}}}:group")
    assert (letter[1]["dead:id"], letter[1]["dead:reason"], letter[1]["dead:deliveries"]) == (killer, "poison", "3")
    assert group.times("begin")[killer] == restarts == 3
    after = group.publish([0.01] * 8)
    group.until(lambda: set(group.times("end")) >= set(after))
    assert group.stop() == [0] * 4


# -- stopped --------------------------------------------------------------------------------------------------------------------------------


def test_sigterm_in_the_middle_of_a_handler_leaves_nothing_twice_and_nothing_under_the_name(crew: Make) -> None:
    group = crew(lease=30)
    for style in STYLES:
        group.start(style, style, prefetch=19)
    group.ready(*STYLES)
    written = group.publish(([0.4] + [0] * 9) * 4)
    group.until(all_in_hand(group, STYLES, 10))
    began = time.monotonic()
    assert group.stop(*STYLES) == [0] * 4
    assert time.monotonic() - began < 2
    assert group.consumers() == set()
    waiting = group.pending()
    assert len(waiting) == 36 and set(waiting.values()) == {("~waiting", 0)}, "handed back, and not counted"
    group.start("on", "peer")
    group.until(lambda: not group.pending())  # at once: the lease is 30 s
    assert group.stop("peer") == [0]
    assert group.times("begin") == group.times("end") == dict.fromkeys(written, 1)


# -- frozen ---------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sits", [0.3, 2.0])  # over when the process goes on, or not yet
def test_a_process_that_was_frozen_for_longer_than_its_lease_starts_nothing_of_what_it_had(crew: Make, sits: float) -> None:
    group = crew(lease=0.6, claim_interval=0.1)
    for style in STYLES:
        group.start(style, style, prefetch=19)
    group.ready(*STYLES)
    written = group.publish(([sits] + [0.005] * 9) * 4)
    group.until(all_in_hand(group, STYLES, 10))
    running = {line.entry for line in group.lines("begin")}
    group.send(signal.SIGSTOP, *STYLES)
    group.start("on", "survivor", concurrency=16)
    group.until(lambda: set(group.times("end")) >= set(written) - running)
    group.send(signal.SIGCONT, *STYLES)
    group.until(lambda: len(group.lines("lost")) >= 36 and not group.pending())
    assert group.stop() == [0] * 5
    assert len(running) == 4
    assert {(line.member, line.entry) for line in group.lines("begin") if line.member != "survivor"} == began_by(group, running)
    assert {line.entry for line in group.lines("lost")} == set(written) - running
    assert group.times("begin") == {**dict.fromkeys(written, 1), **dict.fromkeys(running, 2)}


def test_what_a_member_that_is_frozen_in_its_read_swallows_is_handled_by_another_within_the_lease(crew: Make) -> None:
    group = crew(lease=0.6, claim_interval=0.1)
    for style in STYLES:
        group.start(style, style, block=30)
    group.ready(*STYLES)
    group.until(lambda: sum(row["cmd"] == "xreadgroup" and "b" in row["flags"] for row in group.client.client_list()) == 4)
    group.send(signal.SIGSTOP, *STYLES)
    written = group.publish([0.0] * 4)
    added = time.monotonic()
    swallowed = group.pending()
    group.start("on", "survivor")
    group.until(lambda: len(group.lines("end")) == 4)
    free = max(added + 0.6, group.lines("ready")[-1].time)  # the lease is over, and somebody is there
    took = group.lines("end")[-1].time - free
    group.send(signal.SIGCONT, *STYLES)
    group.until(lambda: {line.entry for line in group.lines("lost")} == set(swallowed))
    assert group.stop() == [0] * 5
    assert swallowed and {owner for owner, _ in swallowed.values()} <= set(STYLES)
    assert group.times("begin") == dict.fromkeys(written, 1)
    assert {line.member for line in group.lines("begin")} == {"survivor"}
    assert took < 0.1 + 0.5


# -- slow -----------------------------------------------------------------------------------------------------------------------------------


def test_a_handler_of_five_leases_and_what_waits_behind_it_runs_once_beside_members_that_are_free(crew: Make) -> None:
    group = crew(lease=0.4, claim_interval=0.05)
    written = []
    for style in STYLES:
        group.start(style, style, prefetch=19)
        group.ready(style)
        written += group.publish([2.0] + [0] * 9)
        group.until(lambda name=style: len(group.pending(name)) == 10)
    for name in ("free-1", "free-2"):
        group.start("on", name)
    group.until(lambda: set(group.times("end")) == set(written))
    assert set(group.times("begin").values()) == {1}
    assert {line.member for line in group.lines("begin")} == set(STYLES)
    assert group.lines("lost") == []
    assert group.stop() == [0] * 6


def test_an_event_loop_that_stands_still_says_so_and_starts_nothing_that_is_anothers_now(crew: Make) -> None:
    group = crew(lease=0.5, claim_interval=0.1)
    group.start("inline-asyncio", "inline", prefetch=19)
    group.ready("inline")
    written = group.publish([2.0] + [0.001] * 9)
    group.until(all_in_hand(group, ("inline",), 10))
    group.start("on", "peer", concurrency=16)
    group.until(lambda: len(group.lines("lost")) >= 9)
    assert group.stop() == [0, 0]
    assert {line.member for line in group.lines("lagging")} == {"inline"}
    assert [line.entry for line in group.lines("begin") if line.member == "inline"] == written[:1]
    assert set(group.times("end")) == set(written)
