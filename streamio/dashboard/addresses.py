"""Where the server is, as the page shows it: without its password."""

from __future__ import annotations

from typing import Any

HIDDEN = "•••"


def address(client: Any) -> str:
    """The URL of the server that the client belongs to, its password hidden."""
    if not hasattr(client, "connection_pool"):
        return f"cluster of {', '.join(f'{node.host}:{node.port}' for node in client.nodes_manager.startup_nodes.values())}"
    pool = client.connection_pool
    settings = pool.connection_kwargs
    if pool.connection_class.__module__.startswith("fakeredis"):
        return "embedded server"
    if hasattr(pool, "sentinel_manager"):
        return f"{pool.service_name} (Sentinel)"
    login = f"{settings.get('username') or ''}:{HIDDEN}@" if settings.get("password") else ""
    database = f"/{settings['db']}" if settings.get("db") else ""
    if settings.get("path"):
        return f"unix://{login}{settings['path']}{database}"
    scheme = "rediss" if "SSL" in pool.connection_class.__name__ else "redis"
    return f"{scheme}://{login}{settings.get('host', 'localhost')}:{settings.get('port', 6379)}{database}"
