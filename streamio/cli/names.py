"""Arguments that name a topic, a group or a consumer: the shell completes them from what the server has."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from .session import Session

if TYPE_CHECKING:
    Parameter = click.ParamType[str]
else:
    Parameter = click.ParamType  # (not generic before click 8.4)

SCANS, SCANNED = 20, 1000  # how much of the keyspace one press of TAB looks at
Find = Callable[[Any, click.Context, str], Iterable[bytes]]


class Name(Parameter):
    """A name; `find` gives those that the server has."""

    def __init__(self, name: str, find: Find) -> None:
        self.name, self.find = name, find

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The names that begin so; none where the server cannot be asked."""
        from redis import RedisError

        from ..errors import SetupError

        session = ctx.find_object(Session) or Session()
        try:
            found = sorted({name.decode(errors="replace") for name in self.find(session.client(), ctx, incomplete)})
        except (RedisError, SetupError, LookupError):  # no server, no stream, or no right to look: nothing to offer
            found = []
        finally:
            session.close()
        return [CompletionItem(name) for name in found if name.startswith(incomplete)]


def streams(client: Any, ctx: click.Context, begin: str) -> Iterable[bytes]:
    """The streams whose names begin so, of the part of the keyspace that may be looked at."""
    pattern, cursor = re.sub(r"([*?\[\]\\])", r"\\\1", begin) + "*", 0
    for _ in range(SCANS):
        cursor, found = client.scan(cursor, match=pattern, count=SCANNED, _type="stream")
        yield from found
        if not cursor:
            return


def groups(client: Any, ctx: click.Context, begin: str) -> Iterable[bytes]:
    """The groups of the topic that stands before."""
    return (each["name"] for each in client.xinfo_groups(before(ctx, "topic", 0)))


def consumers(client: Any, ctx: click.Context, begin: str) -> Iterable[bytes]:
    """The consumers of the group that stands before."""
    return (each["name"] for each in client.xinfo_consumers(before(ctx, "topic", 0), before(ctx, "group", 1)))


def before(ctx: click.Context, name: str, place: int) -> str:
    """The argument that stands before; a LookupError where it does not. Behind an option without its value click has not told them apart yet."""
    return str(ctx.params.get(name) or ctx.args[place])


TOPIC = Name("topic", streams)
GROUP = Name("group", groups)
CONSUMER = Name("consumer", consumers)
