"""The live dashboard: an ASGI app to serve (`streamio dashboard`) or to mount into another one. It needs the extra `dashboard`.

from streamio.dashboard import app

main.mount("/streamio", app(client))             # read-only; app(client, read_only=False) lets it act
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import SetupError

if TYPE_CHECKING:
    from .application import Dashboard

__all__ = ["app"]


def app(client: Any = None, **options: Any) -> Dashboard:
    """The dashboard of this server as an ASGI app. Options are those of `Settings`.

    client   an asyncio client of redis-py, or a URL; None: `$REDIS_URL`, else `redis://localhost:6379`
    """
    try:
        from .application import Dashboard
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("streamio"):
            raise
        raise SetupError(f"the dashboard needs {error.name}: pip install 'streamio[dashboard]'") from error
    return Dashboard(client, **options)
