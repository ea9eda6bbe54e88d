"""What processes beside the benchmark do. A role says `ready`, waits to be told, works, and gives its report."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis
import redis.asyncio

from streamio import ConsumerGroupMember, ConsumerGroupTopic, Topic

from ..job import GROUP, KEY


def member_of(port: int, name: str | None = None, asyncio: bool = False, group: dict[str, Any] | None = None, **options: Any) -> Any:
    """A member with all defaults but what is said."""
    client: Any = redis.asyncio.Redis(port=port) if asyncio else redis.Redis(port=port)
    return ConsumerGroupMember(ConsumerGroupTopic(Topic(KEY, client), GROUP, **(group or {})), name, **options)


def ready() -> None:
    """Say so, and wait to be told to go on."""
    print("ready", flush=True)
    sys.stdin.readline()


def when_told(action: Callable[[], Any]) -> None:
    """Do it at the next word from outside, which may be that nobody is there any more."""

    def wait() -> None:
        sys.stdin.readline()
        action()

    threading.Thread(target=wait, daemon=True).start()


def memory() -> float:
    """This process' memory in MB."""
    words = Path("/proc/self/status").read_text().split()
    return int(words[words.index("VmRSS:") + 1]) / 1024
