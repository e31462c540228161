"""The page's addresses: what is asked for, by whom, and what is answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from mimetypes import guess_type
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge.errors import TracksideError
from edge.web.access import HEADERS, Door, is_of_this_page
from edge.web.board import Board
from edge.web.hub import TURN_S, Hub
from edge.web.pictures import LiveFrame
from edge.web.view import LineView

_STATIC = Path(__file__).parent / "static"
_FORM_BYTES = 4096  # of a login, at most
_WRONG_TOKEN_S = 0.5  # until it is said to be wrong
_FULL = "too many browsers look at this line: close one of them"
_FRESH = {"Cache-Control": "no-store"}


@dataclass(frozen=True)
class Pages:
    """What every address has at hand."""

    view: LineView
    board: Board
    hub: Hub
    door: Door
    frame: LiveFrame
    testing: asyncio.Lock

    async def state(self, request: Request) -> Response:
        # A browser's script is not told why it was given no events; it asks here.
        full = _FULL if self.hub.is_full else None
        return JSONResponse({**self.board.state(), "full": full}, headers=_FRESH)

    async def events(self, request: Request) -> Response:
        if self.hub.is_full:
            return _said(503, _FULL)
        return StreamingResponse(self.hub.stream(), media_type="text/event-stream", headers=_FRESH)

    async def live_frame(self, request: Request) -> Response:
        newest = self.board.newest
        if newest is None:
            return _said(404, "no frame has come yet")
        index, jpeg = self.frame.of(newest)
        headers = {**_FRESH, "Frame": str(index)}
        if not jpeg:
            return Response(status_code=204, headers=headers)
        return Response(jpeg, media_type="image/jpeg", headers=headers)

    async def picture(self, request: Request) -> Response:
        jpeg = self.board.picture(request.path_params["name"])
        if jpeg is None:
            return _said(404, "this reject is no longer shown")
        kept = {"Cache-Control": "private, max-age=86400, immutable"}
        return Response(jpeg, media_type="image/jpeg", headers=kept)

    async def acknowledge(self, request: Request) -> Response:
        if (refusal := self.view.refusal()) is not None:
            return _said(403, refusal)
        try:
            self.view.acknowledge(request.client.host if request.client else "nowhere")
        except TracksideError as error:
            return _said(409, str(error))
        return _said(200, "acknowledged")

    async def self_test(self, request: Request) -> Response:
        if (refusal := self.view.refusal()) is not None:
            return _said(403, refusal)
        if self.testing.locked():
            return _said(409, "a self-test is under way")
        async with self.testing:
            checks = await asyncio.to_thread(self.view.self_test)
        passed = all(check.passed for check in checks)
        content = {"passed": passed, "checks": [asdict(check) for check in checks]}
        return JSONResponse(content, headers=_FRESH)

    async def log_in(self, request: Request) -> Response:
        form = await _form(request)
        if not self.door.is_token(form.get("token", "").strip()):
            await asyncio.sleep(_WRONG_TOKEN_S)
            return RedirectResponse("/login?wrong", 303)
        return RedirectResponse("/", 303, {"Set-Cookie": self.door.cookie})

    async def log_out(self, request: Request) -> Response:
        return RedirectResponse("/login", 303, {"Set-Cookie": self.door.farewell})

    @asynccontextmanager
    async def running(self, app: Starlette) -> AsyncIterator[None]:
        turning = asyncio.create_task(self.hub.run())
        try:
            yield
        finally:
            turning.cancel()
            with suppress(asyncio.CancelledError):
                await turning


class Guarded:
    """Asks each request whose it is before anything else sees it, and seals each answer."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app, self._door = app, door

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
        headers, path = request.headers, request.url.path
        host = headers.get("host", "")
        if not self._door.knows(host):
            return _said(421, f"this page does not go by the name {host}: use the box's own")
        if request.method == "POST" and not is_of_this_page(host, headers.get("origin", "")):
            return _said(403, "only this page's own buttons work")
        if path == "/login" or path.startswith("/static/"):
            return None
        if self._door.lets_in(headers.get("authorization", ""), headers.get("cookie", "")):
            return None
        if path == "/":
            return RedirectResponse("/login", 303)
        refused = _said(401, "give the token: as a header `Authorization: Bearer TOKEN`, or log in")
        refused.headers["WWW-Authenticate"] = "Bearer"
        return refused


_SEAL = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]


def page_app(view: LineView, board: Board, hub: Hub, door: Door) -> ASGIApp:
    """All of it, as one application."""
    frame = LiveFrame(round(TURN_S * 1e9), view.clock_ns)
    pages = Pages(view, board, hub, door, frame, asyncio.Lock())
    routes = [
        Route("/", _file("index.html")),
        Route("/login", _file("login.html"), methods=["GET"]),
        Route("/login", pages.log_in, methods=["POST"]),
        Route("/logout", pages.log_out, methods=["POST"]),
        Route("/state", pages.state),
        Route("/events", pages.events),
        Route("/frame.jpg", pages.live_frame),
        Route("/rejects/{name}.jpg", pages.picture),
        Route("/acknowledge", pages.acknowledge, methods=["POST"]),
        Route("/self-test", pages.self_test, methods=["POST"]),
        *(Route(f"/static/{path.name}", _file(path.name)) for path in _STATIC.iterdir()),
    ]
    return Guarded(Starlette(routes=routes, lifespan=pages.running), door)


def _file(name: str) -> Callable[[Request], Any]:
    """A file of the page; read once, and sent again only where it has changed."""
    content = (_STATIC / name).read_bytes()
    headers = {"Cache-Control": "no-cache", "ETag": f'"{sha256(content).hexdigest()[:16]}"'}

    async def answer(request: Request) -> Response:
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=guess_type(name)[0], headers=headers)

    return answer


async def _form(request: Request) -> dict[str, str]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _FORM_BYTES:
            return {}
    return {key: values[0] for key, values in parse_qs(body.decode("utf-8", "replace")).items()}


def _said(status: int, message: str) -> JSONResponse:
    return JSONResponse({"message": message}, status, _FRESH)
