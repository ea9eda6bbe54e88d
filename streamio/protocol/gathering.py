"""Messages that wait for a batch handler: plain state, and who starts what.

1. What is gathered has not started: it is renewed, verified and given back like all that waits in hand, and its start is not counted yet.
2. A batch is due when `size` are gathered, `wait` seconds after its first one was, or when a drain finds nothing more. Redelivered messages are
   counted, all in one write, when it starts.
3. A message on its last permitted delivery is a batch of its own: an orphan, so that nobody is beside an entry that kills its process, and
   another one, so that nobody fails with an entry that cannot succeed.
4. Giving back and starting take message by message from `messages`, so that each gets what the other did not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .hand import Hand

ALWAYS = float("-inf")  # before any time: due at once


class Batch:
    """Messages for one batch handler: `messages` are gathered, `started` run."""

    def __init__(self, listener: Any, due: float, started: Iterable[Any] = ()) -> None:
        self.listener, self.due = listener, due
        self.messages: deque[Any] = deque()
        self.started: list[Any] = list(started)

    def __iter__(self) -> Iterator[Any]:
        return iter([*self.messages, *self.started])

    def __len__(self) -> int:
        return len(self.messages) + len(self.started)

    def start(self) -> list[Any]:
        """All that is gathered: it runs from now on."""
        self.started.extend(emptied(self.messages))
        return self.started


def emptied(queue: deque[Any]) -> Iterator[Any]:
    """All that is in the queue, taken from it one by one: what another thread takes meanwhile does not come."""
    try:
        while True:
            yield queue.popleft()
    except IndexError:
        return


def each_of(thing: Any) -> Iterable[Any]:
    """The messages of what runs: a batch's, or the one that it is."""
    return thing if isinstance(thing, Batch) else (thing,)


def is_last(hand: Hand, message: Any) -> bool:
    """Whether a redelivered message is on its last permitted delivery, so that it is handled by itself."""
    return bool(message.before + 1 >= hand.settings.retry.max_deliveries and (message.orphan or message.before))


def gather(hand: Hand, listener: Any, message: Any, now: float) -> Batch:
    """Let the message wait for its batch handler; the batch."""
    batch = hand.gathered.get(listener)
    if batch is None:
        batch = hand.gathered[listener] = Batch(listener, ALWAYS)
    if not batch.messages:
        batch.due = now + listener.wait
    batch.messages.append(message)
    if len(batch.messages) >= listener.size:
        batch.due = ALWAYS
    return batch


def begin(hand: Hand, batch: Batch) -> list[Any]:
    """Start the batch, which is `current` or `running` already; what is in it."""
    if hand.gathered.get(batch.listener) is batch:
        del hand.gathered[batch.listener]
    return batch.start()


def batches(hand: Hand) -> list[Batch]:
    """The batches for which anything is gathered."""
    return [batch for batch in [*hand.gathered.values()] if batch.messages]


def due_at(hand: Hand) -> float:
    """When the next batch is to start."""
    return min((batch.due for batch in batches(hand)), default=float("inf"))


def hurried(hand: Hand) -> bool:
    """Let all batches start at once, because nothing more comes; whether there are any."""
    waiting = batches(hand)
    for batch in waiting:
        batch.due = ALWAYS
    return bool(waiting)


def lacking(hand: Hand) -> int:
    """How many messages the batch that lacks most still lacks."""
    return max((batch.listener.size - len(batch.messages) for batch in batches(hand)), default=0)
