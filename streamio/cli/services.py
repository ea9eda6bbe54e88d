"""What goes along with running members: their log on stderr, their health probe, their metrics."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..telemetry.logs import JSONFormatter, log_lifecycle, unlog_lifecycle
from .ending import Failure
from .session import Session

if TYPE_CHECKING:
    from .running import Crew

TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def log_as(format: str, session: Session) -> None:
    """Log on stderr from now on: INFO and worse, all under -v, warnings and worse under -q. Code that has set up its logging keeps that."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JSONFormatter() if format == "json" else logging.Formatter(TEXT))
    level = logging.DEBUG if session.verbose else logging.WARNING if session.quiet else logging.INFO
    logging.basicConfig(handlers=[handler], level=level)


def accompany(crew: Crew, host: str, health: int | None, metrics: int | None) -> None:
    """Log what happens to the crew's members, and serve the probe and the metrics on their ports, until its end."""
    for member in crew.members:
        log_lifecycle(member)
        crew.closing.callback(unlog_lifecycle, member)
    if health is not None:
        from ..health import Health

        crew.closing.callback(listening("--health-port", health, lambda: Health(*crew.members).serve(health, host)).close)
    if metrics is not None:
        measured(crew, host, metrics)


def measured(crew: Crew, host: str, port: int) -> None:
    """Count what the members do, and serve that."""
    from ..telemetry.prometheus import measure, serve, unmeasure

    for member in crew.members:
        measure(member)
        crew.closing.callback(unmeasure, member)
    crew.closing.callback(listening("--metrics-port", port, lambda: serve(port, host)).close)


def listening(option: str, port: int, begin: Callable[[], Any]) -> Any:
    """The server that this begins; an error that names the option where the port cannot be had."""
    try:
        return begin()
    except OSError as error:
        raise Failure(f"{option} {port}: {error.strerror or error}") from error
