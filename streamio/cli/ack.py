"""`streamio ack`, `nack` and `bury`: pending entries settled by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import click

from .names import GROUP, TOPIC
from .positions import DURATION
from .session import Session
from .settle import settle


def which(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the arguments and options that say which entries are meant."""
    parts = (
        click.argument("topic", type=TOPIC),
        click.argument("group", type=GROUP),
        click.argument("ids", nargs=-1, metavar="[ID]..."),
        click.option("--all-idle", type=DURATION, metavar="TIME", help="All that nobody has touched for so long."),
        click.option("--yes", is_flag=True, help="Do not ask."),
    )
    for part in reversed(parts):
        command = part(command)
    return command


@click.command()
@which
@click.pass_obj
def ack(session: Session, topic: str, group: str, ids: Sequence[str], all_idle: float | None, yes: bool) -> None:
    """Acknowledge pending entries of GROUP unseen: nobody handles them again. -: the ids stand on stdin."""
    settle(session, topic, group, ids, all_idle, yes, "Acknowledge", "acknowledged", lambda opened, *page: opened.ack(*page))


@click.command()
@which
@click.option("--delay", type=DURATION, default=0.0, metavar="TIME", help="Not before so long, 30s at most.")
@click.pass_obj
def nack(session: Session, topic: str, group: str, ids: Sequence[str], all_idle: float | None, yes: bool, delay: float) -> None:
    """Give pending entries of GROUP to whoever is free, for another delivery. -: the ids stand on stdin."""
    settle(session, topic, group, ids, all_idle, yes, "Give back", "given_back", partial(nacked, delay))


@click.command()
@which
@click.option("--reason", default="buried", show_default=True, help="Why, as the dead letter tells it.")
@click.pass_obj
def bury(session: Session, topic: str, group: str, ids: Sequence[str], all_idle: float | None, yes: bool, reason: str) -> None:
    """Put pending entries of GROUP aside: each becomes a dead letter and is acknowledged. -: the ids stand on stdin."""
    settle(session, topic, group, ids, all_idle, yes, "Bury", "buried", partial(buried, reason))


def nacked(delay: float, group: Any, *ids: str) -> int:
    """How many wait now."""
    count: int = group.nack(*ids, delay=delay)
    return count


def buried(reason: str, group: Any, *ids: str) -> int:
    """How many were put aside."""
    count: int = group.bury(*ids, reason=reason)
    return count
