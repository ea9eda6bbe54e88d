"""A kit for tests of code that uses streamio: a server for each test, members that play without threads or sleeping, crashes made on purpose.

    pytest_plugins = ["streamio.testing.fixtures"]  # in the conftest.py of your root directory; nothing else is to be set up

    def test_a_declined_card_is_tried_again(stage):
        orders = stage.topic("orders")
        bank = Bank(declines=1)
        member = billing(orders, bank)  # your own code: a ConsumerGroupMember with its handlers

        [order] = stage.play(member, ("order.placed", {"customer": "Ada"}))
        assert order.state == "waiting"
        assert order.due == 1

        stage.pass_time(seconds=1)  # nobody sleeps
        stage.play(member)
        assert order.state == "acknowledged"

**The stage** is an embedded server for this test alone, with a clock that stands still. Everything else is real: your topics, groups, members and
pipes, their handlers, retries, leases and dead letters; only nobody waits. `with Stage() as stage:` is for `unittest`. `async_stage`, or
`AsyncStage()`, is the same for asyncio: `play`, `settle` and `pass_time` are awaited there, everything else is not.

**Playing.** `play(member, *entries)` publishes, and lets the member handle what is due *now*; `settle(...)` lets time pass, too, until every entry is
acknowledged or buried. Pipes play as members do, and so does a function that runs a service or a loop: where it would wait for news it is stopped.

    stage.play(member | parse | invoices, ("order.placed", {"customer": "Ada"}))
    stage.play(lambda: serve(orders))  # connect_and_listen(), for message in member, ...

**Looking.** `play` and `entries()` give an `Outcome` for each entry: `state`, `deliveries`, `due`, `reason`, `error`; it changes as the play goes on.
`published(topic)` gives messages, `dead_letters()` dead letters, `assert_all_settled()` names what is left, and `print(stage.trace)` tells the story.

**Time** passes with `pass_time`, and where somebody would wait. In a handler it is what the handler takes: its lease is renewed meanwhile, and
`handler_timeout` ends it. Retries have no jitter here. `delay=` and the server's own times (expiry, ids) go by the same clock; `datetime.now()` and
`asyncio.sleep` in your own code do not: give those a clock of yours, or time-machine.

**Harm.** Each of these is met by the next command of that name, and a test that ends without meeting one fails:

    stage.lose_reply("XACK")                     # performed, and the connection breaks before the reply
    stage.refuse("XADD", "OOM command not allowed when used memory > 'maxmemory'")
    stage.cut(seconds=3)                         # connections break, and none is taken for 3 s
    stage.before("XACK", stage.redis.flushall)   # the server loses all its data in the middle
    stage.before("XACK", stage.crash)            # the process dies: also called by a handler's fake
    stage.kill(member)                           # a member that does not play just now

What a dead process had is pending until its lease ends; `stage.settle(member.clone())` is the next process, after that. The names are those of the
trace: Redis commands and streamio's scripts ("BURY", "PARK", "OUTPUT").

**Everywhere.** `kill_at_every_effect` plays a scenario once for each write to the server, and kills the process right before and right after it:

    def test_no_order_is_lost_wherever_it_crashes():
        def scenario(stage):
            bank = Bank()
            orders = stage.topic("orders")
            stage.play(billing(orders, bank), ("order.placed", {"customer": "Ada"}))
            stage.settle(billing(orders, bank))  # the next process
            stage.assert_all_settled()
            assert set(bank.charged) == {"Ada"}

        kill_at_every_effect(scenario)

**Requests.** `with stage.answering(member):` lets the member play while somebody waits for `topic.request(...)`.

Limits: handlers of a member with `concurrency` above 1 run in real threads or tasks, for `patience` real seconds at most; `pass_time` is then theirs
together. The server is fakeredis: what only a real server does (replication, clusters, memory, access rights) cannot be played.
"""

from .crashing import kill_at_every_effect
from .errors import Killed, NeverSettles
from .outcomes import Outcome
from .stage import AsyncStage, Stage
from .trace import Trace

__all__ = ["AsyncStage", "Killed", "NeverSettles", "Outcome", "Stage", "Trace", "kill_at_every_effect"]
