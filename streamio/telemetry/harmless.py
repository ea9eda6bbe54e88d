"""What telemetry does must not harm what it watches."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
log = logging.getLogger("streamio.telemetry")


def harmless(function: Callable[P, R]) -> Callable[P, R | None]:
    """The function; where it raises, that is logged."""

    @wraps(function)
    def quietly(*args: P.args, **kwargs: P.kwargs) -> R | None:
        try:
            return function(*args, **kwargs)
        except Exception:
            log.exception("%s failed", function.__qualname__)
            return None

    return quietly
