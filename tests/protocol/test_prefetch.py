"""How much is read at a time."""

from __future__ import annotations

import pytest

from streamio.protocol.prefetch import HELD, MOST, READ, SLOW, Prefetch


def reads(prefetch: Prefetch, seconds: float, entries: int = 12, waited: float = 0.0) -> list[int]:
    """The counts of so many reads one after the other, where each entry takes so long."""
    counts = []
    for _ in range(entries):
        counts.append(prefetch.count(0))
        prefetch.asked(counts[-1])
        prefetch.took(counts[-1], counts[-1] * seconds)
        prefetch.waited(waited)
    return counts


def test_reads_begin_with_one_entry_and_at_most_double() -> None:
    counts = reads(Prefetch("auto", 1), 1e-6)
    assert counts[:8] == [1, 2, 4, 8, 16, 32, 64, 128] and set(counts[8:]) == {READ}


def test_slow_entries_are_read_a_tenth_of_a_second_at_a_time() -> None:
    assert reads(Prefetch("auto", 1), 0.002)[-1] == 50
    assert reads(Prefetch("auto", 1), 5.0)[-1] == 1
    assert reads(Prefetch("auto", 8), 5.0)[-1] == 8, "one for each place"


def test_a_server_that_is_far_away_is_asked_for_more_at_a_time_and_a_near_one_not_any_more() -> None:
    prefetch = Prefetch("auto", 1)
    assert reads(prefetch, 1e-6, waited=0.01)[-1] == MOST // 2
    assert reads(prefetch, 1e-6, waited=0.0001)[-1] == READ


@pytest.mark.parametrize("prefetch", [0, 1, 3, 100, 5000])
def test_a_number_is_never_exceeded(prefetch: int) -> None:
    learner = Prefetch(prefetch, 1)
    in_hand = 0
    for _ in range(100):
        count = learner.count(in_hand)
        in_hand += count
        learner.asked(count)
    assert in_hand == prefetch + 1


def test_large_entries_are_read_few_at_a_time() -> None:
    prefetch = Prefetch("auto", 1)
    prefetch.weighed(1_000_000)
    assert reads(prefetch, 1e-6)[-1] == 4


def test_entries_that_stay_in_hand_until_their_outputs_are_written_are_read_fewer_at_a_time() -> None:
    prefetch = Prefetch("auto", 1)
    prefetch.took(100, 0.0001)
    prefetch.asked(1000)
    assert prefetch.count(0) == READ
    prefetch.holds()
    assert prefetch.count(0) == HELD < READ
    prefetch.waited(2 * SLOW)
    prefetch.holds()
    assert prefetch.count(0) > READ, "a server that is far away is asked for more all the same"
    prefetch.waited(0.0)
    assert prefetch.count(0) == HELD
