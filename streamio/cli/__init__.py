"""The command line. This room holds the frame (`program`, `session`, `output`, `ending`) and one module for each command, or few of a kind.

To add a command:

1. Write `streamio/cli/NAME.py` with a `click.command()` function of the command's name. It takes the session with `@click.pass_obj`, or asks
   `current()` for it, and gets clients, topics and observers from it: they are closed when the command ends.
2. Put a line into `table.COMMANDS`: name -> (module:function, one line of help). The module is imported only when the command runs, so that
   `streamio --help` and the other commands do not pay for it. Another name for it goes to `table.ALIASES`.
3. What is asked for goes to stdout, by `output.emit` (rows), `output.one` (a record) or `output.line`; all else to stderr, by `output.note`.
   What takes long shows `output.progress`; what destroys asks `output.confirm(text, yes)` first.
4. Raise: `Failure("one sentence")` ends with 1, `CheckFailed("one sentence")` with 2. Errors of the library, of redis-py and ValueErrors
   are told as one line without your help. Never catch BrokenPipeError or KeyboardInterrupt.

-u, -o, -q, -v and --no-color may stand before the command or after it; a command does not declare them.

Exit codes: 0 done; 1 it failed; 2 a check found what it was to look for (`report --fail-…`, `doctor`); 64 wrong use of the command line;
130 Ctrl-C. A closed pipe (`streamio cat t | head`) ends silently with 0.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

MISSING = "streamio: the command line needs click and rich: pip install 'streamio[cli]'"
INTERRUPTED = 130


def main(words: Sequence[str] | None = None) -> int:
    """The exit code, once the command has run. `words`: the command line without the program's name; None: this process'."""
    try:
        from .program import run
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        print(MISSING, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return run(sys.argv[1:] if words is None else list(words))
