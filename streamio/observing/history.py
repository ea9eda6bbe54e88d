"""The last quarter of an hour, for plots: rings of fixed size."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator

from .views import GroupView, Sample, TopicView

OF_TOPIC = ("length", "rate_in")
OF_GROUP = ("rate_out", "lag", "lag_seconds", "pending", "oldest_idle")
Row = tuple[float | None, ...]
Key = tuple[str, str | None]


class History:
    """What was seen in the last `seconds`, where a sample comes every `interval` seconds. What is not seen for so long is dropped."""

    def __init__(self, seconds: float = 900, interval: float = 1) -> None:
        for name, value in (("seconds", seconds), ("interval", interval)):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
                raise ValueError(f"{name} must be a number of seconds, more than 0, not {value!r}")
        self.size = max(2, math.ceil(seconds / interval))
        self._begin()

    def _begin(self) -> None:
        """Nothing was seen yet."""
        self._at = array("d")
        self._next = 0
        self._rings: dict[Key, tuple[array[float], ...]] = {}
        self._seen: dict[Key, int] = {}

    def add(self, sample: Sample) -> None:
        """Remember the sample; the same one again is left out. Where the server's clock went back, all begins anew."""
        last = self._at[(self._next - 1) % self.size] if self._next else -math.inf
        if sample.at == last:
            return
        if sample.at < last:
            self._begin()
        put(self._at, self._next % self.size, sample.at)
        rows = dict(rows_of(sample))
        for key in rows.keys() - self._rings.keys():
            self._rings[key] = tuple(array("d", [math.nan]) * self.size for _ in names_of(key))
        for key in [*self._rings]:
            self._write(key, rows.get(key))
        self._next += 1

    def _write(self, key: Key, row: Row | None) -> None:
        """Put the values, or that there are none, in place."""
        rings, place = self._rings[key], self._next % self.size
        if row is not None:
            self._seen[key] = self._next
        elif self._next - self._seen[key] >= self.size:
            del self._rings[key], self._seen[key]
        for ring, value in zip(rings, row or (None,) * len(rings)):
            ring[place] = math.nan if value is None else value

    def series(self, topic: str, group: str | None = None) -> dict[str, list[float | None]]:
        """Lists by name, as long as `at`, the times: `length` and `rate_in`; with a group `rate_out`, `lag`, `lag_seconds`, `pending` and
        `oldest_idle`, too. None where there is no value."""
        places = range(max(0, self._next - self.size), self._next)
        found: dict[str, list[float | None]] = {"at": [self._at[place % self.size] for place in places]}
        for key in [(topic, None)] if group is None else [(topic, None), (topic, group)]:
            rings = self._rings.get(key)
            for number, name in enumerate(names_of(key)):
                found[name] = [None if rings is None else known(rings[number][place % self.size]) for place in places]
        return found


def put(ring: array[float], place: int, value: float) -> None:
    """Write into the ring, which grows to its size once."""
    if place < len(ring):
        ring[place] = value
    else:
        ring.append(value)


def known(value: float) -> float | None:
    """The value; None for what is none."""
    return None if math.isnan(value) else value


def names_of(key: Key) -> tuple[str, ...]:
    """Which series there are of this topic or group."""
    return OF_TOPIC if key[1] is None else OF_GROUP


def rows_of(sample: Sample) -> Iterator[tuple[Key, Row]]:
    """The values of each topic and group that could be looked at."""
    for topic in sample.topics:
        if topic.state != "unknown":
            yield (topic.name, None), topic_row(topic)
            for group in topic.groups:
                yield (topic.name, group.name), group_row(group)


def topic_row(topic: TopicView) -> Row:
    """The values of `OF_TOPIC`."""
    return topic.length, topic.rate_in


def group_row(group: GroupView) -> Row:
    """The values of `OF_GROUP`."""
    return group.rate_out, group.lag, group.lag_seconds, group.pending, group.oldest.idle if group.oldest else 0.0
