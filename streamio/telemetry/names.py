"""What OpenTelemetry's semantic conventions call things (messaging, version 1.44: "development"). All names stand here.

They may still change. `OTEL_SEMCONV_STABILITY_OPT_IN`, a list, says which ones are written: `messaging` those that are announced, `messaging/dup`
both, anything else those of today.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

SCHEMA = "https://opentelemetry.io/schemas/1.44.0"
OPT_IN = "OTEL_SEMCONV_STABILITY_OPT_IN"

SYSTEM, SYSTEM_NAME, REDIS = "messaging.system", "messaging.system.name", "redis"
OPERATION, OPERATION_TYPE = "messaging.operation.name", "messaging.operation.type"
DESTINATION = "messaging.destination.name"
GROUP = "messaging.consumer.group.name"
CLIENT = "messaging.client.id"
MESSAGE = "messaging.message.id"
CONVERSATION = "messaging.message.conversation_id"
COUNT = "messaging.batch.message_count"
SIZE = "messaging.message.body.size"
ADDRESS, PORT = "server.address", "server.port"
ERROR = "error.type"

SENT = "messaging.client.sent.messages"
CONSUMED = "messaging.client.consumed.messages"
OPERATION_DURATION = "messaging.client.operation.duration"
PROCESS_DURATION = "messaging.process.duration"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)

SEND, CREATE, REQUEST, RECEIVE, CLAIM, PROCESS, ACK = "send", "create", "request", "receive", "claim", "process", "ack"
TYPES = {SEND: "send", CREATE: "create", REQUEST: "send", RECEIVE: "receive", CLAIM: "receive", PROCESS: "process", ACK: "settle"}


def system() -> dict[str, str]:
    """The attributes that say which system this is."""
    chosen = {each.strip() for each in os.environ.get(OPT_IN, "").split(",")}
    if "messaging/dup" in chosen:
        return {SYSTEM: REDIS, SYSTEM_NAME: REDIS}
    return {SYSTEM_NAME if "messaging" in chosen else SYSTEM: REDIS}


def operation(name: str) -> dict[str, str]:
    """The attributes that say what is done."""
    return {OPERATION: name, OPERATION_TYPE: TYPES[name]}


def server(source: Any) -> dict[str, str | int]:
    """Where the server is, where that is one place and known: not of a cluster, of Sentinel's master, or of the embedded one."""
    if source.cluster or not source.blocks:
        return {}
    settings: Mapping[str, Any] = source.client.connection_pool.connection_kwargs
    if "path" in settings:
        return {ADDRESS: str(settings["path"])}
    return {ADDRESS: str(settings["host"]), PORT: int(settings["port"])} if "host" in settings and "port" in settings else {}


def error_type(error: BaseException) -> str:
    """An error's class, with its module where that is not Python's own."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
