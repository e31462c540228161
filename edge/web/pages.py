"""The page's addresses: what is asked for, by whom, and what is answered.

They live in a process of their own, which has nothing of the line but a link to it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from edge.serving.questions import AskedLine, Fresh, LineGone
from edge.serving.server import HANG_UP
from edge.web.access import Access, Door
from edge.web.guarded import (
    FRESH,
    STATIC,
    Entrance,
    Guarded,
    beside,
    cookies,
    page_file,
    said,
    static_files,
    whose,
)
from edge.web.hub import TURN_S, Hub, Viewer

_MOST_PICTURES = 24
_FULL = "too many browsers look at this line: close one of them"


@dataclass(frozen=True)
class Pages:
    """What every address has at hand."""

    line: AskedLine
    hub: Hub
    door: Door
    state_now: Fresh
    summary_now: Fresh
    frames_now: Mapping[str, Fresh]  # by camera
    pictures: OrderedDict[str, bytes] = field(default_factory=OrderedDict)

    async def state(self, request: Request) -> Response:
        # EventSource does not tell a script why it was refused: the script asks here whether it
        # was because the page is full.
        answer, full = await self.state_now(), _FULL if self.hub.is_full else None
        if "error" in answer.facts:
            return said(500, answer.facts["error"])
        return JSONResponse({**json.loads(answer.content), "full": full}, headers=FRESH)

    async def summary(self, request: Request) -> Response:
        """What an overview of several lines shows of this one."""
        answer = await self.summary_now()
        if "error" in answer.facts:
            return said(500, answer.facts["error"])
        return Response(answer.content, headers=FRESH, media_type="application/json")

    async def events(self, request: Request) -> Response:
        session = self.door.session(cookies(request))
        viewer = self.hub.seat(
            lambda: session is None or self.door.is_open(session),
            request.scope[HANG_UP],
        )
        return said(503, _FULL) if viewer is None else _Stream(self.hub, viewer)

    async def live_frame(self, request: Request) -> Response:
        camera = request.query_params.get("camera", next(iter(self.frames_now)))
        if camera not in self.frames_now:
            return said(404, f"choose a camera from {', '.join(self.frames_now)}")
        answer = await self.frames_now[camera]()
        if "error" in answer.facts:
            return said(500, answer.facts["error"])
        index = answer.facts["frame"]
        if index is None:
            return said(404, "no frame has come yet")
        headers = {**FRESH, "Frame": str(index)}
        if not answer.content:
            return Response(status_code=204, headers=headers)
        return Response(answer.content, media_type="image/jpeg", headers=headers)

    async def picture(self, request: Request) -> Response:
        name = request.path_params["name"]
        jpeg = self.pictures.get(name) or (await self.line.ask("picture", name=name)).content
        if not jpeg:
            return said(404, "this reject is no longer shown")
        self.pictures[name] = jpeg
        while len(self.pictures) > _MOST_PICTURES:
            self.pictures.popitem(last=False)
        kept = {"Cache-Control": "private, max-age=86400, immutable"}
        return Response(jpeg, media_type="image/jpeg", headers=kept)

    async def acknowledge(self, request: Request) -> Response:
        return _answered(await self.line.ask("acknowledge", who=whose(request)))

    async def self_check(self, request: Request) -> Response:
        answer = await self.line.ask("self-test")
        if answer.facts.get("busy"):
            return said(409, "a self-test is under way")
        return _answered(answer)

    def running(self, app: Starlette) -> AbstractAsyncContextManager[None]:
        return beside(self.hub.run())


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
        super().__init__(hub.stream(viewer), media_type="text/event-stream", headers=FRESH)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._hub.leave(self._viewer)


def page_app(line: AskedLine, settings: Mapping[str, Any]) -> ASGIApp:
    """All of it, as one application."""
    cameras, store = settings["cameras"], settings["store"]
    door = Door(Access.told(settings["access"]), time.monotonic_ns)
    pages = Pages(
        line,
        Hub(line),
        door,
        Fresh(lambda: line.ask("state"), TURN_S),
        Fresh(lambda: line.ask("summary"), TURN_S),
        {name: Fresh(partial(line.ask, "frame", camera=name), TURN_S) for name in cameras},
    )
    static = static_files(STATIC)
    routes = [
        Route("/", page_file(STATIC / "index.html")),
        *Entrance(door).routes,
        Route("/state", pages.state),
        Route("/summary", pages.summary),
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
            Route("/review", page_file(STATIC / "review.html")),
            Route("/review/events", reviewing.answers("events")),
            Route("/review/events/{event:int}", reviewing.answers("say"), methods=["POST"]),
            Route("/review/events/{event:int}/{name}", reviewing.answers("picture")),
        ]
    app = Starlette(
        routes=routes, lifespan=pages.running, exception_handlers={LineGone: _line_gone}
    )
    return Guarded(app, door, frozenset({"/login", *static}))


async def _line_gone(request: Request, _: Exception) -> Response:
    return said(503, "the line ends")


def _answered(answer: Any) -> Response:
    """The line's own words."""
    if "error" in answer.facts:
        return said(500, answer.facts["error"])
    content, status = answer.content, answer.facts["status"]
    return Response(content, status, FRESH, media_type="application/json")
