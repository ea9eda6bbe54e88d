"""What was done from the dashboard: the last actions, who did them, when, and what they came to."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

KEPT = 200
LONGEST = 400  # letters of a command, a name, an outcome


class Journal:
    """The last actions, numbered from 1."""

    def __init__(self) -> None:
        self.actions: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self.count = 0

    def add(self, who: str, action: str, target: str, command: str, outcome: str, ok: bool) -> None:
        """Note an action."""
        self.count += 1
        self.actions.append(
            {
                "number": self.count,
                "at": time.time(),
                "who": who,
                "action": action,
                "target": shortened(target),
                "command": shortened(command),
                "outcome": shortened(outcome),
                "ok": ok,
            }
        )

    def above(self, number: int) -> list[dict[str, Any]]:
        """The actions after this one, as far as they are kept."""
        return [each for each in self.actions if each["number"] > number]

    def newest(self, count: int) -> list[dict[str, Any]]:
        """The last ones, newest first."""
        return [*self.actions][::-1][:count]


def shortened(text: str) -> str:
    """The text; the middle of a long one is left out."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 100]} … {text[-90:]}"
