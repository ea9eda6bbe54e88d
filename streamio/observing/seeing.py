"""From what the server says to what is seen: views, rates and diagnoses. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

from ..ids import split
from ..keys import WAITING
from ..protocol.asking import says
from ..protocol.groups import is_lost
from ..protocol.inspecting import lag_of, unmarked
from ..protocol.watching import GroupFacts, StreamFacts
from ..reports import ConsumerInfo, PendingEntry
from .diagnosis import Signs, diagnosed, is_stale, worst
from .rates import Seen, place, rate, rate_of
from .views import ConsumerView, GroupView, PendingView, TopicView

EARLIEST = 100_000_000_000  # milliseconds: an id below was chosen by a producer, and tells no time


@dataclass(frozen=True)
class Eye:
    """With what is looked: the server's time, what was seen before, the lease, and how late a group may be."""

    at: float
    before: Seen | None
    lease: float
    limit: float

    @property
    def since(self) -> float:
        """Seconds since the last look; 0 where there was none."""
        return self.at - self.before.at if self.before else 0.0


def unseen(name: str, error: str) -> TopicView:
    """A topic of which nothing is known but why."""
    return TopicView(name, 0, None, None, "0-0", None, None, 0, None, (), "unknown", error)


def fault_of(facts: StreamFacts) -> str | None:
    """Why the stream could not be looked at, or not wholly, in one line."""
    fault = facts.fault
    if fault is None:
        return None
    if is_lost(fault):
        return "there is no such stream" if facts.stream is None else "it, or a group of it, went while it was looked at"
    return "the key holds something else than a stream" if says(fault, "WRONGTYPE") else str(fault) or type(fault).__name__


def pending_view(entry: PendingEntry | None) -> PendingView | None:
    """The entry, as the server told it."""
    if entry is None:
        return None
    found = unmarked(entry)
    return PendingView(found.id, found.consumer, found.idle, found.deliveries)


def topic_view(facts: StreamFacts, eye: Eye, memory: int | None) -> TopicView:
    """The topic as it is now."""
    stream = facts.stream
    if stream is None:
        return unseen(facts.name, fault_of(facts) or "there is no such stream")
    added, first, last = stream.get("entries-added"), stream.get("first-entry"), stream.get("last-entry")
    rate_in = rate(eye.before.added if eye.before else None, added, eye.since)
    groups = tuple(group_view(facts, group, eye, rate_in) for group in sorted(facts.groups, key=lambda each: str(each.facts["name"])))
    return TopicView(
        name=facts.name,
        length=stream["length"],
        first_id=first[0] if first else None,
        last_id=last[0] if last else None,
        last_generated_id=stream["last-generated-id"],
        entries_added=added,
        memory=memory,
        delayed=facts.delayed,
        rate_in=rate_in,
        groups=groups,
        state=worst([each.state for each in groups]) if groups else ("ok" if rate_in else "idle"),
        error=fault_of(facts),
    )


def group_view(facts: StreamFacts, group: GroupFacts, eye: Eye, rate_in: float | None) -> GroupView:
    """The group as it is now; the parking consumer is none of its consumers."""
    own, name = group.facts, group.facts["name"]
    lag = lag_seen(facts, group)
    before = eye.before
    signs = Signs(
        lag=lag,
        lag_seconds=age(group.next_id, eye.at),
        before=before.lags.get(name) if before else None,
        pending=own["pending"],
        waiting=sum(each.pending for each in group.consumers if each.name == WAITING),
        dead=group.dead,
        consumers=tuple(consumer_view(each, eye.lease) for each in group.consumers if each.name != WAITING),
        oldest=pending_view(group.oldest),
        rate_in=rate_in,
        rate_out=rate_of(before.places.get(name) if before else None, place(own, added_of(facts), lag), eye.since),
        lease=eye.lease,
        limit=eye.limit,
    )
    return of_signs(facts.name, group, signs)


def of_signs(topic: str, group: GroupFacts, signs: Signs) -> GroupView:
    """The view with its diagnosis."""
    state, sentence = diagnosed(signs)
    return GroupView(
        name=group.facts["name"],
        topic=topic,
        lag=signs.lag,
        lag_seconds=signs.lag_seconds,
        pending=signs.pending,
        waiting=signs.waiting,
        dead=signs.dead,
        last_delivered_id=group.facts["last-delivered-id"],
        entries_read=group.facts.get("entries-read"),
        consumers=signs.consumers,
        oldest=signs.oldest,
        rate_out=signs.rate_out,
        state=state,
        diagnosis=sentence,
    )


def consumer_view(facts: ConsumerInfo, lease: float) -> ConsumerView:
    """The consumer as it is now."""
    return ConsumerView(facts.name, facts.pending, facts.idle, facts.inactive, is_stale(facts.pending, facts.idle, lease))


def lag_seen(facts: StreamFacts, group: GroupFacts) -> int | None:
    """How many entries are to come. Where there is no next one it is none, whatever the server's own figure says (it counts deleted ones)."""
    if facts.stream is None or (group.next_id is None and facts.fault is None):
        return 0 if facts.stream is not None else None
    return lag_of(facts.stream, group.facts)


def age(entry_id: str | None, at: float) -> float | None:
    """How old the entry is; 0 where there is none, None where its id tells no time."""
    if entry_id is None:
        return 0.0
    time = split(entry_id)[0]
    return max(0.0, at - time / 1000) if time >= EARLIEST else None


def added_of(facts: StreamFacts) -> int | None:
    """How many entries were ever added; None where the server does not count."""
    return None if facts.stream is None else facts.stream.get("entries-added")


def seen(facts: StreamFacts, at: float) -> Seen:
    """What the next look wants to know of this one."""
    lags = {group.facts["name"]: lag_seen(facts, group) for group in facts.groups}
    added = added_of(facts)
    places = {group.facts["name"]: place(group.facts, added, lags[group.facts["name"]]) for group in facts.groups}
    return Seen(at, added, {name: found for name, found in places.items() if found is not None}, lags)
