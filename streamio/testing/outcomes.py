"""What became of entries, as the server knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ..dead_letters import DeadLetter
from ..keys import WAITING, is_side_stream
from ..message import Message
from ..topic import Topic

if TYPE_CHECKING:
    from .scene import Scene


MOST = 1_000_000  # pending entries


class Fate(NamedTuple):
    """What became of one entry in one group."""

    state: str
    deliveries: int
    consumer: str | None
    due: float | None
    letter: DeadLetter[Any] | None


class Outcome:
    """One entry, and what became of it in one group: each look is a look at the server, so it changes as the play goes on.

    id, type, data   the entry's
    state         "acknowledged"; "waiting" (it failed or was given back, and is nobody's until it is due); "pending" (a member has it: one that is
                  at work, or was killed); "buried" (it is a dead letter); "unread" (the group has not read it); "gone" (it was trimmed unread)
    deliveries    how often it was delivered; None where the server does not know any more (acknowledged)
    due           seconds until it may be handled again: what is left of its wait, or of a dead member's lease; None where it is not pending
    consumer      the member that has it
    reason        why it was buried
    errors        what its handlers raised on this stage, in order; `error` is the last of them
    """

    def __init__(self, looking: Looking, group: str, message: Message[Any] | None, id: str, topic: str) -> None:
        self.id, self.topic, self.group, self._looking, self._message = id, topic, group, looking, message

    def __repr__(self) -> str:
        fate, facts = self._fate, list[str]()
        if fate.consumer is not None:
            facts.append(f"by {fate.consumer}")
        if fate.deliveries:
            facts.append(f"delivered {'once' if fate.deliveries == 1 else f'{fate.deliveries} times'}")
        if fate.due is not None:
            facts.append("due now" if fate.due <= 0 else f"due in {fate.due:g} s")
        if self.reason is not None:
            facts.append(f"as {self.reason}")
        if self.error is not None:
            facts.append(f"after {type(self.error).__name__}: {self.error}")
        return f"<{self.type} {self.id} of {self.topic}/{self.group}: {', '.join([fate.state, *facts])}>"

    @property
    def _fate(self) -> Fate:
        return self._looking.fate(self.topic, self.group, self.id)

    @property
    def type(self) -> str:
        """The entry's type; of one that left the stream what its dead letter says."""
        letter = self._fate.letter
        return self._message.type if self._message is not None else letter.type if letter is not None else "(gone)"

    @property
    def data(self) -> Any:
        """The entry's payload, decoded as its topic says."""
        letter = self._fate.letter
        return self._message.data if self._message is not None else letter.data if letter is not None else None

    def __getitem__(self, name: Any) -> Any:
        return self.data[name]

    @property
    def state(self) -> str:
        """One of "acknowledged", "waiting", "pending", "buried", "unread" and "gone"."""
        return self._fate.state

    @property
    def deliveries(self) -> int | None:
        """How often it was delivered; None where the server has forgotten."""
        return self._fate.deliveries or None

    @property
    def consumer(self) -> str | None:
        """The member that has it, or had it when it was buried."""
        fate = self._fate
        return fate.letter.consumer if fate.letter is not None else fate.consumer

    @property
    def due(self) -> float | None:
        """Seconds until it may be handled again; None where it is not pending."""
        return self._fate.due

    @property
    def reason(self) -> str | None:
        """Why it was buried."""
        letter = self._fate.letter
        return letter.reason if letter is not None else None

    @property
    def errors(self) -> list[BaseException]:
        """What its handlers raised on this stage."""
        return [*self._looking.scene.errors.get((self.topic, self.group, self.id), ())]

    @property
    def error(self) -> BaseException | None:
        """The last of them; None where there was none."""
        return self.errors[-1] if self.errors else None


