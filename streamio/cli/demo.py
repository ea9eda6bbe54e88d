"""`streamio demo`: a shop on a page, with workers that crash. No Redis is needed."""

from __future__ import annotations

import webbrowser
from importlib.util import find_spec
from typing import Any

import click

from ..errors import SetupError
from .dashboard import NEEDS, check_host
from .ending import masked
from .output import note
from .positions import DURATION
from .session import Session

EMBEDDED = "memory://demo"


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen. Any other host needs --token.")
@click.option("--port", type=click.IntRange(0, 65535), default=8083, show_default=True, help="0: any that is free.")
@click.option("--stream-key", metavar="KEY", default="streamio:demo:orders", show_default=True, help="The stream. It must not exist.")
@click.option("--maxlen", type=click.IntRange(1), default=2000, show_default=True, help="About how many orders the stream keeps.")
@click.option("--claim-idle", type=DURATION, default="5s", show_default=True, help="After how long a silent worker's entries may be claimed.")
@click.option("--rate", type=click.FloatRange(0, 100), default=2.0, show_default=True, help="Orders per second that come by themselves.")
@click.option("--latency", type=DURATION, default="20ms", show_default=True, help="How long a worker takes for one order.")
@click.option("--seed", type=int, metavar="N", help="Make the same orders each time.")
@click.option("--token", metavar="T", envvar="STREAMIO_DASHBOARD_TOKEN", show_envvar=True, help="Ask for this token.")
@click.option("--insecure-public", is_flag=True, help="Listen on another host without a token: whoever reaches it may play.")
@click.option("--open", "browse", is_flag=True, help="Open it in a browser.")
@click.pass_obj
def demo(session: Session, /, host: str, port: int, token: str | None, insecure_public: bool, browse: bool, **how: Any) -> None:
    """Try it all on a page: orders flow, two groups of workers handle them, and you let workers crash. A story of five minutes leads through it.

    No Redis is needed: a server inside the process will do. With -u it runs on that one, on keys of its own, which go when it ends.
    """
    if missing := next((name for name in NEEDS if find_spec(name) is None), None):
        raise SetupError(f"the demo needs {missing}: pip install 'streamio[demo]'")
    check_host(host, token, insecure_public)
    import asyncio

    from ..dashboard.serving import hosts_for, listening
    from ..demo.serving import serve

    where = session.given_url or EMBEDDED
    on = "an embedded server" if where.startswith("memory://") else masked(where)

    def told(address: str) -> None:
        note(f"{address} shows the demo, on {on}; Ctrl-C ends it and removes its keys")
        if browse:
            webbrowser.open(address)

    async def run(door: Any) -> None:
        await serve(made(where, how), door, told, token=token, hosts=hosts_for(host))

    with listening(host, port) as door:
        asyncio.run(run(door))


def made(url: str, how: dict[str, Any]) -> Any:
    """The demo of these options."""
    from ..demo import Demo

    return Demo(url, key=how.pop("stream_key"), **how)
