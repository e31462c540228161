"""The HTTP server of a server's process: uvicorn, which is given each connection by a door of ours.

uvicorn by itself would accept whoever comes until there are no descriptors left, and wait for ever
for a request that was begun.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from edge.serving.crowd import Crowd, Guest

MOST_GUESTS = 64
IDLE_S = 5.0  # for a request to come whole, from the connection or its latest answer on
HANG_UP = "trackside.hang_up"  # key in a request's scope: a function that ends its connection
_BETWEEN_S = 0.002  # pause after each guest, so that a flood of them costs little
_CLOSE_S = 1  # when it closes, how long requests may still be answered
_MOST_HEAD_BYTES = 16 * 1024

App = Callable[[Any, Any, Any], Awaitable[None]]


class Server(uvicorn.Server):
    """Serves an ASGI application, encrypted if there is a context."""

    def __init__(self, app: App, tls: ssl.SSLContext | None) -> None:
        self._crowd = Crowd(MOST_GUESTS, round(IDLE_S * 1e9))
        self._app, self._tls = app, tls
        self._tasks: set[asyncio.Task[None]] = set()
        super().__init__(
            uvicorn.Config(
                self._answer,
                interface="asgi3",
                http="h11",
                loop="asyncio",
                ws="none",
                log_config=None,
                log_level="error",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                h11_max_incomplete_event_size=_MOST_HEAD_BYTES,
                timeout_graceful_shutdown=_CLOSE_S,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=[])  # none: uvicorn would accept guests itself
        for listener in sockets or []:
            listener.setblocking(False)
            self._begin(self._accept(listener))
        self._begin(self._sweep())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for task in list(self._tasks):
            task.cancel()
        await super().shutdown(sockets)

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with self._crowd.working(tuple(scope["client"] or ()), time.monotonic_ns) as hang_up:
            await self._app({**scope, HANG_UP: hang_up}, receive, send)

    async def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                one, address = await asyncio.get_running_loop().sock_accept(listener)
            except OSError:  # it hung up already, or the system has no more descriptors
                await asyncio.sleep(_BETWEEN_S)
                continue
            guest = Guest(address[:2], one.close, time.monotonic_ns())
            if self._crowd.come(guest):
                guest.leave = self._begin(self._let_in(one, guest)).cancel
            else:
                one.close()
            await asyncio.sleep(_BETWEEN_S)

    async def _let_in(self, one: socket.socket, guest: Guest) -> None:
        def protocol() -> _Connection:
            state, kept = self.server_state, self.lifespan.state
            return _Connection(
                self._crowd, guest, config=self.config, server_state=state, app_state=kept
            )

        try:
            loop = asyncio.get_running_loop()
            await loop.connect_accepted_socket(protocol, one, ssl=self._tls)
        except OSError:  # it speaks no TLS, or went away
            self._crowd.gone(guest)

    async def _sweep(self) -> None:
        while True:
            self._crowd.sweep(time.monotonic_ns())
            await asyncio.sleep(0.1)

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


class _Connection(H11Protocol):
    """uvicorn's, of a guest who may have to leave."""

    def __init__(self, crowd: Crowd, guest: Guest, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._crowd, self._guest = crowd, guest

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._guest.leave = transport.abort
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._crowd.gone(self._guest)
        super().connection_lost(exc)
