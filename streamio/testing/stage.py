"""`Stage` and `AsyncStage`: a server for one test, a time that is made, and members that play in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Never, Self, cast

from ..codec import AnyCodec
from ..colour import Asyncio, Blocking, C, Coloured, operation
from ..dead_letters import DeadLetter
from ..drivers import asyncio as asyncio_driver
from ..drivers import blocking as blocking_driver
from ..drivers.embedded import client_from
from ..drivers.source import Source
from ..effects import Do, Exchange
from ..group import ConsumerGroupTopic
from ..ids import Duration
from ..member import ConsumerGroupMember
from ..message import Message
from ..pipes import Pipeline
from ..topic import Topic
from .errors import Killed, NeverSettles
from .harm import Harming, in_seconds
from .outcomes import Looking, Outcome
from .scene import Scene
from .server import AsideConnection
from .trace import Trace

SETTLED = ("acknowledged", "buried")
MOST_ROUNDS = 10  # of `settle` that change nothing
SOON = 0.05  # seconds that pass at least from one round to the next
Player = ConsumerGroupMember[C, Any] | Pipeline[C] | Callable[[], Any]


class Acting(Harming, Coloured[C]):
    """What `Stage` and `AsyncStage` share.

    now       when the stage's time begins, a datetime (default: now); it stands still from then on
    patience  seconds of real time that handlers in threads or tasks of their own may take until `NeverSettles` tells that the play does not end
    strict    whether leaving the stage is an AssertionError where a fault that was asked for was never met

    url       the address of the stage's server, `memory://stage-...`, for code that makes its topics itself; the fixtures put it into $REDIS_URL
    redis     a plain blocking client of the stage's server, for looking and for doing harm (`stage.redis.flushall()`); faults do not concern it
    trace     what happened, line by line, for people: `print(stage.trace)`
    """

    _client: Any = None

    def __init__(self, *, now: datetime | None = None, patience: float = 10.0, strict: bool = True) -> None:
        began = time.time() if now is None else now.timestamp()
        self._scene = Scene(round(began, 3), patience)
        self.url, self._strict = f"memory://{self._scene.name}", strict
        self.redis: Any = client_from(self.url, False, connection_class=AsideConnection, decode_responses=True)
        self._scene.aside = self.redis
        self._looking = Looking(self._scene)
        self._driver = self._made_driver()

    def _made_driver(self) -> Any:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}, {self._scene.clock.now - self._scene.began:g} s after its beginning>"

    # -- who and what is there -----------------------------------------------------------------------------------------------------------------

    @property
    def client(self) -> Any:
        """A client of the stage's server, of the stage's colour."""
        if self._client is None:
            self._client = client_from(self.url, self._is_asyncio)
        return self._client

    def topic(
        self, name: str, *, type: Any = None, codec: AnyCodec | None = None, maxlen: int | None = None, max_age: Duration | None = None
    ) -> Topic[C]:
        """A topic on this stage, with the options of `Topic`."""
        topic: Any = Topic(name, self.client, type=type, codec=codec, maxlen=maxlen, max_age=max_age)
        self._looking.codecs[name] = topic.codec
        return cast("Topic[C]", topic)

    @property
    def now(self) -> datetime:
        """What time it is on the stage, in UTC."""
        return datetime.fromtimestamp(self._scene.clock.now, UTC)

    @property
    def trace(self) -> Trace:
        """What happened so far: commands, events of members, and what the stage did."""
        return self._scene.trace

    # -- playing -------------------------------------------------------------------------------------------------------------------------------

    @operation
    def play(self, who: Player[C] | Sequence[Player[C]], *entries: Any) -> Exchange[list[Outcome]]:
        """Publish the entries and let a member handle what is due now; what became of these entries, or, where none are given, of all in its groups.

        who       a member (its listeners are called), a pipe, a function that runs one (a loop, `connect_and_listen`: stopped when nothing is due any
                  more), or several of these, which play one after the other until all have had what is due
        entries   as those of `publish_many`: ("order.placed", {"customer": "Ada"}), or dicts with a `type`; to the topic of the first member
        """
        players = self._players(who)
        self._scene.jumps = 0
        ids = yield from self._publishing(players[0], entries)
        for each in players:
            yield from self._turn(each)
        return self._those(players, ids)

    @operation
    def settle(self, who: Player[C] | Sequence[Player[C]], *entries: Any) -> Exchange[list[Outcome]]:
        """As `play`, and let time pass until every entry is acknowledged or buried: retries, leases of the dead, delayed entries; what became of
        them. `NeverSettles`, with what is left and why, where that never comes."""
        players = self._players(who)
        ids = yield from self._publishing(players[0], entries)
        known, same, left, due = "", 0, list[Outcome](), cast("float | None", None)
        while same < MOST_ROUNDS:
            self._scene.jumps = 0
            for each in players:
                yield from self._turn(each)
            left, due = self._left(players)
            if due is None:
                break
            yield from self._passing(max(SOON, due))
            states = f"{[(each.id, each.state, each.deliveries) for each in left]} {self._looking.delayed()}"
            known, same = states, same + 1 if states == known else 0
        if left or due is not None:
            raise NeverSettles(f"this is never settled:\n{lines(left) or '  a delayed entry that nobody moves'}\n\n{self.trace.end()}")
        return self._those(players, ids)

    def _left(self, players: Sequence[Any]) -> tuple[list[Outcome], float | None]:
        """What is not settled, and in how many seconds the first of it, or of what is delayed, is due."""
        left = [each for each in self._those(players, []) if each.state not in SETTLED]
        return left, min([*self._looking.delayed(), *(each.due for each in left if each.due is not None)], default=None)

    @operation
    def pass_time(self, seconds: Duration = 0, *, minutes: float = 0, hours: float = 0, days: float = 0) -> Exchange[None]:
        """Let time pass, at once: nobody sleeps. Called by a handler, it is what the handler takes: leases are renewed meanwhile, as they would be,
        and `handler_timeout` ends it."""
        yield from self._passing(in_seconds(seconds) + in_seconds(60 * minutes + 3600 * hours + 86400 * days))

    def _passing(self, whole: float) -> Exchange[None]:
        yield from self._scene.passing(whole, self._driver)
        self._scene.nudge()

    @contextmanager
    def answering(self, *members: Player[C]) -> Generator[None]:
        """Within the block these play whenever somebody waits: for `topic.request(...)`, called by the test or by the code under test."""
        cast: Any = [lambda each=each: self._driver.run(self._turn(each)) for each in members]
        self._scene.cast += cast
        try:
            yield
        finally:
            self._scene.cast = [play for play in self._scene.cast if play not in cast]

    def _players(self, who: Any) -> Sequence[Any]:
        """Those who are to play, checked."""
        players = who if isinstance(who, Sequence) else [who]
        for each in players:
            member = each.member if isinstance(each, Pipeline) else each
            if not isinstance(member, ConsumerGroupMember) and not callable(member):
                raise TypeError(f"a member, a pipe or a function can play, not {member!r}")
            if isinstance(member, ConsumerGroupMember) and getattr(member._driver, "scene", None) is not self._scene:
                raise ValueError(f"{member!r} is not on this stage: make its topic by stage.topic(...), or with stage.client or stage.url")
        return players

    def _publishing(self, first: Any, entries: Sequence[Any]) -> Exchange[list[str]]:
        """Publish the entries of a play to its first player's topic; their ids."""
        if not entries:
            return []
        groups = groups_of(first)
        if len(groups) != 1:
            raise ValueError(f"{first!r} reads no one topic: publish to the one you mean, topic.publish(...), and play without entries")
        topic = groups[0].topic
        self._looking.codecs.setdefault(topic.name, topic.codec)
        ids: list[str] = yield Do(lambda: topic.publish_many(entries))
        return ids

    def _turn(self, player: Any) -> Exchange[None]:
        """Let one play, to the end or to its death."""
        member = player.member if isinstance(player, Pipeline) else player
        lifecycle = getattr(member, "lifecycle", None)
        play: Any = player if lifecycle is None else partial(player.drain, retries=False)
        self._scene.players.append(lifecycle)
        try:
            yield Do(play)
        except Killed:
            self._scene.note("stage", "the process is dead; what it had is pending until its lease ends")
        finally:
            self._scene.players.remove(lifecycle)

    # -- looking -------------------------------------------------------------------------------------------------------------------------------

    def entries(self, of: Any = None) -> list[Outcome]:
        """What became of all entries in the groups of this member, pipe, group or topic, in the order of the stream; None: of all groups."""
        return [outcome for topic, group in self._groups(of) for outcome in self._looking.outcomes(topic, group)]

    def published(self, topic: Topic[Any] | str) -> list[Message[Any]]:
        """All that stands in a topic, whoever published it: messages with `type`, `data` and `headers`."""
        if isinstance(topic, Topic):
            self._looking.codecs[topic.name] = topic.codec
        return self._looking.messages(topic if isinstance(topic, str) else topic.name)

    def dead_letters(self, of: Any = None) -> list[DeadLetter[Any]]:
        """The dead letters of the groups of this member, pipe, group or topic; None: of all groups."""
        return [letter for topic, group in self._groups(of) for letter in self._looking.letters(topic, group)]

    def assert_all_settled(self, of: Any = None) -> None:
        """An AssertionError that names every entry that is neither acknowledged nor buried."""
        left = [outcome for outcome in self.entries(of) if outcome.state not in SETTLED]
        if left:
            raise AssertionError(f"{len(left)} not settled:\n{lines(left)}\n\n{self.trace.end()}")

    def _groups(self, of: Any) -> list[tuple[str, str]]:
        """The topics and names of these groups."""
        if of is None:
            return self._looking.groups()
        if isinstance(of, Topic):
            return [each for each in self._looking.groups() if each[0] == of.name]
        return [(group.topic.name, group.name) for group in groups_of(of)]

    def _those(self, players: Sequence[Any], ids: Sequence[str]) -> list[Outcome]:
        """What became of these entries; of all in the players' groups where there are no ids."""
        known = [player for player in players if groups_of(player)]
        groups = dict.fromkeys(pair for player in known for pair in self._groups(player)) if known else self._looking.groups()
        found = [outcome for topic, group in groups for outcome in self._looking.outcomes(topic, group)]
        return [outcome for outcome in found if outcome.id in ids] if ids else found

    # -- the end ---------------------------------------------------------------------------------------------------------------------------------

    def close(self, strict: bool | None = None) -> None:
        """End the stage. An AssertionError where a fault that was asked for was never met (`strict`)."""
        self._scene.server.close()
        self.redis.close()
        unmet = [str(fault) for fault in self._scene.server.faults if not fault.met]
        if unmet and (self._strict if strict is None else strict):
            raise AssertionError(f"the stage was to {', '.join(unmet)}, and no such command came\n\n{self.trace.end()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self.close(None if error is None else False)

    if not TYPE_CHECKING:  # (type checkers refuse it by themselves)

        async def __aenter__(self) -> Never:
            raise TypeError(f"a stage is there at once, in asyncio too: write `with {type(self).__name__}()` instead of `async with`")

        async def __aexit__(self, *error: object) -> None:
            """Never reached."""


class Stage(Acting[Blocking]):
    """A stage for blocking code: `with Stage() as stage:`, or the fixture `stage`. See `Acting` for its options."""

    def _made_driver(self) -> Any:
        return blocking_driver.Blocking(Source(self.redis), "stage")


class AsyncStage(Acting[Asyncio]):
    """A stage for asyncio: `play`, `settle` and `pass_time` are awaited. `with AsyncStage() as stage:`, or the fixture `async_stage`."""

    def _made_driver(self) -> Any:
        return asyncio_driver.Asyncio(Source(client_from(self.url, True)), "stage")


def groups_of(thing: Any) -> Sequence[ConsumerGroupTopic[Any]]:
    """The groups of a member, a pipe, or a group itself; none of a function."""
    if isinstance(thing, ConsumerGroupTopic):
        return [thing]
    member = thing.member if isinstance(thing, Pipeline) else thing
    return list(member.groups) if isinstance(member, ConsumerGroupMember) else []


def lines(outcomes: Sequence[Outcome]) -> str:
    """Each on a line."""
    return "\n".join(f"  {outcome!r}" for outcome in outcomes)
