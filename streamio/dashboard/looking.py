"""The routes that only look."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ..colour import Asyncio
from ..dead_letters import letter_of
from ..group import ConsumerGroupTopic
from ..json_lines import json_line
from ..keys import WAITING
from ..topic import Topic
from .asking import Asked, query
from .board import Board
from .positions import first, last
from .reading import Wanted, pages, search
from .refusing import telling_errors
from .settings import Forbidden
from .showing import shown, shown_letter
from .telling import told_group, trouble
from .views import Answer

FEW = 10  # groups that are asked where none is named
Look = Callable[[Board, Asked], Awaitable[Any]]


def looking(look: Look) -> Callable[[Request], Awaitable[Response]]:
    """A route of a function that looks."""

    async def route(request: Request) -> Response:
        return await telling_errors(request.app.state.board, look, query(request))

    return route


async def state(board: Board, asked: Asked) -> Response:
    """The last sample and what belongs to it."""
    await board.sampler.fresh()
    return Answer(await board.state())


async def groups(board: Board, asked: Asked) -> Response:
    """A page of a topic's groups, the worst first: `match` is a part of their names."""
    name, match = asked.text("topic"), asked.text("match", "")
    offset, count = asked.number("offset", 0, 0, 10**9), asked.number("count", 50, 1, 500)
    sample = await board.sampler.fresh()
    found = [each for topic in (sample.topics if sample else ()) if topic.name == name for each in topic.groups if match in each.name]
    rows = sorted(found, key=trouble)[offset : offset + count]
    return Answer({"groups": [told_group(each) for each in rows], "total": len(found)})


async def history(board: Board, asked: Asked) -> Response:
    """The last quarter of an hour of a topic, and of a group."""
    name = board.checked(asked.text("topic"))
    await board.sampler.fresh()
    series = board.history.series(name, asked.text("group", "") or None)
    if "pending" in series:
        series["latency"] = [processing(*each) for each in zip(series["pending"], series["rate_out"])]
    return Answer(series)


def processing(pending: float | None, rate: float | None) -> float | None:
    """How many seconds an entry was in hand, by Little's law: how many are, divided by how many come in a second."""
    return pending / rate if pending is not None and rate else None


async def latency(board: Board, asked: Asked) -> Response:
    """How often the pending entries were delivered, and for how long members have had them: of the first 1000."""
    async with opened(board, asked) as (topic, group):
        rows = await group.pending(count=1000)
    held = sorted(each.idle for each in rows if each.consumer != WAITING)
    series = board.history.series(topic.name, group.name)
    means = [processing(*each) for each in zip(series.get("pending", ()), series.get("rate_out", ()))]
    return Answer(
        {
            "deliveries": {str(number): count for number, count in sorted(Counter(each.deliveries for each in rows).items())},
            "scanned": len(rows),
            "held": {"count": len(held), "p50": quantile(held, 0.5), "p95": quantile(held, 0.95)},
            "latency": {"mean": next((each for each in reversed(means) if each is not None), None), "by": "pending / rate out"},
        }
    )


def quantile(values: list[float], part: float) -> float | None:
    """The value that so large a part of the sorted values is not above."""
    return values[min(len(values) - 1, int(part * len(values)))] if values else None


async def entries(board: Board, asked: Asked) -> Response:
    """Entries between `start` and `end` (newest first with `reverse`), of a `type`, with `where=field=value`; how many were looked at for them."""
    name, reverse = board.checked(asked.text("topic")), asked.flag("reverse")
    count, whole = asked.number("count", 50, 1, 500), asked.flag("full")
    wanted = Wanted(asked.text("type", ""), conditions(asked, board.settings.mask), board.settings.mask)
    async with board.topic(name) as topic:
        bounds = await first(topic, asked.text("start", "start")), await last(topic, asked.text("end", "end"))
        found = await search(topic, bounds, reverse, 1 if whole else count, wanted)
    rows = [shown(name, each.id, each.fields, board.settings.mask, whole) for each in found.entries]
    return Answer({"entries": rows, "scanned": found.scanned, "next": found.next})


