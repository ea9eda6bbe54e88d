"""`streamio dashboard`: a page that shows streams and groups live."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import click

from ..errors import SetupError
from .output import note
from .positions import DURATION
from .session import Session

if TYPE_CHECKING:
    from ..dashboard.application import Dashboard

NEEDS = ("starlette", "uvicorn", "sse_starlette", "jinja2")
HERE = ("localhost", "127.0.0.1", "::1")


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen. Any other host needs --token.")
@click.option("--port", type=click.IntRange(0, 65535), default=8083, show_default=True, help="0: any that is free.")
@click.option("--allow-writes", is_flag=True, help="Let the page act: add, claim, acknowledge, trim … Without it the server refuses all of that.")
@click.option("--token", metavar="T", envvar="STREAMIO_DASHBOARD_TOKEN", show_envvar=True, help="Ask for this token.")
@click.option("--insecure-public", is_flag=True, help="Listen on another host without a token: whoever reaches it sees everything.")
@click.option("--prefix", metavar="/PATH", default="", help="Serve it under this path; a proxy may pass it on with it or without.")
@click.option("--topics", metavar="GLOB", multiple=True, help="Show, and let be touched, only these streams. May be given more than once.")
@click.option("--interval", type=DURATION, default="1s", show_default=True, help="How often to look at the server while somebody watches.")
@click.option(
    "--lease", type=DURATION, default="30s", show_default=True, help="The groups' lease: what is pending and idle for longer is left behind."
)
@click.option("--mask", metavar="FIELD", multiple=True, help="Never show the values of this field. May be given more than once.")
@click.option("--trace-url", metavar="URL", help="Where an entry's trace is looked at, such as https://traces.example/trace/{trace_id}.")
@click.option("--allowed-host", "names", metavar="NAME", multiple=True, help="Another name under which it may be asked for, behind a proxy say.")
@click.option("--open", "browse", is_flag=True, help="Open it in a browser.")
@click.pass_obj
def dashboard(session: Session, /, host: str, port: int, browse: bool, **how: Any) -> None:
    """Serve a page that shows streams, groups and consumers live. Read-only, and on this machine only, unless told otherwise."""
    if missing := next((name for name in NEEDS if find_spec(name) is None), None):
        raise SetupError(f"the dashboard needs {missing}: pip install 'streamio[dashboard]'")
    check_host(host, how["token"], how.pop("insecure_public"))
    from ..dashboard.serving import serve

    made = made_for(session.url, host, **how)
    serve(made, host, port, told=lambda address: note(told(address, session, made)), browse=browse)


def check_host(host: str, token: str | None, insecure: bool) -> None:
    """Refuse to show everything to everybody."""
    if token is not None and not token.strip():
        raise click.UsageError("--token must not be empty")
    if host not in HERE and not token and not insecure:
        raise click.UsageError(f"--host {host} lets others in: give a --token, or say --insecure-public")


def made_for(url: str, host: str, allow_writes: bool, topics: Any, names: Any, **how: Any) -> Dashboard:
    """The dashboard of these options."""
    from ..dashboard import app
    from ..dashboard.serving import hosts_for

    return app(url, topics=topics or ("*",), read_only=not allow_writes, hosts=(*hosts_for(host), *names), **how)


def told(address: str, session: Session, made: Dashboard) -> str:
    """What is said when it listens."""
    writes = "read-only" if made.board.settings.read_only else "writes are allowed"
    return f"{address} shows {session.shown_url} ({writes}); Ctrl-C ends it"
