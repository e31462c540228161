"""Many small pictures on one, each with its caption: to see at a glance what numbers are about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.types import Image

SIDE = 180  # pixels of a tile
_MARGIN, _LINE = 8, 16
_INK, _PAPER = (40, 40, 40), 255
_TRUTH = (80, 175, 76)  # BGR


@dataclass(frozen=True, eq=False)
class Tile:
    """A picture, and the lines below it."""

    picture: Image  # H,W or H,W,3 BGR
    caption: Sequence[str]


def sheet(tiles: Sequence[Tile], *, columns: int) -> Image:
    """All tiles in rows."""
    lines = max(len(tile.caption) for tile in tiles)
    height, width = SIDE + lines * _LINE + _MARGIN, SIDE + _MARGIN
    rows = -(-len(tiles) // columns)
    page = np.full((rows * height + _MARGIN, columns * width + _MARGIN, 3), _PAPER, np.uint8)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        _place(page, tile, _MARGIN + row * height, _MARGIN + column * width)
    return page


def outlined(image: Image, mask: NDArray[np.uint8]) -> Image:
    """The image with a line round what its mask marks."""
    canvas = _in_colour(image).copy()
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    thick = max(1, round(max(mask.shape) / SIDE))
    return np.asarray(cv2.drawContours(canvas, contours, -1, _TRUTH, thick), np.uint8)


def _place(page: Image, tile: Tile, top: int, left: int) -> None:
    picture = _in_colour(tile.picture)
    scale = SIDE / max(picture.shape[:2])
    size = tuple(max(1, round(side * scale)) for side in picture.shape[1::-1])
    shrunk = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    page[top : top + shrunk.shape[0], left : left + shrunk.shape[1]] = shrunk
    for number, line in enumerate(tile.caption, 1):
        # The font has Latin letters only, and 28 of them in a tile.
        text = line.encode("ascii", "replace").decode()
        text = text if len(text) <= 28 else f"...{text[-25:]}"
        at = (left, top + SIDE + number * _LINE - 3)
        cv2.putText(page, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.36, _INK, 1, cv2.LINE_AA)


def _in_colour(picture: Image) -> Image:
    if picture.ndim == 3:
        return picture
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR), np.uint8)
