"""Coroutines that run beside everything else: what lifecycle listeners returned."""

from __future__ import annotations

import asyncio
from typing import Any

from ..logbook import MEMBER as log
from ..logbook import about, error_text


def start_task(awaitable: Any) -> None:
    """Run what a coroutine lifecycle listener returned."""
    task = asyncio.ensure_future(awaitable)
    running.add(task)
    task.add_done_callback(finished)


running: set[asyncio.Future[Any]] = set()


def finished(task: asyncio.Future[Any]) -> None:
    """Log what a lifecycle listener raised."""
    running.discard(task)
    if not task.cancelled() and task.exception() is not None:
        log.error("a lifecycle listener raised", exc_info=task.exception(), extra=about(error=error_text(task.exception())))
