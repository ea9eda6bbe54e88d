"""All commands: where each is, and what it is for. Only the one that runs is imported."""

from __future__ import annotations

COMMANDS: dict[str, tuple[str, str]] = {
    "ls": ("ls:ls", "List streams: length, groups, worst lag, newest entry."),
    "info": ("info:info", "Tell all about one stream: retention, memory, groups, consumers."),
    "report": ("report:report", "Tell how groups are doing: lag, pending entries, rates; fail on limits."),
    "top": ("top:top", "Watch all groups, full screen."),
    "cat": ("cat:cat", "Print entries without touching any group; follow new ones."),
    "pending": ("pending:pending", "List a group's pending entries."),
    "doctor": ("doctor:doctor", "Check the server, its settings and the groups, and say what to do."),
    "add": ("add:add", "Add an entry, or many from stdin."),
    "read": ("read:read", "Read entries as a consumer of a group, and acknowledge them."),
    "run": ("run:run", "Run a member of your own: module:name."),
    "claim": ("claim:claim", "Move pending entries to another consumer."),
    "ack": ("ack:ack", "Acknowledge pending entries."),
    "nack": ("ack:nack", "Give pending entries back, for another delivery."),
    "bury": ("ack:bury", "Make pending entries dead letters."),
    "group": ("group:group", "Create, remove or move a consumer group."),
    "consumer": ("consumer:consumer", "Remove a consumer, and hand over what it has pending."),
    "trim": ("trim:trim", "Remove old entries."),
    "dead": ("dead:dead", "Look at dead letters, deliver them again, drop them."),
    "copy": ("copy:copy", "Copy entries to another stream, or another server."),
    "bench": ("bench:bench", "Measure how fast entries are added and read."),
    "dashboard": ("dashboard:dashboard", "Serve a page that shows streams and groups live."),
    "demo": ("demo:demo", "Try it all on a page: an embedded server, two groups, three workers."),
}

ALIASES = {"view": "cat", "produce": "add", "consume": "read", "dead-entry": "bury", "dlq": "dead"}
