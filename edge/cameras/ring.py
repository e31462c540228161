"""The frames that wait for the network, and the rail that none shows. No thread, no clock."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Literal

from edge.cameras.coverage import Coverage
from edge.errors import ConfigurationError
from edge.types import Frame, Image, LostFrame, Stretch

# How many looks ahead it is decided that rail is lost. The place may be one look old, the next look
# is one on, and what is given then takes about one more to reach the rejector.
_AHEAD = 3
_SLOW = "the network is slower than the line: slow the line, or lower overlap_mm"
_APART = "the frames came too far apart: raise the frame rate, or overlap_mm"
_SILENT = "no picture came while the rail moved: see to the camera's cable and power"


@dataclass(frozen=True, slots=True)
class Laying:
    """How pictures are laid on the rail, and what becomes of those that nobody has time for."""

    along_um: float
    across_um: float
    overlap_um: int
    lost_after_um: int
    delay_ns: int = 0  # from the light on the sensor to the time that the source tells of it
    ring: int = 4  # frames that may wait
    drop: Literal["oldest", "never"] = "oldest"
    line_scan: bool = False  # a picture goes on where the one before ended


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """An image in its place, which waits to become a frame."""

    image: Image
    taken_ns: int
    stretch: Stretch
    cause: str = ""  # why nobody saw the rail just before it, where there is such rail


class Ring:
    """Pictures of `length_um` of rail each, from a place on."""

    def __init__(self, laying: Laying, start_um: int, length_um: int) -> None:
        _check_lengths(laying, length_um)
        self._laying = laying
        self._length_um = length_um
        self._coverage = Coverage(
            start_um, overlap_um=laying.overlap_um, lost_after_um=laying.lost_after_um
        )
        self._waiting: deque[Picture] = deque()
        self._reason: str | None = None  # why no picture could be used since the last one that was
        self._index = 0
        self._looked_um = start_um
        self.dropped = 0

    @property
    def is_full(self) -> bool:
        return len(self._waiting) == self._laying.ring

    def lay(self, end_um: int) -> Stretch | None:
        """The stretch of a picture whose last row is there; None if it shows hardly anything new.

        Where the rows of a line-scan camera go on from those before, so does their stretch, though
        the place at which a picture ends is known no better than its time.
        """
        stretch = Stretch(end_um - self._length_um, end_um)
        before_um = self._coverage.kept_um
        if self._laying.line_scan and abs(stretch.start_um - before_um) <= self._laying.overlap_um:
            stretch = Stretch(before_um, end_um)
        return stretch if self._coverage.wants(stretch) else None

    def keep(self, picture: Picture) -> None:
        """Take a picture that is wanted, in place of the oldest if there is no room."""
        self._coverage.keep(picture.stretch)
        self._waiting.append(replace(picture, cause=self._reason or _APART))
        self._reason = None
        if len(self._waiting) > self._laying.ring:
            self._waiting.popleft()
            self._waiting[0] = replace(self._waiting[0], cause=_SLOW)
            self.dropped += 1

    def miss(self, reason: str | None = None) -> None:
        """Pictures could not be used, or the network left no time for them."""
        self._reason = reason or _SLOW

    def due(self, position_um: int, at_ns: int) -> list[Frame | LostFrame]:
        """What is to be given when the rail is there: a frame, lost rail, both, or nothing."""
        next_um = position_um + _AHEAD * max(0, position_um - self._looked_um)
        self._looked_um = position_um
        if not self._waiting:
            gap = self._coverage.give_up(position_um, next_um, self._length_um)
            return self._lost(gap, self._reason or _SILENT, at_ns)
        first = self._waiting.popleft()
        gap = self._coverage.give(first.stretch)
        lost = self._lost(gap, first.cause, first.taken_ns)
        across_um = self._laying.across_um
        return [*lost, Frame(self._count(), first.image, first.taken_ns, first.stretch, across_um)]

    def _lost(self, gap: Stretch | None, reason: str, at_ns: int) -> list[Frame | LostFrame]:
        return [] if gap is None else [LostFrame(self._count(), at_ns, gap, reason)]

    def _count(self) -> int:
        index, self._index = self._index, self._index + 1
        return index


def _check_lengths(laying: Laying, length_um: int) -> None:
    long = f"a frame is {length_um / 1000:g} mm long"
    if laying.overlap_um >= length_um:
        raise ConfigurationError(
            f"overlap_mm is {laying.overlap_um / 1000:g}, and {long}: set it to less"
        )
    if laying.lost_after_um <= length_um:
        raise ConfigurationError(
            f"lost_after_mm is {laying.lost_after_um / 1000:g}, and {long}: set it to more"
        )
