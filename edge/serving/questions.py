"""A server's end of the link to its line: it asks, and waits for the answer."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Protocol

from edge.serving.bounded_log import BoundedLog
from edge.serving.link import Inbox, Message, packed

_MOST_ANSWERED = 64 << 20  # bytes
_CHUNK = 1 << 18


class LineGone(Exception):
    """Nobody answers any more."""


class AskedLine(Protocol):
    """The line, of which a server may ask and has nothing else."""

    closing: asyncio.Event  # set once the line ends

    async def ask(self, what: str, **facts: Any) -> Message: ...


class Questions:
    """Sends questions, and gives each its answer."""

    def __init__(self, end: socket.socket) -> None:
        self.closing = asyncio.Event()
        self._end = end
        self._gone = False
        self._number = 0
        self._open: dict[int, asyncio.Future[Message]] = {}
        self._told: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        end.setblocking(False)
        self._sending = asyncio.Lock()

    async def told(self) -> Message:
        """What the line said first."""
        return await self._told

    async def ask(self, what: str, **facts: Any) -> Message:
        """Raises LineGone where the line ends meanwhile."""
        if self._gone:
            raise LineGone
        self._number += 1
        number = self._number
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._open[number] = answer
        try:
            await self.say({"number": number, "ask": what, **facts})
            return await answer
        finally:
            del self._open[number]

    async def say(self, facts: dict[str, Any]) -> None:
        async with self._sending:
            with suppress(OSError):  # the line has gone: `listen` notices, and closes
                await asyncio.get_running_loop().sock_sendall(self._end, packed(Message(facts)))

    async def listen(self) -> None:
        """Take what comes, until the line ends or closes."""
        inbox, loop = Inbox(_MOST_ANSWERED), asyncio.get_running_loop()
        try:
            while piece := await loop.sock_recv(self._end, _CHUNK):
                for message in inbox.put(piece):
                    self._take(message)
        except OSError:
            pass
        finally:
            self._close()

    def _take(self, message: Message) -> None:
        if message.facts.get("closing"):  # the line still answers, until this process has ended
            self.closing.set()
        elif not self._told.done():
            self._told.set_result(message)
        elif (answer := self._open.get(message.facts["number"])) and not answer.done():
            answer.set_result(message)

    def _close(self) -> None:
        self._gone = True
        self.closing.set()
        for answer in [self._told, *self._open.values()]:
            if not answer.done():
                answer.set_exception(LineGone())
                answer.exception()  # looked at here, or asyncio complains where nobody awaits it


class Fresh:
    """One answer for all who ask within so many seconds, or while the line is being asked."""

    def __init__(self, get: Callable[[], Awaitable[Message]], for_s: float) -> None:
        self._get, self._for_s = get, for_s
        self._asking = asyncio.Lock()
        self._asked_s = 0.0
        self._answer: Message | None = None

    async def __call__(self) -> Message:
        clock = asyncio.get_running_loop().time
        came_s = clock()
        async with self._asking:
            if self._answer is None or self._asked_s + self._for_s <= came_s:
                self._asked_s = clock()
                self._answer = await self._get()
            return self._answer


class LinkHandler(logging.Handler):
    """Has the line log what the server says, which is not more than the line would."""

    def __init__(self, questions: Questions) -> None:
        super().__init__()
        self._questions = questions
        self._loop = asyncio.get_running_loop()
        self._log = BoundedLog(self._say, time.monotonic_ns)
        self._saying: set[asyncio.Task[None]] = set()

    def emit(self, record: logging.LogRecord) -> None:
        self._loop.call_soon_threadsafe(self._log.add, record.levelno, self.format(record))

    def _say(self, level: int, text: str) -> None:
        task = self._loop.create_task(self._questions.say({"say": text, "level": level}))
        self._saying.add(task)
        task.add_done_callback(self._saying.discard)
