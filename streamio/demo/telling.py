"""The demo as JSON, for its page. Nothing is asked of the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .orders import TYPES

if TYPE_CHECKING:
    from .engine import Demo


def state_of(demo: Demo) -> dict[str, Any]:
    """All that `/api/state` tells under `demo`."""
    producer, teams = demo.producer, demo.teams
    return {
        "topic": demo.topic.name,
        "claim_idle": demo.claim_idle,
        "lease": demo.lease,
        "maxlen": demo.maxlen,
        "types": list(TYPES),
        "producer": {"rate": producer.rate, "paused": producer.paused, "fault": producer.fault},
        "stats": {
            "produced": producer.produced,
            "acked": sum(team.acked for team in teams.values()),
            "claimed": sum(team.claimed for team in teams.values()),
        },
        "acked": {name: team.acked for name, team in teams.items()},
        "groups": {name: team.state() for name, team in teams.items()},
        "spoil": {"queued": producer.orders.to_spoil, "failing": teams["analytics"].retried, "mended": demo.amounts.mended},
        "story": demo.story.state(),
        "left_over": demo.left_over,
        "fault": demo.fault,
    }
