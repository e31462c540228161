"""The page's addresses: what is asked for, by whom, and what is answered.

They live in a process of their own, which has nothing of the line but a link to it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from mimetypes import guess_type
from pathlib import Path
from pkgutil import resolve_name
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge.serving.questions import AskedLine, Fresh, LineGone
from edge.serving.server import HANG_UP
from edge.serving.token import TooManyGuesses
from edge.web.access import HEADERS, Access, Door, is_of_this_page
from edge.web.hub import TURN_S, Hub, Viewer

_STATIC = Path(__file__).parent / "static"
_FORM_BYTES = 4096  # a login form is at most so large
_FORM_S = 5  # and must have come whole by then
_MOST_PICTURES = 24
_NOT_THE_DOORS = {"cameras", "store", "classes"}  # of the settings
_FULL = "too many browsers look at this line: close one of them"
_FRESH = {"Cache-Control": "no-store"}


@dataclass(frozen=True)
class Pages:
    """What every address has at hand."""

    line: AskedLine
    hub: Hub
    door: Door
    state_now: Fresh
    frames_now: Mapping[str, Fresh]  # by camera
    pictures: OrderedDict[str, bytes] = field(default_factory=OrderedDict)

    async def state(self, request: Request) -> Response:
        # EventSource does not tell a script why it was refused: the script asks here whether it
        # was because the page is full.
        answer, full = await self.state_now(), _FULL if self.hub.is_full else None
        if "error" in answer.facts:
            return _said(500, answer.facts["error"])
        return JSONResponse({**json.loads(answer.content), "full": full}, headers=_FRESH)

    async def events(self, request: Request) -> Response:
        session = self.door.session(_cookies(request))
        viewer = self.hub.seat(
            lambda: session is None or self.door.is_open(session),
            request.scope[HANG_UP],
        )
        return _said(503, _FULL) if viewer is None else _Stream(self.hub, viewer)

    async def live_frame(self, request: Request) -> Response:
        camera = request.query_params.get("camera", next(iter(self.frames_now)))
        if camera not in self.frames_now:
            return _said(404, f"choose a camera from {', '.join(self.frames_now)}")
        answer = await self.frames_now[camera]()
        if "error" in answer.facts:
            return _said(500, answer.facts["error"])
        index = answer.facts["frame"]
        if index is None:
            return _said(404, "no frame has come yet")
        headers = {**_FRESH, "Frame": str(index)}
        if not answer.content:
            return Response(status_code=204, headers=headers)
        return Response(answer.content, media_type="image/jpeg", headers=headers)

    async def picture(self, request: Request) -> Response:
        name = request.path_params["name"]
        jpeg = self.pictures.get(name) or (await self.line.ask("picture", name=name)).content
        if not jpeg:
            return _said(404, "this reject is no longer shown")
        self.pictures[name] = jpeg
        while len(self.pictures) > _MOST_PICTURES:
            self.pictures.popitem(last=False)
        kept = {"Cache-Control": "private, max-age=86400, immutable"}
        return Response(jpeg, media_type="image/jpeg", headers=kept)

    async def acknowledge(self, request: Request) -> Response:
        return _answered(await self.line.ask("acknowledge", who=_whose(request)))

    async def self_check(self, request: Request) -> Response:
        answer = await self.line.ask("self-test")
        if answer.facts.get("busy"):
            return _said(409, "a self-test is under way")
        return _answered(answer)

    async def log_in(self, request: Request) -> Response:
        form = await _form(request)
        try:
            if not self.door.is_token(form.get("token", "").strip(), _whose(request)):
                return RedirectResponse("/login?wrong", 303)
        except TooManyGuesses as guesses:
            return RedirectResponse(f"/login?wait={guesses.wait_s:.0f}", 303)
        return RedirectResponse("/", 303, {"Set-Cookie": self.door.begin()})

    async def log_out(self, request: Request) -> Response:
        return RedirectResponse("/login", 303, {"Set-Cookie": self.door.end(_cookies(request))})

    @asynccontextmanager
    async def running(self, app: Starlette) -> AsyncIterator[None]:
        turning = asyncio.create_task(self.hub.run())
        try:
            yield
        finally:
            turning.cancel()
            with suppress(asyncio.CancelledError):
                await turning


class _Reviewing:
    """The Review view, loaded when somebody first asks for events: most only look at the line, and
    a page that loads all that it takes would be slow to start on a busy box.
    """

    def __init__(self, root: Path, classes: Sequence[str]) -> None:
        self._root, self._classes = root, classes
        self._loading = asyncio.Lock()
        self._pages: Any = None

    def answers(self, name: str) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            async with self._loading:
                if self._pages is None:
                    self._pages = await asyncio.to_thread(self._load)
            response: Response = await getattr(self._pages, name)(request)
            return response

        return answer

    def _load(self) -> Any:
        return resolve_name("edge.web.review_pages:ReviewPages")(self._root, self._classes)


class _Stream(StreamingResponse):
    """A viewer's events; its seat is free again however they end."""

    def __init__(self, hub: Hub, viewer: Viewer) -> None:
        self._hub, self._viewer = hub, viewer
        super().__init__(hub.stream(viewer), media_type="text/event-stream", headers=_FRESH)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._hub.leave(self._viewer)


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
            return _said(421, "this page does not go by that name: use an address, or web.names")
        if request.method == "POST" and not is_of_this_page(host, headers.get("origin", "")):
            return _said(403, "only this page's own buttons work")
        if path in self._open:
            return None
        try:
            let_in = self._door.lets_in(
                headers.get("authorization", ""), _cookies(request), _whose(request)
            )
        except TooManyGuesses as guesses:
            refused = _said(429, str(guesses))
            refused.headers["Retry-After"] = f"{guesses.wait_s + 0.5:.0f}"
            return refused
        return None if let_in else _sent_away(path)


