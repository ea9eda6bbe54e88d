"""Waiting for a condition."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def until(holds: Callable[[], Any], timeout: float = 15) -> Any:
    """What the condition comes to, as soon as it holds."""
    end = time.monotonic() + timeout
    while not (found := holds()):
        assert time.monotonic() < end, f"did not come true within {timeout} s"
        time.sleep(0.01)
    return found
