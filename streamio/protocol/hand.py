"""What a member has in its hand: plain state, no I/O. Listener, keeper and whoever settles meet here and nowhere else.

Every operation that more than one thread may do is one step under the interpreter lock (an append, a popleft, a slot's deletion).

1. A settlement is a note. The first one of a message wins: it deletes the message's `_open`, and a second deletion fails.
2. A note is taken by one writer. What it could not bring to the server, it puts back.
3. All that is pending under the member's name is in `fresh`, `taken`, `gathered`, `current`, `running`, `held`, a note, or owed by the reading line,
   or still to be looked at (`own`). What the member does not want waits under the parking consumer.
4. `renewed_at` is not later than the last moment at which everything in hand was surely leased.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

from ..codec import FlatCodec
from ..effects import Line
from ..outputs import Put
from ..reports import Event
from ..watching import Watches
from .gathering import Batch, each_of
from .notes import Burial, Note, Output, Parking, Way, closes, entry_of, release
from .prefetch import Prefetch
from .settings import Settings

if TYPE_CHECKING:
    from .limiting import Limit
    from .replying import Outlet

SOON = 0.05  # seconds a note may wait
NEVER = float("inf")
ORPHAN = 365 * 86400.0  # seconds of idle time under the parking consumer that mark an orphan (`taking`)


class Bell(Protocol):
    """Wakes one that rests. Ringing is allowed from anywhere: threads, tasks, signal handlers, finalizers."""

    def ring(self) -> None:
        """Wake it, now or when it next rests."""


class Hand:
    """See the head of this file."""

    watches: Watches = ()

    def __init__(self, settings: Settings, prefetch: Prefetch, make: Callable[..., Any], redelivered: Callable[..., Any]) -> None:
        self.settings, self.prefetch = settings, prefetch
        self.make, self.redelivered = make, redelivered
        self.codec, self.is_flat = settings.codec, type(settings.codec) is FlatCodec
        self.reading = Line("reading", patience=min(settings.block, settings.lease / 3) + 2)
        self.side = Line("side")
        self.bell: Bell  # the keeper's
        self.wake: Bell  # the listener's
        self.state, self.error = "new", ""
        self.server: str | None = None  # its version, as it told it
        self.handled = self.failures = self.claims = self.settled = 0
        self.joint: Line | None = None  # on which the member waits for news of several topics at once
        self.shares = False  # whether it is one of several of a member
        self.others: Sequence[Hand] = ()  # those of the member's other topics
        self.stopping = self.paused = self.displaced = self.halted = False
        self.source: Any = None  # of its connections
        self.driver: Any = None  # performs what goes on none of the lines
        self.outlets: tuple[str, ...] = ()  # keys that outputs go to
        self.replies = True  # whether what handlers return may be a reply
        self.reply_to: Outlet | None = None  # where replies go that their entries say nothing of
        self.is_clustered = False  # only keys of one slot can be written in one step
        self.finished = False  # the keeper is to end
        self.abandoned = False  # the member is gone; the keeper gives everything back and ends
        self.draining = False  # no outage ends the listening before all is handled
        self.quitting = False  # nothing is said to the server any more
        self.asleep = False  # the keeper rests for long: the first note must wake it
        self.writers = 0  # raised by whoever takes notes
        self.fresh: deque[Any] = deque()
        self.taken: deque[Any] = deque()
        self.gathered: dict[Any, Batch] = {}  # by batch handler
        self.batch_of: Callable[[str], Any] = no_batch  # the batch handler for a type, while the member listens
        self.running: dict[int, Any] = {}  # by the address of the message or batch that runs beside others
        self.moving: AbstractContextManager[Any] = nullcontext()  # where handlers run in threads: held to move a message, or to find each once
        self.limits: set[Limit] = set()
        self.hasty = False  # all is to be renewed at the keeper's next turn
        self.wakes_at = NEVER  # when the keeper looks again by itself
        self.held: dict[str, object] = {}  # by id, in the user's hands
        self.acks: deque[str] = deque()
        self.notes: deque[Note] = deque()
        self.outputs: deque[Output] = deque()  # acknowledgements with something to be done in the same step
        self.owed: deque[Any] = deque()
        self.sent: deque[list[str]] = deque()
        self.sent_outputs: deque[list[Output]] = deque()
        self.flying: deque[str] = deque()
        self.empty()

    def empty(self, forgets_running: bool = True) -> None:
        """Nothing in hand; no I/O. (Also what a forked child does.) Handlers that outlast the listening may stay known, until they are through."""
        for things in (self.fresh, self.taken, self.gathered, self.limits, self.held):
            things.clear()
        if forgets_running:
            self.running.clear()
        for notes in (self.acks, self.notes, self.outputs, self.owed, self.sent, self.sent_outputs, self.flying):
            notes.clear()
        self.current: Any = None
        self.halfway: Any = None  # the message whose outputs have not come out of a pipe's loop as a whole
        self.sound: set[str] = set()  # keys of outlets that hold streams
        self.way = Way(self.settings.concurrency == 1)
        self.told: dict[bool, int] = {}  # entries told as skipped, of a group that has read nothing yet, and of one that has
        self.marked = False  # an entry came that was redriven for one group
        self.undecided: list[Any] = []  # whose loops were left in a `with` block
        self.timers: list[float] = []  # a heap: when to look at the waiting entries again
        self.long: dict[str, tuple[float, int]] = {}
        self.alone = self.full = self.dry = False
        self.blocked = False  # a read was written that waits for news
        self.singly = 0  # so many outputs go by themselves: one of them may be to a forbidden place
        self.in_full = True  # the server may not know the script of the outputs, and one that is refused would get behind others
        self.called = False  # something waits under the parking consumer and is due: a read that blocks is to end
        self.ahead = 0  # reads that were written before the batch in hand is handled; their replies lie unread
        self.down_since: float | None = None
        self.refused_since: float | None = None  # since when the server does not let the member in
        self.back_at = float("-inf")  # when the reading line was last opened again
        self.lost_at: float | None = None
        self.attempts = 0
        self.trouble: Any = None
        self.own: str | None = None
        self.cursors: dict[str, str] = {}
        self.stranger = "-"  # from where to look at what nobody renews
        self.renewed_at = self.filled_at = self.poll_at = self.claim_at = self.turned_at = 0.0
        self.look_at, self.delayed_at = 0.0, NEVER  # when the listener looks at the delayed entries, and when the keeper does
        self.unmoved = ""  # why the server does not let this member move them
        self.greeted_at = float("-inf")
        self.number, self.numbered = "", 0  # of the reading line's connection, and for which of its connections
        self.claimed_last = False
        self.limit: int | None = None
        self.patience = float("inf")  # until when to wait for a place
        self.work_began: float | None = None
        self.work_count = 0
        self.seated = False

    def halt(self, stopping: bool | None = None, paused: bool | None = None, displaced: bool | None = None) -> None:
        """Set the flags; nothing starts while `halted`."""
        self.stopping = self.stopping if stopping is None else stopping
        self.paused = self.paused if paused is None else paused
        self.displaced = self.displaced if displaced is None else displaced  # another member has its place
        self.halted = self.stopping or self.paused or self.displaced
        self.wake.ring()
        self.bell.ring()

    def look_again(self) -> None:
        """Drain: what waits, what others left and what is delayed belongs to it where that is due now, however lately it was looked for."""
        self.draining, self.look_at = True, 0.0
        if self.settings.ack != "none":
            self.poll_at = self.claim_at = 0.0

    # -- settling: from any thread, task or signal handler ------------------------------------------------------------------------------

    def ack(self, message: Any) -> bool:
        """Note an acknowledgement; whether this settlement was the first."""
        if not closes(message):
            return False
        self.acks.append(message.id)
        if self.asleep:
            self.bell.ring()
        release(message)
        return True

    def give(self, message: Any, commands: Sequence[Put]) -> bool:
        """Note that these commands are to be done in one step with the acknowledgement; whether this settlement was the first."""
        try:
            del message._open
        except AttributeError:
            return False
        self.outputs.append(Output(message, commands))
        if self.asleep:
            self.bell.ring()
        if hasattr(message, "_guard"):
            release(message)
        return True

    def note(self, note: Note) -> None:
        """Note what is not an acknowledgement; the keeper or the next write brings it to the server."""
        self.notes.append(note)
        if self.asleep:
            self.bell.ring()

    def park(self, message: Any, delay: float, deliveries: int) -> bool:
        """Note that the entry is to wait; whether this settlement was the first."""
        if not closes(message):
            return False
        self.note(Parking(message.id, delay, deliveries, orphan=message.orphan and deliveries == message.before, message=message))
        release(message)
        return True

    def bury(self, message: Any, reason: str, error: BaseException | None = None) -> bool:
        """Note that the entry is to go to the dead letters; whether this settlement was the first."""
        if not closes(message):
            return False
        self.note(Burial(message, reason, error))
        release(message)
        return True

    def extend(self, message: Any, now: float) -> bool:
        """Note that the delivery gets its full time again, and that all in hand is to be renewed soon; False where the message was settled."""
        if not message._is_open():
            return False
        limit = getattr(message, "_limit", None)
        if limit is not None:
            limit.ends = now + limit.seconds
        self.hasty = True
        self.bell.ring()
        return True

    # -- taking what is noted -----------------------------------------------------------------------------------------------------------

    def take_acks(self) -> list[str]:
        """The acknowledgements noted so far: they are the caller's now."""
        self.writers += 1
        taken: list[str] = []
        try:
            taken.extend(iter(self.acks.popleft, None))  # one step for each: what another writer takes meanwhile is not here
        except IndexError:
            return taken
        return taken

    def take_flying(self) -> list[str]:
        """As `take_acks`; they are in flight from before they are taken, so that another thread knows of them all the time."""
        before = list(self.acks)
        self.flying.extend(before)
        taken = self.take_acks()
        for entry_id in set(before).difference(taken):
            self.flying.remove(entry_id)
        self.flying.extend(set(taken).difference(before))
        return taken

    def take_notes(self) -> list[Note]:
        """The other notes so far: they are the caller's now."""
        taken = []
        try:
            while True:
                taken.append(self.notes.popleft())
        except IndexError:
            return taken

    def put_back(self, acks: Iterable[str] = (), notes: Iterable[Note] = ()) -> None:
        """Notes that did not reach the server wait for the next writer."""
        self.acks.extendleft(acks)
        self.notes.extendleft(notes)

    def forget_owed(self) -> None:
        """The reading line is down: what it owed is lost, and acknowledgements in doubt are sent again (XACK twice is harmless)."""
        self.owed.clear()
        self.ahead, self.blocked, self.called = 0, False, False
        while self.sent:
            self.put_back(self.sent.popleft())
        self.recall()
        self.in_full = True

    def recall(self) -> None:
        """Outputs that were sent on the reading line and not answered go again, in order and before the others; with `ack="none"` never, because they
        may be done."""
        while self.sent_outputs:
            notes = self.sent_outputs.pop()
            if self.settings.ack != "none":
                self.outputs.extendleft(note.doubted() for note in reversed(notes))
        self.way.end(self.reading)

    # -- looking ------------------------------------------------------------------------------------------------------------------------

    @property
    def is_noted(self) -> bool:
        """Whether anything is settled that nobody has brought to the server."""
        return bool(self.acks or self.notes or self.outputs)

    @property
    def in_hand(self) -> int:
        """How many entries wait or run here."""
        return sum(map(len, self.queues())) + sum(1 for _ in self.started())

    def lines(self) -> Sequence[Line]:
        """The lines on which entries come."""
        return (self.reading,) if self.joint is None else (self.reading, self.joint)

    def company(self) -> Sequence[Hand]:
        """The hands of the member: one for each of its topics."""
        return (self, *self.others)

    def holds_nothing(self) -> bool:
        """Whether nothing waits or runs here."""
        return not (self.fresh or self.taken or self.running or self.current or self.gathered)

    def queues(self, due: float = float("inf")) -> list[deque[Any]]:
        """Where messages wait for their start, the oldest first; of batches those that were due by then."""
        return [self.taken, *(batch.messages for batch in [*self.gathered.values()] if batch.due <= due), self.fresh]

    def unstarted(self) -> list[Any]:
        """The messages that wait for their start."""
        return [message for queue in self.queues() for message in list(queue)]

    def started(self) -> Iterator[Any]:
        """The messages that run."""
        for thing in (*self.running.values(), self.current):
            if thing is not None:
                yield from each_of(thing)

    def drop(self, message: Any) -> bool:
        """Take a message that waits for its start out of the hand; whether it was there."""
        with self.moving:
            queue = next((queue for queue in self.queues() if message in queue), None)
            if queue is not None:
                queue.remove(message)
        return queue is not None

    def known(self) -> set[str]:
        """The ids of all that is in hand or noted."""
        with self.moving:
            known = {message.id for message in (*self.unstarted(), *self.started(), *self.undecided)}
        known |= set(self.held) | set(self.acks) | set(self.flying)
        known.update(entry_of(note) for note in list(self.notes))
        known.update(entry_id for ids in list(self.sent) for entry_id in ids)
        known.update(note.message.id for notes in (list(self.outputs), *list(self.sent_outputs)) for note in notes)
        return known

    def event(self, name: str, **facts: Any) -> Event:
        """An event of this member."""
        return Event(name, self.settings.me, **facts, topic=self.settings.topic, group=self.settings.group)


def no_batch(type: str) -> None:
    """The batch handler for a type where nothing listens: none."""
