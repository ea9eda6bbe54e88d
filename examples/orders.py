"""Two members of one consumer group share the orders of a stream. No Redis needed: python examples/orders.py"""

import os
import time
from concurrent.futures import ThreadPoolExecutor

from streamio import ConsumerGroupTopic, Message, Topic

# A topic is one stream. "memory://" is a server inside this process; with $REDIS_URL it is yours.
orders = Topic("orders", os.environ.get("REDIS_URL", "memory://"))
billing = ConsumerGroupTopic(orders, "billing")

# Any client may write entries, with a plain XADD: the field `type` says which handlers they are for.
orders.publish_many(("order.placed", {"customer": f"customer-{n}", "amount": 10 * n}) for n in range(1, 21))


def work(name: str) -> int:
    """Charge the orders that this member is given, until none is left; how many there were."""
    member = billing.member(name)

    @member.on("order.placed")
    def charge(message: Message) -> None:  # returned: acknowledged. raised: tried again later
        time.sleep(0.01)  # the bank thinks
        print(f"{name:>5} charged {message['customer']} {message['amount']} €\n", end="")

    return member.drain()  # a service calls `connect_and_listen()`, which goes on until `stop()`


with ThreadPoolExecutor() as pool:
    ada, grace = pool.map(work, ["ada", "grace"])

print(f"ada handled {ada}, grace {grace}; {billing.info().pending} are pending")
orders.close()
