"""Own connections, made from the caller's client and its settings; the client itself is never used, closed or changed.

The caller's own connections would not do: they retry in silence (an XADD or XREADGROUP whose reply was lost is sent again), decode in
several shapes, and give up on a blocked read after `socket_timeout`. So ours are of the same class with the same address, login and
TLS, but speak RESP2, never retry, and have their own timeout. Settings that only make sense inside the caller's pool are left out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import redis
import redis.asyncio
import redis.asyncio.client
import redis.asyncio.cluster
import redis.asyncio.retry
import redis.client
import redis.cluster
import redis.retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, RedisClusterException, TimeoutError

LEFT_OUT = frozenset(
    "maint_notifications_config maint_notifications_pool_handler oss_cluster_maint_notifications_handler orig_host_address "
    "orig_socket_timeout orig_socket_connect_timeout himport_registry event_dispatcher".split()
)
TIMEOUT = 5.0  # seconds, where the caller's client has none: no read of ours lasts for ever
DEFAULT_URL = "redis://localhost:6379"


def is_asyncio(client: Any) -> bool:
    """Whether the client is an asyncio one; a TypeError where it is no client at all."""
    kinds = (redis.Redis, redis.asyncio.Redis, redis.RedisCluster, redis.asyncio.RedisCluster)
    pipelines = (redis.client.Pipeline, redis.asyncio.client.Pipeline, redis.cluster.ClusterPipeline, redis.asyncio.cluster.ClusterPipeline)
    if isinstance(client, pipelines):
        raise TypeError("client is a pipeline; give the topic the client that made it")
    if not isinstance(client, kinds):
        raise TypeError(f"client must be a redis.Redis, redis.asyncio.Redis or RedisCluster of either kind, or a URL, not {client!r}")
    return isinstance(client, (redis.asyncio.Redis, redis.asyncio.RedisCluster))


def default_url() -> str:
    """`$REDIS_URL`, else a server on this machine."""
    return os.environ.get("REDIS_URL") or DEFAULT_URL


class Source:
    """Makes connections like the client's."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.closed = False  # the topic was closed: nothing is called any more
        self.asyncio = is_asyncio(client)
        self.cluster = isinstance(client, (redis.RedisCluster, redis.asyncio.RedisCluster))
        self.known: Any = None  # the class and settings of a cluster's connections, as last found
        self.moved: dict[str, Any] = {}  # where a cluster said that the key is, where that is not what the client knows

    @property
    def blocks(self) -> bool:
        """Whether XREADGROUP ... BLOCK may be used: the embedded server's returns at once, or hides an entry (fakeredis 2.40)."""
        return self.cluster or not any(each.__module__.startswith("fakeredis") for each in self.client.connection_pool.connection_class.__mro__)

    @property
    def driver(self) -> Any:
        """What performs effects on such connections, where their class says so (a stage's, `streamio.testing`); None for all others."""
        return None if self.cluster else getattr(self.client.connection_pool.connection_class, "driver", None)

    @property
    def version(self) -> str:
        """Which version of Redis the embedded server plays, which it does not tell itself; '' for all other servers."""
        if self.blocks:
            return ""
        settings = self.client.connection_pool.connection_kwargs
        version = settings["version"] if settings.get("server") is None else settings["server"].version
        return ".".join(map(str, version)) + " (fakeredis)"

    def shares_server(self, other: Source) -> bool:
        """Whether both are surely one server, or one cluster: what one of them writes, the other can read. By address, not by asking."""
        return self.client is other.client or bool(self.places() & other.places())

    def places(self) -> frozenset[Any]:
        """Where the server is: addresses with the database, a Sentinel's service, or the embedded server."""
        if self.cluster:
            manager = self.client.nodes_manager
            return frozenset((node.host, node.port) for node in (*manager.nodes_cache.values(), *manager.startup_nodes.values()))
        pool = self.client.connection_pool
        settings = pool.connection_kwargs
        db = int(settings.get("db") or 0)
        if not self.blocks:
            return frozenset({("embedded", id(settings.get("server") or pool), db)})
        if hasattr(pool, "sentinel_manager"):
            return frozenset((pool.service_name, *address_pair(each), db) for each in pool.sentinel_manager.sentinels)
        return frozenset({(settings.get("path"), settings.get("host"), settings.get("port"), db)})

    def redirect(self, host: str, port: int) -> None:
        """The key lives at this address now (Redis Cluster); without one, where the client says."""
        if not self.cluster or not port:
            self.moved = {}
        elif host:
            self.moved = address_in(self.client.nodes_manager.remap_host_port(host, port))
        else:  # "the host you asked" (cluster-preferred-endpoint-type unknown-endpoint)
            self.moved = {**self.moved, "port": port}

    def is_elsewhere(self, connection: Any) -> bool:
        """Whether the connection goes to a node that the key has left."""
        return any(getattr(connection, name, None) != value for name, value in self.moved.items())

    def connections(self, key: str, patience: float | None) -> Iterator[Any]:
        """New connections to try, none of them connected: to the server of this key and, in a cluster, to the other nodes.

        The client's map of the cluster is the caller's and is not renewed here. But when the key's node is dead, any other one answers MOVED.
        """
        yield self.connection(key, patience)
        if self.cluster:
            for node in self.client.get_nodes():
                yield self.connection(key, patience, address_in((node.host, node.port)))

    def connection(self, key: str, patience: float | None, place: dict[str, Any] | None = None) -> Any:
        """A new connection to the server of this key, or to `place`. A cluster's asyncio client must have been initialized."""
        made, settings = self.kind(key)
        ours = {name: value for name, value in settings.items() if name not in LEFT_OUT}
        timeout = ours.get("socket_timeout") or TIMEOUT
        if ours.get("socket_connect_timeout", TIMEOUT) is None:
            ours["socket_connect_timeout"] = TIMEOUT
        retry = redis.asyncio.retry.Retry if self.asyncio else redis.retry.Retry
        ours |= {
            **(self.moved if place is None else place),
            "protocol": 2,
            "driver_info": None,  # refused before Redis 7.2; redis-py 8.1's asyncio reader then keeps the caller's frames alive (Python >= 3.12)
            "retry": retry(NoBackoff(), 0),
            "retry_on_timeout": False,
            "retry_on_error": [],
            "health_check_interval": 0,
            "decode_responses": True,
            "encoding": "utf-8",
            "encoding_errors": "surrogateescape",
            "socket_timeout": timeout if patience is None else patience,
        }
        return made(**ours)

    def kind(self, key: str) -> tuple[Any, dict[str, Any]]:
        """The class and settings of the client's connections to the server of this key."""
        if not self.cluster:
            pool = self.client.connection_pool
            return pool.connection_class, pool.connection_kwargs
        try:
            self.known = self.kind_of(self.client.get_node_from_key(key))
        except RedisClusterException as error:  # a slot that no node has, or a client that was closed; it is no RedisError
            if self.known is None:
                raise ConnectionError(str(error)) from error
        made, settings = self.known
        return made, settings

    def kind_of(self, node: Any) -> tuple[Any, dict[str, Any]]:
        """The same for a cluster's node."""
        if self.asyncio:
            return node.connection_class, node.connection_kwargs
        pool = self.client.get_redis_connection(node).connection_pool
        return pool.connection_class, pool.connection_kwargs


def address_pair(client: Any) -> tuple[Any, Any]:
    """The host and port that a client connects to."""
    settings = client.connection_pool.connection_kwargs
    return settings.get("host"), settings.get("port")


def address_in(place: tuple[str, int]) -> dict[str, Any]:
    """The settings of a connection to this host and port."""
    return {"host": place[0], "port": place[1]}


def ended(key: str) -> ValueError:
    """The error of a call to a topic that was closed."""
    return ValueError(f"topic {key!r} is closed")


def addressed(error: BaseException, connection: Any) -> None:
    """Let a timeout say where the connection goes to: redis-py's own do not (8.1, blocking)."""
    place = address_of(connection)
    if isinstance(error, TimeoutError) and place not in str(error):
        error.args = (f"{error} ({place})",)


def address_of(connection: Any) -> str:
    """Where the connection goes to."""
    return getattr(connection, "path", None) or f"{getattr(connection, 'host', '?')}:{getattr(connection, 'port', '?')}"