class Looking:
    """Looks at the stage's server from aside."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.client = scene, scene.aside
        self.codecs: dict[str, Any] = {}

    def topic(self, name: str) -> Any:
        """A topic to look at: blocking in both colours, with the codec that members or the stage's topic have."""
        hands = [driver.hand for driver in self.scene.drivers if driver.hand is not None and driver.hand.settings.topic == name]
        codec = self.codecs.get(name, hands[0].settings.codec if hands else None)
        return Topic(name, self.client) if codec is None else Topic(name, self.client, codec=codec)

    def groups(self) -> list[tuple[str, str]]:
        """All groups on the stage, with their topics."""
        keys = sorted(key for key in self.client.scan_iter(_type="STREAM") if not is_side_stream(key))
        return [(key, str(group["name"])) for key in keys for group in self.client.xinfo_groups(key)]

    def messages(self, topic: str) -> list[Message[Any]]:
        """All that the stream holds."""
        found: Any = self.topic(topic)
        with found:
            return list(found.replay())

    def letters(self, topic: str, group: str) -> list[DeadLetter[Any]]:
        """A group's dead letters."""
        found: Any = self.topic(topic)
        with found:
            return list(found.group(group).dead_letters)

    def outcomes(self, topic: str, group: str) -> list[Outcome]:
        """All entries of a stream as one group sees them, and those that left it and stand in the dead letters or are pending."""
        messages = {message.id: message for message in self.messages(topic)}
        buried = [letter.entry_id for letter in self.letters(topic, group) if letter.entry_id]
        ids = dict.fromkeys([*messages, *buried, *self.held(topic, group)])
        return [Outcome(self, group, messages.get(id), id, topic) for id in sorted(ids, key=place_of)]

    def held(self, topic: str, group: str) -> list[str]:
        """The ids of what is pending in the group."""
        if not self.scene.has_group(topic, group):
            return []
        return [str(row["message_id"]) for row in self.client.xpending_range(topic, group, "-", "+", MOST)]

    def lease(self, topic: str, group: str) -> float:
        """The group's lease, as its members have it."""
        leases = [each.hand.settings.lease for each in self.scene.drivers if each.hand is not None and belongs(each.hand, topic, group)]
        return leases[-1] if leases else 30.0

    def fate(self, topic: str, group: str, id: str) -> Fate:
        """What became of this entry."""
        facts = next((each for each in self.client.xinfo_groups(topic) if each["name"] == group), None) if self.client.exists(topic) else None
        row = next(iter(self.client.xpending_range(topic, group, id, id, 1)), None) if facts is not None else None
        if row is not None:
            return self.pending(topic, group, id, row)
        letter = next((each for each in reversed(self.letters(topic, group)) if each.entry_id == id), None)
        if letter is not None:
            return Fate("buried", letter.deliveries, None, None, letter)
        if facts is not None and place_of(id) <= place_of(facts["last-delivered-id"]):
            return Fate("acknowledged", 0, None, None, None)
        return Fate("unread" if self.client.xrange(topic, id, id) else "gone", 0, None, None, None)

    def pending(self, topic: str, group: str, id: str, row: dict[str, Any]) -> Fate:
        """The fate of a pending entry."""
        owner, idle, deliveries = row["consumer"], row["time_since_delivered"], row["times_delivered"]
        wait = self.scene.long.get((topic, group, id))
        due = self.lease(topic, group) - idle / 1000 if wait is None else wait[0] - self.scene.clock.now
        left = max(0.0, round(due, 3))
        return Fate("waiting", deliveries, None, left, None) if owner == WAITING else Fate("pending", deliveries, str(owner), left, None)

    def delayed(self) -> list[float]:
        """In how many seconds the first delayed entry of each topic is due."""
        keys = self.client.scan_iter(match="*:delayed:*", _type="ZSET")
        scores = [score for key in keys for _, score in self.client.zrange(key, 0, 0, withscores=True)]
        return [score / 1000 - self.scene.clock.now for score in scores]


def belongs(hand: Any, topic: str, group: str) -> bool:
    """Whether this is the hand of a member of that group."""
    return bool((hand.settings.topic, hand.settings.group) == (topic, group))


def place_of(id: str) -> tuple[int, ...]:
    """What ids are ordered by."""
    return tuple(map(int, id.split("-")))
