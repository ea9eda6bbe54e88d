"""What a dashboard may show and do, and who may ask it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Protocol

from starlette.routing import BaseRoute

from ..ids import seconds
from ..keys import checked, is_side_stream

LOCAL = ("localhost", "127.0.0.1", "[::1]")


class Extension(Protocol):
    """What adds a panel of its own to the page.

    routes      served under `/api/demo`
    template    the name of a template in `templates` that the page includes
    templates   the folder of its templates; `static`: of files, served under `/static/demo/`
    scripts     addresses of its scripts, relative to the dashboard's own (`static/demo/demo.js`)
    """

    routes: Sequence[BaseRoute]
    template: str | None
    templates: Path | None
    static: Path | None
    scripts: Sequence[str]

    def state(self) -> dict[str, Any]:
        """What `/api/state` tells under `demo`."""
        ...


class Forbidden(Exception):
    """What the settings of this dashboard do not allow."""


class Busy(Exception):
    """What cannot be done just now, and can be forced."""


@dataclass(frozen=True)
class Settings:
    """The options of a dashboard.

    topics       globs of the streams that are seen and may be touched
    read_only    whether all that would change something is refused
    token        what a browser or client must show; None: nothing
    hosts        names under which the dashboard may be asked for, besides those of this machine; "*": any
    prefix       the path under which it is served, such as "/streams"
    interval     seconds between two looks at the server
    mask         fields whose values are never shown
    lease        seconds after which members may claim what another one has, where groups have another `lease` than usual
    trace_url    the address of a trace elsewhere, with {trace_id} in it: where an entry's link to its trace leads
    extensions   panels that others add
    """

    topics: tuple[str, ...] = ("*",)
    read_only: bool = True
    token: str | None = None
    hosts: tuple[str, ...] = ()
    prefix: str = ""
    interval: float = 1.0
    mask: tuple[str, ...] = ()
    lease: float = 30.0
    trace_url: str | None = None
    extensions: tuple[Extension, ...] = ()

    def __post_init__(self) -> None:
        for name in ("topics", "hosts", "mask"):
            if isinstance(getattr(self, name), str):
                raise TypeError(f"{name} must be a list of words, not {getattr(self, name)!r}")
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not self.topics:
            raise ValueError("topics must name one at least")
        for host in self.hosts:
            checked_host(host)
        for glob in self.topics:
            if "[!" in glob:
                raise ValueError(f"topics are globs as Redis writes them: [^…], not [!…] as in {glob!r}")
        object.__setattr__(self, "lease", seconds(self.lease, "lease"))
        if isinstance(self.interval, bool) or not isinstance(self.interval, (int, float)) or not 0.1 <= self.interval <= 3600:
            raise ValueError(f"interval must be 0.1 to 3600 seconds, not {self.interval!r}")
        if self.token is not None and not (isinstance(self.token, str) and self.token.strip()):
            raise ValueError("token must not be empty")
        object.__setattr__(self, "token", self.token and self.token.strip())
        checked_trace_url(self.trace_url)
        object.__setattr__(self, "prefix", checked_prefix(self.prefix))
        object.__setattr__(self, "extensions", tuple(self.extensions))

    def covers(self, topic: str) -> bool:
        """Whether this stream may be seen and touched: what streamio keeps beside a topic only where it is named."""
        return topic in self.topics or (any(fits(topic, glob) for glob in self.topics) and not is_side_stream(topic))

    def checked(self, topic: str) -> str:
        """The topic's name, where it may be touched."""
        if not self.covers(checked(topic, "topic name")):
            raise Forbidden(f"this dashboard does not show {topic!r}: it is started for {', '.join(self.topics)}")
        return topic

    @property
    def allowed_hosts(self) -> list[str]:
        """The names that a request may give as its host."""
        return [*LOCAL, *self.hosts]


def fits(name: str, glob: str) -> bool:
    """Whether the name fits the glob as Redis reads it."""
    return fnmatchcase(name, re.sub(r"\\(.)", lambda found: f"[{found[1]}]", glob.replace("[^", "[!")))


def checked_host(host: str) -> None:
    """Refuse what no request's host could be."""
    plain = host.removeprefix("*.") if isinstance(host, str) and host != "*" else "any" if host == "*" else ""
    if not plain or "*" in plain or "/" in plain or (":" in plain and not (plain.startswith("[") and plain.endswith("]"))):
        raise ValueError(f"hosts are names without a port, such as streams.example, *.example or [::1], not {host!r}")


def checked_trace_url(address: str | None) -> None:
    """Refuse what leads to no trace, and what a page must not open."""
    if address is not None and not (isinstance(address, str) and re.match("https?://", address) and "{trace_id}" in address):
        raise ValueError(f"trace_url must be an address such as https://traces.example/trace/{{trace_id}}, not {address!r}")


def checked_prefix(prefix: str) -> str:
    """The prefix with a slash before it and none behind it."""
    if not isinstance(prefix, str):
        raise TypeError(f"prefix must be a path, not {prefix!r}")
    path = prefix.strip("/")
    return f"/{path}" if path else ""
