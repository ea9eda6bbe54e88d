"""A hundred questions at once, and each gets its answer: what a handler returns is the reply, written in one step with its acknowledgement."""

import asyncio
import os

from streamio import Message, Topic, from_url


async def main() -> None:
    """Ask, with a member in the same process that answers."""
    client = from_url(os.environ.get("REDIS_URL", "memory://"), asyncio=True)
    async with Topic("ask:sums", client) as topic:
        member = topic.group("adders").member(concurrency=16)

        @member.on("add")
        async def add(message: Message) -> int:
            await asyncio.sleep(0.01)
            return int(message["a"]) + int(message["b"])

        listening = asyncio.create_task(member.connect_and_listen())
        answers = await asyncio.gather(*(topic.request("add", a=n, b=n, timeout=10) for n in range(100)))
        print(answers == [2 * n for n in range(100)], answers[-3:])
        member.stop()
        await listening


asyncio.run(main())
