"""`streamio demo` as a process of its own, asked by HTTP."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

COMMAND = [sys.executable, "-c", "import sys; from streamio.cli import main; sys.exit(main())"]


class Shop:
    """A demo that runs with these options until `stop`."""

    def __init__(self, *options: str) -> None:
        self.process = subprocess.Popen([*COMMAND, "demo", "--port", "0", *options], stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        self.said = self.process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", self.said)
        if found is None:
            self.stop()
            raise AssertionError(self.said)
        self.port = int(found[1])
        self.url = f"http://127.0.0.1:{self.port}/"

    def ask(self, path: str, values: Any = None, **headers: str) -> tuple[int, Any]:
        """The status and the answer, as JSON. With values it is a POST."""
        data = None if values is None else json.dumps(values).encode()
        request = Request(self.url + path, data, {"Content-Type": "application/json", **headers})
        try:
            with urlopen(request, timeout=5) as answer:
                return answer.status, json.load(answer)
        except HTTPError as error:
            with error:
                return error.code, json.load(error)

    def do(self, act: str, **values: Any) -> Any:
        """What an act of the demo did."""
        status, answer = self.ask(f"api/demo/{act}", values)
        assert status == 200, answer
        return answer["result"]

    def state(self) -> Any:
        """The demo's state."""
        return self.ask("api/state")[1]["demo"]

    def until(self, holds: Callable[[Any], Any], timeout: float = 10) -> Any:
        """Wait until the state is so."""
        end = time.monotonic() + timeout
        while not holds(state := self.state()):
            assert time.monotonic() < end, state
            time.sleep(0.05)
        return state

    def stop(self, number: int = signal.SIGINT) -> float:
        """Send a signal; how many seconds it took to end."""
        began = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(10)
        if self.process.stderr is not None and not self.process.stderr.closed:
            self.said += self.process.stderr.read()
            self.process.stderr.close()
        return time.monotonic() - began
