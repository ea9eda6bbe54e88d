"""`once_per`: a handler's effect is had once for each key, whoever dies in between, or it is said that nobody knows."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from streamio import RetryPolicy
from streamio.errors import Unanswered
from streamio.guarding import again
from streamio.guards import finish, take_back
from streamio.keys import WAITING, side_key

from ..world import World
from .gates import Gate

pytestmark = pytest.mark.asyncio
SOON = RetryPolicy(max_deliveries=3, backoff=(0.02, 0.02))


def guarded(w: World, member, effects: list, key="order", act=None, **options):
    """A guarded handler that writes down its effect, and then does what `act` does."""

    def charge(message):
        effects.append(message["order"])
        return None if act is None else act(message)

    return member.on("order", member.once_per(key, **options)(coloured(w, charge)))


def coloured(w: World, function):
    """The function, as a coroutine function of that name in asyncio."""

    async def in_asyncio(message):
        return function(message)

    in_asyncio.__name__ = function.__name__
    return in_asyncio if w.asyncio else function


def key_of(group, key: str, name: str = "charge") -> str:
    """The Redis key of a guard."""
    return side_key(group.topic.name, "once", group.name, name, key)


def guard_of(w: World, group, key: str, name: str = "charge") -> str | None:
    """What stands in the guard of a key."""
    return w.raw.get(key_of(group, key, name))


def dead(w: World, group) -> list[str]:
    """The reasons of the group's dead letters."""
    return [row["dead:reason"] for _, row in w.raw.xrange(side_key(group.topic.name, "dead", group.name))]


async def begun(w: World, group, key: str = "A") -> str:
    """An entry whose handler began in a member that died: it is pending, and its guard says so."""
    await w.do(group.create())
    entry_id = await w.do(group.topic.publish("order", order=key))
    w.raw.xreadgroup(group.name, "dead", {group.topic.name: ">"})
    w.raw.set(key_of(group, key), f"begun {entry_id}", px=60_000)
    w.age(group, "dead", 100)
    return entry_id


async def test_two_entries_with_one_key_have_one_effect(w: World) -> None:
    group, effects = w.group(), []
    member = w.member(group)
    guarded(w, member, effects)
    first, *_ = await w.do(group.topic.publish_many([("order", {"order": key}) for key in ("A", "B", "A", "A")]))
    assert await w.do(member.drain()) == 4
    assert (effects, guard_of(w, group, "A")) == (["A", "B"], f"done {first}")
    assert 80_000_000 < w.raw.pttl(key_of(group, "A")) <= 86_400_000
    assert w.pending(group) == []


async def test_the_key_may_be_a_function_and_the_window_be_chosen(w: World) -> None:
    group, effects = w.group(), []
    member = w.member(group)
    guarded(w, member, effects, key=lambda message: int(message["n"]), window=0.05)
    await w.do(group.topic.publish("order", order="A", n=7))
    await w.do(member.drain())
    assert effects == ["A"]
    assert w.raw.pttl(key_of(group, "7")) <= 50
    await w.until(lambda: guard_of(w, group, "7") is None)
    await w.do(group.topic.publish("order", order="B", n=7))
    await w.do(member.drain())
    assert effects == ["A", "B"]


async def test_a_handler_that_raises_is_tried_again(w: World) -> None:
    group, effects = w.group(retry=SOON), []
    member = w.member(group)

    def act(message):
        if message.deliveries < 3:
            raise ConnectionError("the bank is closed")

    guarded(w, member, effects, act=act)
    await w.do(group.topic.publish("order", order="A"))
    assert await w.do(member.drain()) == 1
    assert (effects, dead(w, group), w.pending(group)) == (["A"] * 3, [], [])


@pytest.mark.parametrize(("in_doubt", "ran", "reasons"), [("bury", 0, 1), ("run", 1, 0), ("skip", 0, 0)])
async def test_what_began_and_left_no_word_is_treated_as_is_asked_for(w: World, in_doubt: str, ran: int, reasons: int) -> None:
    group, effects = w.group(lease=1, claim_interval=0.05), []
    await begun(w, group)
    member = w.member(group)
    guarded(w, member, effects, in_doubt=in_doubt)
    async with w.listening(member):
        await w.until(lambda: not w.pending(group))
    assert (len(effects), len(dead(w, group))) == (ran, reasons)
    assert all(reason.startswith("in doubt") for reason in dead(w, group))


