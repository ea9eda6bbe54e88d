"""`python -m streamio.dashboard --url redis://…`: the dashboard on this machine, without the command line's extra."""

from __future__ import annotations

import argparse
import sys

from . import app
from .serving import serve


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser("python -m streamio.dashboard", description=__doc__)
    parser.add_argument("--url", help="the server; default: $REDIS_URL, else redis://localhost:6379")
    parser.add_argument("--port", type=int, default=8083)
    parser.add_argument("--allow-writes", action="store_true")
    given = parser.parse_args()
    made = app(given.url, read_only=not given.allow_writes)
    try:
        serve(made, port=given.port, told=lambda address: print(address, file=sys.stderr, flush=True))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
