"""From the line to every browser: one stream each, of which a slow one misses what it cannot take.

All of it lives in the event loop of the page's own process.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable

from edge.serving.questions import AskedLine, LineGone

TURN_S = 0.2  # between two messages
MOST_WAITING = 16  # messages for one browser; beyond this it is given the whole state anew
MOST_VIEWERS = 8
TOO_SLOW_S = 20  # a browser that takes longer over one message is hung up on

log = logging.getLogger("trackside")


class Viewer:
    """What waits for one browser."""

    def __init__(self, may_look: Callable[[], bool], hang_up: Callable[[], object]) -> None:
        self.may_look, self.hang_up = may_look, hang_up
        self.waiting: deque[bytes] = deque()
        self.is_behind = True  # it has nothing yet
        self.given_s: float | None = None  # when it was given the message that it has not taken yet
        self._come = asyncio.Event()

    def offer(self, message: bytes) -> None:
        """Never waits: a browser that takes nothing is left behind."""
        if self.is_behind:
            return
        if len(self.waiting) >= MOST_WAITING:
            self.fall_behind()
        else:
            self.waiting.append(message)
            self.wake()

    def fall_behind(self) -> None:
        self.waiting.clear()
        self.is_behind = True

    def begin_anew(self, state: bytes) -> None:
        self.is_behind = False
        self.offer(state)

    def wake(self) -> None:
        self._come.set()

    async def something(self) -> None:
        await self._come.wait()
        self._come.clear()


class Hub:
    """The line's news and those who look at them."""

    def __init__(
        self, line: AskedLine, turn_s: float = TURN_S, too_slow_s: float = TOO_SLOW_S
    ) -> None:
        self.viewers: set[Viewer] = set()
        self._line = line
        self._turn_s, self._too_slow_s = turn_s, too_slow_s

    @property
    def is_full(self) -> bool:
        return len(self.viewers) >= MOST_VIEWERS

    def seat(
        self,
        may_look: Callable[[], bool] = lambda: True,
        hang_up: Callable[[], object] = lambda: None,
    ) -> Viewer | None:
        """A place, which is to be left again; None where there is none."""
        if self.is_full:
            return None
        viewer = Viewer(may_look, hang_up)
        self.viewers.add(viewer)
        return viewer

    def leave(self, viewer: Viewer) -> None:
        self.viewers.discard(viewer)

    async def run(self) -> None:
        """Turn until the line ends, whether anybody looks or not: the line forgets what is old."""
        while not self._line.closing.is_set():
            try:
                await self._turn()
            except LineGone:
                break
            except Exception:
                log.exception("the live page missed a turn; it goes on, and so does the line")
            await asyncio.sleep(self._turn_s)
        for viewer in self.viewers:
            viewer.wake()

    async def _turn(self) -> None:
        turn = await self._line.ask("turn")
        for viewer in self.viewers:
            if "error" in turn.facts:  # news was lost: it is given the whole state anew
                viewer.fall_behind()
            elif turn.content:
                viewer.offer(event("news", turn.content))
        self._part_with_some()
        if behind := [viewer for viewer in self.viewers if viewer.is_behind]:
            state = await self._line.ask("state")
            for viewer in behind:
                if "error" not in state.facts:
                    viewer.begin_anew(event("state", state.content))

    def _part_with_some(self) -> None:
        """Those who may no longer look, and those who hold their place and take nothing."""
        now_s = asyncio.get_running_loop().time()
        for viewer in self.viewers:
            slow = viewer.given_s is not None and now_s - viewer.given_s > self._too_slow_s
            if slow or not viewer.may_look():
                viewer.hang_up()

    async def stream(self, viewer: Viewer) -> AsyncIterator[bytes]:
        """One browser's messages, until it goes or the line ends."""
        clock = asyncio.get_running_loop().time
        yield b"retry: 1000\n\n"
        while not self._line.closing.is_set():
            while viewer.waiting:
                viewer.given_s = clock()
                yield viewer.waiting.popleft()
                viewer.given_s = None
            await viewer.something()
        yield event("end", b"{}")


def event(name: str, content: bytes) -> bytes:
    """A server-sent event, of a line of JSON."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), content)
