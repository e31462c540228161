"""Masks as numbers of equal pixels after each other: COCO's, and Label Studio's own for brushes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_ALPHA, _PLANES = 3, 4  # Label Studio draws in the last plane of a picture of four
_BRUSHED = 128  # of its alpha, from which on a pixel is marked


def run_lengths(plane: NDArray[np.uint8]) -> dict[str, Any]:
    """A plane of 0 and 1 as COCO writes it: columns after each other, sound first."""
    flat = plane.T.ravel()
    ends = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], ends, [flat.size]])).tolist()
    return {"size": list(plane.shape), "counts": [0, *counts] if flat[:1].any() else counts}


def brushed(packed: list[int], height: int, width: int) -> NDArray[np.uint8]:
    """What a brush of Label Studio marked, 0 or 1.

    The bits say how many values follow, how wide one is and how wide four kinds of lengths are;
    then, again and again: whether one value is repeated or each is given, by which kind of length
    how often, and the value or the values.
    """
    bits = np.unpackbits(np.asarray(packed, np.uint8))
    place = 0

    def number(width_bits: int) -> int:
        nonlocal place
        taken = bits[place : place + width_bits]
        if len(taken) < width_bits:
            raise ValueError("a brush's run lengths end early")
        place += width_bits
        return int(taken.dot(1 << np.arange(width_bits - 1, -1, -1, dtype=np.int64)))

    total, word = number(32), number(5) + 1
    kinds = [number(4) + 1 for _ in range(4)]
    if total != height * width * _PLANES:
        raise ValueError(f"a brush of {total} values, which are not the image's")
    values = np.zeros(total, np.uint8)
    at = 0
    while at < total:
        repeated = number(1)
        end = min(at + 1 + number(kinds[number(2)]), total)
        if repeated:
            values[at:end] = number(word)
        else:
            values[at:end] = [number(word) for _ in range(end - at)]
        at = end
    return (values.reshape(height, width, _PLANES)[..., _ALPHA] >= _BRUSHED).astype(np.uint8)
