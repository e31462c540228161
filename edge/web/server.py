"""Serves the page from a thread of its own, with an event loop of its own, until it is left."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import uvicorn

from edge.address import refused
from edge.line_file import WebSettings

_DEAD_MS = 20_000  # a browser that takes nothing for so long is hung up on, by the kernel
_UNREAD_BYTES = 256 * 1024
_MOST_CONNECTIONS = 64
_CLOSE_S = 1  # until those that still wait for an answer are left

log = logging.getLogger("trackside")


@contextmanager
def serve(app: Any, settings: WebSettings, closing: Callable[[], None]) -> Iterator[int]:
    """Gives the port. `closing` is to end the answers that otherwise never do."""
    with listening(settings) as listener:
        port: int = listener.getsockname()[1]
        config = uvicorn.Config(
            app,
            loop="asyncio",
            ws="none",
            lifespan="on",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_graceful_shutdown=_CLOSE_S,
        )
        server = uvicorn.Server(config)
        thread = Thread(target=server.run, kwargs={"sockets": [listener]}, name="web", daemon=True)
        thread.start()
        try:
            yield port
        finally:
            closing()
            server.should_exit = True
            thread.join(_CLOSE_S * 2)


def listening(settings: WebSettings) -> socket.socket:
    """The page's address, at which nobody is answered yet."""
    host, port = settings.host, settings.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise refused("web", host, port, error) from error
    # Every connection has both from here: what a browser does not take neither piles up in the
    # kernel nor is waited for.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNREAD_BYTES)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_MS)
    return listener
