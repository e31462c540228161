"""Where the rail's head lies in a picture of track: the brightest band of columns, block by block.

A line-scan camera that looks down sees a head of some 280 columns, polished by wheels, in a picture
that is nearly black elsewhere; the train sways, so the head wanders across the columns. Numpy
alone: training, `predict rail` and a line whose region follows the rail cut the same windows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from edge.errors import FrameError
from edge.types import Image

HEAD_MM = 72.0  # a head's width, of any profile between 60 and 75 kg a metre
_BLOCK_ROWS = 250  # in which the head hardly wanders, and a joint does not hide it
_REACH = 0.25  # of a head's width: what it may wander from where the whole picture has it


@dataclass(frozen=True)
class Window:
    """A block of rows and the columns that the network looks at there."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def region(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)


def head_centre(block: Image, head_px: int, *, near: int | None = None, reach_px: int = 0) -> int:
    """The column in the middle of the brightest band that is as wide as a head.

    Args:
        block: H,W grey.
        head_px: how wide a head is at the picture's scale.
        near: where it was before; it is looked for within `reach_px` of there.
    """
    if block.shape[1] < head_px:
        raise FrameError(
            f"the picture is {block.shape[1]} columns wide, less than a head of {head_px}: give "
            "the picture's own scale in um_per_px"
        )
    columns = block.mean(axis=0, dtype=np.float64)
    total = np.concatenate([[0.0], columns.cumsum()])
    brightness = total[head_px:] - total[:-head_px]  # of the band that begins at each column
    first, last = 0, len(brightness)
    if near is not None:
        middle = min(max(near - head_px // 2, 0), last - 1)
        first, last = max(0, middle - reach_px), min(last, middle + reach_px + 1)
    return first + int(brightness[first:last].argmax()) + head_px // 2


def head_centres(picture: Image, head_px: int, *, block_rows: int = _BLOCK_ROWS) -> list[int]:
    """The head's middle in each block of rows; the last block may be short."""
    whole = head_centre(picture, head_px)
    reach_px = round(_REACH * head_px)
    return [
        head_centre(picture[top : top + block_rows], head_px, near=whole, reach_px=reach_px)
        for top in range(0, len(picture), block_rows)
    ]


def windows(
    picture: Image, *, head_px: int, width_px: int, rows: int, overlap_rows: int
) -> Iterator[tuple[Window, Window]]:
    """Windows down the head that cover every row: what the network sees, and the part that counts.

    Neighbours share `overlap_rows`, and each answers for its half of them: at a window's border
    the network does not know what follows. The last one ends with the picture.
    """
    height, width = picture.shape
    if height < rows or width < width_px:
        raise FrameError(
            f"the picture is {width} x {height}, less than a window of {width_px} x {rows}: pad it"
        )
    centres = head_centres(picture, head_px)
    tops = [*range(0, height - rows, rows - overlap_rows), height - rows]
    seams = [0, *((a + rows + b) // 2 for a, b in pairwise(tops)), height]
    for top, (first, last) in zip(tops, pairwise(seams), strict=True):
        block = min((top + rows // 2) // _BLOCK_ROWS, len(centres) - 1)
        left = min(max(centres[block] - width_px // 2, 0), width - width_px)
        right = left + width_px
        yield Window(top, top + rows, left, right), Window(first, last, left, right)