def _sent_away(path: str) -> Response:
    if path in {"/", "/review"}:
        return RedirectResponse("/login", 303)
    refused = _said(401, "give the token: as a header `Authorization: Bearer TOKEN`, or log in")
    refused.headers["WWW-Authenticate"] = "Bearer"
    return refused


_SEAL = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]


def page_app(line: AskedLine, settings: Mapping[str, Any]) -> ASGIApp:
    """All of it, as one application."""
    cameras, store = settings["cameras"], settings["store"]
    door_settings = {key: value for key, value in settings.items() if key not in _NOT_THE_DOORS}
    access = Access(**{**door_settings, "names": tuple(settings["names"])})
    door = Door(access, time.monotonic_ns)
    pages = Pages(
        line,
        Hub(line),
        door,
        Fresh(lambda: line.ask("state"), TURN_S),
        {name: Fresh(partial(line.ask, "frame", camera=name), TURN_S) for name in cameras},
    )
    static = {f"/static/{path.name}": _file(path.name) for path in _STATIC.iterdir()}
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
        Route("/self-test", pages.self_check, methods=["POST"]),
        *(Route(path, answer) for path, answer in static.items()),
    ]
    if store is not None:
        reviewing = _Reviewing(Path(store), settings["classes"])
        routes += [
            Route("/review", _file("review.html")),
            Route("/review/events", reviewing.answers("events")),
            Route("/review/events/{event:int}", reviewing.answers("say"), methods=["POST"]),
            Route("/review/events/{event:int}/{name}", reviewing.answers("picture")),
        ]
    app = Starlette(
        routes=routes, lifespan=pages.running, exception_handlers={LineGone: _line_gone}
    )
    return Guarded(app, door, frozenset({"/login", *static}))


def _file(name: str) -> Callable[[Request], Any]:
    """A file of the page; read once, and sent again only where it has changed."""
    content = (_STATIC / name).read_bytes()
    headers = {"Cache-Control": "no-cache", "ETag": f'"{sha256(content).hexdigest()[:16]}"'}

    async def answer(request: Request) -> Response:
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=guess_type(name)[0], headers=headers)

    return answer


async def _line_gone(request: Request, _: Exception) -> Response:
    return _said(503, "the line ends")


async def _form(request: Request) -> dict[str, str]:
    """Nothing of one that is too long or takes too long to come."""
    with suppress(asyncio.TimeoutError):
        body = await asyncio.wait_for(_body(request), _FORM_S)
        return {key: values[0] for key, values in parse_qs(body.decode("utf-8", "replace")).items()}
    return {}


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _FORM_BYTES:
            return b""
    return body


def _whose(request: Request) -> str:
    return request.client.host if request.client else "nowhere"


def _cookies(request: Request) -> str:
    return request.headers.get("cookie", "")


def _answered(answer: Any) -> Response:
    """The line's own words."""
    if "error" in answer.facts:
        return _said(500, answer.facts["error"])
    content, status = answer.content, answer.facts["status"]
    return Response(content, status, _FRESH, media_type="application/json")


def _said(status: int, message: str) -> JSONResponse:
    return JSONResponse({"message": message}, status, _FRESH)
