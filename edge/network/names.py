"""The one way an engine's class logits become shares of classes, on a frame and in a part of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.bundle import Manifest
from edge.engines import Answer
from edge.network.mask import read_mask, refuse_no_number
from edge.types import Mask, Names

Reals = NDArray[np.float32]
Places = NDArray[Any]  # whole numbers or not


def read_answer(answer: Answer, shape: tuple[int, int], manifest: Manifest) -> Mask:
    """All that is answered to a frame of `shape` H,W that was shown as a whole."""
    mask = read_mask(answer.logits, shape, manifest.threshold, manifest.output.clip)
    if answer.names is None:
        return mask
    shares = read_shares(answer.names, manifest)
    return replace(mask, names=Names(shares, tuple(manifest.classes)))


def read_shares(logits: Reals, manifest: Manifest) -> Reals:
    """1,C,h,w class logits to C,h,w shares of the classes, which add up to 1 in each cell.

    That a picture is sound is no class of what is found in it, and has no share.
    """
    refuse_no_number(logits)
    return _softmax(logits[0, : len(manifest.classes)])


def sound_share(answer: Answer, manifest: Manifest) -> float | None:
    """How surely, from 0 to 1, the network says that the picture as a whole is sound.

    None where it says nothing of it.
    """
    if answer.names is None or manifest.names is None or not manifest.names.sound:
        return None
    refuse_no_number(answer.names)
    return float(_softmax(answer.names[0])[-1, 0, 0])


def _softmax(logits: Reals) -> Reals:
    powers = np.exp(logits - logits.max(axis=0))
    return np.asarray(powers / powers.sum(axis=0), np.float32)


def shares_in(names: Names, where: tuple[slice, slice], size: tuple[int, int]) -> Reals:
    """C,rows,columns: the shares of a part of a frame of `size`, pixel by pixel.

    Linear with half-pixel centres, as the map that decides is resized. A spot's box is small: the
    whole frame is never enlarged.
    """
    return shares_at(names.shares, *_places(names, where, size))


def summed_shares(
    names: Names, where: tuple[slice, slice], inside: NDArray[np.bool_], size: tuple[int, ...]
) -> Reals:
    """C: the shares of the pixels `inside` of a part of a frame of `size`, added up.

    What each cell gives to them is added up first, so that no share is ever enlarged to pixels.
    """
    _, height, width = names.shares.shape
    rows, columns = _places(names, where, size)
    down, across = _reached(rows, height), _reached(columns, width)
    given = (
        _stencil(rows, height)[:, down].T
        @ inside.astype(np.float32)
        @ _stencil(columns, width)[:, across]
    )
    return np.asarray((names.shares[:, down, across] * given).sum(axis=(1, 2)), np.float32)


def _reached(places: NDArray[np.float64], cells: int) -> slice:
    """The cells that give anything to these places: most of a wide frame's give none."""
    first, last = places[[0, -1]].clip(0, cells - 1).astype(int)
    return slice(first, min(last + 2, cells))


def _places(
    names: Names, where: tuple[slice, slice], size: tuple[int, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The rows and columns of a part of a frame, in cells."""
    rows, columns = (
        (np.arange(*part.indices(pixels)) + 0.5) * cells / pixels - 0.5
        for part, cells, pixels in zip(where, names.shares.shape[1:], size, strict=True)
    )
    return rows, columns


class Part(NamedTuple):
    """What a network answers to a window of a frame, and what of the frame it answers for."""

    top: int
    left: int
    own: tuple[slice, slice]  # rows and columns of the frame, that lie in the window
    answer: Answer


def stitch_names(parts: Iterable[Part], size: tuple[int, int], manifest: Manifest) -> Names:
    """The classes of a frame of `size` H,W, of windows that need not lie on whole cells.

    Each cell is of the part in whose own its middle lies; where there is none it is of all classes
    alike.
    """
    assert manifest.names is not None, "a network that names nothing has no such parts"
    spec, count = manifest.input, len(manifest.classes)
    cell = spec.height / manifest.names.height, spec.width / manifest.names.width
    rows, columns = (_middles(0, *each) for each in zip(size, cell, strict=True))
    shares = np.full((count, len(rows), len(columns)), 1 / count, np.float32)
    for part in parts:
        assert part.answer.names is not None, "the engine holds it to its manifest"
        down, across = (
            slice(*np.searchsorted(middles, (own.start, own.stop)))
            for middles, own in zip((rows, columns), part.own, strict=True)
        )
        shares[:, down, across] = shares_at(
            read_shares(part.answer.names, manifest),
            (rows[down] - part.top) / cell[0] - 0.5,
            (columns[across] - part.left) / cell[1] - 0.5,
        )
    return Names(shares, tuple(manifest.classes))


def last_rows(names: Names, before: float) -> Names:
    """Those of a frame without this share of its rows, the first."""
    height = names.shares.shape[1]
    rows = _middles(before * height, height, 1) - 0.5
    return Names(_between(names.shares, rows, axis=1), names.classes)


def _middles(start: float, stop: float, cell: float) -> Places:
    """The middles of cells that fill a span evenly, of this size or nearly."""
    cells = max(1, round((stop - start) / cell))
    return start + (np.arange(cells) + 0.5) * ((stop - start) / cells)


def shares_at(shares: Reals, rows: Places, columns: Places) -> Reals:
    """C,rows,columns of shares at places in cells, of which 0 is the middle of the first."""
    return _between(_between(shares, rows, axis=1), columns, axis=2)


def _between(shares: Reals, places: Places, axis: int) -> Reals:
    """Along one axis: of the two cells that a place lies between, by how near it is to each.

    Not by a product of matrices, most of which would be 0: a frame may be thousands of columns
    wide, and libraries of such products have threads that spin beside the engine's.
    """
    cells = shares.shape[axis]
    at = places.clip(0, cells - 1)
    before = np.floor(at).astype(np.intp)
    after = np.minimum(before + 1, cells - 1)
    share = np.asarray(at - before, np.float32)
    share = share[:, None] if axis == 1 else share
    one, other = shares.take(before, axis), shares.take(after, axis)
    return np.asarray(one * (1 - share) + other * share, np.float32)


def _stencil(places: Places, cells: int) -> Reals:
    """What each place takes of each cell; beyond the outermost middles it takes the outermost."""
    apart = np.abs(places.clip(0, cells - 1)[:, None] - np.arange(cells))
    return np.asarray(np.maximum(1 - apart, 0), np.float32)
