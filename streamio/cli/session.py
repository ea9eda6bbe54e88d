"""The session of one command: its options, and what it opened, which is closed when it ends."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Literal

import click

from ..errors import SetupError
from .ending import masked

if TYPE_CHECKING:
    import redis

    from ..colour import Blocking
    from ..observing import Observer
    from ..topic import Topic

Output = Literal["table", "json", "jsonl", "raw"]
OUTPUTS: tuple[Output, ...] = ("table", "json", "jsonl", "raw")
CONNECT_TIMEOUT = 5.0  # seconds; a person waits
DEFAULT_URL = "redis://localhost:6379"
SCHEMES = ("redis://", "rediss://", "unix://")


class Session:
    """What a command gets as `ctx.obj` (`@click.pass_obj`, or `current()`).

    given_url   what -u said; None where it was not given
    quiet       say nothing on stderr but errors
    verbose     say more, and show the traceback of an error
    color       False: none; None: where a person watches
    """

    def __init__(self) -> None:
        self.given_url: str | None = None
        self.given_output: Output | None = None
        self.quiet = self.verbose = False
        self.color: bool | None = False if os.environ.get("NO_COLOR") else None
        self._opened = ExitStack()
        self._client: redis.Redis | None = None

    @property
    def url(self) -> str:
        """The server's address: -u, else $REDIS_URL, else a server on this machine."""
        named, url = ("--url", self.given_url) if self.given_url else ("$REDIS_URL", os.environ.get("REDIS_URL") or DEFAULT_URL)
        if url.startswith("memory://"):
            raise SetupError(f"{named} is {url!r}, a server that lives in one process only: give a server's address, or see `streamio demo`")
        if not url.startswith(SCHEMES):
            raise SetupError(f"{named} must be an address that begins with one of {', '.join(SCHEMES)}, not {url!r}")
        return url

    @property
    def shown_url(self) -> str:
        """The server's address without its password."""
        return masked(self.url)

    @property
    def output(self) -> Output:
        """How records are printed: as -o says, else a table for a person and JSON for a program."""
        return self.given_output or ("table" if is_terminal() else "json")

    @property
    def entry_output(self) -> Output:
        """How entries of a stream are printed: as -o says, else readable lines for a person and JSON Lines for a program."""
        return self.given_output or ("table" if is_terminal() else "jsonl")

    def client(self) -> redis.Redis:
        """A blocking client of the server, always the same."""
        if self._client is None:
            from ..topic import from_url

            self._client = from_url(self.url, socket_connect_timeout=CONNECT_TIMEOUT)
            self._opened.callback(self._client.close)
        return self._client

    def topic(self, name: str, **options: Any) -> Topic[Blocking, Any]:
        """The topic of this name. Options are those of `Topic`."""
        from ..topic import Topic

        opened: Topic[Blocking, Any] = Topic(name, self.client(), **options)
        self._opened.callback(opened.close)
        return opened

    def observer(self, **options: Any) -> Observer[Blocking]:
        """An observer of the server's streams. Options are those of `Observer`."""
        from ..observing import Observer

        opened: Observer[Blocking] = Observer(self.client(), **options)
        self._opened.callback(opened.close)
        return opened

    def close(self) -> None:
        """Close what was opened, the newest first."""
        self._opened.close()


def current() -> Session:
    """The session of the command that runs."""
    return click.get_current_context().ensure_object(Session)


def is_terminal() -> bool:
    """Whether a person watches stdout."""
    return sys.stdout.isatty()