async def test_an_entry_in_doubt_that_is_redriven_runs(w: World) -> None:
    group, effects = w.group(lease=1, claim_interval=0.05), []
    await begun(w, group)
    member = w.member(group)
    guarded(w, member, effects)
    async with w.listening(member):
        await w.until(lambda: dead(w, group))
        assert effects == []
        await w.do(group.dead_letters.redrive())
        await w.until(lambda: effects and not w.pending(group))
    assert (effects, dead(w, group)) == (["A"], [])


async def test_other_entries_with_a_key_in_doubt_are_in_doubt_too(w: World) -> None:
    group, effects = w.group(lease=1, claim_interval=0.05), []
    await begun(w, group)
    member = w.member(group)
    guarded(w, member, effects)
    async with w.listening(member):
        await w.until(lambda: dead(w, group))
        await w.do(group.topic.publish("order", order="A"))
        await w.until(lambda: len(dead(w, group)) == 2)
    assert effects == []


async def test_an_entry_waits_while_another_one_with_its_key_is_handled_and_no_delivery_is_counted(w: World) -> None:
    group, effects = w.group(lease=0.5), []
    group_of_two, gate = [w.member(group), w.member(group)], Gate(w)

    async def charge_asyncio(message):
        effects.append(message["n"])
        await gate.sit_asyncio(message)

    def charge(message):
        effects.append(message["n"])
        gate.sit(message)

    for member in group_of_two:
        member.on("order", member.once_per("order", name="charge")(charge_asyncio if w.asyncio else charge))
    retrying = []
    for member in group_of_two:
        member.lifecycle.on("retrying", retrying.append)
    await w.do(group.topic.publish_many([("order", {"order": "A", "n": n}) for n in range(2)]))
    async with w.listening(*group_of_two):
        await w.until(lambda: retrying)
        assert len(effects) == 1 and retrying[0].message["n"] != effects[0]
        await w.until(lambda: [count for _, name, count in w.pending(group) if name == WAITING] == [0])
        gate.open()
        await w.until(lambda: not w.pending(group))
    assert len(effects) == 1


async def test_what_the_handler_settled_itself_stays_so(w: World) -> None:
    group, effects = w.group(), []
    member = w.member(group)
    guarded(w, member, effects, act=lambda message: message.bury("no such customer") if message["order"] == "A" else message.ack())
    await w.do(group.topic.publish_many([("order", {"order": key}) for key in "AB"]))
    await w.do(member.drain())
    assert (effects, dead(w, group), guard_of(w, group, "A")) == (["A", "B"], ["no such customer"], None)
    assert (guard_of(w, group, "B") or "").startswith("done")


async def test_a_member_that_lost_its_entry_says_that_it_is_done_and_the_next_acknowledges_it_unhandled(w: World) -> None:
    group, effects = w.group(lease=60), []
    member, told = w.member(group, "m"), []
    member.lifecycle.on("lease_lost", told.append)

    def steal(message):
        w.raw.execute_command("XCLAIM", group.topic.name, group.name, "thief", 0, message.id, "JUSTID")
        return "paid"

    handler = guarded(w, member, effects, act=steal)
    await w.do(group.create())
    entry_id = w.raw.xadd(group.topic.name, {"type": "order", "order": "A", "header:reply_to": w.key("replies")})
    await w.do(member.drain())
    assert guard_of(w, group, "A") == f'done {entry_id} "paid"'
    assert ([name for _, name, _ in w.pending(group)], w.raw.xlen(w.key("replies")), len(told)) == (["thief"], 0, 1)
    w.age(group, "thief", 100)
    async with w.listening(w.member(group, "other", handlers={"order": handler})):
        await w.until(lambda: not w.pending(group))
    assert (effects, dead(w, group), w.raw.xlen(w.key("replies"))) == (["A"], [], 1)


async def test_whoever_was_told_of_the_doubt_is_not_contradicted(w: World) -> None:
    group, effects = w.group(), []
    member = w.member(group)

    def doubt(message):
        w.raw.set(key_of(group, "A"), f"doubt {message.id}")

    guarded(w, member, effects, act=doubt)
    entry_id = await w.do(group.topic.publish("order", order="A"))
    await w.do(member.drain())
    assert (effects, guard_of(w, group, "A")) == (["A"], f"doubt {entry_id}")


