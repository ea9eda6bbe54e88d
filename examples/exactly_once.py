"""Orders become invoices, exactly once: an invoice is written in one step with the acknowledgement of its order."""

import os
from collections.abc import Iterator

from streamio import ConsumerGroupMember, ConsumerGroupTopic, Message, Topic

URL = os.environ.get("REDIS_URL", "memory://")


def wanted(message: Message) -> Message | None:
    """The message, where anything was ordered; None drops it."""
    return message if int(message["pieces"]) else None


def bill(message: Message) -> Iterator[tuple[str, dict[str, object]]]:
    """One invoice, and a gift for those who order much."""
    pieces = int(message["pieces"])
    yield "invoice", {"number": message["number"], "total": pieces * 9.5}
    if pieces > 6:
        yield "gift", {"number": message["number"]}


with Topic("exactly:orders", URL) as orders, Topic("exactly:invoices", URL) as invoices:
    orders.publish_many(("order.placed", {"number": n, "pieces": 2 * n}) for n in range(5))

    with ConsumerGroupMember(ConsumerGroupTopic(orders, "invoicing")) as member:
        pipe = member | wanted | bill | invoices
        print(pipe, "exactly once:", pipe.is_exactly_once)
        print("orders through:", pipe.drain())  # a service calls pipe.run()

    for message in invoices.replay(reverse=True, count=5):
        print(message.type, message.data)
