"""How code that uses streamio is tested: on a stage, without a Redis, threads or sleeping. `pytest examples/test_orders.py`, or

python examples/test_orders.py
"""

from __future__ import annotations

import asyncio

import pytest

from streamio import Asyncio, Blocking, ConsumerGroupMember, Message, RetryPolicy, Topic
from streamio.testing import AsyncStage, Stage, kill_at_every_effect
from streamio.testing.fixtures import async_stage, stage  # or, in conftest.py: pytest_plugins = ["streamio.testing.fixtures"]

__all__ = ["async_stage", "stage"]

# -- what is to be tested: your own code ---------------------------------------------------------------------------------------------------


class Declined(Exception):
    """The bank does not want to."""


class Bank:
    """The outside world. In tests a fake."""

    def __init__(self, declines: int = 0) -> None:
        self.declines, self.charged = declines, list[str]()

    def charge(self, customer: str) -> None:
        """Charge a customer, or raise."""
        if self.declines:
            self.declines -= 1
            raise Declined(customer)
        self.charged.append(customer)


def billing(orders: Topic[Blocking], bank: Bank) -> ConsumerGroupMember[Blocking]:
    """The member that charges orders."""
    member = orders.group("billing", retry=RetryPolicy(max_deliveries=3, backoff=(60, 3600))).member()

    @member.on("order.placed")
    def charge(message: Message) -> None:
        bank.charge(message["customer"])

    return member


# -- tests -------------------------------------------------------------------------------------------------------------------------------------


def test_an_order_is_charged(stage: Stage) -> None:
    bank = Bank()
    [order] = stage.play(billing(stage.topic("orders"), bank), ("order.placed", {"customer": "Ada"}))
    assert order.state == "acknowledged"
    assert bank.charged == ["Ada"]


def test_a_declined_card_is_tried_again_a_minute_later(stage: Stage) -> None:
    bank = Bank(declines=1)
    member = billing(stage.topic("orders"), bank)
    [order] = stage.play(member, ("order.placed", {"customer": "Ada"}))
    assert (order.state, order.due) == ("waiting", 60)
    assert isinstance(order.error, Declined)

    stage.pass_time(minutes=1)  # nobody sleeps
    stage.play(member)
    assert order.state == "acknowledged"
    assert bank.charged == ["Ada"]


def test_a_card_that_is_declined_three_times_is_put_aside(stage: Stage) -> None:
    [order] = stage.settle(billing(stage.topic("orders"), Bank(declines=3)), ("order.placed", {"customer": "Ada"}))
    assert (order.state, order.reason) == ("buried", "failed")
    [letter] = stage.dead_letters()
    assert letter["customer"] == "Ada"


def test_an_order_for_later_waits(stage: Stage) -> None:
    bank, orders = Bank(), stage.topic("orders")
    member = billing(orders, bank)
    orders.publish("order.placed", customer="Ada", delay=3600)
    stage.play(member)
    assert bank.charged == []
    stage.pass_time(hours=1)
    stage.play(member)
    assert bank.charged == ["Ada"]


def test_invoices_are_written(stage: Stage) -> None:
    orders, invoices = stage.topic("orders"), stage.topic("invoices")
    pipe = orders.group("invoicing").member().pipe(lambda message: ("invoice", {"to": message["customer"]}), invoices)
    stage.play(pipe, ("order.placed", {"customer": "Ada"}), ("order.placed", {"customer": "Grace"}))
    assert [message.data for message in stage.published(invoices)] == [{"to": "Ada"}, {"to": "Grace"}]


def test_a_lost_acknowledgement_is_sent_again(stage: Stage) -> None:
    bank = Bank()
    stage.lose_reply("XACK")
    stage.settle(billing(stage.topic("orders"), bank), ("order.placed", {"customer": "Ada"}))
    assert bank.charged == ["Ada"]
    stage.assert_all_settled()


def test_an_order_in_the_hands_of_a_dead_process_is_charged_by_another(stage: Stage) -> None:
    orders, bank = stage.topic("orders"), Bank()
    doomed = orders.group("billing").member("doomed")
    doomed.on("order.placed", lambda message: stage.crash())  # out of memory, say
    [order] = stage.play(doomed, ("order.placed", {"customer": "Ada"}))
    assert (order.state, order.consumer, order.due) == ("pending", "doomed", 30)

    stage.settle(billing(orders, bank))
    assert bank.charged == ["Ada"]


def test_no_order_is_lost_wherever_the_process_is_killed() -> None:
    def scenario(stage: Stage) -> None:
        orders, bank = stage.topic("orders"), Bank()
        stage.play(billing(orders, bank), ("order.placed", {"customer": "Ada"}))  # killed here, at each write in turn
        stage.settle(billing(orders, bank))  # the next process
        stage.assert_all_settled()
        assert set(bank.charged) == {"Ada"}

    kill_at_every_effect(scenario)


def test_a_coroutine_as_handler(async_stage: AsyncStage) -> None:
    async def main(orders: Topic[Asyncio]) -> None:  # with pytest-asyncio or anyio: an async test
        member = orders.group("billing").member(concurrency=2)
        charged: list[str] = []

        @member.on("order.placed")
        async def charge(message: Message) -> None:
            await asyncio.sleep(0)
            charged.append(message["customer"])

        await async_stage.play(member, ("order.placed", {"customer": "Ada"}), ("order.placed", {"customer": "Grace"}))
        assert sorted(charged) == ["Ada", "Grace"]

    asyncio.run(main(async_stage.topic("orders")))


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__, "-q", "-p", "no:cacheprovider"]))
