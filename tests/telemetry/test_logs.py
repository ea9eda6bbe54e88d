"""What is logged, and how."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from typing import Any

import pytest

from streamio import RetryPolicy
from streamio.logbook import FIELDS
from streamio.telemetry.logs import JSONFormatter, log_lifecycle, unlog_lifecycle

from ..world import World
from .conftest import embedded

pytestmark = pytest.mark.asyncio


async def failing(w: World) -> tuple[Any, Any]:
    """A group with one entry, and a member that fails with it once."""
    topic = w.topic()
    group = w.group(topic, retry=RetryPolicy(max_deliveries=2, backoff=(0.01, 0.01), jitter=0))
    member = w.member(group, "m")
    await w.do(topic.publish("a"))

    @member.on("a")
    def handle(message: Any) -> None:
        if message.deliveries == 1:
            raise KeyError("x")

    return group, member


@pytest.mark.parametrize("of", ["group", "member"])
async def test_lifecycle_events_are_records_that_say_what_they_are_about(w: World, caplog: pytest.LogCaptureFixture, of: str) -> None:
    group, member = await failing(w)
    log_lifecycle({"group": group, "member": member}[of])
    with caplog.at_level(logging.DEBUG, "streamio"):
        await w.do(member.drain())
    (failed,) = [record for record in caplog.records if getattr(record, "event", "") == "failed"]
    facts = {name: getattr(failed, name) for name in FIELDS}
    assert facts == {
        "topic": group.topic.name, "group": group.name, "member": "m", "entry_id": facts["entry_id"], "deliveries": 1, "event": "failed",
        "error": "KeyError: 'x'",
    }  # fmt: skip
    assert (failed.name, failed.levelname) == ("streamio.member", "WARNING")
    assert failed.getMessage().startswith(f"failed: member 'm', entry {facts['entry_id']}, after 0.")
    told = {record.event: record.levelname for record in caplog.records if hasattr(record, "event")}  # type: ignore[attr-defined]
    assert told["retrying"] == told["stopped"] == "INFO"
    assert "started" not in told


@embedded
async def test_each_entry_is_logged_where_that_is_asked_for(w: World, caplog: pytest.LogCaptureFixture) -> None:
    group, _ = await failing(w)
    log_lifecycle(group, entries=True)
    member = w.member(group, "later")
    member.on("a", lambda message: None)
    with caplog.at_level(logging.DEBUG, "streamio"):
        await w.do(member.drain())
    told = [(record.event, record.levelname) for record in caplog.records if hasattr(record, "event")]  # type: ignore[attr-defined]
    assert [each for each in told if each[1] == "DEBUG"] == [("started", "DEBUG"), ("succeeded", "DEBUG")]


@embedded
async def test_an_error_is_logged_once(w: World, caplog: pytest.LogCaptureFixture) -> None:
    _, member = await failing(w)
    for logs in (True, False):
        caplog.clear()
        (log_lifecycle if logs else unlog_lifecycle)(member)
        member.lifecycle.tell(member._hand.event("error", error=OSError("x"), reason="y"))
        (record,) = caplog.records
        assert (record.name, record.levelname, record.error) == ("streamio.member", "ERROR", "OSError: x")  # type: ignore[attr-defined]
        assert record.topic == member.group.topic.name  # type: ignore[attr-defined]


@embedded
async def test_a_record_as_json_has_its_facts(w: World) -> None:
    group, member = await failing(w)
    log_lifecycle(member)
    lines: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = Kept()
    handler.setFormatter(JSONFormatter())
    logger = logging.getLogger("streamio")
    logger.addHandler(handler)
    try:
        await w.do(member.drain())
        logging.getLogger("streamio.member").error("odd: %r", "ä\n", exc_info=OSError("x"))
    finally:
        logger.removeHandler(handler)
    failed, *_, odd = (json.loads(line) for line in lines)
    assert failed["level"] == "WARNING"
    assert failed["logger"] == "streamio.member"
    assert {failed["topic"], failed["group"], failed["member"], failed["event"]} == {group.topic.name, group.name, "m", "failed"}
    assert failed["time"].endswith("Z")
    assert odd["message"] == "odd: 'ä\\n'"
    assert odd["traceback"].endswith("OSError: x")
    assert "topic" not in odd


async def test_the_library_sets_up_no_logging_and_imports_no_telemetry() -> None:
    code = (
        "import logging, sys, redis; before = set(sys.modules)\n"
        "import streamio\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "assert not new & {'opentelemetry', 'prometheus_client', 'http'}, new\n"
        "assert not any(name.startswith(('streamio.telemetry', 'streamio.health')) for name in sys.modules)\n"
        "assert not logging.getLogger().handlers\n"
        "found = logging.getLogger('streamio')\n"
        "assert found.handlers == [] and found.level == logging.NOTSET and found.propagate\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
