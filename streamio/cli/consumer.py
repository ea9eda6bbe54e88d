"""`streamio consumer rm`: a consumer's record removed, what it has pending handed over first."""

from __future__ import annotations

import click

from ..errors import ConsumerBusy
from .ending import Failure
from .exact import counted
from .names import CONSUMER, GROUP, TOPIC
from .output import note
from .session import Session


@click.group()
def consumer() -> None:
    """Remove a consumer, and hand over what it has pending."""


@consumer.command()
@click.argument("topic", type=TOPIC)
@click.argument("group", type=GROUP)
@click.argument("name", type=CONSUMER)
@click.option("--to", "peer", type=CONSUMER, metavar="PEER", help="Hand over what is pending to this consumer first.")
@click.option("--to-any", is_flag=True, help="Hand it to whoever is free.")
@click.option("--force", is_flag=True, help="Also while it is active; also to a PEER that the group does not know.")
@click.pass_obj
def rm(session: Session, topic: str, group: str, name: str, peer: str | None, to_any: bool, force: bool) -> None:
    """Remove the consumer NAME of GROUP. Nothing pending is ever lost: without --to or --to-any it is refused where there is something."""
    if peer is not None and to_any:
        raise click.UsageError("--to and --to-any cannot be used together")
    opened = session.topic(topic).group(group)
    opened.info()  # (an error where there is no such group)
    known = {each.name: each for each in opened.consumers()}
    if name not in known:
        raise Failure(f"group {group!r} of topic {topic!r} has no consumer {name!r}")
    if peer is not None and peer not in known and not force:
        raise Failure(f"group {group!r} of topic {topic!r} has no consumer {peer!r} yet: --force hands over to it all the same")
    if known[name].idle < opened.lease and not force:
        raise Failure(f"consumer {name!r} spoke {known[name].idle:.0f} s ago, it seems to be alive: stop it first, or say --force")
    moved = known[name].pending if peer is not None else 0
    try:
        if to_any:
            moved = opened.handover(name, None)
        opened.remove_consumer(name, peer)
    except ConsumerBusy as error:
        raise Failure(f"{error}: say --to PEER, or --to-any" if error.heir is None else str(error)) from error
    note(f"consumer {name!r} is removed" + (f", {counted(moved)} handed over to {peer or 'whoever is free'}" if moved else ""))
