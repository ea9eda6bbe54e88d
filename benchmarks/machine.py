"""Where it was measured and with what: without it no figure means anything."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

BASE = ("streamio", "redis", "hiredis")


def machine(raw: Any, packages: Iterable[str] = ()) -> dict[str, Any]:
    """The machine, the server that this client talks to, and the versions of what takes part."""
    return {
        "cpu": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "redis-server": raw.info("server")["redis_version"],
        "libraries": versions({*BASE, *packages}),
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }


def line(found: dict[str, Any]) -> str:
    """The same in one line."""
    libraries = ", ".join(f"{name} {number}" for name, number in found["libraries"].items())
    return f"{platform_line(found)}; {libraries}; {found['date']}"


def platform_line(found: dict[str, Any]) -> str:
    """Only what it ran on."""
    return f"{found['cpu']}, {found['cores']} cores, {found['kernel']}, {found['python']}, redis-server {found['redis-server']}"


def processor() -> str:
    """The CPU's model."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Of those that are installed, by name."""
    found = {name: installed(name) for name in sorted(packages)}
    return {name: number for name, number in found.items() if number}


def installed(package: str) -> str:
    """Its version; empty where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
