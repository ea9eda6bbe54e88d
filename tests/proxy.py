"""A loopback TCP proxy between a client and a server: it loses, swallows, dribbles or delays replies on request.

A lost reply: the server has executed, the client never hears. `server` may be set to another address, for connections to come.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close sends RST


class Proxy:
    """`cut(words)`: where the next request that holds these bytes is answered by the server, the connection is reset instead.

    deaf      replies are swallowed; a connection that lost one stays so for ever, as behind a router that forgot it
    dribble   requests and replies come one byte at a time
    delay     seconds by which each piece of a reply comes later
    swallowed how many pieces of replies were
    times     when each connection was made, by the monotonic clock
    """

    def __init__(self, port: int) -> None:
        self.server = ("127.0.0.1", port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.words, self.lost, self.cuts, self.connections = b"", b"", 0, 0
        self.deaf, self.dribble, self.delay, self.times, self.swallowed = False, False, 0.0, list[float](), 0
        self.pairs: list[tuple[socket.socket, socket.socket]] = []
        threading.Thread(target=self.accept, daemon=True).start()

    def cut(self, words: bytes, times: int = 1, lost: bytes = b"") -> None:
        """Lose the replies to the next requests that hold these bytes, from the first piece on that holds `lost`."""
        self.words, self.lost, self.cuts = words, lost, times

    def accept(self) -> None:
        """Take connections until the proxy is closed."""
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                self.connections += 1
                self.times.append(time.monotonic())
                try:
                    server = socket.create_connection(self.server)
                except OSError:  # nobody is there
                    reset(client)
                    continue
                self.pairs.append((client, server))
                threading.Thread(target=self.carry, args=(client, server), daemon=True).start()

    def carry(self, client: socket.socket, server: socket.socket) -> None:
        """Requests up; replies come down in a thread of their own, which a cut silences first."""
        silent = threading.Event()
        answered = threading.Event()
        threading.Thread(target=self.reply, args=(client, server, silent, answered), daemon=True).start()
        with suppress(OSError):
            while data := client.recv(65536):
                if self.cuts and self.words in data:
                    self.cuts -= 1
                    silent.set()
                    server.sendall(data)
                    answered.wait(5)
                    break
                self.pass_on(data, server)
        reset(client, server)

    def reply(self, client: socket.socket, server: socket.socket, silent: threading.Event, answered: threading.Event) -> None:
        """Replies down."""
        deaf = False
        with suppress(OSError):
            while data := server.recv(65536):
                deaf = deaf or self.deaf
                if silent.is_set() and self.lost in data:
                    answered.set()
                    return
                self.swallowed += deaf
                if not deaf:
                    time.sleep(self.delay)
                    self.pass_on(data, client)
            reset(client, server)

    def pass_on(self, data: bytes, to: socket.socket) -> None:
        """Send the bytes on, all or one by one."""
        for piece in [data[i : i + 1] for i in range(len(data))] if self.dribble else [data]:
            to.sendall(piece)
            if self.dribble:
                time.sleep(0.0003)

    def close(self) -> None:
        """End all connections."""
        for each in (self.listener, *(side for pair in self.pairs for side in pair)):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def reset(*sockets: socket.socket) -> None:
    """Close with a reset, as a router does that forgot the connection."""
    for each in sockets:
        with suppress(OSError):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            each.shutdown(socket.SHUT_RDWR)
        each.close()
