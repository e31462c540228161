"""Where the rail's head lies in a picture of track: the brightest band of columns, block by block.

A line-scan camera that looks down sees a head of some 280 columns, polished by wheels, in a picture
that is nearly black elsewhere; the train sways, so the head wanders across the columns. No network
has a part in it: training, `predict` and a line whose region follows the rail look at the same.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import FrameError
from edge.types import Image

HEAD_MM = 70.0  # of any profile between 60 and 75 kg a metre
STRIP_MM = 88.0  # the head and some dark at either side, by which an edge is known
_BLOCK_ROWS = 250  # in which the head hardly wanders, and a joint does not hide it
_REACH = 0.25  # of a head's width: what it may wander from where the whole picture has it
_BESIDE = 0.05  # of a head's width: so far from it, what is beside it begins
_LEAST_BESIDE = 0.1  # of a head's width: so much must be seen beside it, or nothing stands out
_STANDS_OUT = 1.5  # times as bright as what is beside it; on 314 pictures of track 4 at least

_Columns = NDArray[np.float64]


def head_centre(block: Image, head_px: int, *, near: int | None = None, reach_px: int = 0) -> int:
    """The column in the middle of the brightest band that is as wide as a head.

    Args:
        block: H,W grey.
        head_px: how wide a head is at the picture's scale.
        near: where it was before; it is looked for within `reach_px` of there.
    """
    return _brightest(_brightness(block), head_px, near, reach_px)


def head_centres(picture: Image, head_px: int, *, block_rows: int = _BLOCK_ROWS) -> list[int]:
    """The head's middle in each block of rows; the last block may be short."""
    blocks = [_brightness(picture[top : top + block_rows]) for top in _tops(picture, block_rows)]
    whole = _brightest(np.sum(blocks, axis=0), head_px)
    reach_px = round(_REACH * head_px)
    return [_brightest(block, head_px, whole, reach_px) for block in blocks]


def head_strip(picture: Image, head_px: int, strip_px: int) -> Image:
    """H,W of 255 in a strip of columns round the head, wherever it sways, and 0 elsewhere.

    Raises `FrameError` where no band stands out as a head does.
    """
    _refuse_no_head(picture, head_px)
    strip_px = min(strip_px, picture.shape[1])
    strip = np.zeros(picture.shape, np.uint8)
    for top, centre in zip(
        _tops(picture, _BLOCK_ROWS), head_centres(picture, head_px), strict=True
    ):
        left = min(max(centre - strip_px // 2, 0), picture.shape[1] - strip_px)
        strip[top : top + _BLOCK_ROWS, left : left + strip_px] = 255
    return strip


def head_in(strip: Image) -> Image:
    """The head alone, of a strip round it."""
    beside, columns = beside_px(strip), strip.shape[1]
    head = np.zeros_like(strip)
    inner = slice(beside, columns - beside)
    head[:, inner] = strip[:, : columns - 2 * beside] & strip[:, 2 * beside :]
    return head


def beside_px(strip: Image) -> int:
    """How much of a strip lies at either side of the head."""
    return round(np.count_nonzero(strip[0]) * (1 - HEAD_MM / STRIP_MM) / 2)


def _refuse_no_head(picture: Image, head_px: int) -> None:
    columns = _brightness(picture) / len(picture)
    middle = _brightest(columns, head_px)
    gap = round((0.5 + _BESIDE) * head_px)
    beside = np.concatenate([columns[: max(0, middle - gap)], columns[middle + gap :]])
    if len(beside) < _LEAST_BESIDE * head_px:
        raise FrameError(
            f"the head of the rail would fill the {picture.shape[1]} columns, so that it cannot be "
            "told from what is beside it: show more of that, or follow no rail"
        )
    head = columns[max(0, middle - head_px // 2) : middle + head_px // 2].mean()
    if head < _STANDS_OUT * max(1.0, beside.mean()):
        raise FrameError(
            "the head of the rail is not to be found: no band of columns of its width is "
            f"{_STANDS_OUT:g} times as bright as what is beside it"
        )


def _tops(picture: Image, block_rows: int) -> range:
    return range(0, len(picture), block_rows)


def _brightness(block: Image) -> _Columns:
    """The sum of each column."""
    return np.asarray(cv2.reduce(block, 0, cv2.REDUCE_SUM, dtype=cv2.CV_64F)[0], np.float64)


def _brightest(columns: _Columns, head_px: int, near: int | None = None, reach_px: int = 0) -> int:
    if len(columns) < head_px:
        raise FrameError(
            f"the picture is {len(columns)} columns wide, less than a head of {head_px}: give the "
            "picture's own scale in um_per_px"
        )
    total = np.concatenate([[0.0], columns.cumsum()])
    brightness = total[head_px:] - total[:-head_px]  # of the band that begins at each column
    first, last = 0, len(brightness)
    if near is not None:
        middle = min(max(near - head_px // 2, 0), last - 1)
        first, last = max(0, middle - reach_px), min(last, middle + reach_px + 1)
    return first + int(brightness[first:last].argmax()) + head_px // 2
