"""Who answers requests: a member, and a raw loop. The answer to an order is its number, and that it is billed."""

from __future__ import annotations

from typing import Any

import redis

from ..job import CONSUMER, GROUP, KEY, Count, Job
from .ours import member_of


def member(job: Job) -> None:
    """A handler whose return value is the reply."""
    answerer = member_of(job)
    count = Count(job, answerer.stop)

    @answerer.on("order.placed")
    def handle(message: Any) -> dict[str, Any]:
        count.one()
        return {"order_id": message["order_id"], "state": "billed"}

    answerer.connect_and_listen()


def raw(job: Job) -> None:
    """XREADGROUP, and for each entry XADD of its answer and XACK."""
    client: Any = redis.Redis(port=job.port, decode_responses=True)
    left = job.entries
    while left:
        for _, found in client.xreadgroup(GROUP, CONSUMER, {KEY: ">"}, count=1000, block=2000):
            for entry_id, fields in found:
                answer = {
                    "type": "reply",
                    "header:correlation_id": fields["header:correlation_id"],
                    "order_id": fields["order_id"],
                    "state": "billed",
                }
                client.xadd(fields["header:reply_to"], answer)
                client.xack(KEY, GROUP, entry_id)
            left -= len(found)
    client.close()
