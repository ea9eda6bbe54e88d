"""The form that takes the token and sets the cookie."""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from .board import Board
from .page import render
from .security import cookie_of, same


async def login(request: Request) -> Response:
    """The form, or what becomes of it."""
    board: Board = request.app.state.board
    token = board.settings.token
    home = f"{request.scope.get('root_path', '')}/"
    if token is None:
        return RedirectResponse(home, 303)
    if request.method != "POST":
        return render(request, "login.html", {"wrong": False})
    shown = parse_qs((await request.body()).decode("utf-8", "replace")).get("token", [""])[0]
    if not same(shown.strip().encode(), token.encode()):
        return render(request, "login.html", {"wrong": True}, 403)
    answer = RedirectResponse(home, 303)
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
