"""Durations, positions and ranges as the command line takes them, and what they mean in a stream."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import pytest
from click.testing import CliRunner

from streamio import Topic, positions
from streamio.cli.positions import DURATION, RANGE
from streamio.positions import duration, place, span

IDS = ["1-0", "1-1", "5-0", "1000-0", "1000-1", "2000-0"]


@pytest.fixture
def topic() -> Iterator[Topic[Any]]:
    """Six entries at known ids."""
    with Topic("positions", "memory://positions") as found:
        if not found.length():
            for entry_id in IDS:
                found.publish("a", entry_id=entry_id)
        yield found


def read(topic: Any, text: str) -> list[str]:
    """The ids in this range."""
    found = span(text)
    start = found.start.first(topic) if found.start else "-"
    return [message.id for message in topic.replay(start, found.end.last(topic) if found.end else "+")]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5), ("10s", 10), ("5m", 300), ("2h", 7200), ("3d", 259200), ("1h30m", 5400), ("1.5s", 1.5), (".5s", 0.5), ("0", 0), ("90", 90),
        ("1w", 604800),
    ],
)  # fmt: skip
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "ids"), [("+3", IDS[3:]), ("+4", IDS[4:]), ("+99", []), ("-3", IDS[3:]), ("-6", IDS), ("-99", IDS), (":-3", IDS[:3])]
)
def test_entries_are_counted_over_pages(text: str, ids: list[str], topic: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(positions, "PAGE", 2)
    assert read(topic, text) == ids


@pytest.mark.parametrize("text", ["", "s", "-5s", "5x", "5 s", "1h 30m", "1e5", "nan", "inf", "٣s", "9999999999999d", "5mss"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        duration(text)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("start", IDS), ("end", []), ("+0", IDS), ("+2", IDS[2:]), ("+6", []), ("+99", []), ("-2", IDS[-2:]), ("-99", IDS), ("-0", []),
        ("1-1", IDS[1:]), ("1", IDS), ("1000", IDS[3:]), ("6-0:1000", IDS[3:5]), ("1-1:5-0", IDS[1:3]), (":5", IDS[:3]), ("5:", IDS[2:]),
        (":+2", IDS[:2]), (":-2", IDS[:-2]), (":+99", IDS), (":-99", []), (":+0", []), (":-0", IDS), (":end", IDS), ("start:end", IDS),
        ("+1:+3", IDS[1:3]), ("-3:-1", IDS[3:5]), (":", IDS), ("@1970-01-01T00:00:01Z:", IDS[3:]),
        ("@1970-01-01T00:00:01Z:1970-01-01T00:00:01Z", IDS[3:5]), ("@1970-01-01T00:00:01Z:@1970-01-01T00:00:02+00:00", IDS[3:]), ("@-1h", []),
        ("@-1h:end", []), (":@-1h", IDS), ("@000001000", []), (":start", []),
    ],
)  # fmt: skip
def test_a_range_reads_these_entries(topic: Any, text: str, ids: list[str]) -> None:
    assert read(topic, text) == ids


@pytest.mark.parametrize(
    "text", ["start", "end", "+0", "+2", "+6", "+99", "-2", "-99", "-0", "1-1", "1", "1000", "0", "@-1h", "@1970-01-01T00:00:01Z"]
)
def test_a_group_that_is_made_there_reads_what_a_range_from_there_does(topic: Any, text: str) -> None:
    group = topic.group(f"at {text}")
    group.create(place(text).above(topic))
    rest = group.member().read(10, timeout=0)
    assert [message.id for message in rest] == read(topic, text)
    for message in rest:
        message.ack()


def test_ranges_of_entries_agree_with_slices(topic: Any) -> None:
    chance = random.Random(6)
    for _ in range(60):
        start, end = chance.randint(0, 8), chance.randint(0, 8)
        assert read(topic, f"+{start}:-{end}") == IDS[start : max(0, 6 - end)]
        assert read(topic, f"-{start}:+{end}") == [each for each in IDS[6 - min(start, 6) :] if each in IDS[:end]]


def test_an_empty_stream_has_nothing_anywhere() -> None:
    with Topic("empty", "memory://positions") as topic:
        assert [read(topic, text) for text in ("start", "end", "+1", "-1", ":-1", "0-0", ":+1")] == [[]] * 7
        assert [place(text).above(topic) for text in ("start", "+0", "-5", "+5")] == ["0", "0-0", "0", "0-0"]


def test_moments_are_those_of_the_zone_that_is_written() -> None:
    assert place("@2026-11-20T10:00Z").at == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert place("@2026-11-20T10:00:00.5+01:00").at == datetime(2026, 11, 20, 9, 0, 0, 500_000, tzinfo=UTC)
    assert place("@2026-11-20").at == datetime(2026, 11, 20)
    assert place("@1732100000").at == place("@1732100000000").at == datetime.fromtimestamp(1732100000, UTC)
    assert place("@-1h30m").at == timedelta(minutes=90)


@pytest.mark.parametrize(
    "text", ["", "begin", "@", "@tomorrow", "@-5x", "+", "--5", "1-1-1", "99999999999999999999", "@9999-99-99", "a:b", "1:2:3", "@10:00:11"]
)
def test_what_is_no_position_or_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write|may be read|no duration"):
        span(text)


def test_a_time_and_an_id_make_a_range() -> None:
    found = span("@-1h:1732100000000-5")
    assert found.end is not None and found.end.kind == "id"


def test_click_names_the_option_that_is_wrong() -> None:
    @click.command()
    @click.option("--idle", type=DURATION, default=5.0)
    @click.option("--range", "range_", type=RANGE)
    def shown(idle: float, range_: Any) -> None:
        click.echo(f"{idle} {range_}")

    assert CliRunner().invoke(shown, []).output == "5.0 None\n"
    wrong = CliRunner().invoke(shown, ["--idle", "5x"])
    assert wrong.exit_code == 2
    assert "'--idle': '5x' is no duration: write 500ms, 10s, 5m, 2h or 3d" in wrong.output
    assert "'--range'" in CliRunner().invoke(shown, ["--range", "nowhere"]).output
