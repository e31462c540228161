"""The door of a page: who gets past it, how to log in and out, and the files that it is made of.

Each answer is sealed: it takes nothing from other sites, and may be in nobody's frame.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from mimetypes import guess_type
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge.serving.token import TooManyGuesses
from edge.web.access import HEADERS, Door, is_of_this_page

STATIC = Path(__file__).parent / "static"
FRESH = {"Cache-Control": "no-store"}
_FORM_BYTES = 4096  # a login form is at most so large
_FORM_S = 5  # and must have come whole by then
_SEAL = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]


class Guarded:
    """Asks each request whose it is before anything else sees it, and seals each answer."""

    def __init__(self, app: ASGIApp, door: Door, open_paths: frozenset[str]) -> None:
        self._app, self._door, self._open = app, door, open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_SEAL]
            await send(message)

        refused = self._refused(Request(scope))
        await (self._app if refused is None else refused)(scope, receive, sealed)

    def _refused(self, request: Request) -> Response | None:
        # Judged by the path that requests are routed by: `request.url` also has what the client
        # says its host is.
        headers, path = request.headers, request.scope["path"]
        host = headers.get("host", "")
        if not self._door.knows(host):
            return said(421, "this page does not go by that name: use an address, or web.names")
        if request.method == "POST" and not is_of_this_page(host, headers.get("origin", "")):
            return said(403, "only this page's own buttons work")
        if path in self._open:
            return None
        try:
            let_in = self._door.lets_in(
                headers.get("authorization", ""), cookies(request), whose(request)
            )
        except TooManyGuesses as guesses:
            refused = said(429, str(guesses))
            refused.headers["Retry-After"] = f"{guesses.wait_s + 0.5:.0f}"
            return refused
        return None if let_in else _sent_away(path)


def _sent_away(path: str) -> Response:
    if path in {"/", "/review"}:
        return RedirectResponse("/login", 303)
    refused = said(401, "give the token: as a header `Authorization: Bearer TOKEN`, or log in")
    refused.headers["WWW-Authenticate"] = "Bearer"
    return refused


@dataclass(frozen=True)
class Entrance:
    """Where a browser gives the token, and leaves again."""

    door: Door

    @property
    def routes(self) -> list[Route]:
        return [
            Route("/login", page_file(STATIC / "login.html"), methods=["GET"]),
            Route("/login", self._log_in, methods=["POST"]),
            Route("/logout", self._log_out, methods=["POST"]),
        ]

    async def _log_in(self, request: Request) -> Response:
        form = await _form(request)
        try:
            if not self.door.is_token(form.get("token", "").strip(), whose(request)):
                return RedirectResponse("/login?wrong", 303)
        except TooManyGuesses as guesses:
            return RedirectResponse(f"/login?wait={guesses.wait_s:.0f}", 303)
        return RedirectResponse("/", 303, {"Set-Cookie": self.door.begin()})

    async def _log_out(self, request: Request) -> Response:
        return RedirectResponse("/login", 303, {"Set-Cookie": self.door.end(cookies(request))})


def static_files(*folders: Path) -> dict[str, Callable[[Request], Any]]:
    """What the pages in these folders are made of, by path."""
    files = (path for folder in folders for path in folder.iterdir())
    return {f"/static/{path.name}": page_file(path) for path in files}


def page_file(path: Path) -> Callable[[Request], Any]:
    """A file of the page; read once, and sent again only where it has changed."""
    content = path.read_bytes()
    headers = {"Cache-Control": "no-cache", "ETag": f'"{sha256(content).hexdigest()[:16]}"'}

    async def answer(request: Request) -> Response:
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=guess_type(path.name)[0], headers=headers)

    return answer


async def _form(request: Request) -> dict[str, str]:
    """Nothing of one that is too long or takes too long to come."""
    with suppress(asyncio.TimeoutError):
        body = await asyncio.wait_for(_body(request), _FORM_S)
        return {key: values[0] for key, values in parse_qs(body.decode("utf-8", "replace")).items()}
    return {}


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """What a page does besides answering, as long as it is served."""
    working = asyncio.create_task(work)
    try:
        yield
    finally:
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _FORM_BYTES:
            return b""
    return body


def whose(request: Request) -> str:
    return request.client.host if request.client else "nowhere"


def cookies(request: Request) -> str:
    return request.headers.get("cookie", "")


def said(status: int, message: str) -> JSONResponse:
    return JSONResponse({"message": message}, status, FRESH)
