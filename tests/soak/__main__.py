"""`python -m tests.soak PROFILE [--seed N] [--mutant NAME]`, or `python -m tests.soak mutants`."""

from __future__ import annotations

import argparse
import sys
import time

from .checker import Break, check
from .mutants import MUTANTS
from .profiles import PROFILES
from .report import figures, table
from .soak import Soak

SHOWN = 8


def soaked(profile: str, seed: int, mutant: str | None = None) -> tuple[list[Break], dict[str, str]]:
    """One run: what was broken, and its figures."""
    began = time.monotonic()
    with Soak(PROFILES[profile], seed, mutant) as soak:
        run = soak.run()
    breaks = check(run)
    return breaks, figures(run, breaks, time.monotonic() - began)


def mutants(seed: int) -> int:
    """Run every mutant under the profile that it must be caught in; how many were not."""
    missed = 0
    for name, mutant in MUTANTS.items():
        breaks, rows = soaked(mutant.profile, seed, name)
        missed += not breaks
        print(f"{name:<14} {mutant.profile:<10} {'CAUGHT' if breaks else 'MISSED'} by rules {rows['broken rules']}")
        print(f"{'':<25} lost {rows['lost']}, ran twice {rows['ran twice']}, pending {rows['pending at end']}, gap {rows['biggest gap']}", flush=True)
    return missed


def main() -> int:
    """See the head of this file; 0 where all was as it must be."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="Soak a group of members in faults, and check that nothing is lost.")
    parser.add_argument("profile", choices=[*PROFILES, "mutants"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mutant", choices=list(MUTANTS))
    given = parser.parse_args()
    if given.profile == "mutants":
        return mutants(given.seed)
    breaks, rows = soaked(given.profile, given.seed, given.mutant)
    print(table({"profile": f"{given.profile}, seed {given.seed}", **rows}))
    for each in breaks[:SHOWN]:
        print(f"rule {each.rule}: {each.text}")
    return len(breaks)


if __name__ == "__main__":
    sys.exit(main() > 0)