async def test_a_window_that_ends_before_the_handler_does_is_no_doubt(w: World) -> None:
    group, effects = w.group(), []
    member = w.member(group)
    guarded(w, member, effects, act=lambda message: w.raw.delete(key_of(group, "A")) and None)
    entry_id = await w.do(group.topic.publish("order", order="A"))
    await w.do(member.drain())
    assert (effects, guard_of(w, group, "A")) == (["A"], f"done {entry_id}")


async def test_killed_before_the_acknowledgement_the_effect_is_had_once_and_nothing_is_in_doubt(w: World) -> None:
    group, effects = w.group(lease=1, claim_interval=0.05), []
    member = w.member(group)
    handler = guarded(w, member, effects, act=lambda message: "paid")
    entry_id = await w.do(group.topic.publish("order", order="A"))
    (message,) = await w.do(w.member(group, "dead").read(1))
    assert await w.do(handler(message)) == "paid"
    assert guard_of(w, group, "A") == f'done {entry_id} "paid"'
    w.age(group, "dead", 100)
    async with w.listening(member):
        await w.until(lambda: not w.pending(group))
    assert (effects, dead(w, group)) == (["A"], [])


@pytest.mark.parametrize("guarded_first", [True, False])
async def test_another_listener_that_raises_does_not_bring_the_effect_back(w: World, guarded_first: bool) -> None:
    group, effects, tries = w.group(retry=SOON), [], []
    member = w.member(group)

    def act(message):
        tries.append(message.deliveries)
        if len(tries) < 3:
            raise ConnectionError("no mail today")

    if not guarded_first:
        member.on("order", act)
    guarded(w, member, effects)
    if guarded_first:
        member.on("order", act)
    await w.do(group.topic.publish("order", order="A"))
    assert await w.do(member.drain()) == 1
    assert (effects, tries, dead(w, group), w.pending(group)) == (["A"], [1, 2, 3], [], [])


async def test_another_try_that_another_listener_asked_for_does_not_bring_the_effect_back(w: World) -> None:
    group, effects = w.group(retry=SOON), []
    member = w.member(group)
    member.on("order", lambda message: message.nack(0) if message.deliveries == 1 else None)
    guarded(w, member, effects)
    await w.do(group.topic.publish("order", order="A"))
    assert await w.do(member.drain()) == 1
    assert (effects, w.pending(group)) == (["A"], [])


async def test_that_it_is_done_is_said_again_where_the_answer_was_lost() -> None:
    for command in (finish("guard", "5-1", None, 60), take_back("guard", "5-1")):
        saying = again(command)
        assert next(saying).commands == [command.words]
        assert saying.throw(Unanswered(ConnectionError("reset"))).commands == [command.words]
        with pytest.raises(StopIteration):
            saying.send([1])


async def test_handlers_of_one_type_and_of_two_have_their_effects_each(w: World) -> None:
    group, effects = w.group(), []
    member = w.member(group)

    def handler(name):
        def handle(message):
            effects.append((name, message.type))

        handle.__name__ = name
        return member.once_per("order")(coloured(w, handle))

    member.on("order", handler("charge"))
    member.on("order", handler("mail"))
    member.on("refund", handler("refund"))
    await w.do(group.topic.publish_many([(type, {"order": "A"}) for type in ("order", "refund", "order", "refund")]))
    assert await w.do(member.drain()) == 4
    assert effects == [("charge", "order"), ("mail", "order"), ("refund", "refund")]
    assert all((guard_of(w, group, "A", name) or "").startswith("done") for name in ("charge", "mail", "refund"))


async def test_handlers_that_are_given_one_name_share_their_guards(w: World) -> None:
    group, effects = w.group(), []
    member = w.member(group)
    for type in ("order", "refund"):
        member.on(type, member.once_per("order", name="money: ä")(lambda message: effects.append(message.type)))
    await w.do(group.topic.publish_many([(type, {"order": "A"}) for type in ("order", "refund")]))
    await w.do(member.drain())
    assert effects == ["order"]
    assert (guard_of(w, group, "A", "money: ä") or "").startswith("done")


