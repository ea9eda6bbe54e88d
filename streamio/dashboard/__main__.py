"""`python -m streamio.dashboard --url redis://…`: the dashboard without the command line's extra."""

from __future__ import annotations

import argparse
import sys

from . import app
from .serving import serve


def main() -> None:
    """Serve on this machine."""
    parser = argparse.ArgumentParser("python -m streamio.dashboard")
    parser.add_argument("--url", help="the server; default: $REDIS_URL, else redis://localhost:6379")
    parser.add_argument("--port", type=int, default=8083)
    parser.add_argument("--allow-writes", action="store_true")
    given = parser.parse_args()
    dashboard = app(given.url, read_only=not given.allow_writes)
    print(f"http://127.0.0.1:{given.port}/", file=sys.stderr)
    serve(dashboard, port=given.port)


main()
