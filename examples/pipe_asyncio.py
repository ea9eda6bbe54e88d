"""The pipe of pipe.py in asyncio: the same calls, awaited, and async generators. Only the client is another."""

import asyncio
import os
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import asdict, dataclass

from streamio import ConsumerGroupMember, ConsumerGroupTopic, Message, Topic, from_url


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


async def parse(messages: AsyncIterable[Message]) -> AsyncIterator[Order]:
    """Entries to orders."""
    async for message in messages:
        yield Order(int(message["number"]), int(message["pieces"]))


async def price(orders: AsyncIterable[Order]) -> AsyncIterator[Invoice]:
    """Orders to invoices."""
    async for order in orders:
        await asyncio.sleep(0.01)  # the price list is elsewhere
        yield Invoice(order.number, total=order.pieces * 9.5)


async def main() -> None:
    """Publish five orders and see their invoices."""
    client = from_url(os.environ.get("REDIS_URL", "memory://"), asyncio=True)

    async with Topic("pipe:orders", client) as orders, Topic("pipe:invoices", client) as invoices:
        await orders.publish_many(("order.placed", {"number": n, "pieces": 2 * n}) for n in range(1, 6))

        # An order is acknowledged when the pipe asks for the next one: after its invoice was written.
        async with ConsumerGroupMember(ConsumerGroupTopic(orders, "invoicing")) as member:
            async for invoice in price(parse(member)):
                await invoices.publish("invoice", asdict(invoice))
                if invoice.number == 5:
                    member.stop()  # settles this one and ends the loop

        async for message in invoices.replay(reverse=True, count=5):
            print(message.published_at.time(), message.type, message.data)


asyncio.run(main())
