"""Defects along the strip: what touches or overlaps from one frame to the next is one defect.

Where two frames overlap, each row of rail belongs to the frame in which it lies deeper: the seam is
in the middle of the overlap, and of frames that lie end to end it is where they meet. Nothing is
held back for that. Each frame is judged to its end at once, because it may be the last that is
seen; what lies beyond the seam is looked at again when the next frame has come, and only that
second look is carried on. Across a gap nothing merges.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain, count

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.manifest import Limits
from edge.types import Defect, Frame, Mask, Stretch, sigmoid

_Columns = NDArray[np.bool_]  # W
_Spot = tuple[tuple[slice, slice], NDArray[np.bool_]]  # rows and columns of a frame, what of them


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """Connected surface, at its place on the strip."""

    stretch: Stretch
    left_um: int
    right_um: int
    area_mm2: float
    score_mm2: float  # probability over area
    spots: tuple[_Spot, ...] = ()  # in the frame that was looked at
    head: _Columns | None = None  # where it reaches the first of the rows, if it does
    foot: _Columns | None = None  # and where the last
    numbers: frozenset[int] = frozenset()  # that it was known by

    @property
    def extent_mm(self) -> float:
        return max(self.stretch.length_mm, (self.right_um - self.left_um) / 1000)


@dataclass(frozen=True, eq=False)
class _Look:
    """The latest frame: what of it may have to be looked at again."""

    frame: Frame
    mask: Mask
    first_row: int  # what lies before it belongs to the frame before
    open: Sequence[_Piece]  # that reach the row before the first
    found: Sequence[_Piece]  # each by its number, if it has one
    blank: bool  # no pixel of its own rows is defective

    def goes_on_in(self, frame: Frame) -> bool:
        """The same columns of the rail, and no row missing between."""
        before, shown = self.frame.stretch, frame.stretch
        return (
            self.frame.across_um == frame.across_um
            and self.frame.image.shape[1] == frame.image.shape[1]
            and before.start_um <= shown.start_um <= before.end_um + frame.along_um / 2
            and before.end_um <= shown.end_um
        )

    def open_at(self, seam_um: float, limits: Limits) -> Sequence[_Piece]:
        """The pieces that reach the last row before a seam."""
        seam_row = round((seam_um - self.frame.stretch.start_um) / self.frame.along_um)
        if seam_row <= self.first_row:
            return self.open
        if self.blank:
            return ()
        found = self.found
        if seam_row < self.frame.image.shape[0]:
            parts = _parts(self.frame, self.mask, range(self.first_row, seam_row), limits, self)
            # What goes on of those that are open has its number in this frame.
            nameless = [replace(piece, numbers=frozenset[int]()) for piece in self.open]
            found = _joined(nameless, parts or ())
        reaching = (piece for piece in found if piece.foot is not None)
        return [replace(piece, spots=(), head=None) for piece in reaching]

    def numbers_at(self, frame: Frame, spot: _Spot) -> frozenset[int]:
        """The defects that were found at a spot of this frame, or of the next."""
        (rows, columns), inside = spot
        if self.blank or _row_um(frame, rows.start) >= self.frame.stretch.end_um:
            return frozenset()
        middles = np.arange(rows.start, rows.stop) + 0.5
        ahead_um = frame.stretch.start_um - self.frame.stretch.start_um
        at = np.floor((ahead_um + middles * frame.along_um) / self.frame.along_um).astype(int)
        seen = at < self.mask.logits.shape[0]
        under = self._numbers[at[seen], columns][inside[seen]]
        return frozenset(np.unique(under).tolist()) - {0}

    @cached_property
    def _numbers(self) -> NDArray[np.int32]:
        """H,W: of the defect there, or 0."""
        drawn = np.zeros(self.mask.logits.shape, np.int32)
        for piece in self.found:
            for where, inside in piece.spots:
                drawn[where][inside] = min(piece.numbers, default=0)
        return drawn


@dataclass
class Seams:
    """Follows defects along the strip, frame by frame; their numbers begin at 1."""

    _unused: Iterator[int] = field(default_factory=lambda: count(1))
    _latest: _Look | None = None

    def forget(self) -> None:
        """Nobody saw what comes next: nothing merges across it."""
        self._latest = None

    def follow(self, frame: Frame, mask: Mask, limits: Limits) -> list[Defect]:
        """The defects in the rows that are this frame's own, as far as they are known by now.

        What as a whole is smaller than the limits is none.
        """
        before = self._latest
        if before is not None and not before.goes_on_in(frame):
            before = None
        first_row, open_ = 0, list[_Piece]()
        if before is not None:
            overlap_um = before.frame.stretch.end_um - frame.stretch.start_um
            first_row = max(0, round(overlap_um / 2 / frame.along_um))
            seam_um = frame.stretch.start_um + first_row * frame.along_um
            open_ += before.open_at(seam_um, limits)
        parts = _parts(frame, mask, range(first_row, frame.image.shape[0]), limits, before)
        found, defects = self._name(_joined(open_, parts or ()), limits)
        self._latest = _Look(frame, mask, first_row, open_, found, blank=parts is None)
        return defects

    def _name(self, pieces: list[_Piece], limits: Limits) -> tuple[list[_Piece], list[Defect]]:
        """Those that are large enough become defects, in order along the strip."""
        found, defects, taken = list[_Piece](), list[Defect](), set[int]()
        for piece in sorted(pieces, key=lambda p: (p.stretch.start_um, p.left_um)):
            if not _is_large(limits, piece.area_mm2, piece.extent_mm):
                found.append(piece)
                continue
            known = piece.numbers - taken  # where one has parted, the first keeps its number
            number = min(known) if known else next(self._unused)
            taken |= known
            found.append(replace(piece, numbers=frozenset({number})))
            defects.append(_defect(piece, number, known - {number}))
        return found, defects


def _parts(
    frame: Frame, mask: Mask, own: range, limits: Limits, before: _Look | None
) -> list[_Piece] | None:
    """The connected pieces of some rows; None, and soon, where there is nothing at all.

    Pieces below the limits that reach neither end of the rows cannot grow, and are left out.
    """
    if not own:
        return None
    binary = mask.binary[own.start : own.stop].view(np.uint8)
    left, top, columns, rows = cv2.boundingRect(binary)  # most frames hold nothing, or little
    if rows == 0:
        return None
    window = np.s_[top : top + rows, left : left + columns]
    total, labels, stats, _ = cv2.connectedComponentsWithStats(binary[window], connectivity=8)
    parts = []
    for label in range(1, total):  # 0 is the background
        x, y, width, height, pixels = (int(v) for v in stats[label])
        start, stop = own.start + top + y, own.start + top + y + height
        area_mm2 = pixels * frame.along_um * frame.across_um / 1e6
        extent_mm = max(width * frame.across_um, height * frame.along_um) / 1000
        ends = start == own.start, stop == own.stop
        if any(ends) or _is_large(limits, area_mm2, extent_mm):
            inside = labels[y : y + height, x : x + width] == label
            spot = np.s_[start:stop, left + x : left + x + width], inside
            parts.append(_piece(frame, mask, spot, area_mm2, ends=ends, before=before))
    return parts


def _piece(
    frame: Frame,
    mask: Mask,
    spot: _Spot,
    area_mm2: float,
    *,
    ends: tuple[bool, bool],
    before: _Look | None,
) -> _Piece:
    (rows, columns), inside = spot
    return _Piece(
        stretch=Stretch(_row_um(frame, rows.start), _row_um(frame, rows.stop)),
        left_um=round(columns.start * frame.across_um),
        right_um=round(columns.stop * frame.across_um),
        area_mm2=area_mm2,
        score_mm2=area_mm2 * float(sigmoid(mask.logits[rows, columns][inside]).mean()),
        spots=(spot,),
        head=_reached(frame, spot, 0) if ends[0] else None,
        foot=_reached(frame, spot, -1) if ends[1] else None,
        numbers=before.numbers_at(frame, spot) if before else frozenset(),
    )


def _reached(frame: Frame, spot: _Spot, row: int) -> _Columns:
    """The columns in which a spot has one of its rows."""
    (_, columns), inside = spot
    reached = np.zeros(frame.image.shape[1], np.bool_)
    reached[columns] = inside[row]
    return reached


def _joined(open_: Sequence[_Piece], parts: Sequence[_Piece]) -> list[_Piece]:
    """What touches across the seam is one; an open piece that touches nothing has ended."""
    groups = [[part] for part in parts]
    for piece in open_:
        apart, met = [], [piece]
        for group in groups:
            if any(_touch(piece, part) for part in group):
                met += group
            else:
                apart.append(group)
        if len(met) > 1:
            groups = [*apart, met]
    return [_as_one(group) for group in groups]


def _touch(above: _Piece, below: _Piece) -> bool:
    """At a side or at a corner."""
    if above.foot is None or below.head is None:
        return False
    near = above.foot.copy()
    near[1:] |= above.foot[:-1]
    near[:-1] |= above.foot[1:]
    return bool((near & below.head).any())


def _as_one(pieces: list[_Piece]) -> _Piece:
    if len(pieces) == 1:
        return pieces[0]
    feet = [piece.foot for piece in pieces if piece.spots and piece.foot is not None]
    return _Piece(
        stretch=Stretch(
            min(piece.stretch.start_um for piece in pieces),
            max(piece.stretch.end_um for piece in pieces),
        ),
        left_um=min(piece.left_um for piece in pieces),
        right_um=max(piece.right_um for piece in pieces),
        area_mm2=sum(piece.area_mm2 for piece in pieces),
        score_mm2=sum(piece.score_mm2 for piece in pieces),
        spots=tuple(chain.from_iterable(piece.spots for piece in pieces)),
        foot=np.logical_or.reduce(feet) if feet else None,
        numbers=frozenset[int]().union(*(piece.numbers for piece in pieces)),
    )


def _is_large(limits: Limits, area_mm2: float, extent_mm: float) -> bool:
    return area_mm2 >= limits.min_area_mm2 and extent_mm >= limits.min_extent_mm


def _defect(piece: _Piece, number: int, absorbed: frozenset[int]) -> Defect:
    rows, columns = zip(*(where for where, _ in piece.spots), strict=True)
    top, left = min(each.start for each in rows), min(each.start for each in columns)
    bottom, right = max(each.stop for each in rows), max(each.stop for each in columns)
    return Defect(
        stretch=piece.stretch,
        left_um=piece.left_um,
        right_um=piece.right_um,
        area_mm2=piece.area_mm2,
        score=piece.score_mm2 / piece.area_mm2,
        box_px=(left, top, right - left, bottom - top),
        number=number,
        absorbed=tuple(sorted(absorbed)),
    )


def _row_um(frame: Frame, row: int) -> int:
    return round(frame.stretch.start_um + row * frame.along_um)
