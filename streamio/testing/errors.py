"""What a stage raises."""

from __future__ import annotations


class Killed(BaseException):
    """The process died here, as a SIGKILL would end it: raised through the member's handlers and loops, and ended by `play`.

    No `Exception`, so that no handler takes it for an error of its own. Unlike after a SIGKILL `finally:` blocks run; what the member notes there
    does not reach the server.
    """


class NeverSettles(AssertionError):
    """The play does not end, or something can never be settled. The text says what is left, and why."""
