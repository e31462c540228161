"""The connected pieces of a mask, and what pieces above and below a seam are together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.bundle import Limits
from edge.network import summed_shares
from edge.types import Frame, Mask, Stretch

_Columns = NDArray[np.bool_]  # W
Spot = tuple[tuple[slice, slice], NDArray[np.bool_]]  # rows and columns of a frame, what of them


@dataclass(frozen=True, slots=True)
class Across:
    """Which columns of its frames are a camera's own, and which another one sees as well."""

    own: range
    left: range  # that the neighbour there sees as well; empty where there is none
    right: range


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Connected surface, at its place on the strip."""

    stretch: Stretch
    left_um: int
    right_um: int
    area_mm2: float
    own_mm2: float  # of it, in columns that are the camera's own
    score_mm2: float  # probability over area
    shares_mm2: Mapping[str, float] = field(default_factory=dict)  # of each class, over area
    spots: tuple[Spot, ...] = ()  # in the frame that was looked at
    head: _Columns | None = None  # where it reaches the first of the rows, if it does
    foot: _Columns | None = None  # and where the last
    numbers: frozenset[int] = frozenset()  # that it was known by

    def is_above(self, limits: Limits) -> bool:
        extent_mm = max(self.stretch.length_mm, (self.right_um - self.left_um) / 1000)
        return limits.reached_by(self.area_mm2, extent_mm)


def find_pieces(
    frame: Frame, mask: Mask | None, own: range, limits: Limits, across: Across | None = None
) -> list[Piece] | None:
    """The connected pieces of some rows; None, and soon, where there is nothing at all.

    Pieces below the limits that reach neither end of the rows, nor columns that another camera sees
    as well, cannot grow, and are left out.
    """
    if not own or mask is None:
        return None
    binary = mask.binary[own.start : own.stop].view(np.uint8)
    left, top, columns, rows = cv2.boundingRect(binary)  # most frames hold nothing, or little
    if rows == 0:
        return None
    window = np.s_[top : top + rows, left : left + columns]
    _, labels, stats, _ = cv2.connectedComponentsWithStats(binary[window], connectivity=8)
    pieces = []
    matters = _matters(frame, stats, -top, len(own) - top, limits)
    for part in () if across is None else (across.left, across.right):
        matters |= (stats[:, 0] < part.stop - left) & (
            part.start - left < stats[:, 0] + stats[:, 2]
        )
    matters[0] = False  # the background
    for label in np.flatnonzero(matters).tolist():
        x, y, width, height, pixels = stats[label].tolist()
        inside = labels[y : y + height, x : x + width] == label
        y, x = own.start + top + y, left + x
        spot = np.s_[y : y + height, x : x + width], inside
        pieces.append(_piece(frame, mask, spot, pixels, own, across))
    return pieces


def _matters(
    frame: Frame, stats: NDArray[Any], first: int, last: int, limits: Limits
) -> NDArray[np.bool_]:
    """Of each label: it is above the limits or reaches the first row or the last."""
    _, y, width, height, pixels = stats.T
    areas_mm2 = pixels * (frame.along_um * frame.across_um / 1e6)
    extents_mm = np.maximum(width * frame.across_um, height * frame.along_um) / 1000
    large = (areas_mm2 >= limits.min_area_mm2) & (extents_mm >= limits.min_extent_mm)
    return np.asarray(large | (y == first) | (y + height == last))


def join(above: Sequence[Piece], below: Sequence[Piece]) -> list[Piece]:
    """What touches across the seam is one; what ends above it is left out."""
    if not above:
        return list(below)
    group_of = [([number], [piece]) for number, piece in enumerate(below)]
    heads = _heads(above, below)
    for piece in above:
        met = {id(group_of[at]): group_of[at] for at in _under(piece, heads)}.values()
        members = list(chain.from_iterable(group[0] for group in met))
        group = members, [piece, *chain.from_iterable(group[1] for group in met)]
        for at in members:
            group_of[at] = group
    return [_as_one(pieces) for _, pieces in {id(group): group for group in group_of}.values()]


def row_um(frame: Frame, row: int) -> int:
    """Where a row begins."""
    return round(frame.stretch.start_um + row * frame.along_um)


def _piece(  # noqa: PLR0917 (all that makes one)
    frame: Frame, mask: Mask, spot: Spot, pixels: int, own: range, across: Across | None
) -> Piece:
    (rows, columns), inside = spot
    pixel_mm2 = frame.along_um * frame.across_um / 1e6
    area_mm2 = pixels * pixel_mm2
    return Piece(
        stretch=Stretch(row_um(frame, rows.start), row_um(frame, rows.stop)),
        left_um=round(columns.start * frame.across_um),
        right_um=round(columns.stop * frame.across_um),
        area_mm2=area_mm2,
        own_mm2=area_mm2 if across is None else _own_pixels(spot, across) * pixel_mm2,
        score_mm2=area_mm2 * float(mask.probability_of(mask.logits[rows, columns][inside]).mean()),
        shares_mm2=_shares_mm2(mask, spot, pixel_mm2),
        spots=(spot,),
        head=_reached(frame, spot, 0) if rows.start == own.start else None,
        foot=_reached(frame, spot, -1) if rows.stop == own.stop else None,
    )


def _own_pixels(spot: Spot, across: Across) -> int:
    (_, columns), inside = spot
    start, stop = (min(max(0, at - columns.start), inside.shape[1]) for at in _ends(across.own))
    return int(np.count_nonzero(inside[:, start:stop]))


def _ends(of: range) -> tuple[int, int]:
    return of.start, of.stop


def _shares_mm2(mask: Mask, spot: Spot, pixel_mm2: float) -> dict[str, float]:
    if mask.names is None:
        return {}
    sums = summed_shares(mask.names, *spot, mask.logits.shape)
    return dict(zip(mask.names.classes, (sums * pixel_mm2).tolist(), strict=True))


def _reached(frame: Frame, spot: Spot, row: int) -> _Columns:
    """The columns in which a spot has one of its rows."""
    (_, columns), inside = spot
    reached = np.zeros(frame.image.shape[1], np.bool_)
    reached[columns] = inside[row]
    return reached


def _heads(above: Sequence[Piece], below: Sequence[Piece]) -> NDArray[np.int32]:
    """W: which piece reaches the first row below the seam there, or -1."""
    [width] = {len(piece.foot) for piece in above if piece.foot is not None}
    heads = np.full(width, -1, np.int32)
    for at, piece in enumerate(below):
        if piece.head is not None:
            heads[piece.head] = at
    return heads


def _under(piece: Piece, heads: NDArray[np.int32]) -> list[int]:
    """Which pieces touch it from below, at a side or at a corner."""
    foot = piece.foot
    assert foot is not None, "it reaches the seam"
    near = foot.copy()
    near[1:] |= foot[:-1]
    near[:-1] |= foot[1:]
    return [int(at) for at in np.unique(heads[near]) if at >= 0]


def _as_one(pieces: list[Piece]) -> Piece:
    if len(pieces) == 1:
        return pieces[0]
    feet = [piece.foot for piece in pieces if piece.spots and piece.foot is not None]
    return Piece(
        stretch=Stretch(
            min(piece.stretch.start_um for piece in pieces),
            max(piece.stretch.end_um for piece in pieces),
        ),
        left_um=min(piece.left_um for piece in pieces),
        right_um=max(piece.right_um for piece in pieces),
        area_mm2=sum(piece.area_mm2 for piece in pieces),
        own_mm2=sum(piece.own_mm2 for piece in pieces),
        score_mm2=sum(piece.score_mm2 for piece in pieces),
        shares_mm2=added([piece.shares_mm2 for piece in pieces]),
        spots=tuple(chain.from_iterable(piece.spots for piece in pieces)),
        foot=np.logical_or.reduce(feet) if feet else None,
        numbers=frozenset[int]().union(*(piece.numbers for piece in pieces)),
    )


def added(shares: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """By name: a bundle that has just been changed may name others."""
    names = dict.fromkeys(chain.from_iterable(shares))
    return {name: sum(each.get(name, 0.0) for each in shares) for name in names}
