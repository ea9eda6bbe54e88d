"""The page: a snapshot rendered here, which lives on by its script.

What the template `page.html` is given: `base` (the path before all links), `nonce`, `read_only`, `interval`, `state` (as `/api/state`), `topic` (the
selected topic's part of it, or None), `name` (its name), `entries` (its newest, as `/api/entries`), `server` (the URL, its password masked), `token`
(whether one is asked for: there is a way to log out), `extensions`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from .board import Board
from .settings import Settings

FOLDER = Path(__file__).parent
STATIC = FOLDER / "static"


def environment(settings: Settings) -> Environment:
    """Where templates come from: everything in them is escaped."""
    folders = [each.templates for each in settings.extensions if getattr(each, "templates", None)]
    loader = ChoiceLoader([PackageLoader("streamio.dashboard"), FileSystemLoader(folders)])
    return Environment(loader=loader, autoescape=True)


async def page(request: Request) -> Response:
    """The page as it is now."""
    board: Board = request.app.state.board
    await board.sampler.fresh()
    state = await board.state()
    topics: list[dict[str, Any]] = state["sample"]["topics"] if state["sample"] else []
    name = request.query_params.get("topic")
    context = {
        "state": state,
        "sample": state["sample"],
        "topic": next((each for each in topics if each["name"] == name), None),
        "name": name,
        "extensions": board.settings.extensions,
        "read_only": board.settings.read_only,
        "interval": board.settings.interval,
    }
    return render(request, "page.html", context)


def render(request: Request, name: str, context: dict[str, Any], status: int = 200) -> Response:
    """A template as a page."""
    templates: Environment = request.app.state.templates
    board: Board = request.app.state.board
    common = {"base": request.scope.get("root_path", ""), "nonce": request.state.nonce, "token": board.settings.token is not None}
    return HTMLResponse(templates.get_template(name).render(**common, **context), status)
