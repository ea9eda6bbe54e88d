"""`streamio trim`: old entries removed, after a look at what that takes from whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from ..positions import Place
from ..reports import TrimPreview
from .exact import counted
from .names import GROUP, TOPIC
from .output import confirm, note, one
from .positions import DURATION, POSITION
from .session import Session


@click.command()
@click.argument("topic", type=TOPIC)
@click.option("--maxlen", type=click.IntRange(0), metavar="N", help="Keep the newest N.")
@click.option("--minid", type=POSITION, metavar="POS", help="Keep what is not before this position.")
@click.option("--older", type=DURATION, metavar="TIME", help="Remove what is older.")
@click.option("--acked", is_flag=True, help="Remove only what every group has acknowledged: all of it, or down to the limit given.")
@click.option("--ignore", type=GROUP, multiple=True, metavar="GROUP", help="With --acked: a group not to wait for. May be repeated.")
@click.option(
    "--exact", is_flag=True, help="To the entry. Otherwise whole nodes of the stream only, which is cheaper, and may remove nothing of a short one."
)
@click.option("--dry-run", is_flag=True, help="Say what would go, and remove nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def trim(
    session: Session, topic: str, maxlen: int | None, minid: Place | None, older: float | None, acked: bool, ignore: Sequence[str], exact: bool,
    dry_run: bool, yes: bool,
) -> None:  # fmt: skip
    """Remove the oldest entries of TOPIC. Before that it says how many go, and how many of them are not acknowledged yet, or not even delivered."""
    given = [name for name, value in (("--maxlen", maxlen), ("--minid", minid), ("--older", older)) if value is not None]
    if len(given) > 1 or not (given or acked):
        raise click.UsageError("Give one of --maxlen, --minid and --older; or --acked, with one of them or alone.")
    opened = session.topic(topic)
    limits: Any = {"maxlen": maxlen, "minid": None if minid is None else minid.at_least(opened), "max_age": older, "acked": acked, "ignore": ignore}
    facts = opened.preview_trim(**limits, exact=exact)
    told(facts, exact)
    if dry_run:
        one({"entries": facts.entries, "pending": facts.pending, "undelivered": facts.undelivered, "oldest_kept": facts.oldest_kept, "removed": 0})
        return
    if facts.entries:
        confirm(f"Remove {'' if exact else 'about '}{counted(facts.entries)} of topic {topic!r}{unacknowledged(facts)}?", yes)
    result = opened.trim(**limits, exact=exact)
    held = None if result.held_by is None else {"group": result.held_by.group, "oldest": result.held_by.oldest}
    one({"entries": facts.entries, "pending": facts.pending, "undelivered": facts.undelivered, "removed": result.removed, "held_by": held})
    if held is not None:
        note(f"the rest is kept for group {held['group']!r}, which needs {held['oldest']}")


def told(facts: TrimPreview, exact: bool) -> None:
    """Say what would go."""
    note(f"{'' if exact else 'at most '}{counted(facts.entries)} to go; the oldest that stays: {facts.oldest_kept or 'none'}")
    for group in facts.pending.keys() | facts.undelivered.keys():
        pending, undelivered = facts.pending.get(group, 0), facts.undelivered.get(group, 0)
        if pending or undelivered:
            note(f"group {group!r}: {pending} of them pending, {undelivered} not delivered yet")


def unacknowledged(facts: TrimPreview) -> str:
    """How many of them the group that needs most of them has not acknowledged yet, in words."""
    needs = {group: facts.pending.get(group, 0) + facts.undelivered.get(group, 0) for group in facts.pending.keys() | facts.undelivered.keys()}
    group = max(needs, key=needs.__getitem__, default=None)
    return f", {needs[group]} of which group {group!r} has not acknowledged" if group is not None and needs[group] else ""
