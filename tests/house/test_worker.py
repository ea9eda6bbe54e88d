"""examples/worker.py as a process on a real server: what a signal in the middle of the work leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..servers import RedisServer

TOPIC, GROUP = "worker:orders", "billing"
WORKER = Path(__file__).parents[2] / "examples" / "worker.py"
pytestmark = [pytest.mark.slow, pytest.mark.real]


@pytest.fixture
def client(real_server: RedisServer) -> Iterator[Any]:
    """A foreign client, on a stream that is empty before and after."""
    client = real_server.client(decode_responses=True)
    client.delete(TOPIC)
    yield client
    client.delete(TOPIC)
    client.close()


@pytest.fixture
def worker(real_server: RedisServer) -> Iterator[subprocess.Popen[str]]:
    """The worker process, listening."""
    environment = {**os.environ, "PYTHONPATH": str(WORKER.parents[1])}
    process = subprocess.Popen(
        [sys.executable, str(WORKER), "--url", real_server.url, "--concurrency", "3"], stdout=subprocess.PIPE, text=True, env=environment
    )
    yield process
    process.kill()
    process.communicate()


def ids(lines: list[str], word: str) -> list[str]:
    """The ids in the lines that begin with this word."""
    return [line.split()[1] for line in lines if line.startswith(word)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signalled_worker_finishes_what_it_started_and_hands_back_the_rest(
    client: Any, worker: subprocess.Popen[str], number: signal.Signals
) -> None:
    written = [client.xadd(TOPIC, {"type": "order.placed", "number": n}) for n in range(200)]
    assert worker.stdout is not None
    lines = [worker.stdout.readline()]
    while len(ids(lines, "charged")) < 4 or not lines[-1].startswith("started"):  # three run side by side: some are in the middle now
        lines.append(worker.stdout.readline())
    worker.send_signal(number)
    lines += worker.stdout.readlines()
    worker.wait(20)

    started, charged = ids(lines, "started"), ids(lines, "charged")
    pending = {row["message_id"]: row for row in client.xpending_range(TOPIC, GROUP, "-", "+", 1000)}
    (group,) = client.xinfo_groups(TOPIC)
    assert worker.returncode == 0
    assert lines[-1] == "stopped\n"
    assert sorted(started) == sorted(charged) and len(set(started)) == len(started) < len(written)
    assert not pending.keys() & set(started), "what was started is acknowledged"
    assert {row["consumer"] for row in pending.values()} <= {"~waiting"}, "the rest waits for whoever is free"
    assert {row["times_delivered"] for row in pending.values()} <= {0}, "what was not started is not counted as a delivery"
    assert len(started) + len(pending) + group["lag"] == len(written), "nothing is lost"


def test_another_worker_handles_what_was_handed_back_at_once(client: Any, worker: subprocess.Popen[str], real_server: RedisServer) -> None:
    written = [client.xadd(TOPIC, {"type": "order.placed", "number": n}) for n in range(30)]
    assert worker.stdout is not None
    while not worker.stdout.readline().startswith("charged"):
        pass
    worker.terminate()
    worker.communicate(timeout=20)
    handled = len(written) - client.xpending(TOPIC, GROUP)["pending"] - client.xinfo_groups(TOPIC)[0]["lag"]
    environment = {**os.environ, "PYTHONPATH": str(WORKER.parents[1])}
    words = [sys.executable, str(WORKER), "--url", real_server.url, "--concurrency", "30", "--seconds", "1"]
    said = subprocess.run(words, stdout=subprocess.PIPE, text=True, env=environment, timeout=30, check=True).stdout.splitlines()
    assert len(ids(said, "charged")) == len(written) - handled
    assert client.xpending(TOPIC, GROUP)["pending"] == 0
