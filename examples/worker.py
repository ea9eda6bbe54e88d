"""A worker process that ends cleanly on SIGTERM and Ctrl-C: what runs is finished and acknowledged, the rest goes back to the group.

Until it is told to stop: `python examples/worker.py`. Ten orders first, and an end by itself: `python examples/worker.py --orders 10 --seconds 1`.
"""

import argparse
import logging
import os
import signal
import sys
import threading
import time

from streamio import ConsumerGroupTopic, Event, Message, RetryPolicy, Topic

parser = argparse.ArgumentParser(description="Charge the orders of the stream worker:orders.")
parser.add_argument("--url", default=os.environ.get("REDIS_URL", "memory://"), help="default: $REDIS_URL, else a server inside this process")
parser.add_argument("--concurrency", type=int, default=4, help="how many orders to charge at once")
parser.add_argument("--orders", type=int, default=0, help="publish so many orders first")
parser.add_argument("--seconds", type=float, help="end after so long")
options = parser.parse_args()
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)

orders = Topic("worker:orders", options.url)
billing = ConsumerGroupTopic(orders, "billing", retry=RetryPolicy(max_deliveries=5, backoff=(1, 60)))
worker = billing.member(concurrency=options.concurrency, grace=30)


@worker.on("order.placed")
def charge(message: Message) -> None:
    """Charge one order. What it raises is told by `failed`, and the order is tried again."""
    logging.info("started %s", message.id)
    time.sleep(0.2)  # the bank thinks
    logging.info("charged %s", message.id)


@worker.lifecycle.on("failed")
def report(event: Event) -> None:
    """A handler raised."""
    logging.error("failed %s: %r", event.message.id, event.error)


# stop() only sets a flag, so a signal handler may call it. In asyncio: loop.add_signal_handler(signal.SIGTERM, worker.stop)
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: worker.stop())

if options.seconds is not None:
    threading.Timer(options.seconds, worker.stop).start()

orders.publish_many(("order.placed", {"number": n}) for n in range(options.orders))
worker.connect_and_listen()
orders.close()
logging.info("stopped")
