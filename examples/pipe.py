"""A member is an iterable, so generators make a pipe: orders are parsed, priced, and written to another topic."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

from streamio import ConsumerGroupMember, ConsumerGroupTopic, Message, Topic


@dataclass
class Order:
    """What comes in."""

    number: int
    pieces: int


@dataclass
class Invoice:
    """What goes out."""

    number: int
    total: float


def parse(messages: Iterable[Message]) -> Iterator[Order]:
    """Entries to orders."""
    for message in messages:
        yield Order(int(message["number"]), int(message["pieces"]))


def price(orders: Iterable[Order]) -> Iterator[Invoice]:
    """Orders to invoices."""
    for order in orders:
        yield Invoice(order.number, total=order.pieces * 9.5)


URL = os.environ.get("REDIS_URL", "memory://")

with Topic("pipe:orders", URL) as orders, Topic("pipe:invoices", URL) as invoices:
    orders.publish_many(("order.placed", {"number": n, "pieces": 2 * n}) for n in range(1, 6))

    # An order is acknowledged when the pipe asks for the next one: after its invoice was written.
    with ConsumerGroupMember(ConsumerGroupTopic(orders, "invoicing")) as member:
        for invoice in price(parse(member)):
            invoices.publish("invoice", asdict(invoice))
            if invoice.number == 5:
                member.stop()  # settles this one and ends the loop

    for message in invoices.replay(reverse=True, count=5):
        print(message.published_at.time(), message.type, message.data)
