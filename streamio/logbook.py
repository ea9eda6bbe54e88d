"""Where the library logs: loggers below `streamio`, one for each kind of work, whose records say what they are about.

The library writes records and nothing else: handlers, levels and formats are the application's. Where there are none, Python prints warnings and
errors on stderr; a NullHandler would hide them. Each record has `topic`, `group`, `member`,
`entry_id`, `deliveries`, `event` and `error`, None where that is not known.
"""

from __future__ import annotations

import logging
from typing import Any

from .reports import Event

MEMBER = logging.getLogger("streamio.member")  # what happens to members, and to those who listen to that
PUBLISH = logging.getLogger("streamio.publish")  # what could not be written, or waits
CONNECTION = logging.getLogger("streamio.connection")
FIELDS = ("topic", "group", "member", "entry_id", "deliveries", "event", "error")


def about(**facts: Any) -> dict[str, Any]:
    """The fields of a record that is about this."""
    return {**dict.fromkeys(FIELDS), **facts}


def about_event(event: Event) -> dict[str, Any]:
    """The fields of a record about a lifecycle event."""
    message = event.message
    entry = message.id if message is not None else event.ids[0] if len(event.ids) == 1 else None
    return about(
        topic=event.topic, group=event.group, member=event.member, event=event.name, entry_id=entry,
        deliveries=message.deliveries if message is not None else None, error=error_text(event.error),
    )  # fmt: skip


def error_text(error: BaseException | None) -> str | None:
    """The error's class and words."""
    return None if error is None else f"{type(error).__name__}: {error}"


def told(event: Event) -> str:
    """The event as a line: its name, and what is known."""
    facts = [
        f"member {event.member!r}",
        f"entry {event.message.id}" if event.message is not None else f"entries {', '.join(event.ids[:5])}" if event.ids else "",
        f"count {event.count}" if event.count is not None and event.count != len(event.ids) else "",
        f"after {event.duration:.3f} s" if event.duration is not None else "",
        f"again in {event.delay:g} s" if event.delay is not None else "",
        event.reason or "",
        error_text(event.error) or "",
    ]
    return f"{event.name}: {', '.join(fact for fact in facts if fact)}"
