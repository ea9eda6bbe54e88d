"""Values as JSON."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response


def json_text(value: Any) -> str:
    """The value as JSON in ASCII: a lone surrogate in a name breaks no encoder."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


class Answer(Response):
    """A JSON answer."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The bytes of the value."""
        return json_text(content).encode()


def refusal(status: int, reason: str, **headers: str) -> Answer:
    """The answer to what is not done, with one clear sentence."""
    return Answer({"ok": False, "error": reason}, status, headers)
