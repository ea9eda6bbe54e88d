"""The fields of an entry as libraries write them that wrap what they send."""

from __future__ import annotations

import json
from struct import pack
from typing import Any

MAGIC = b"\x89BIN\r\n\x1a\n"


def faststream(fields: dict[str, Any], n: int) -> dict[str, Any]:
    """Version 1 of FastStream's binary envelope: where the headers begin, where the data, how many headers, headers, data as JSON."""
    headers = {"correlation_id": f"{n:032x}", "content-type": "application/json"}
    packed = b"".join(pack(">H", len(word)) + word.encode() for header in headers.items() for word in header)
    head = MAGIC + pack(">HIIH", 1, 18, 20 + len(packed), len(headers))
    return {"__data__": head + packed + compact(fields).encode()}


def taskiq(fields: dict[str, Any], n: int) -> dict[str, Any]:
    """A task of the entry's type with the other fields as its arguments."""
    task = {"task_id": f"{n:032x}", "task_name": fields.pop("type"), "labels": {}, "labels_types": {}, "args": []}
    return {"data": compact({**task, "kwargs": fields})}


def compact(value: Any) -> str:
    """JSON without spaces."""
    return json.dumps(value, separators=(",", ":"))


WIRES = {"faststream": faststream, "taskiq": taskiq}
