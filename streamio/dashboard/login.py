"""The form that takes the token and sets the cookie."""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from .board import Board
from .page import render
from .security import address, cookie_of, fits, kept, waiting


async def login(request: Request) -> Response:
    """The form, or what becomes of it."""
    board: Board = request.app.state.board
    token = board.settings.token
    home = f"{request.scope.get('root_path', '')}/"
    if token is None:
        return RedirectResponse(home + kept(request), 303)
    if request.method != "POST":
        return render(request, "login.html", {"kept": kept(request)})
    if left := board.patience.left(address(request)):
        return render(request, "login.html", {"wrong": f"{waiting(left)}.".capitalize(), "kept": kept(request)}, 429)
    shown = parse_qs((await request.body()).decode("utf-8", "replace")).get("token", [""])[0]
    if not fits(board.patience, request, shown.strip().encode(), token):
        return render(request, "login.html", {"wrong": "That is not the token.", "kept": kept(request)}, 403)
    answer = RedirectResponse(home + kept(request), 303)
    name, value = cookie_of(token)
    answer.set_cookie(name, value, path=home, httponly=True, samesite="strict", secure=request.url.scheme == "https")
    return answer


async def logout(request: Request) -> Response:
    """Forget the token."""
    board: Board = request.app.state.board
    home = f"{request.scope.get('root_path', '')}/"
    answer = RedirectResponse(home, 303)
    answer.delete_cookie(cookie_of(board.settings.token or "")[0], path=home, httponly=True, samesite="strict")
    return answer