async def test_two_functions_that_happen_to_have_one_name_are_refused(w: World) -> None:
    member, effects = w.member(), []
    handler = guarded(w, member, effects)
    with pytest.raises(ValueError, match=r"has the name 'charge', too: give once_per\(\.\.\., name=\.\.\.\)"):
        guarded(w, member, effects)
    guarded(w, member, effects, name="charge again")
    member.once_per("order")(handler.__wrapped__)


async def test_a_key_that_is_none_is_the_entrys_failure(w: World) -> None:
    group, effects = w.group(retry=RetryPolicy(max_deliveries=1)), []
    member, failed = w.member(group), []
    guarded(w, member, effects, key="number")
    member.lifecycle.on("failed", failed.append)
    await w.do(group.topic.publish_many([("order", {"order": "A"}), ("order", {"order": "A", "number": ""})]))
    await w.do(member.drain())
    assert [type(event.error) for event in failed] == [KeyError, ValueError]
    assert (effects, dead(w, group)) == ([], ["failed"] * 2)


GIVEN = [None, 7, "text \u2028 ä", True, {"n": [1, {"of": None}]}, ("order.paid", {"n": 1}), [(1, 2), (3,)], ""]
KEPT = "x" * 9998  # with its quotes, the longest
NOT_KEPT = [b"\xff", {"raw": b""}, {"()": []}, KEPT + "x", object(), "\ud800"]


