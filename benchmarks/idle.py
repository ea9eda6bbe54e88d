"""What members cost that have nothing to do: CPU, commands, threads and memory, of one and of fifty in a process."""

from __future__ import annotations

from typing import Any

from tests.servers import RedisServer

from .arena import Arena
from .children import Child, Children
from .job import GROUP, KEY
from .sections import Cell, Effort, Section, Table
from .streams import commands

SECONDS = 16.0  # longer than `claim_interval`, so that each of the members' regular duties comes up
BLOCK = 2.0
TEAMS = [(1, "blocking"), (50, "blocking"), (1, "asyncio"), (50, "asyncio"), (1, "by hand")]
COLUMNS = [
    "members in a process",
    "CPU, % of a core",
    "each, %",
    "writes per block, each",
    "threads",
    "MB per member",
    "woken per s, each",
    "keepers woken",
]


def measure(arena: Arena, effort: Effort) -> Section:
    """All of them side by side, each process on a server of its own: sleepers are in nobody's way."""
    seconds = max(6.0, SECONDS * min(1.0, effort.scale))
    found = [counted(*team) for team in zip(TEAMS, side_by_side(seconds), strict=True)]
    rows = [row(*team) for team in zip(TEAMS, found, strict=True)]
    figures = {f"{size} idle, {colour}: {name}": value for (size, colour), facts in zip(TEAMS, found, strict=True) for name, value in facts.items()}
    for colour in ("blocking", "asyncio"):
        several, one = (figures[f"{size} idle, {colour}: MB"] for size in (50, 1))
        figures[f"idle, {colour}: MB per further member"] = (several - one) / 49
    sent = [said(*team) for team in zip(TEAMS, found, strict=True)]
    second = Table("What an idle member sends", ["members in a process", "commands in a block, each"], sent, "What scripts call is among it.")
    note = f"Over {seconds:.0f} s, all defaults: block {BLOCK:.0f} s, lease 30 s. By hand: XREADGROUP BLOCK 2000, again and again."
    return Section([Table("Idle", COLUMNS, rows, note), second], figures)


def side_by_side(seconds: float) -> list[dict[str, Any]]:
    """What each process spent, and what its server was sent."""
    servers = [RedisServer("appendonly no").start() for _ in TEAMS]
    try:
        with Children() as children:
            for server, (size, colour) in zip(servers, TEAMS, strict=True):
                server.client().xgroup_create(KEY, GROUP, id="0", mkstream=True)
                role = "idling:by_hand" if colour == "by hand" else "idling:on"
                children.append(Child(role, port=server.port, members=size, asyncio=colour == "asyncio", seconds=seconds))
            return measured(children, [server.client(decode_responses=True) for server in servers])
    finally:
        for server in servers:
            server.remove()


def measured(children: Children, clients: list[Any]) -> list[dict[str, Any]]:
    """Begin where all are idle; what each reports, with its server's counts of the same time."""
    for child in children:
        child.ready()
    before = []
    for child, client in zip(children, clients, strict=True):
        client.config_resetstat()
        before.append(client.info("stats")["total_reads_processed"])
        child.say("go")
    found = []
    for child, client, reads in zip(children, clients, before, strict=True):
        if child.line() != "measured":
            raise RuntimeError(f"{child.place} measured nothing")
        found.append({"writes": client.info("stats")["total_reads_processed"] - reads - 1, "commands": commands(client)})
    return [{**facts, **report} for facts, report in zip(found, children.reports(), strict=True)]


def counted(team: tuple[int, str], facts: dict[str, Any]) -> dict[str, Any]:
    """The figures of one process, by name; `sent` are its commands in a block."""
    size, _ = team
    blocks = facts["seconds"] / BLOCK * size
    sent = {name: each["calls"] / blocks for name, each in facts["commands"].items()}
    share = facts["cpu"] / facts["seconds"] * 100
    return {
        "CPU, % of a core": share,
        "CPU of each, % of a core": share / size,
        "writes per block": facts["writes"] / blocks,
        "threads": facts["threads"],
        "MB": facts["memory"],
        "woken per s": facts["woken"] / facts["seconds"] / size,
        "keepers woken": facts["keepers woken"],
        **{f"{name} per block": calls for name, calls in sent.items()},
    }


def row(team: tuple[int, str], facts: dict[str, Any]) -> list[Cell]:
    """One process."""
    shown = ["CPU, % of a core", "CPU of each, % of a core", "writes per block", "threads"]
    return [f"{team[0]}, {team[1]}", *(facts[name] for name in shown), facts["MB"] / team[0], facts["woken per s"], facts["keepers woken"]]


def said(team: tuple[int, str], facts: dict[str, Any]) -> list[Cell]:
    """What one process sent."""
    sent = sorted(((calls, name) for name, calls in facts.items() if name.endswith(" per block") and name != "writes per block"), reverse=True)
    return [f"{team[0]}, {team[1]}", ", ".join(f"{name.removesuffix(' per block')} {calls:.2f}" for calls, name in sent)]
