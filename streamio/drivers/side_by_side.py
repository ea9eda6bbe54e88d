"""A group's members listening side by side: in threads in blocking code, in tasks in asyncio."""

from __future__ import annotations

import asyncio
from concurrent.futures import wait
from typing import Any

from ..errors import Abandoned
from .threads import in_thread


def listen_in_threads(members: list[Any]) -> None:
    """Each in a thread; the first error stops the others and is raised."""
    futures = [in_thread(f"streamio-{member.id}", member.connect_and_listen) for member in members]
    try:
        wait(futures, return_when="FIRST_EXCEPTION")
    except BaseException as error:
        stop_all(members)
        if not isinstance(error, Abandoned):
            wait(futures)
        raise
    stop_all(members)
    wait(futures)
    for future in futures:
        future.result()


def stop_all(members: list[Any]) -> None:
    """Stop each."""
    for member in members:
        member.stop()


async def listen_in_tasks(members: list[Any]) -> None:
    """Each in a task; the first error stops the others and is raised."""
    tasks = [asyncio.ensure_future(member.connect_and_listen()) for member in members]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    except asyncio.CancelledError:
        cancel_all(tasks)
        raise
    finally:
        stop_all(members)
        await all_ended(tasks)
    await asyncio.gather(*tasks)  # raises the first error, and marks the others as seen


async def all_ended(tasks: list[asyncio.Future[None]]) -> None:
    """Wait for all of them. Where that is cancelled they are, too, and still waited for: nothing runs on behind who called."""
    cancelled = False
    while running := [task for task in tasks if not task.done()]:
        try:
            await asyncio.wait(running)
        except asyncio.CancelledError:
            cancelled = True
            cancel_all(running)
    if cancelled:
        raise asyncio.CancelledError


def cancel_all(tasks: list[asyncio.Future[None]]) -> None:
    """Cancel each."""
    for task in tasks:
        task.cancel()
