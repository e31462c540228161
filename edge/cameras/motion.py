"""How what a picture shows lies to what an earlier one showed, whatever noise is over both.

Two pictures are laid over each other in every way at once, and each way is said how alike they are
in it. Rail that moved is alike where it moved to, or nowhere; a picture that is shown again, with
new noise or jolted a little, is alike where it was.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.types import Image

LEAST_CELLS = 8  # that the rail must have moved by; less may be a jolt of the camera
_MOST_CELLS = 64  # of a side of a picture; more show no more, and cost more
_LEAST_PX = 4  # of a side of a cell: over so many, noise falls to a fourth
_RISE = 2  # rows of cells; neither lamp nor the columns' own brightness is in what rises along them
_MOST_RISE = 8  # grey levels; what is more is dirt on the glass as often as it is rail
_JOLT_ROWS, _JOLT_COLUMNS = 3, 4  # cells
_SIDE = 2  # cells round what is looked for
# Of 3,200 pairs of simulated and real steel that moved by 48 to 500 rows none was this much more
# alike where it was than anywhere else, and than is usual elsewhere. Of such that were jolted by up
# to 10 pixels 99% were, of those with noise of 10 grey levels besides 93%.
_SURE, _UNUSUAL = 2.0, 12.0
_LEAST_LIKE = 0.1
_LEAST_MOVED_LIKE = 0.3  # turned rail is as alike as rail that is not, where pictures overlap
# What stands still beside the rail stands in some strips of the picture, and not in the rail's.
_STRIPS = 8
_LEAST_TEXTURE = 0.2  # of the most that a strip has; one with less shows nothing
_AS_ALIKE = 0.4  # as the whole

_Cells = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Relief:
    """Where the grey of one picture rises along the rail, in cells."""

    rises: _Cells
    spectrum: _Cells  # of twice the size, so that nothing comes in again at the other side
    row_px: int  # rows of the picture a cell


def relief_of(image: Image) -> Relief:
    """Of a picture in colour its green's."""
    shown = image if image.ndim == 2 else image[..., 1]
    row_px, column_px = (max(_LEAST_PX, -(-side // _MOST_CELLS)) for side in shown.shape)
    columns, rows = max(1, shown.shape[1] // column_px), max(_RISE + 1, shown.shape[0] // row_px)
    whole = shown[: rows * row_px, : columns * column_px]  # of whole cells, which is quicker
    cells = cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.float32)
    rises = np.clip(cells[_RISE:] - cells[:-_RISE], -_MOST_RISE, _MOST_RISE)
    rises -= rises.mean(axis=0)
    wider = np.zeros([cv2.getOptimalDFTSize(2 * side) for side in rises.shape], np.float32)
    wider[: rises.shape[0], : rises.shape[1]] = rises
    return Relief(rises, np.asarray(cv2.dft(wider), np.float32), row_px)


class Overlay:
    """One relief over another of the same size, shifted by as many cells as there are."""

    def __init__(self, before: Relief, now: Relief) -> None:
        self._before, self._now = before, now
        self._like = _likeness(before, now)

    def stands(self) -> bool:
        """It shows what was shown before, where it was."""
        found = self._surest(0, _JOLT_ROWS, _LEAST_LIKE)
        return found is not None and self._stands_everywhere(*found)

    def is_turned(self, moved_rows: float) -> bool:
        """What was shown before went down its rows by as many as the rail moved: it goes up."""
        cells = moved_rows / self._now.row_px
        return self._surest(cells, 1 + abs(cells) / 4, _LEAST_MOVED_LIKE) is not None

    def _surest(self, row: float, give: float, least: float) -> tuple[int, int, float] | None:
        """By how many cells it is shifted, down by `row` give or take some, and how alike then;
        None if it is as alike elsewhere.
        """
        middle, centre = (side // 2 for side in self._like.shape)
        top, left = max(0, round(middle + row - give)), centre - _JOLT_COLUMNS
        bottom, right = round(middle + row + give) + 1, centre + _JOLT_COLUMNS + 1
        near = self._like[top:bottom, left:right]
        if not near.size or near.max() < least:  # as of most pictures of rail that moved
            return None
        at, across = (int(each) for each in np.unravel_index(int(near.argmax()), near.shape))
        down, across, like = at + top - middle, across + left - centre, float(near.max())
        # Surface that is like itself a little further on is so in both, and says nothing.
        own = _likeness(self._now, self._now)
        elsewhere = np.abs(self._like - np.roll(own, (down, across), (0, 1)))
        elsewhere[max(0, top - _SIDE) : bottom + _SIDE, left - _SIDE : right + _SIDE] = 0
        # Where less than half of the two lies over each other, they cannot be alike.
        half = elsewhere[middle // 2 : -middle // 2, centre // 2 : -centre // 2]
        if like < max(_SURE * float(elsewhere.max()), _UNUSUAL * float(half.std())):
            return None
        return down, across, like

    def _stands_everywhere(self, down: int, across: int, like: float) -> bool:
        moved = np.roll(self._before.rises, (down, across), (0, 1))
        squares = [_by_strip(each, each) for each in (moved, self._now.rises)]
        texture = np.sqrt(squares[0] * squares[1])
        shared = _by_strip(moved, self._now.rises)
        shows = texture >= _LEAST_TEXTURE * texture.max()
        return bool((shared >= _AS_ALIKE * like * texture)[shows].all())


def _likeness(one: Relief, other: Relief) -> _Cells:
    """At each shift of the other, in cells and with none in its middle; 1 if they are the same."""
    product = cv2.mulSpectrums(other.spectrum, one.spectrum, 0, conjB=True)
    shared = cv2.idft(product, flags=cv2.DFT_SCALE | cv2.DFT_REAL_OUTPUT)
    squares = float(np.square(one.rises).sum()) * float(np.square(other.rises).sum())
    return np.asarray(np.fft.fftshift(shared) / max(1.0, squares**0.5), np.float32)


def _by_strip(one: _Cells, other: _Cells) -> _Cells:
    """Sums of products."""
    columns = np.einsum("ij,ij->j", one, other)
    starts = np.linspace(0, len(columns), min(_STRIPS, len(columns)), endpoint=False).astype(int)
    return np.asarray(np.add.reduceat(columns, starts), np.float32)
