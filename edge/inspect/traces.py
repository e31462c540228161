"""What of a frame another camera may see the rest of, as it leaves the camera that saw it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge.bundle import Limits
from edge.types import Stretch

Box = tuple[int, int, int, int]  # x, y, width, height


@dataclass(frozen=True, slots=True)
class Share:
    """One piece of surface, as far as one camera knows it by now."""

    number: int  # the camera's; below 0 while it is too small to be a defect by itself
    absorbed: frozenset[int]  # numbers that it goes on from, too
    stretch: Stretch
    left_um: int
    right_um: int
    area_mm2: float
    own_mm2: float  # of it, in columns that are the camera's own
    score_mm2: float  # probability over area
    box_px: Box  # of what the frame shows of it


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """Columns of a frame that two cameras see, with the number of the piece that has each pixel."""

    numbers: NDArray[np.int32]  # H,W; 0 for nothing
    start_um: float
    along_um: float
    left_um: float
    across_um: float

    def reaches(self, other: Strip) -> bool:
        """Whether they show some of the same rail, or end where the other begins."""
        near_um = max(self.along_um, other.along_um)
        return self.start_um < other._end_um + near_um and other.start_um < self._end_um + near_um

    @property
    def _end_um(self) -> float:
        return self.start_um + len(self.numbers) * self.along_um


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """All of one frame."""

    shares: tuple[Share, ...]
    limits: Limits  # from which on it is a defect
    left: Strip | None
    right: Strip | None

    def within(self, frame: Callable[[Box], Box]) -> Trace:
        """With its boxes where they are in the frame alone."""
        shares = (replace(share, box_px=frame(share.box_px)) for share in self.shares)
        return replace(self, shares=tuple(shares))
