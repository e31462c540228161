"""The frames of a line's cameras, judged side by side; the loop is given one verdict after another.

Each camera has a thread, which waits for its frames and has them judged in their order, a few of
all cameras at once and the oldest first. It goes on once the loop has dealt with the verdict: so
between two frames nothing of a camera is in use, and nothing piles up. A camera alone needs none of
this, and is judged by the loop itself.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from queue import SimpleQueue
from threading import Condition, Semaphore, Thread

from edge.cameras import Camera
from edge.inspect.inspector import Inspection, Inspector


@dataclass(frozen=True)
class Watch:
    """One camera, and what judges its frames."""

    camera: Camera
    inspector: Inspector

    @property
    def name(self) -> str:
        return self.inspector.camera

    def judged(self) -> Iterator[Inspection]:
        """Its frames, in their order."""
        for seen in self.camera.frames():
            yield self.inspector.inspect(seen)


class Turns:
    """So many at once, and who has waited for longest first."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._waiting: list[int] = []
        self._changed = Condition()

    @contextmanager
    def taken(self, since_ns: int) -> Iterator[None]:
        """A turn, for work that is due since then."""
        with self._changed:
            heappush(self._waiting, since_ns)
            self._changed.wait_for(lambda: self._free > 0 and self._waiting[0] == since_ns)
            heappop(self._waiting)
            self._free -= 1
            self._changed.notify_all()  # the next may find another one free
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()


@dataclass(frozen=True)
class _Waited:
    """A camera found all in order, and no frame."""

    camera: str


@dataclass(frozen=True)
class _Ended:
    """Nothing more comes of one camera; `why` where it was not to end."""

    why: BaseException | None


class Watching:
    """The cameras of one line; `waited` is told on the loop's thread which of them had no frame."""

    def __init__(self, at_once: int, waited: Callable[[str], None]) -> None:
        self._turns = Turns(at_once)
        self._waited = waited
        self._over = False
        self._told: SimpleQueue[Inspection | _Waited | _Ended] | None = None  # with threads

    def no_frame(self, camera: str) -> None:
        """For a camera, on whatever thread it is: all is in order, and there is no frame."""
        if self._told is None:
            self._waited(camera)
        else:
            self._told.put(_Waited(camera))

    def judged(self, watches: Sequence[Watch]) -> Generator[Inspection, None, None]:
        """Until all cameras have ended. Whatever ends one of them by an error is raised here."""
        if len(watches) == 1:
            yield from watches[0].judged()
            return
        told = self._told = SimpleQueue[Inspection | _Waited | _Ended]()
        dealt_with = {watch.name: Semaphore(0) for watch in watches}
        for watch in watches:
            watching = partial(self._watch, watch, told, dealt_with[watch.name])
            Thread(target=watching, name=f"watch {watch.name}", daemon=True).start()
        running = len(watches)
        try:
            while running:
                match told.get():
                    case Inspection() as inspection:
                        yield inspection
                        dealt_with[inspection.camera].release()
                    case _Waited(camera):
                        self._waited(camera)
                    case _Ended(None):
                        running -= 1
                    case _Ended(BaseException() as why):
                        raise why
        finally:  # nobody deals with anything any more
            self._over = True
            for each in dealt_with.values():
                each.release()

    def _watch(
        self,
        watch: Watch,
        told: SimpleQueue[Inspection | _Waited | _Ended],
        dealt_with: Semaphore,
    ) -> None:
        """The thread of one camera."""
        try:
            for seen in watch.camera.frames():
                with self._turns.taken(seen.captured_ns):
                    told.put(watch.inspector.inspect(seen))
                dealt_with.acquire()
                if self._over:
                    return
        except BaseException as why:
            told.put(_Ended(why))
        else:
            told.put(_Ended(None))
