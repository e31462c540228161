"""The thread that takes pictures: opens the source, reads it, opens it anew when it has gone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from threading import Event, Lock, Thread

from edge.cameras.camera import Grab, Source
from edge.errors import CameraError, NoPicture

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 2.0  # before a source is opened anew
_MOST_ABANDONED = 3
_LEAVE_S = 3.0  # for a reader to come back from its driver when all ends
STUCK_NS = (
    15_000_000_000  # a source gives up by itself sooner, so a driver that takes longer is stuck
)


@dataclass(eq=False)
class _Reader:
    """One thread that reads, and since when its driver has had it."""

    thread: Thread
    called_ns: int | None = None


class Capture:
    """Gives every picture to `deliver`, with the time at which it arrived, on its own thread.

    `deliver` says whether something can be seen in it, and raises CameraError if the source must be
    opened anew; `lose` is told why it must; `may_wait` says whether a source that waits for the
    rail may go on waiting. Openings follow each other ever more slowly, until something can be
    seen. A reader that its driver does not give back is abandoned, and another one takes its place.
    """

    def __init__(
        self,
        open_source: Callable[[], Source],
        deliver: Callable[[Grab, int], bool],
        lose: Callable[[str], None],
        may_wait: Callable[[], bool],
        clock_ns: Callable[[], int],
        *,
        stuck_ns: int = STUCK_NS,
    ) -> None:
        self._open_source = open_source
        self._deliver = deliver
        self._lose = lose
        self._may_wait = may_wait
        self._clock_ns = clock_ns
        self._stuck_ns = stuck_ns
        self._lock = Lock()
        self._ended = Event()
        self._broken: Exception | None = None
        self.opened = 0
        self.abandoned = 0
        self._start_reader()

    def check(self) -> None:
        """Raise if no picture can come any more; replace a reader that is stuck."""
        if self._broken is not None:
            raise self._broken
        with self._lock:
            called_ns = self._reader.called_ns
            if called_ns is None or self._clock_ns() - called_ns < self._stuck_ns:
                return
            if self.abandoned == _MOST_ABANDONED:
                raise CameraError(
                    f"the camera's driver has blocked {1 + _MOST_ABANDONED} times: see to its "
                    "cable and power, and start again"
                )
            self.abandoned += 1
            self._start_reader()
        self._lose("the camera's driver blocks: see to the camera's cable and power")

    def close(self) -> None:
        """End as soon as the driver allows. Waits for nothing: a signal's handler may call it."""
        self._ended.set()

    def join(self) -> None:
        """Wait until the source is closed, unless its driver blocks."""
        self._reader.thread.join(_LEAVE_S)

    def _start_reader(self) -> None:
        reader = _Reader(Thread(target=lambda: self._read(reader), name="camera", daemon=True))
        self._reader = reader
        reader.thread.start()

    def _read(self, reader: _Reader) -> None:
        wait_s = _FIRST_WAIT_S
        try:
            while self._is_wanted(reader):
                try:
                    self._call(reader)
                    with closing(self._open_source()) as source:
                        self.opened += 1
                        while self._is_wanted(reader):
                            if self._read_once(source, reader):
                                wait_s = _FIRST_WAIT_S
                except CameraError as error:
                    if self._come_back(reader):
                        self._lose(str(error))
                        self._ended.wait(wait_s)
                        wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
        except Exception as error:  # it must end the line, not this thread alone
            self._broken = error

    def _read_once(self, source: Source, reader: _Reader) -> bool:
        """Whether there was a picture, and something could be seen in it."""
        try:
            grab = source.grab()
        except NoPicture:
            if not self._may_wait():
                raise
            self._call(reader)
            return False
        arrived_ns = self._clock_ns()
        if not self._come_back(reader):
            return False
        try:
            return self._deliver(grab, arrived_ns)
        finally:
            self._call(reader)  # to grab the next one, or to close

    def _is_wanted(self, reader: _Reader) -> bool:
        return reader is self._reader and not self._ended.is_set()

    def _call(self, reader: _Reader) -> None:
        """The driver has the reader from now on."""
        reader.called_ns = self._clock_ns()

    def _come_back(self, reader: _Reader) -> bool:
        """The driver gave the reader back; too late if it was abandoned meanwhile."""
        with self._lock:
            reader.called_ns = None
            return reader is self._reader
