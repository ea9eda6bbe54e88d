"""What an operator does to a group from outside: settling entries by id, claiming them, looking before a seek."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic

from .colour import C, Coloured, operation
from .effects import Exchange, Now
from .ids import FIRST, ID, LARGEST, LAST, NEW, Duration, Position, from_moment, join, seconds, split
from .protocol.acting import acknowledging, burying_ids, claiming_all, claiming_ids, giving_back
from .protocol.consumers import within
from .protocol.previewing import seek_preview
from .reports import ClaimResult, SeekPreview

if TYPE_CHECKING:
    from .member import ConsumerGroupMember
    from .topic import Topic


class Operating(Coloured[C], Generic[C]):
    """What a group offers to an operator. No delivery is counted, and what is not pending is left alone.

    None of it asks a living member: what that has started runs to its end. Where it succeeds that is acknowledged, whoever has the entry by then;
    where it fails that changes nothing any more. Pages of entries change hands in one step each; where the connection breaks, call it again.
    """

    name: str
    lease: float
    topic: Topic[C, Any]

    if TYPE_CHECKING:

        def _consumer(self, value: str | ConsumerGroupMember[Any], argument: str) -> str: ...

    @operation
    def ack(self, *ids: str) -> Exchange[int]:
        """Acknowledge these pending entries unseen; how many were pending."""
        wanted = checked_ids(ids)
        return (yield from within(self.topic.name, self.name, acknowledging(self.topic.name, self.name, wanted)))

    @operation
    def nack(self, *ids: str, delay: Duration = 0) -> Exchange[int]:
        """Give these pending entries to whoever is free, at once or in `delay` seconds (a lease at most: this group's, which is to be that of its
        members); how many wait now.

        They are tried again as after a failure: their deliveries count on. What left the stream meanwhile becomes a dead letter ("missing").
        """
        wanted, wait = checked_ids(ids), seconds(delay, "delay")
        if wait > self.lease:
            raise ValueError(f"delay must not be longer than the lease ({self.lease:g} s), not {delay!r}: no member would watch over it")
        return (yield from within(self.topic.name, self.name, giving_back(self.topic.name, self.name, self.lease, wait, wanted)))

    @operation
    def bury(self, *ids: str, reason: str = "buried") -> Exchange[int]:
        """Put these pending entries aside: each becomes a dead letter and is acknowledged, in one step; how many did.

        What left the stream meanwhile leaves a letter without fields, with the reason "missing".
        """
        wanted = checked_ids(ids)
        if not isinstance(reason, str) or not reason:
            raise TypeError(f"reason must be a text, not {reason!r}")
        return (yield from within(self.topic.name, self.name, burying_ids(self.topic.name, self.name, wanted, reason)))

    @operation
    def claim(
        self, to: str | ConsumerGroupMember[Any], *ids: str, idle: Duration | None = None, count: int | None = None
    ) -> Exchange[ClaimResult]:  # fmt: skip
        """Make pending entries the consumer `to`'s: these ids or, without ids, all that nobody takes care of, the oldest first, `count` at most.

        idle    only what has been idle for so many seconds. Default: a lease; of given ids 0. Living members renew what they hold, so nothing
                of theirs is taken; with `idle=0` it is. What waits for another try is taken when that is due, with `idle=0` before
        The lease of `to` begins now, and no delivery is counted. A living member handles what it was given after its next look for entries of others
        (`claim_interval`). What left the stream meanwhile becomes a dead letter, and its id is told.
        """
        name, wanted = self._consumer(to, "to"), checked_ids(ids)
        checked_number(count)
        least = (0.0 if ids else self.lease) if idle is None else seconds(idle, "idle")
        times = least, max(least, self.lease) if least else 0.0
        topic = self.topic.name
        work = claiming_ids(topic, self.name, name, times, wanted, count) if ids else claiming_all(topic, self.name, name, times, count)
        return (yield from within(topic, self.name, work))

    @operation
    def preview_seek(self, position: Position) -> Exchange[SeekPreview]:
        """What `seek` to this position would do: from where to where, and how many entries lie between. Nothing is changed."""
        now: float = yield Now(wall=True)
        where = from_moment(position, round(now * 1000), "position", (NEW, FIRST, LAST))
        return (yield from seek_preview(self.topic.name, self.name, where))


def checked_ids(ids: Sequence[str]) -> list[str]:
    """The ids in full, each once; an error names what is none."""
    for entry_id in ids:
        if not isinstance(entry_id, str) or not ID.fullmatch(entry_id) or max(split(entry_id)) > LARGEST:
            raise ValueError(f"{entry_id!r} is no entry id")
    return list(dict.fromkeys(join(*split(entry_id)) for entry_id in ids))


def checked_number(count: int | None) -> None:
    """Refuse a count that is none."""
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
        raise ValueError(f"count must be a whole number, 1 or more, not {count!r}")
