"""From the board to every browser: one stream each, of which a slow one misses what it cannot take.

All of it lives in the server's event loop, and nothing of it in the main loop's thread.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Protocol

TURN_S = 0.2  # between two messages
MOST_WAITING = 16  # messages for one browser; beyond this it is given the whole state anew
MOST_VIEWERS = 8

log = logging.getLogger("trackside")


class Board(Protocol):
    """What is to be shown."""

    def turn(self) -> dict[str, Any]:
        """What is new since the last turn; empty if nothing is."""
        ...

    def state(self) -> dict[str, Any]:
        """All of it, as of the last turn."""
        ...


class Viewer:
    """What waits for one browser."""

    def __init__(self) -> None:
        self.waiting: deque[bytes] = deque()
        self.is_behind = True  # it has nothing yet
        self._come = asyncio.Event()

    def offer(self, message: bytes) -> None:
        """Never waits: a browser that takes nothing is left behind."""
        if self.is_behind:
            return
        if len(self.waiting) >= MOST_WAITING:
            self.waiting.clear()
            self.is_behind = True
        else:
            self.waiting.append(message)
        self._come.set()

    def wake(self) -> None:
        self._come.set()

    async def something(self) -> None:
        await self._come.wait()
        self._come.clear()


class Hub:
    """The board and those who look at it."""

    def __init__(self, board: Board) -> None:
        self.viewers: set[Viewer] = set()
        self._board = board
        self._closing = False
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_full(self) -> bool:
        return len(self.viewers) >= MOST_VIEWERS

    async def run(self) -> None:
        """Turn the board for ever, whether anybody looks or not: it forgets what is old."""
        self._loop = asyncio.get_running_loop()
        try:
            await self._turn_for_ever()
        except Exception:
            log.exception("the live page stands still; the line goes on")
            raise

    async def _turn_for_ever(self) -> None:
        while True:
            news = self._board.turn()
            if news and self.viewers:
                message = event("news", news)
                for viewer in self.viewers:
                    viewer.offer(message)
            await asyncio.sleep(TURN_S)

    def close(self) -> None:
        """Tell every browser that this was all; from any thread."""
        self._closing = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the server has gone already
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for viewer in self.viewers:
            viewer.wake()

    async def stream(self) -> AsyncIterator[bytes]:
        """One browser's messages, until it goes or the line ends."""
        viewer = Viewer()
        self.viewers.add(viewer)
        try:
            yield b"retry: 1000\n\n"
            while not self._closing:
                if viewer.is_behind:
                    viewer.is_behind = False
                    yield event("state", self._board.state())
                while viewer.waiting:
                    yield viewer.waiting.popleft()
                if not viewer.is_behind:
                    await viewer.something()
            yield event("end", {})
        finally:
            self.viewers.discard(viewer)


def event(name: str, content: dict[str, Any]) -> bytes:
    """A server-sent event."""
    return f"event: {name}\ndata: {json.dumps(content, separators=(',', ':'))}\n\n".encode()
