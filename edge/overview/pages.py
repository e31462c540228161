"""The overview's addresses, in a process of their own: what the lines say is all that it has."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from edge.serving.questions import AskedLine, LineGone
from edge.web.access import Access, Door
from edge.web.guarded import (
    FRESH,
    STATIC,
    Entrance,
    Guarded,
    beside,
    page_file,
    static_files,
)

_OWN = Path(__file__).parent / "static"
_TURN_S = 1.0


class _Lines:
    """What is known of them, asked for whether anybody looks or not: however many look, the lines
    are asked no more often.
    """

    def __init__(self, asked: AskedLine) -> None:
        self._asked = asked
        self._told: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def answer(self, request: Request) -> Response:
        told = await asyncio.shield(self._told)  # the first time it takes a moment
        return Response(told, headers=FRESH, media_type="application/json")

    def running(self, app: Starlette) -> AbstractAsyncContextManager[None]:
        return beside(self._keep_asking())

    async def _keep_asking(self) -> None:
        with suppress(LineGone):
            while not self._asked.closing.is_set():
                answer = await self._asked.ask("lines")
                if self._told.done():
                    self._told = asyncio.get_running_loop().create_future()
                self._told.set_result(answer.content)
                await asyncio.sleep(_TURN_S)


def overview_app(asked: AskedLine, settings: Mapping[str, Any]) -> ASGIApp:
    """All of it, as one application."""
    door = Door(Access.told(settings["access"]), time.monotonic_ns)
    lines, static = _Lines(asked), static_files(STATIC, _OWN)
    routes = [
        Route("/", page_file(_OWN / "overview.html")),
        *Entrance(door).routes,
        Route("/lines", lines.answer),
        *(Route(path, answer) for path, answer in static.items()),
    ]
    app = Starlette(routes=routes, lifespan=lines.running)
    return Guarded(app, door, frozenset({"/login", *static}))
