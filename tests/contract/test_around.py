"""What stands around handlers: `around` and `around_batch`."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from streamio import RetryPolicy, Topic

from ..world import World

pytestmark = pytest.mark.asyncio


class Seen:
    """What happened, in order."""

    def __init__(self) -> None:
        self.what: list[str] = []

    def around(self, name: str) -> Any:
        """A generator function that notes its ends."""

        def noted(message: Any) -> Any:
            self.what.append(f"{name}+")
            try:
                yield
            except BaseException as error:
                self.what.append(f"{name}!{type(error).__name__}")
                raise
            self.what.append(f"{name}-")

        return noted

    def handler(self, name: str = "handler", error: Exception | None = None) -> Any:
        """A listener that notes that it was called."""

        def handle(message: Any) -> None:
            self.what.append(name)
            if error is not None:
                raise error

        return handle


async def filled(w: World, count: int = 1, **options: Any) -> tuple[Any, Any]:
    """A group with entries, and a member of it."""
    topic = w.topic()
    await w.do(topic.publish_many(("a", {"n": n}) for n in range(count)))
    group = w.group(topic, retry=RetryPolicy(max_deliveries=2, backoff=(0.01, 0.01), jitter=0))
    return group, w.member(group, **options)


@pytest.mark.parametrize("options", [{}, {"concurrency": 2}, {"handler_timeout": 5}, {"concurrency": 2, "handler_timeout": 5}])
async def test_the_groups_stand_outside_of_the_members_and_all_around_the_listeners(w: World, options: Any) -> None:
    group, member = await filled(w, **options)
    seen = Seen()
    group.on("a", seen.handler("first"))
    member.on("a", seen.handler("second"))
    member.around(seen.around("inner"))
    group.around(seen.around("outer"))
    assert await w.do(member.drain()) == 1
    assert seen.what == ["outer+", "inner+", "first", "second", "inner-", "outer-"]


@pytest.mark.parametrize("options", [{}, {"concurrency": 2, "handler_timeout": 5}])
async def test_what_a_handler_raises_passes_through(w: World, options: Any) -> None:
    group, member = await filled(w, **options)
    seen = Seen()
    member.on("a", seen.handler(error=KeyError()))
    member.around(seen.around("x"))
    await w.do(member.drain())
    assert seen.what == ["x+", "handler", "x!KeyError"] * 2
    assert (await w.do(group.dead_letters.length())) == 1


async def test_what_it_raises_itself_fails_the_delivery(w: World) -> None:
    group, member = await filled(w)
    seen, errors = Seen(), []
    member.on("a", seen.handler())
    member.lifecycle.on("failed", lambda event: errors.append(event.error))

    @member.around
    def broken(message: Any) -> Any:
        raise OSError(message.type)

    await w.do(member.drain())
    assert seen.what == []
    assert [str(error) for error in errors] == ["a", "a"]


async def test_what_it_swallows_is_success(w: World) -> None:
    group, member = await filled(w)

    @member.around
    @contextmanager
    def forgiving(message: Any) -> Any:
        try:
            yield
        except KeyError:
            return

    member.on("a", Seen().handler(error=KeyError()))
    await w.do(member.drain())
    assert (await w.do(member.info())).handled == 1
    assert w.pending(group) == []


async def test_it_stands_around_the_body_of_a_loop(w: World) -> None:
    _, member = await filled(w, 2)
    seen = Seen()
    member.around(seen.around("x"))
    async for _ in w.each(member):
        seen.what.append("body")
        if len(seen.what) > 3:
            member.stop()
    assert seen.what == ["x+", "body", "x-"] * 2


async def test_a_loop_that_is_left_shows_as_its_end(w: World) -> None:
    group, member = await filled(w)
    seen = Seen()
    member.around(seen.around("x"))
    loop = w.loop(member)
    await w.next(loop)
    del loop
    assert seen.what == ["x+", "x!GeneratorExit"]
    await w.do(member.flush())
    assert [consumer for _, consumer, _ in w.pending(group)] == ["~waiting"]


async def test_lines_that_are_read_at_once_are_through_with_that(w: World) -> None:
    if w.asyncio:
        pytest.skip("files are for blocking code")
    group, member = await filled(w, 3)
    seen = Seen()
    member.around(seen.around("x"))
    with member.open(timeout=0) as file:
        assert len(file.readlines(1)) == 1
    assert seen.what == ["x+", "x-"]
    member.flush()
    assert len(w.pending(group)) < 3


async def test_where_the_end_of_a_body_raises_the_entry_is_tried_again(w: World) -> None:
    group, member = await filled(w)

    @member.around
    def broken(message: Any) -> Any:
        yield
        raise OSError

    loop = w.loop(member)
    await w.next(loop)
    with pytest.raises(OSError):
        await w.next(loop)
    del loop
    await w.do(member.flush())
    assert [consumer for _, consumer, _ in w.pending(group)] == ["~waiting"]


@pytest.mark.parametrize("iterated", [False, True])
async def test_it_stands_around_the_steps_of_a_pipe(w: World, iterated: bool) -> None:
    _, member = await filled(w)
    seen = Seen()
    member.around(seen.around("x"))
    pipe = member | (lambda message: seen.what.append("step") or 1)
    if iterated:
        async for _ in w.each(pipe):
            member.stop()
    else:
        await w.do(pipe.drain())
    assert seen.what == ["x+", "step", "x-"]


async def test_a_step_that_raises_in_a_loop_passes_through(w: World) -> None:
    _, member = await filled(w)
    seen = Seen()
    member.around(seen.around("x"))

    def fail(message: Any) -> None:
        if message.deliveries == 2:
            member.stop()
        raise KeyError

    async for _ in w.each(member | fail):
        raise AssertionError
    assert seen.what == ["x+", "x!KeyError"] * 2


@pytest.mark.parametrize("options", [{}, {"concurrency": 2}])
async def test_batch_handlers_have_their_own(w: World, options: Any) -> None:
    _, member = await filled(w, 3, **options)
    seen, sizes = Seen(), []
    member.around(seen.around("one"))

    @member.around_batch
    @contextmanager
    def many(messages: Any) -> Any:
        sizes.append(len(messages))
        yield
        seen.what.append("left")

    member.on_batch(lambda messages: seen.what.append("batch"), size=3, wait=5)
    await w.do(member.drain())
    assert (sizes, seen.what) == ([3], ["batch", "left"])


async def test_what_was_removed_stands_around_nothing(w: World) -> None:
    _, member = await filled(w)
    seen = Seen()
    around = member.around(seen.around("x"))
    member.on("a", seen.handler())
    member.remove_around(around)
    await w.do(member.drain())
    assert seen.what == ["handler"]
    with pytest.raises(KeyError, match="does not stand"):
        member.remove_around(around)


async def test_a_clone_has_them_too(w: World) -> None:
    _, member = await filled(w)
    seen = Seen()
    member.around(seen.around("x"))
    member.on("a", seen.handler())
    clone = member.clone(block=0.1)
    w.things.append(clone)
    await w.do(clone.drain())
    assert seen.what == ["x+", "handler", "x-"]


@pytest.mark.parametrize("use", ["drain", "loop"])
async def test_of_several_groups_each_has_its_own(w: World, use: str) -> None:
    groups = [w.group(w.topic(name), name) for name in ("one", "two")]
    seen = Seen()
    for group in groups:
        await w.do(group.topic.publish("a"))
        group.around(seen.around(group.name))
    member = w.member(groups)
    member.around(seen.around("x"))
    if use == "drain":
        member.on("a", lambda message: seen.what.append(f"body {message.group}"))
        await w.do(member.drain())
    else:
        async for message in w.each(member):
            seen.what.append(f"body {message.group}")
            if sum(what.startswith("body") for what in seen.what) == 2:
                member.stop()
    expected = [[f"{name}+", "x+", f"body {name}", "x-", f"{name}-"] for name in ("one", "two")]
    assert [seen.what[:5], seen.what[5:]] in (expected, expected[::-1])


@pytest.mark.parametrize("options", [{}, {"concurrency": 2}, {"handler_timeout": 5}])
@pytest.mark.parametrize("kind", ["manager", "generator"])
async def test_in_asyncio_it_may_be_an_async_one(w: World, options: Any, kind: str) -> None:
    if not w.asyncio:
        pytest.skip("async context managers are for asyncio")
    _, member = await filled(w, **options)
    seen = Seen()

    async def noted(message: Any) -> Any:
        await asyncio.sleep(0)
        seen.what.append("x+")
        yield
        seen.what.append("x-")

    member.around(asynccontextmanager(noted) if kind == "manager" else noted)
    member.on("a", seen.handler())
    await w.do(member.drain())
    assert seen.what == ["x+", "handler", "x-"]


async def test_around_a_loop_it_cannot_be_an_async_one(w: World) -> None:
    if not w.asyncio:
        pytest.skip("async context managers are for asyncio")
    _, member = await filled(w)

    @member.around
    async def noted(message: Any) -> Any:
        yield

    loop = w.loop(member)
    with pytest.raises(TypeError, match="async context manager"):
        await w.next(loop)


async def test_context_variables_set_around_a_handler_are_its_own(w: World) -> None:
    from contextvars import ContextVar

    variable: ContextVar[str] = ContextVar("variable", default="")
    _, member = await filled(w, 4, concurrency=2)
    found = []

    @member.around
    def set_it(message: Any) -> Any:
        assert variable.get() == ""
        token = variable.set(message.id)
        yield
        variable.reset(token)

    member.on("a", lambda message: found.append(variable.get() == message.id))
    await w.do(member.drain())
    assert found == [True] * 4


async def test_what_cannot_stand_around_is_refused() -> None:
    with Topic("refused", "memory://") as topic:
        group = topic.group("g")

        async def generator(message: Any) -> Any:
            yield

        async def coroutine(message: Any) -> Any:
            return None

        for wrong, words in ((generator, "async generator"), (coroutine, "coroutine function"), (7, "callable")):
            with pytest.raises(TypeError, match=words):
                group.around(wrong)  # type: ignore[call-overload]
