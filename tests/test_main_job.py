"""The main job: what other clients write to a stream is handled by a group of processes, each entry once, and nothing stays pending."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .main_job_member import GROUP, TOPIC
from .servers import RedisServer, need

ENTRIES = 100_000
STYLES = ("for", "on", "for-asyncio", "on-asyncio")
HERE = Path(__file__).parent.parent


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server for this test alone."""
    server = RedisServer("appendonly no").start()
    yield server
    server.remove()


def write_by_redis_cli(server: RedisServer, numbers: range) -> None:
    """Mass insertion: a file of XADD commands piped to redis-cli."""
    lines = "".join(f"XADD {TOPIC} * type order.placed n {n}\r\n" for n in numbers)
    done = subprocess.run([need("redis-cli"), "-p", str(server.port), "--pipe"], input=lines.encode(), stdout=subprocess.PIPE, timeout=60, check=True)
    assert f"replies: {len(numbers)}".encode() in done.stdout


def write_by_pipelines(client: Any, numbers: range) -> None:
    """Plain redis-py, 1000 XADDs at a time."""
    for first in range(numbers.start, numbers.stop, 1000):
        with client.pipeline(transaction=False) as pipe:
            for n in range(first, first + 1000):
                pipe.xadd(TOPIC, {"type": "order.placed", "n": n})
            pipe.execute()


def started(style: str, server: RedisServer, path: Path) -> subprocess.Popen[str]:
    """A member process, connected and waiting for the start signal."""
    words = [sys.executable, "-m", "tests.main_job_member", style, server.url, str(path)]
    process = subprocess.Popen(words, cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def release(process: subprocess.Popen[str]) -> None:
    """The start signal."""
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def ended(process: subprocess.Popen[str]) -> float:
    """When a member process that was told to stop handled its last entry."""
    said, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    return float(said)


def until_all_is_handled(client: Any) -> None:
    """Nothing unread, nothing pending."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        (group,) = client.xinfo_groups(TOPIC)
        if not group["lag"] and not group["pending"]:
            return
        time.sleep(0.05)
    raise AssertionError(f"not all was handled within 60 s: {group}")


@pytest.mark.slow
@pytest.mark.real
def test_four_processes_handle_a_hundred_thousand_foreign_entries_once_each(server: RedisServer, tmp_path: Path) -> None:
    client = server.client(decode_responses=True)
    files = [tmp_path / style for style in STYLES]
    processes = [started(style, server, path) for style, path in zip(STYLES, files)]
    try:
        write_by_redis_cli(server, range(ENTRIES // 2))
        write_by_pipelines(client, range(ENTRIES // 2, ENTRIES))
        began = time.monotonic()
        for process in processes:
            release(process)
        until_all_is_handled(client)
        for process in processes:
            process.terminate()
        lasts = [ended(process) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    written = Counter(f"{entry_id} {fields['n']}" for entry_id, fields in client.xrange(TOPIC))
    handled = [path.read_text().splitlines() for path in files]
    shares = {style: len(lines) for style, lines in zip(STYLES, handled)}
    print(f"\n{ENTRIES / (max(lasts) - began):,.0f} entries/s by four processes: {shares}")
    assert sum(written.values()) == ENTRIES
    assert Counter(line for lines in handled for line in lines) == written
    assert all(shares.values()), shares
    assert client.xpending(TOPIC, GROUP)["pending"] == 0
    client.close()
