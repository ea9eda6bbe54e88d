"""`streamio run module:name`: a worker."""

from __future__ import annotations

import os
import signal
from typing import Any

import click

from . import INTERRUPTED
from .ending import tell
from .loading import NotLoaded, Wish, load
from .positions import DURATION
from .running import Crew, log, run_here
from .services import accompany, log_as
from .session import Session
from .supervise import LOAD_FAILED, Supervisor, watch_supervisor

PORT = click.IntRange(1, 65535)


@click.command()
@click.argument("target", metavar="MODULE:NAME")
@click.option(
    "-w", "--workers", "count", type=click.IntRange(1), default=1, show_default=True, help="So many processes, started again when they die."
)
@click.option("--concurrency", type=click.IntRange(1), metavar="N", help="Handlers at once in each process. Default: as the code says.")
@click.option("--burst", is_flag=True, help="Work off what is there, retries too, and end.")
@click.option("--reload", "reload_", is_flag=True, help="Start again when a Python file in this folder changes.")
@click.option(
    "--shutdown-timeout", type=DURATION, metavar="TIME", help="How long handlers may finish after a signal. Default: as the code says (30s)."
)
@click.option(
    "--health-port",
    type=PORT,
    help="Serve /healthz there: whether the worker lives, and when it last got on. With -w each process has the next port.",
)
@click.option("--metrics-port", type=PORT, help="Serve metrics for Prometheus there. With -w each process has the next port.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where these two listen.")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How it logs, on stderr.")
@click.option("--place", type=int, hidden=True)
@click.pass_obj
def run(session: Session, /, target: str, count: int, reload_: bool, place: int | None, **how: Any) -> None:
    """Run a member of your own until SIGTERM or Ctrl-C: NAME in MODULE is a member, a group (as many members as its `min`), a pipe, a list of them,
    or a function that gives one; blocking or asyncio.

    The first signal lets handlers finish, the second one ends at once: what was in hand is pending until its lease ends. -u is $REDIS_URL
    for the code.
    """
    if session.given_url is not None:
        os.environ["REDIS_URL"] = session.url
    log_as(how["log_format"], session)
    if place is None and (count > 1 or reload_):
        raise click.exceptions.Exit(supervised(Supervisor(count, words_of(session, target, **how), reload_, how["shutdown_timeout"])))
    try:
        number = worked(target, place, **how)
    except NotLoaded as error:
        if place is None:
            raise
        tell(error, session.verbose)
        raise click.exceptions.Exit(LOAD_FAILED) from error
    if number == signal.SIGINT:
        raise click.exceptions.Exit(INTERRUPTED)


def worked(
    target: str, place: int | None, concurrency: int | None, shutdown_timeout: float | None, burst: bool, host: str, health_port: int | None,
    metrics_port: int | None, log_format: str,
) -> int | None:  # fmt: skip
    """Run it in this process; the signal that ended it. Each process of several has ports of its own."""
    wish = Wish(concurrency, shutdown_timeout, place or 1)
    health, metrics = (None if port is None else port + wish.place - 1 for port in (health_port, metrics_port))
    return run_here(load(target), target, wish, burst, lambda crew: ready(crew, place, host, health, metrics))


def words_of(session: Session, target: str, burst: bool, **how: Any) -> list[str]:
    """The command line of a worker process."""
    flags = [word for word, given in (("--burst", burst), ("-q", session.quiet), ("-v", session.verbose)) if given]
    options = {f"--{name.replace('_', '-')}": str(value) for name, value in how.items() if value is not None}
    return ["run", target, *flags, *(word for option in options.items() for word in option)]


def supervised(supervisor: Supervisor) -> int:
    """The exit code of a run with worker processes."""
    code = supervisor.run()
    return INTERRUPTED if supervisor.signal == signal.SIGINT and not code else code


def ready(crew: Crew, place: int | None, host: str, health: int | None, metrics: int | None) -> None:
    """All is loaded: tell the supervisor, serve what is to be served, and say who runs."""
    accompany(crew, host, health, metrics)
    if place is not None:
        watch_supervisor(crew.patience)
    for member in crew.members:
        log.info("member %s reads %s", member.id, ", ".join(f"group {each.name} of topic {each.topic.name}" for each in member.groups))
