"""Short soaks with real processes: what is promised holds in faults, and members that break a promise are found out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .__main__ import soaked
from .checker import check
from .mutants import MUTANTS
from .profiles import PROFILES
from .report import figures, table
from .soak import Soak

pytestmark = [pytest.mark.slow, pytest.mark.real, pytest.mark.alone]


def test_in_all_kinds_of_faults_nothing_is_lost_and_only_what_they_account_for_runs_twice() -> None:
    with Soak(PROFILES["short"]) as soak:
        run = soak.run()
    breaks = check(run)
    print(f"\n{table(figures(run, breaks, 0.0))}")
    assert breaks == []
    assert len(run.stream) >= PROFILES["short"].messages
    assert len({fault.kind for fault in run.faults}) >= 4, "the faults came"
    assert len({life.style for life in run.lives if life.starts}) >= 4, "both colours took part, by handlers and by loops"


def test_members_that_only_leave_in_order_handle_everything_exactly_once() -> None:
    with Soak(PROFILES["short-term"]) as soak:
        run = soak.run()
    assert check(run) == []
    assert sum(life.left is not None for life in run.lives) >= 8, "members left while others worked"
    assert sorted(start.id for life in run.lives for start in life.starts) == sorted(run.stream)


def test_what_pipes_put_out_stands_there_once_whatever_happens_to_them() -> None:
    with Soak(PROFILES["short-pipe"]) as soak:
        run = soak.run()
    breaks = check(run)
    print(f"\n{table(figures(run, breaks, 0.0))}")
    assert breaks == []
    assert run.outputs is not None and len(run.outputs) >= 2 * PROFILES["short-pipe"].messages
    assert len({fault.kind for fault in run.faults}) >= 2, "the faults came"
    assert len({life.style for life in run.lives if life.starts}) >= 3, "both colours took part"


@pytest.mark.parametrize(("mutant", "rule"), [("ack-first", 2), ("drop-on-stop", 2), ("no-renewal", 3)])
def test_a_member_that_breaks_a_promise_is_found_out(mutant: str, rule: int) -> None:
    found = (soaked(MUTANTS[mutant].quick, seed, mutant)[0] for seed in range(1, 5))  # what it breaks, it breaks by chance
    assert any(rule in {each.rule for each in breaks} for breaks in found)


class Interrupted(Exception):
    """Something goes wrong in the middle of a soak."""


def test_a_soak_that_fails_leaves_no_process_and_no_folder() -> None:
    with pytest.raises(Interrupted), Soak(PROFILES["short-term"]) as soak:
        soak.server.start()
        soak.server.client().xgroup_create("soak:jobs", "soak", "0", mkstream=True)
        soak.start_all()
        pids = [process.popen.pid for process in (*soak.members.values(), *soak.producers)]
        raise Interrupted
    assert len(pids) == 6 and not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert not soak.folder.exists() and not os.path.exists(soak.server.folder) and soak.server.process is None
