"""`streamio claim`: pending entries made another consumer's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from ..keys import WAITING
from ..reports import ClaimResult
from .exact import counted
from .names import CONSUMER, GROUP, TOPIC
from .output import line, note, one
from .positions import DURATION
from .session import Session
from .settle import ids_given

LEASE = 30.0  # seconds: the library's own


@click.command()
@click.argument("topic", type=TOPIC)
@click.argument("group", type=GROUP)
@click.argument("to", type=CONSUMER)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--idle", type=DURATION, metavar="TIME", help="Only what nobody has touched for so long. Default: 30s, of given ids 0.")
@click.option("-n", "--count", type=click.IntRange(1), metavar="N", help="So many at most, the oldest first.")
@click.option("--dry-run", is_flag=True, help="Say what would be claimed, and claim nothing.")
@click.pass_obj
def claim(session: Session, topic: str, group: str, to: str, ids: Sequence[str], idle: float | None, count: int | None, dry_run: bool) -> None:
    """Make pending entries of GROUP the consumer TO's: these IDs (-: those on stdin), or all that nobody takes care of. No delivery is counted.

    Printed are the ids that are TO's now. Those of entries that are not in the stream any more are told, too: they become dead letters.
    """
    wanted, opened = ids_given(ids), session.topic(topic).group(group)
    opened.info()  # (an error where there is no such group)
    least = (0.0 if ids else LEASE) if idle is None else idle
    if ids and not wanted:
        result = ClaimResult([], [])
    elif dry_run:
        result = ClaimResult(would_claim(opened, to, set(wanted), least, count), [])
    else:
        result = opened.claim(to, *wanted, idle=least, count=count)
    shown(session, result, to, dry_run)


def would_claim(group: Any, to: str, wanted: set[str], idle: float, count: int | None) -> list[str]:
    """The ids that a claim would look at."""
    due = max(idle, group.lease) if idle else 0.0  # (what waits for another try is taken when that is due)
    found = (each for each in group.pending() if (each.id in wanted if wanted else each.consumer != to))
    return [each.id for each in found if each.free or each.idle >= (due if each.consumer == WAITING else idle)][:count]


def shown(session: Session, result: ClaimResult, to: str, dry_run: bool) -> None:
    """Print what was claimed."""
    if session.output in ("json", "jsonl"):
        one({"claimed": result.claimed, "deleted": result.deleted})
    else:
        for entry_id in result.claimed:
            line(entry_id)
    note(f"{counted(len(result.claimed))} {'would be' if dry_run else 'claimed for'} {to!r}{' to have' if dry_run else ''}")
    if result.deleted:
        note(f"{counted(len(result.deleted))} not in the stream any more, dead letters now: {' '.join(result.deleted)}")
