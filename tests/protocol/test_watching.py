"""What a look asks of the server, and what is made of the answers of servers that tell less."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import fakeredis
from redis.exceptions import NoPermissionError

from streamio.drivers.blocking import Blocking
from streamio.drivers.source import Source
from streamio.effects import Call
from streamio.observing.rates import Seen
from streamio.observing.seeing import Eye, seen, topic_view
from streamio.protocol.watching import BATCH, GroupFacts, StreamFacts, watching
from streamio.reports import ConsumerInfo

NOW = 1_700_000_000.0
FIRST, NEXT, LAST = ("1699999990000-0", "1699999995000-0", "1699999999000-0")


def asked(topics: int, groups: int) -> list[Sequence[Sequence[bytes]]]:
    """What one look writes, batch by batch."""
    client: Any = fakeredis.FakeRedis()
    names = [f"t{number}" for number in range(topics)]
    for name in names:
        entry = client.xadd(name, {"a": 1})
        client.xadd(name, {"a": 2})
        for number in range(groups):
            client.xgroup_create(name, f"g{number}", entry)
    exchange, written, came = watching(names, names[:5]), list[Any](), None
    driver = Blocking(Source(client), "t")
    try:
        while True:
            effect = exchange.send(came)
            assert isinstance(effect, Call)
            written.append(effect.commands)
            came = driver.perform(effect)
    except StopIteration as over:
        _, facts = over.value
        assert [len(each.groups) for each in facts] == [groups] * topics
        return written
    finally:
        driver.close()


def test_a_look_takes_two_round_trips_however_many_topics() -> None:
    assert [len(asked(topics, 1)) for topics in (1, 10, 60)] == [2, 2, 2]


def test_hundreds_of_groups_are_asked_for_in_batches_and_never_in_full() -> None:
    written = asked(2, 250)
    assert [len(commands) for commands in written] == [11, *[BATCH] * 8]
    assert not any(b"FULL" in command for commands in written for command in commands)


def old(**group: Any) -> StreamFacts:
    """A stream and a group as Redis 6.2 tells of them."""
    stream = {"length": 3, "first-entry": [FIRST, []], "last-entry": [LAST, []], "last-generated-id": LAST}
    facts = {"name": "g", "pending": 1, "last-delivered-id": FIRST, "consumers": 1, **group}
    return StreamFacts("t", stream, [GroupFacts(facts, [ConsumerInfo("a", 1, 0.1, None)], None, 0, NEXT)])


def test_what_an_old_server_does_not_tell_is_not_known() -> None:
    view = topic_view(old(), Eye(NOW, seen(old(), NOW - 1), 30, 10), None)
    (group,) = view.groups
    assert (view.entries_added, view.rate_in, group.lag, group.entries_read, group.rate_out) == (None, None, None, None, None)
    assert (group.lag_seconds, group.state, group.consumers[0].inactive) == (5.0, "ok", None)


def test_where_the_server_does_not_count_a_group_its_rate_is_by_what_is_left() -> None:
    facts = old(**{"entries-read": None, "lag": 2})
    assert facts.stream is not None
    facts.stream["entries-added"] = 3
    view = topic_view(facts, Eye(NOW, Seen(NOW - 2, 1, {"g": ("left", 0)}, {"g": 1}), 30, 10), None)
    assert (view.rate_in, view.groups[0].rate_out, view.groups[0].diagnosis[:9]) == (1.0, 0.5, "producers")


def test_a_right_that_is_missing_is_named_and_the_rest_is_shown() -> None:
    facts = old()
    facts.take(NoPermissionError("no right to 'xpending'"), [])
    facts.take(NoPermissionError("nor to 'xlen'"), 0)
    view = topic_view(facts, Eye(NOW, None, 30, 10), None)
    assert (view.error, view.length, view.state) == ("no right to 'xpending'", 3, "ok")
