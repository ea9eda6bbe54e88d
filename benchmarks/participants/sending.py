"""Publishers for readers of an idle stream, the same for all: a bare socket, and the time of publishing in each entry."""

from __future__ import annotations

import socket
import time
from typing import Any

import hiredis

from ..job import KEY, Job, fields_of

QUIET = 0.002  # seconds without a word to anybody after each entry, so that the publisher's own work is in nobody's way
PATIENCE = 30  # seconds to wait for a reader
pack_command: Any = hiredis.pack_command  # its own types know tuples of one word only
INFO = pack_command(("INFO", "clients"))


class Publisher:
    """One connection."""

    def __init__(self, job: Job) -> None:
        self.socket = socket.create_connection(("127.0.0.1", job.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = hiredis.Reader()
        self.words = [word for pair in fields_of("fields", 1).items() for word in pair]

    def asked(self, command: bytes) -> Any:
        """The reply to a command."""
        self.socket.sendall(command)
        while (reply := self.reader.gets()) is False:
            self.reader.feed(self.socket.recv(65536))
        return reply

    def publish(self) -> None:
        """Add an entry that says when."""
        self.asked(pack_command(("XADD", KEY, "*", *self.words, "at", time.perf_counter_ns())))

    def wait(self) -> None:
        """Until the reader is blocked in its read: what came before was handled, and (both colours, by hand and ours) acknowledged."""
        end = time.monotonic() + PATIENCE
        while b"blocked_clients:1\r" not in self.asked(INFO):
            if time.monotonic() > end:
                raise TimeoutError("nobody waits for an entry")
            time.sleep(0.0005)


def one_by_one(job: Job) -> None:
    """The next entry only when the reader waits again."""
    publisher = Publisher(job)
    for _ in range(job.entries):
        publisher.wait()
        publisher.publish()
        time.sleep(QUIET)


def evenly(job: Job) -> None:
    """A thousand a second, whether the reader waits or not."""
    publisher = Publisher(job)
    publisher.wait()
    began = time.perf_counter()
    for n in range(job.entries):
        time.sleep(max(0.0, began + n / 1000 - time.perf_counter()))
        publisher.publish()
