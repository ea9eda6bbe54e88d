"""`streamio group create`, `rm` and `seek`."""

from __future__ import annotations

from typing import Any

import click

from ..errors import GroupInUse
from ..positions import Place
from .ending import Failure
from .exact import counted
from .names import GROUP, TOPIC
from .output import confirm, note, one
from .positions import POSITION
from .session import Session


@click.group()
def group() -> None:
    """Create, remove or move a consumer group."""


@group.command()
@click.argument("topic", type=TOPIC)
@click.argument("group")
@click.option("--from", "begin", type=POSITION, default="start", show_default=True, metavar="POS", help="Where it begins.")
@click.option("--if-missing", is_flag=True, help="Be content where it is there already.")
@click.pass_obj
def create(session: Session, topic: str, group: str, begin: Place, if_missing: bool) -> None:
    """Create GROUP, and the stream with it where there is none."""
    opened = session.topic(topic)
    made = opened.group(group)
    if made.create(begin.above(opened)):
        note(f"group {group!r} of topic {topic!r} begins above {made.info().last_delivered_id}")
    elif if_missing:
        note(f"group {group!r} of topic {topic!r} is there already, at {made.info().last_delivered_id}")
    else:
        raise Failure(f"group {group!r} of topic {topic!r} is there already: move it with `streamio group seek`")


@group.command()
@click.argument("topic", type=TOPIC)
@click.argument("group", type=GROUP)
@click.option("--force", is_flag=True, help="Also while consumers are active.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def rm(session: Session, topic: str, group: str, force: bool, yes: bool) -> None:
    """Remove GROUP with all that it knows: its place, and what is pending. Entries and dead letters stay."""
    opened = session.topic(topic).group(group)
    facts = opened.info()
    if not force:
        refuse_active(opened, "removed")
    confirm(f"Remove group {group!r} of topic {topic!r}, with {counted(facts.pending, 'pending entry', 'pending entries')}?", yes)
    try:
        opened.destroy(force=force)
    except GroupInUse as error:
        raise Failure(f"{error.members[0]!r} has become active: --force removes the group all the same") from error
    note(f"group {group!r} of topic {topic!r} is removed")


@group.command()
@click.argument("topic", type=TOPIC)
@click.argument("group", type=GROUP)
@click.option(
    "--to", "to", type=POSITION, required=True, metavar="POS", help="What it reads next: start, end, +N, -N, ID, @-10m, @2026-11-20T10:00Z."
)
@click.option("--dry-run", is_flag=True, help="Say what it would do, and do nothing.")
@click.option("--force", is_flag=True, help="Also while consumers are active.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def seek(session: Session, topic: str, group: str, to: Place, dry_run: bool, force: bool, yes: bool) -> None:
    """Move GROUP: it reads next what stands at this position. What is pending stays so."""
    opened = session.topic(topic)
    moved = opened.group(group)
    place = to.above(opened)
    facts = moved.preview_seek(place)
    what = f"{counted(facts.entries)} {'left out' if facts.forward else 'delivered again'}"
    if not (force or dry_run):
        refuse_active(moved, "moved")
    if not dry_run:
        confirm(f"Move group {group!r} of topic {topic!r} from {facts.current} to {facts.target}, {what}?", yes)
        moved.seek(place)
    one({"current": facts.current, "target": facts.target, "entries": facts.entries, "forward": facts.forward, "moved": not dry_run})
    note(f"{'it would be ' if dry_run else ''}{what}")


def refuse_active(group: Any, what: str) -> None:
    """Raise a Failure where a consumer has spoken within the lease."""
    active = [each.name for each in group.consumers() if each.idle < group.lease]
    if active:
        names = ", ".join(map(repr, active[:3])) + (" …" if len(active) > 3 else "")
        raise Failure(f"{counted(len(active), 'consumer is', 'consumers are')} active ({names}): stop them first, or let it be {what} with --force")
