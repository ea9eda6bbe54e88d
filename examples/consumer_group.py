"""A topic, a group with places for up to four members, a map of handlers, and a clone that shares its work. asyncio: the client decides."""

import asyncio
import os

from streamio import ConsumerGroupMember, ConsumerGroupTopic, Message, Topic, from_url

greeted = asyncio.Semaphore(0)


async def hello(message: Message) -> None:
    """Called for entries of the type "hello"."""
    print(f"hello, {message['name']}!")
    greeted.release()


async def goodbye(message: Message) -> None:
    """Called for entries of the type "goodbye"."""
    print(f"goodbye, {message['name']}.")
    greeted.release()


async def main() -> None:
    """Two members greet whoever comes."""
    topic = Topic("visitors", from_url(os.environ.get("REDIS_URL", "memory://"), asyncio=True))
    group = ConsumerGroupTopic(topic, name="greeters", min=1, max=4)

    member = ConsumerGroupMember(group, "greeter-1", handlers={"hello": hello, "goodbye": goodbye})
    twin = member.clone("greeter-2")  # the same handlers and options, a name of its own

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(member.connect_and_listen())
        tasks.create_task(twin.connect_and_listen())
        for name in ("Ada", "Grace", "Barbara"):
            await topic.publish("hello", name=name)
        await topic.publish("goodbye", name="all")
        for _ in range(4):
            await greeted.acquire()
        group.stop()  # each member finishes what runs, settles it, and returns

    print(f"pending: {(await group.info()).pending}")
    await topic.close()


asyncio.run(main())
