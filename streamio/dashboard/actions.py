"""What each action does: by the library's own methods, which lose nothing."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ..colour import Asyncio
from ..topic import Topic
from . import commands
from .acting import Action, Done, counted
from .asking import Asked
from .board import Board
from .positions import above, first
from .producing import produce
from .settings import Busy

Stream = Topic[Asyncio, Any]


async def claim(board: Board, topic: Stream, asked: Asked) -> Done:
    """Give pending entries to another consumer: these, or those idle for so long."""
    group, to = asked.text("group"), asked.text("to")
    ids = asked.ids() if "ids" in asked.values else []
    if not ids and not asked.has("idle"):
        raise ValueError("give ids, or idle: how long the entries must have been idle")
    idle, count = asked.seconds("idle", 0), asked.number("count", 100, 1, 100_000) if not ids else None
    done = await topic.group(group).claim(to, *ids, idle=idle, count=count)
    gone = f", {counted(len(done.deleted))} gone from the stream" if done.deleted else ""
    return Done(f"{counted(len(done.claimed))} claimed for {to}{gone}", commands.claiming(topic.name, group, to, ids, idle, count), asdict(done))


async def ack(board: Board, topic: Stream, asked: Asked) -> Done:
    """Acknowledge entries."""
    group, ids = asked.text("group"), asked.ids()
    done = await topic.group(group).ack(*ids)
    words = commands.typed("XACK", topic.name, group, *commands.some(ids))
    return Done(f"{counted(done)} acknowledged", words, {"count": done})


async def nack(board: Board, topic: Stream, asked: Asked) -> Done:
    """Give entries back: whoever is free handles them again."""
    group, ids, delay = asked.text("group"), asked.ids(), asked.seconds("delay", 0)
    done = await topic.group(group).nack(*ids, delay=delay)
    when = f", for another delivery in {delay:g} s" if delay else ", for another delivery"
    return Done(f"{counted(done)} given back{when}", commands.giving_back(topic.name, group, ids, delay), {"count": done})


async def bury(board: Board, topic: Stream, asked: Asked) -> Done:
    """Make dead letters of entries."""
    group, ids, reason = asked.text("group"), asked.ids(), asked.text("reason", "buried")
    done = await topic.group(group).bury(*ids, reason=reason)
    return Done(f"{counted(done)} put among the dead letters", commands.burying(topic.name, group, ids, reason), {"count": done})


async def redrive(board: Board, topic: Stream, asked: Asked) -> Done:
    """Bring dead letters back to the group: these, or all."""
    group = asked.text("group")
    ids = asked.ids() if "ids" in asked.values else []
    done = await topic.group(group).dead_letters.redrive(*ids)
    rest = {name: len(getattr(done, name)) for name in ("held", "refused", "missing") if getattr(done, name)}
    told = "".join(f", {number} {name}" for name, number in rest.items())
    message = f"{counted(done.count, 'dead letter', 'dead letters')} brought back{told}"
    return Done(message, commands.redriving(topic.name, group, ids), asdict(done))


async def drop(board: Board, topic: Stream, asked: Asked) -> Done:
    """Remove dead letters for good."""
    group, ids = asked.text("group"), asked.ids()
    letters = topic.group(group).dead_letters
    done = await letters.purge(ids)
    words = commands.typed("XDEL", (await letters.info()).key, *commands.some(ids))
    return Done(f"{counted(done, 'dead letter', 'dead letters')} dropped", words, {"count": done})


async def create(board: Board, topic: Stream, asked: Asked) -> Done:
    """Make a group."""
    name, start = asked.text("group"), asked.text("start", "start")
    place = await above(topic, start)
    made = await topic.group(name).create(place)
    words = commands.typed("XGROUP", "CREATE", topic.name, name, place if isinstance(place, str) else start, "MKSTREAM")
    return Done(f"group {name} created" if made else f"group {name} exists already: its place stays as it is", words, {"created": made}, made)


async def seek(board: Board, topic: Stream, asked: Asked) -> Done:
    """Move a group; refused while members live, unless forced. `preview`: only tell what that would mean."""
    name, wanted = asked.text("group"), asked.text("position")
    group = topic.group(name)
    place = await above(topic, wanted)
    preview = await group.preview_seek(place)
    words = commands.typed("XGROUP", "SETID", topic.name, name, preview.target)
    what = f"{counted(preview.entries)} would be {'left out' if preview.forward else 'delivered again'}"
    if asked.flag("preview"):
        return Done(f"from {preview.current} to {preview.target}: {what}", words, asdict(preview), changed=False)
    lease = await board.lease(topic.name)
    alive = [each.name for each in await group.consumers() if each.idle < lease]
    if alive and not asked.flag("force"):
        raise Busy(f"group {name!r} has live members ({', '.join(alive[:10])}): stop them first, or force it")
    await group.seek(place)
    return Done(f"group {name} moved to {preview.target}: {what.replace('would be', 'are')}", words, asdict(preview))


async def remove(board: Board, topic: Stream, asked: Asked) -> Done:
    """Remove a consumer; what it has pending goes to an heir first."""
    group, name, heir = asked.text("group"), asked.text("name"), asked.text("heir", "") or None
    there = await topic.group(group).remove_consumer(name, heir)
    to = f"; what it had pending is {heir}'s now" if heir else ""
    message = f"consumer {name} removed{to}" if there else f"there is no consumer {name}"
    return Done(message, commands.removing(topic.name, group, name, heir), {"removed": there}, there)


async def trim(board: Board, topic: Stream, asked: Asked) -> Done:
    """Remove the oldest entries. `preview`: only tell how many, and how many of them are not acknowledged."""
    limit: dict[str, Any] = {}
    if asked.has("maxlen"):
        limit["maxlen"] = asked.number("maxlen", None, 0, 2**62)
    if asked.has("max_age"):
        limit["max_age"] = asked.seconds("max_age", 0)
    if asked.has("minid"):
        limit["minid"] = str(await first(topic, asked.text("minid"))).removeprefix("(")
    acked, exact = asked.flag("acked"), asked.flag("exact")
    words = commands.trimming(topic.name, limit, exact, acked)
    if asked.flag("preview"):
        preview = await topic.preview_trim(**limit, acked=acked, exact=exact)
        return Done(foretold(preview), words, asdict(preview), changed=False)
    done = await topic.trim(**limit, acked=acked, exact=exact)
    held = f"; group {done.held_by.group} still needs the rest" if done.held_by else ""
    return Done(f"{counted(done.removed)} removed{held}", words, asdict(done))


def foretold(preview: Any) -> str:
    """What a trim would remove, in words."""
    parts = [f"{number:,} pending in {name}" for name, number in preview.pending.items() if number]
    parts += [f"{number:,} not delivered to {name} yet" for name, number in preview.undelivered.items() if number]
    return f"{counted(preview.entries)} would go" + (f": {', '.join(parts)}" if parts else "; all of them are acknowledged")


ACTIONS = {
    "/api/produce": Action("produce", produce, "type fields data count"),
    "/api/claim": Action("claim", claim, "group to ids idle count"),
    "/api/ack": Action("ack", ack, "group ids"),
    "/api/nack": Action("nack", nack, "group ids delay"),
    "/api/bury": Action("bury", bury, "group ids reason"),
    "/api/redrive": Action("redrive", redrive, "group ids"),
    "/api/drop": Action("drop", drop, "group ids"),
    "/api/group/create": Action("group create", create, "group start"),
    "/api/group/seek": Action("group seek", seek, "group position preview force"),
    "/api/consumer/remove": Action("consumer remove", remove, "group name heir"),
    "/api/trim": Action("trim", trim, "maxlen minid max_age acked exact preview"),
}
