"""Logging: what happens to members as records, and records as JSON.

The library logs below `streamio` (`streamio.member`, `streamio.publish`, `streamio.connection`) and sets up nothing: handlers, levels and formats are
the application's. `log_lifecycle(member)` adds a record for every lifecycle event; each record has `topic`, `group`, `member`, `entry_id`,
`deliveries`, `event` and `error`.
"""

from __future__ import annotations

import json
import logging
import time
from typing import Any

from ..group import ConsumerGroupTopic
from ..logbook import FIELDS, MEMBER, about_event, told
from ..member import ConsumerGroupMember
from ..reports import Event
from ..watching import onlook, unlook

Logged = ConsumerGroupTopic[Any, Any] | ConsumerGroupMember[Any, Any]
WORSE = {
    "error": logging.ERROR,
    **dict.fromkeys("failed buried missing skipped lease_lost disconnected lagging".split(), logging.WARNING),
}


class Book:
    """Writes the events of one member, or of a group's members, to a logger. `entries`: those that come for each entry, too."""

    logs = True

    def __init__(self, obj: Logged, level: int, entries: bool, logger: logging.Logger) -> None:
        self.level, self.entries, self.logger = level, entries, logger
        self.only = None if isinstance(obj, ConsumerGroupMember) else (obj.topic.name, obj.name)

    def __call__(self, event: Event) -> None:
        if self.only is not None and self.only != (event.topic, event.group):
            return
        is_routine = event.name in ("started", "succeeded")
        level = logging.DEBUG if is_routine else max(self.level, WORSE.get(event.name, self.level))
        if self.logger.isEnabledFor(level) and (self.entries or not is_routine):
            self.logger.log(level, "%s", told(event), extra=about_event(event))


def log_lifecycle(obj: Logged, level: int = logging.INFO, *, entries: bool = False, logger: logging.Logger = MEMBER) -> None:
    """Write the lifecycle events of a member, or of a group's members in this process, as records. Called again, it is as the last call says.

    level     of what is in order (`claimed`, `retrying`, `reconnected`, `stopped`, …); what is not comes as WARNING, and `error` as ERROR
    entries   `started` and `succeeded`, too, which come for each entry: at DEBUG. That costs time for each entry
    """
    if not isinstance(obj, (ConsumerGroupTopic, ConsumerGroupMember)):
        raise TypeError(f"the lifecycle of a ConsumerGroupTopic's members or of a ConsumerGroupMember can be logged, not {obj!r}")
    unlog_lifecycle(obj)
    onlook(obj, Book(obj, level, entries, logger))


def unlog_lifecycle(obj: Logged) -> None:
    """Log the lifecycle no more; nothing where it is not logged."""
    onlookers = obj._onlookers if isinstance(obj, ConsumerGroupTopic) else obj.lifecycle.onlookers
    for book in [each for each in onlookers if isinstance(each, Book)]:
        unlook(obj, book)


class JSONFormatter(logging.Formatter):
    """One JSON object for each record: `time` (UTC), `level`, `logger`, `message`, what the record is about, and `traceback` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's line."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        facts: dict[str, Any] = {
            "time": f"{moment}.{int(record.msecs):03d}Z", "level": record.levelname, "logger": record.name, "message": record.getMessage(),
        }  # fmt: skip
        facts.update((name, getattr(record, name)) for name in FIELDS if getattr(record, name, None) is not None)
        if record.exc_info:
            facts["traceback"] = self.formatException(record.exc_info)
        return json.dumps(facts, ensure_ascii=False, default=str)
