"""`memory://name`: a server inside this process (fakeredis with Lua, the extra `embedded`), shared by all who use the name, in both colours."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import redis
import redis.asyncio

from ..errors import SetupError
from .source import default_url

SCHEME = "memory://"
SCHEMES = ("redis://", "rediss://", "unix://", SCHEME)
servers: dict[str, Any] = {}


def client_from(url: str | None, asyncio: bool, **options: Any) -> Any:
    """The client for a URL; None: `$REDIS_URL`, else a server on this machine."""
    named = "client" if url is not None else "$REDIS_URL"
    url = default_url() if url is None else url
    if not isinstance(url, str) or not url.startswith(SCHEMES):
        raise ValueError(f"{named} must be a URL that begins with one of {', '.join(SCHEMES)}, not {url!r}")
    if url.startswith(SCHEME):
        return embedded_client(url, asyncio, options)
    return (redis.asyncio.Redis if asyncio else redis.Redis).from_url(url, **options)


def embedded_client(url: str, asyncio: bool, options: dict[str, Any]) -> Any:
    """A client of the embedded server of this name."""
    try:
        import fakeredis

        import_module("lupa")  # the scripts need it
    except ImportError as error:
        raise SetupError(f"{url!r} needs the embedded server: pip install 'streamio[embedded]' ({error})") from error
    name = url.removeprefix(SCHEME).strip("/")
    server = servers.setdefault(name, fakeredis.FakeServer(version=(7,)))
    if hasattr(server, "connections"):  # a stage's (`streamio.testing`)
        options = {"connection_class": server.connections[asyncio], **options}
    return (fakeredis.FakeAsyncRedis if asyncio else fakeredis.FakeRedis)(server=server, **options)
