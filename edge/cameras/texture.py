"""Whether two pictures show the same in the same place, whatever a codec made of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.types import Image

# Grey levels tell nothing: a still picture that is coded anew, by a key frame, differs from itself
# by as much as rail that went on by two rows. Where grey rises and falls along the rail tells it,
# as that goes along with the rail, and neither lamp nor lens nor the columns' own gains are in it.
_APART = 4  # rows that are compared: a codec spares no finer texture, and coarser is seldom there
_MOST_RISE = 6  # grey levels; what is more is dirt on the glass as often as it is rail
_COLUMNS = 48  # at least, of those that are looked at
# Rail is seldom as wide as the picture, and what stands still beside it must not be taken for it.
_BAND = 8  # columns
_LEAST_SQUARE = 1.0  # mean square rise; a band with less of it, a codec may leave as it was


@dataclass(frozen=True, slots=True, eq=False)
class Texture:
    """Where the grey of one picture rises along the rail, and how much it does in each band."""

    rises: NDArray[np.float32]  # rows but the last four, some columns
    squares: NDArray[np.float32]  # of each band


def texture_of(image: Image) -> Texture:
    """Of some of a picture's columns, in colour of their green."""
    shown = image if image.ndim == 2 else image[..., 1]
    few = shown[:, :: max(1, shown.shape[1] // _COLUMNS)].astype(np.int16)
    rises = few[_APART:] - few[:-_APART]
    np.clip(rises, -_MOST_RISE, _MOST_RISE, out=rises)
    found = rises.astype(np.float32)
    return Texture(found, _by_band(found, found))


def likeness(one: Texture, other: Texture) -> float:
    """1 of the same picture, about 0 of different rail: of the band that is least alike."""
    rows, columns = one.rises.shape
    most = np.maximum(one.squares, other.squares)
    textured = most >= _LEAST_SQUARE * rows * min(_BAND, columns)
    if not textured.any():
        return 0.0  # nothing is to be seen in them
    shared = _by_band(one.rises, other.rises)[textured]
    own = np.sqrt(one.squares[textured] * other.squares[textured])
    return float((shared / np.maximum(own, 1)).min())


def _by_band(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums of products."""
    columns = np.einsum("ij,ij->j", one, other)
    return np.add.reduceat(columns, np.arange(0, len(columns), _BAND))
