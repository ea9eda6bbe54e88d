"""The demo as a part of the dashboard: its routes under `/api/demo`, its state, its panel."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ..dashboard.asking import body
from ..dashboard.board import Board
from ..dashboard.refusing import told
from ..dashboard.views import Answer, refusal
from .acts import Act
from .engine import Demo
from .errors import Refused

FOLDER = Path(__file__).parent
# Each act: the method, the settings it must be given, and those that it may be given.
ACTS: dict[str, tuple[str, str, str]] = {
    "produce": ("produce", "", "count type"),
    "producer": ("flow", "", "paused rate"),
    "crash": ("crash", "group worker", "count"),
    "spoil": ("spoil", "", "count"),
    "mend": ("mend", "", "mended"),
    "redrive": ("redrive", "", ""),
    "pause": ("pause", "group worker", ""),
    "resume": ("resume", "group worker", ""),
    "add-worker": ("add_worker", "group name", ""),
    "remove-worker": ("remove_worker", "group name", ""),
    "claim": ("claim", "group to", "idle"),
    "trim": ("trim", "", "maxlen preview"),
    "reset": ("reset", "", ""),
}
NUMBERS = ("count",)  # what a query says as text


class Panel:
    """What the dashboard is given as an extension."""

    template: str | None = "demo.html"
    templates: Path | None = FOLDER / "templates"
    static: Path | None = FOLDER / "static"
    scripts: Sequence[str] = ("static/demo/demo.js", "static/demo/story.js")

    def __init__(self, demo: Demo) -> None:
        self.demo = demo
        acts: list[BaseRoute] = [Route(f"/{name}", self._acting(name), methods=["POST"]) for name in ACTS]
        self.routes: Sequence[BaseRoute] = [*acts, Route("/replay", self._replaying)]

    def state(self) -> dict[str, Any]:
        """What `/api/state` tells under `demo`."""
        return self.demo.state()

    def _acting(self, name: str) -> Callable[[Request], Awaitable[Response]]:
        """The route of an act, which is noted in the journal; what only looks is not."""
        method, needed, known = ACTS[name]

        async def route(request: Request) -> Response:
            board: Board = request.app.state.board
            try:
                asked = await body(request)
                asked.only([*needed.split(), *known.split()])
                for each in needed.split():
                    asked.text(each)
                done: Act = await getattr(self.demo, method)(**given(asked.values))
            except Exception as error:
                status, reason = why(error)
                board.note(request, f"demo {name}", self.demo.topic.name, "", reason, ok=False)
                return refused(status, reason, error)
            if not asked.values.get("preview"):
                board.note(request, f"demo {name}", self.demo.topic.name, done.command, done.message)
            return answered(done)

        return route

    async def _replaying(self, request: Request) -> Response:
        """Entries that were handled long ago."""
        asked = dict(request.query_params)
        try:
            values: dict[str, Any] = {name: int(value) if name in NUMBERS and value.isdecimal() else value for name, value in asked.items() if value}
            if unknown := values.keys() - {"start", "end", "count"}:
                raise ValueError(f"{min(unknown)!r} is no setting here: there are start, end, count")
            return answered(await self.demo.replay(**values))
        except Exception as error:
            return refused(*why(error), error)


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings without those that say nothing."""
    return {name: value for name, value in values.items() if value is not None}


def why(error: Exception) -> tuple[int, str]:
    """The status and the sentence of an error. One that nobody foresaw is raised."""
    return (error.status, str(error)) if isinstance(error, Refused) else told(error)


def answered(done: Act) -> Response:
    """What was done, as JSON."""
    return Answer({"ok": True, "message": done.message, "command": done.command, "result": done.result})


def refused(status: int, reason: str, error: Exception) -> Response:
    """Why it was not done; `reason` is one word for programs, where there is one."""
    if not isinstance(error, Refused):
        return refusal(status, reason)
    return Answer({"ok": False, "error": reason, "reason": error.reason}, status)
