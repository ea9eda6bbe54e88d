"""The page: a snapshot rendered here, which lives on by its script.

What the template `page.html` is given: `base` (the path before all links), `nonce`, `state` (as `/api/state`), `topic` (the part of it that is the
selected topic's, or None), `name` (that topic's name), `entries`, `pending`, `dead` and `log` (as the API gives them), `server` (its address, the
password hidden), `trace_url`, `token` (whether one is asked for: there is a way to log out), `extensions`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from .addresses import address
from .asking import Asked
from .board import Board
from .looking import dead, entries, pending
from .refusing import telling_errors
from .settings import Settings

FOLDER = Path(__file__).parent
STATIC = FOLDER / "static"


def environment(settings: Settings) -> Environment:
    """Where templates come from: everything in them is escaped."""
    folders = [each.templates for each in settings.extensions if each.templates is not None]
    loader = ChoiceLoader([PackageLoader("streamio.dashboard"), FileSystemLoader(folders)])
    return Environment(loader=loader, autoescape=True)


async def page(request: Request) -> Response:
    """The page as it is now."""
    board: Board = request.app.state.board
    name = request.query_params.get("topic") or None
    shown = name is not None and board.settings.covers(name)
    if name is not None and shown:
        board.checked(name)
    await board.sampler.fresh()
    state = await board.state()
    topics: list[dict[str, Any]] = state["sample"]["topics"] if state["sample"] else []
    context = {
        "state": state,
        "sample": state["sample"],
        "topic": next((each for each in topics if each["name"] == name), None),
        "name": name,
        "server": address(board.client),
        "trace_url": board.settings.trace_url,
        "log": board.journal.newest(20),
        "extensions": board.settings.extensions,
        **(await snapshot(board, name) if name is not None and shown else {}),
    }
    return render(request, "page.html", context)


async def snapshot(board: Board, name: str) -> dict[str, Any]:
    """The lists of one topic that are shown without a script; what cannot be asked for now is missing."""
    found: dict[str, Any] = {}
    if board.sampler.since is not None:  # the server is away: nobody is to wait for it again and again
        return found
    for part, look in {"entries": entries, "pending": pending, "dead": dead}.items():
        answer = await telling_errors(board, look, Asked({"topic": name, "count": 20, "reverse": part == "entries"}))
        if answer.status_code == 200:
            found[part] = json.loads(bytes(answer.body))[part]
        elif answer.status_code == 503:
            break
    return found


def render(request: Request, name: str, context: dict[str, Any], status: int = 200) -> Response:
    """A template as a page."""
    templates: Environment = request.app.state.templates
    board: Board = request.app.state.board
    common = {"base": request.scope.get("root_path", ""), "nonce": request.state.nonce, "token": board.settings.token is not None}
    return HTMLResponse(templates.get_template(name).render(**common, **context), status)
