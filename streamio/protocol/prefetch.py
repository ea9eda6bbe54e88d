"""How much to read at a time: as little as keeps the handlers at work.

`prefetch="auto"` starts at one entry, at most doubles from batch to batch, and aims at 100 ms of work over all free slots; it falls
back at once when an entry takes longer, because the last time counts as much as the mean. A number is the user's own upper bound on
what lies in hand beside the running entries.
"""

from __future__ import annotations

MOST = 1000  # entries in hand, what is read ahead included
READ = 200  # entries in one read: three objects each, so that they are gone before CPython's collector (at 700 of them, 3.11) looks at them
HELD = 100  # the same where entries stay in hand until what they put out is written: six objects each
SLOW = 0.002  # seconds to wait for the reply to a read ahead: the server is far away, and larger reads are worth more
BYTES = 8_000_000
WORK = 0.1  # seconds of work to have in hand
QUICK = 0.05  # seconds: a batch that is over sooner is worth reading ahead behind
DECAY = 0.7


class Prefetch:
    """The learner of one member."""

    def __init__(self, prefetch: int | str, concurrency: int) -> None:
        self.fixed = None if prefetch == "auto" else int(prefetch)
        self.concurrency = concurrency
        self.batch = 0  # entries of the greatest batch that a handler takes at once
        self.mean: float | None = None  # seconds of one entry; None before the first measurement
        self.size = 0  # bytes of one entry
        self.last = 1  # how many entries the last read asked for
        self.usual = READ  # how many it may ask for, where the server is near
        self.largest = READ  # how many it may ask for

    @property
    def busy(self) -> int:
        """How many entries keep all places busy."""
        return self.concurrency * max(1, self.batch)

    @property
    def most(self) -> int:
        """How many entries may be in hand at once, running or waiting."""
        return max(MOST, self.busy) if self.fixed is None else self.busy + self.fixed

    def took(self, entries: int, seconds: float) -> None:
        """So many entries took so long, one after the other."""
        if entries:
            each = seconds / entries
            self.mean = each if self.mean is None else max(each, DECAY * self.mean + (1 - DECAY) * each)

    def weighed(self, size: int) -> None:
        """An entry of the last batch had this many characters."""
        self.size = max(size, self.size // 2)

    def waited(self, seconds: float) -> None:
        """So long did the reply to a read ahead take to come in."""
        self.largest = MOST // 2 if seconds > SLOW else self.usual

    def holds(self) -> None:
        """Entries put something out, and stay in hand until that is written: fewer of them at a time."""
        if self.largest == self.usual:
            self.largest = HELD
        self.usual = HELD

    def wanted(self) -> int:
        """How many entries in hand would be about 100 ms of work."""
        if self.mean is None:
            return self.busy
        return max(self.busy, int(WORK * self.concurrency / max(self.mean, 1e-7)))

    def count(self, in_hand: int, lacking: int = 0) -> int:
        """How many entries the next read should bring, 0 where there is no room. Reading ahead leaves half of the room to the batch in hand.

        `lacking` is how many entries a batch that is being gathered lacks.
        """
        room = max(self.most - in_hand, lacking)
        if self.fixed is not None:
            return min(room, max(self.busy, min(self.most // 2, self.largest))) if self.most > 1 else room
        least, in_time = max(self.batch, lacking), max(self.wanted() - in_hand, lacking)
        best = min(in_time, max(self.largest, least), max(2 * self.last, least), BYTES // 2 // (self.size or 1))
        return max(0, min(max(best, 1 if not in_hand else 0), room))

    def asked(self, count: int) -> None:
        """A read asked for so many."""
        self.last = max(count, 1)

    def is_quick(self, entries: int) -> bool:
        """Whether so many entries are expected to be over in less than 50 ms."""
        return self.mean is not None and self.mean * entries / self.concurrency < QUICK