async def test_what_the_handler_returned_is_given_back_where_it_is_short_json(w: World) -> None:
    group, effects, values = w.group(), [], [*GIVEN, KEPT, *NOT_KEPT]
    member = w.member(group)
    handler = guarded(w, member, effects, act=lambda message: values[int(message["order"])])
    await w.do(group.topic.publish_many([("order", {"order": place // 2}) for place in range(2 * len(values))]))
    messages = await w.do(member.read(2 * len(values), timeout=5))
    for value, first, second in zip(values, messages[::2], messages[1::2], strict=True):
        assert await w.do(handler(first)) is value
        again = await w.do(handler(second))
        assert again == (None if any(value is each for each in NOT_KEPT) else value), value
        assert type(again) is type(value) or again is None
    assert len(effects) == len(values)


async def test_a_request_that_comes_twice_has_one_effect_and_the_same_reply(w: World) -> None:
    group, effects = w.group(), []
    member = w.member(group)
    guarded(w, member, effects, act=lambda message: {"charged": message["order"], "place": str(len(effects))})
    async with w.listening(member):
        replies = [await w.do(group.topic.request("order", order="A")) for _ in range(2)]
    assert replies == [{"charged": "A", "place": "1"}] * 2
    assert effects == ["A"]


async def test_a_guarded_function_is_a_step_of_a_pipe(w: World) -> None:
    group, effects, out = w.group(), [], w.topic("out")
    member = w.member(group)

    def charge(message):
        effects.append(message["order"])
        return ("paid", {"order": message["order"]})

    step = member.once_per("order")(coloured(w, charge))
    await w.do(group.topic.publish_many([("order", {"order": key}) for key in "ABA"]))
    assert await w.do(member.pipe(step, out).drain()) == 3
    assert effects == ["A", "B"]
    assert [fields for _, fields in w.raw.xrange(out.name)] == [{"type": "paid", "order": key} for key in "ABA"]


async def test_a_guarded_handler_is_called_with_a_message_of_a_group(w: World) -> None:
    member = w.member()
    handler = guarded(w, member, [])
    for other in ([], None, {"order": "A"}):
        with pytest.raises(TypeError, match="charge, which once_per guards, is called with one message"):
            await w.do(handler(other))
    await w.do(member.group.topic.publish("order", order="A"))
    async for message in w.each(member.group.topic.replay()):
        with pytest.raises(RuntimeError, match="without a group"):
            await w.do(handler(message))


@pytest.mark.parametrize(
    ("key", "options", "error"),
    [
        ("", {}, TypeError),
        (7, {}, TypeError),
        ("order", {"window": False}, TypeError),
        ("order", {"in_doubt": "ask"}, ValueError),
        ("order", {"name": ""}, ValueError),
        ("order", {"name": 7}, TypeError),
    ],
)
async def test_nonsense_is_refused_at_once(w: World, key, options, error) -> None:
    with pytest.raises(error):
        w.member().once_per(key, **options)


@pytest.mark.parametrize("window", [0, -1, -0.5, timedelta(0), timedelta(seconds=-1)])
async def test_a_window_that_is_none_is_refused_in_the_same_words(w: World, window) -> None:
    with pytest.raises(ValueError) as told:
        w.member().once_per("order", window=window)
    assert str(told.value) == f"window must be more than 0 seconds, not {window!r}"


async def test_the_decorator_without_its_key_is_refused_at_registration(w: World) -> None:
    member = w.member()
    for register in (member.on, member.once, member.add_listener, member.group.on, lambda event, f: member.on_batch(f, type=event)):
        with pytest.raises(TypeError, match=r'write @member\.once_per\("field"\)'):
            register("order", member.once_per(coloured(w, lambda message: None)))
    assert not member.any_listener()


async def test_what_is_no_function_cannot_be_guarded(w: World) -> None:
    member = w.member()
    for thing in (None, "order", member.once_per("order")):
        with pytest.raises(TypeError, match=r'write @member\.once_per\("field"\)'):
            member.once_per("order")(thing)

    def generating(message):
        yield message

    async def generating_asyncio(message):
        yield message

    for function in (generating, generating_asyncio):
        with pytest.raises(TypeError, match="generator function"):
            member.once_per("order")(function)


async def test_work_undone_that_a_guarded_handler_returned_is_a_failure_and_not_done(w: World) -> None:
    group, effects = w.group(retry=RetryPolicy(max_deliveries=1)), []
    member = w.member(group)
    guarded(w, member, effects, act=lambda message: (each for each in "abc"))
    await w.do(group.topic.publish("order", order="A"))
    await w.do(member.drain())
    assert (effects, dead(w, group), guard_of(w, group, "A")) == (["A"], ["failed"], None)


async def test_a_handler_without_a_name_is_given_one(w: World) -> None:
    class Charging:
        def __call__(self, message):
            return None

    member = w.member()
    with pytest.raises(TypeError, match=r"give once_per\(\.\.\., name=\.\.\.\)"):
        member.once_per("order")(Charging())
    member.on("order", member.once_per("order", name="charging")(Charging()))


async def test_a_guarded_handler_is_no_batch_handler(w: World) -> None:
    member = w.member()
    with pytest.raises(TypeError, match="not with on_batch"):
        member.on_batch(member.once_per("order")(coloured(w, lambda message: None)))
    assert not member.any_listener()


async def test_decorators_in_the_wrong_order_are_refused(w: World) -> None:
    member = w.member()
    for place, listen in enumerate((member.on("order"), member.group.on("order"), member.once("order"), member.on_batch(type="bulk"))):
        function = listen(coloured(w, lambda message: None))
        with pytest.raises(TypeError, match="listens to '(order|bulk)' already, unguarded: write once_per below on"):
            member.once_per("order", name=str(place))(function)


async def test_a_member_that_does_not_acknowledge_cannot_guard(w: World) -> None:
    for ack in ("manual", "none"):
        with pytest.raises(ValueError, match="ack='auto'"):
            w.member(ack=ack).once_per("order")


async def test_a_coroutine_function_on_a_blocking_member_is_refused(w: World) -> None:
    if w.asyncio:
        return

    async def charge(message):
        await asyncio.sleep(0)

    with pytest.raises(TypeError, match="coroutine function"):
        w.member().once_per("order")(charge)


@pytest.mark.parametrize(("age", "is_pending", "buried"), [(30, False, 1), (30, True, 0), (0.5, False, 0)])
async def test_a_key_whose_entry_was_put_aside_in_the_middle_keeps_nobody_waiting(w: World, age: float, is_pending: bool, buried: int) -> None:
    group, effects, waits = w.group(lease=5), [], []
    await w.do(group.create())
    other = await w.do(group.topic.publish("other"))
    w.raw.xreadgroup(group.name, "else", {group.topic.name: ">"})
    if not is_pending:
        w.raw.xack(group.topic.name, group.name, other)
    w.raw.set(key_of(group, "A"), f"begun {other}", px=round(60_000 - age * 1000))
    member = w.member(group)
    member.lifecycle.on("retrying", waits.append)
    guarded(w, member, effects, window=60)
    await w.do(group.topic.publish("order", order="A"))
    async with w.listening(member):
        await w.until(lambda: waits or w.raw.xlen(side_key(group.topic.name, "dead", group.name)))
    assert (effects, len(waits), w.raw.xlen(side_key(group.topic.name, "dead", group.name))) == ([], 1 - buried, buried)
