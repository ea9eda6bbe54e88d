"""The consumer group how-to, step by step: create, read, acknowledge after success, inspect, recover, monitor."""

import os
from typing import Any

from streamio import ConsumerGroupTopic, Topic, from_url

URL = os.environ.get("REDIS_URL", "memory://")
orders = Topic("how-to:orders", URL)

# 1. Create the group, and the stream with it. Doing so again does no harm, and members do it by themselves.
#    (So short a lease is for this example only; 30 s is the default.)
billing = ConsumerGroupTopic(orders, "billing", lease=0.5)
print("group created" if billing.create() else "the group was there already")

orders.publish_many(("order.placed", {"number": n}) for n in range(1, 7))

# 2. Read a batch, and acknowledge each entry after its work succeeded: at the end of its `with` block. Where the block raises, the entry
#    is tried again. Without a name of its own a member is called by host, process and a random part, so names never clash.
with billing.member() as worker:
    for message in worker.read(3, timeout=1):
        with message:
            print(f"order {message['number']}, delivery {message.deliveries}")

# 3. Here is what a killed process leaves behind: entries that it was given and never acknowledged.
foreign: Any = from_url(URL)
foreign.xreadgroup("billing", "killed-worker", {"how-to:orders": ">"}, count=2)

# 4. Inspect what is pending: all of it, or what has been for a minute (`idle=60`), or one consumer's (`consumer=...`).
for entry in billing.pending():
    print(f"{entry.id} is with {entry.consumer} since {entry.idle:.1f} s, delivery {entry.deliveries}")

# 5. Recover it. There is nothing to call: whoever reads takes over what a silent member had, when the lease is up.
with billing.member() as survivor:
    while billing.pending():
        for message in survivor.read(10, timeout=0.1):
            with message:
                print(f"order {message['number']}, delivery {message.deliveries}{', taken over' if message.claimed else ''}")
        survivor.flush()  # acknowledgements go with the next write or after 50 ms; here we want to look at once

# 6. Monitor: the lag (not delivered yet), what is pending, and who is there.
info = billing.info()
print(f"lag {info.lag}, pending {info.pending}, consumers {[each.name for each in billing.consumers()]}")

foreign.close()
orders.close()
