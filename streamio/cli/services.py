"""What goes along with a running member: its log on stderr, its health probe, its metrics."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from .session import Session

if TYPE_CHECKING:
    from .running import Crew

log = logging.getLogger("streamio.run")


def log_as(format: str, session: Session) -> None:
    """Log on stderr from now on: INFO and worse, all under -v, warnings and worse under -q. A program that has set up its logging keeps that."""
    level = logging.DEBUG if session.verbose else logging.WARNING if session.quiet else logging.INFO
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=level)


def serve(crew: Crew, health: int | None, metrics: int | None) -> None:
    """Serve the probe and the metrics on their ports until the crew's end."""
