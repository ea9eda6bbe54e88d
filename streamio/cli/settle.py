"""What `ack`, `nack`, `bury` and `claim` share: which pending entries are meant, and settling them page by page."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from ..group import ConsumerGroupTopic
from ..ids import ID
from .ending import Failure
from .exact import counted
from .looking import left_alone
from .output import confirm, note, one, progress
from .session import Session

PAGE = 500
Act = Callable[..., int]


def ids_given(ids: Sequence[str]) -> list[str]:
    """These ids, in full and each once; for `-` those on stdin, the first word of each line. A UsageError names what is none."""
    found: list[str] = []
    for entry_id in ids:
        found += [line.split()[0] for line in sys.stdin if line.strip()] if entry_id == "-" else [entry_id]
    for entry_id in found:
        if not ID.fullmatch(entry_id):
            raise click.UsageError(f"{entry_id!r} is no entry id")
    return list(dict.fromkeys(each if "-" in each else f"{each}-0" for each in found))


def settle(session: Session, topic: str, group: str, ids: Sequence[str], all_idle: float | None, yes: bool, verb: str, done: str, act: Act) -> None:
    """Settle these entries, or all that are idle for so long when that is agreed to, and print how many were. `act(group, *ids)` does it."""
    if bool(ids) == (all_idle is not None):
        raise click.UsageError("Give ids (-: those on stdin), or --all-idle TIME.")
    opened = session.topic(topic).group(group)
    opened.info()  # (an error where there is no such group)
    wanted = ids_given(ids) if all_idle is None else all_left_alone(opened, all_idle)
    if all_idle is not None and wanted:
        confirm(f"{verb} {counted(len(wanted), 'pending entry', 'pending entries')} of group {group!r}, topic {topic!r}?", yes)
    count = in_pages(opened, wanted, act, f"{done} in {topic}")
    one({done: count, "not_pending": len(wanted) - count})
    if count < len(wanted):
        note(f"{len(wanted) - count} of {counted(len(wanted))} not pending (any more)")
    if ids and wanted and not count:
        raise Failure(f"none of these is pending in group {group!r} of topic {topic!r}")


def all_left_alone(group: ConsumerGroupTopic[Any, Any], least: float) -> list[str]:
    """The entries that nobody cared for so long."""
    return [each.id for each in group.pending(idle=least) if left_alone(each, group.lease) >= least]


def in_pages(group: Any, ids: Sequence[str], act: Act, text: str) -> int:
    """How many entries were settled."""
    count = 0
    with progress(text, len(ids)) as advance:
        for place in range(0, len(ids), PAGE):
            page = ids[place : place + PAGE]
            count += act(group, *page)
            advance(len(page))
    return count
