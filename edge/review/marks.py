"""Masks as marks and back, to the pixel; and whether marks lie in their picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError
from edge.review.review import Mark
from edge.types import Image

Mask = NDArray[np.bool_]


def mark_of(label: str, mask: Mask) -> Mark | None:
    """H,W; None of a mask of nothing."""
    x, y, width, height = (int(side) for side in cv2.boundingRect(mask.view(np.uint8)))
    if not width:
        return None
    inside = mask[y : y + height, x : x + width]
    return Mark(label, (x, y, width, height), tuple(runs_of(inside.ravel())))


def mask_of(mark: Mark, height: int, width: int) -> Mask:
    """H,W; True where it is marked."""
    mask = np.zeros((height, width), np.bool_)
    x, y, columns, rows = mark.box_px
    inside = mask[y : y + rows, x : x + columns]
    if mark.runs is None:
        inside[:] = True
    else:
        inside[:] = from_runs(mark.runs).reshape(rows, columns)
    return mask


def runs_of(flat: Mask) -> list[int]:
    """How many are False, then True, and so on."""
    ends = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff([0, *ends, flat.size]).tolist()
    return [0, *lengths] if flat.size and flat[0] else lengths


def from_runs(runs: Sequence[int]) -> Mask:
    """The same, the other way round."""
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs)


def check_marks(marks: Iterable[Mark], height: int, width: int) -> None:
    """UsageError for one that is not of a picture of this size."""
    for mark in marks:
        x, y, columns, rows = mark.box_px
        if not columns or not rows or x + columns > width or y + rows > height:
            raise UsageError(
                f"the mark {mark.label} at {x}, {y} of {columns} x {rows} does not lie in a "
                f"picture of {width} x {height}: mark the picture that the store has"
            )
        if mark.runs is not None and sum(mark.runs) != columns * rows:
            raise UsageError(
                f"the mask {mark.label} has {sum(mark.runs)} pixels in a box of {columns} x "
                f"{rows}: it is of another size than its picture"
            )


def png_size(data: bytes) -> tuple[int, int]:
    """Height and width that a PNG's header says."""
    return int.from_bytes(data[20:24], "big"), int.from_bytes(data[16:20], "big")


def drawn(marks: Iterable[Mark], height: int, width: int) -> Image:
    """All of them, as the store has a mask: 255 where something is marked."""
    whole = np.zeros((height, width), np.uint8)
    for mark in marks:
        whole[mask_of(mark, height, width)] = 255
    return whole