def conditions(asked: Asked, mask: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """The field and the value that are looked for. What is never shown cannot be guessed at either."""
    if not asked.has("where"):
        return ()
    name, equals, value = asked.text("where").partition("=")
    if not equals or not name:
        raise ValueError("where must be field=value")
    if name.removeprefix("header:") in mask:
        raise Forbidden(f"the values of field {name!r} are not shown, so they cannot be looked for")
    return ((name, value),)


async def export(board: Board, asked: Asked) -> Response:
    """All entries between two positions, whole, as lines of JSON."""
    name = board.checked(asked.text("topic"))
    async with board.topic(name) as topic:
        await topic.length()  # (what is no stream is told before the file begins)
        bounds = await first(topic, asked.text("start", "start")), await last(topic, asked.text("end", "end"))
    file = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "-_.") else "_" for sign in name)[:100]
    headers = {"Content-Disposition": f'attachment; filename="{file}.jsonl"'}
    return StreamingResponse(lines(board, name, bounds), media_type="application/x-ndjson", headers=headers)


async def lines(board: Board, name: str, bounds: tuple[Any, Any]) -> AsyncIterator[bytes]:
    """The lines, page by page."""
    async with board.topic(name) as topic:
        async for page in pages(topic, *bounds, False):
            board.sampler.touch()
            found = (json_line(shown(name, each.id, each.fields, board.settings.mask, True)) + "\n" for each in page)
            yield "".join(found).encode("utf-8", "backslashreplace")


async def pending(board: Board, asked: Asked) -> Response:
    """Pending entries of a group, or of the groups that have some; `due`: seconds until somebody else may claim the entry."""
    name, count = board.checked(asked.text("topic")), asked.number("count", 100, 1, 1000)
    idle, limit = asked.seconds("idle", 0), asked.seconds("lease", await board.lease(name))
    names = [asked.text("group")] if asked.has("group") else await board.busy(name, "pending", FEW)
    consumer = asked.text("consumer", "") or None
    rows: list[dict[str, Any]] = []
    async with board.topic(name) as topic:
        for each in names:
            found = await topic.group(each).pending(idle=idle, consumer=consumer, count=count)
            rows += [waiting(row, each, limit) for row in found]
    return Answer({"pending": rows[:count], "lease": limit})


def waiting(row: Any, group: str, limit: float) -> dict[str, Any]:
    """A pending entry as JSON."""
    due = 0.0 if row.free else max(0.0, limit - row.idle)
    return {"id": row.id, "group": group, "consumer": row.consumer, "idle": row.idle, "deliveries": row.deliveries, "due": due}


async def dead(board: Board, asked: Asked) -> Response:
    """Dead letters of a group, or of the groups that have some, newest first."""
    name, count = board.checked(asked.text("topic")), asked.number("count", 50, 1, 500)
    names = [asked.text("group")] if asked.has("group") else await board.busy(name, "dead", FEW)
    rows: list[dict[str, Any]] = []
    async with board.topic(name) as topic:
        for each in names:
            rows += await letters(board, topic, each, count)
    return Answer({"dead": sorted(rows, key=lambda row: row["ts"], reverse=True)[:count]})


async def letters(board: Board, topic: Topic[Asyncio, Any], group: str, count: int) -> list[dict[str, Any]]:
    """The group's newest dead letters as JSON."""
    info = await topic.group(group).dead_letters.info()
    async with board.topic(info.key) as stream:
        found = await search(stream, ("-", "+"), True, count, Wanted())
    flat = [(each.id, [word.decode("utf-8", "surrogateescape") for pair in each.fields for word in pair]) for each in found.entries]
    rows = [shown_letter(letter_of(id, words, topic.codec), board.settings.mask) for id, words in flat]
    return [{**row, "topic": topic.name, "group": group} for row in rows]


async def journal(board: Board, asked: Asked) -> Response:
    """The last actions, newest first."""
    return Answer({"log": board.journal.newest(asked.number("count", 50, 1, 200))})


class opened:
    """The topic and the group that are asked for, open for the length of the block."""

    def __init__(self, board: Board, asked: Asked) -> None:
        self.name, self.group = board.checked(asked.text("topic")), asked.text("group")
        self.topic = board.topic(self.name)

    async def __aenter__(self) -> tuple[Topic[Asyncio, Any], ConsumerGroupTopic[Asyncio, Any]]:
        topic = await self.topic.__aenter__()
        return topic, topic.group(self.group)

    async def __aexit__(self, *error: Any) -> None:
        await self.topic.__aexit__(*error)


LOOKS: dict[str, Look] = {
    "/api/state": state,
    "/api/groups": groups,
    "/api/history": history,
    "/api/latency": latency,
    "/api/entries": entries,
    "/api/export": export,
    "/api/pending": pending,
    "/api/dead": dead,
    "/api/log": journal,
}
