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


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """The latest frame: what of it may have to be looked at again."""

    frame: Frame
    mask: Mask
    first_row: int  # what lies before it belongs to the frame before
    open: Sequence[_Piece]  # that reach the row before the first
    numbers: NDArray[np.int32] | None  # H,W: of the defect there, or 0; None: nothing was found

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
        last_row = round((seam_um - self.frame.stretch.start_um) / self.frame.along_um)
        if last_row <= self.first_row:
            return self.open
        if self.numbers is None:
            return ()
        parts = _parts(self.frame, self.mask, range(self.first_row, last_row), limits, self)
        # What goes on of those that are open has its number in this frame.
        nameless = [replace(piece, numbers=frozenset[int]()) for piece in self.open]
        found = [piece for piece in _joined(nameless, parts or ()) if piece.foot is not None]
        return [replace(piece, spots=(), head=None) for piece in found]

    def numbers_at(self, frame: Frame, spot: _Spot) -> frozenset[int]:
        """The defects that were found at a spot of this frame, or of the next."""
        if self.numbers is None:
            return frozenset()
        (rows, columns), inside = spot
        middles = np.arange(rows.start, rows.stop) + 0.5
        ahead_um = frame.stretch.start_um - self.frame.stretch.start_um
        at = np.floor((ahead_um + middles * frame.along_um) / self.frame.along_um).astype(int)
        seen = at < len(self.numbers)
        under = self.numbers[at[seen], columns][inside[seen]]
        return frozenset(np.unique(under).tolist()) - {0}


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
        before, first_row = self._latest, 0
        open_: Sequence[_Piece] = ()
        if before is not None and before.goes_on_in(frame):
            overlap_um = before.frame.stretch.end_um - frame.stretch.start_um
            first_row = max(0, round(overlap_um / 2 / frame.along_um))
            seam_um = frame.stretch.start_um + first_row * frame.along_um
            open_ = before.open_at(seam_um, limits)
        else:
            before = None
        own = range(first_row, frame.image.shape[0])
        parts = _parts(frame, mask, own, limits, before)
        whole = [each for each in _joined(open_, parts or ()) if _is_above(limits, each)]
        named = list(self._named(whole))
        numbers = None if parts is None and not open_ else _drawn(mask, named)
        self._latest = _Look(frame, mask, first_row, open_, numbers)
        return [defect for defect, _ in named]

    def _named(self, pieces: list[_Piece]) -> Iterator[tuple[Defect, _Piece]]:
        """Along the strip, each by its number and with those that turn out to be part of it."""
        taken: frozenset[int] = frozenset()
        for piece in sorted(pieces, key=lambda p: (p.stretch.start_um, p.left_um)):
            known = piece.numbers - taken  # where one has parted, the first keeps its number
            number = min(known) if known else next(self._unused)
            taken |= known
            yield _defect(piece, number, known - {number}), piece


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
        inside = labels[y : y + height, x : x + width] == label
        y, x = own.start + top + y, left + x
        spot = np.s_[y : y + height, x : x + width], inside
        piece = _measured(frame, mask, spot, pixels)
        heads, foots = y == own.start, y + height == own.stop
        if not (heads or foots or _is_above(limits, piece)):
            continue
        known = before.numbers_at(frame, spot) if before else frozenset()
        parts.append(
            replace(
                piece,
                head=_reached(frame, spot, 0) if heads else None,
                foot=_reached(frame, spot, -1) if foots else None,
                numbers=known,
            )
        )
    return parts


def _measured(frame: Frame, mask: Mask, spot: _Spot, pixels: int) -> _Piece:
    (rows, columns), inside = spot
    area_mm2 = pixels * frame.along_um * frame.across_um / 1e6
    return _Piece(
        stretch=Stretch(_row_um(frame, rows.start), _row_um(frame, rows.stop)),
        left_um=round(columns.start * frame.across_um),
        right_um=round(columns.stop * frame.across_um),
        area_mm2=area_mm2,
        score_mm2=area_mm2 * float(sigmoid(mask.logits[rows, columns][inside]).mean()),
        spots=(spot,),
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


def _is_above(limits: Limits, piece: _Piece) -> bool:
    extent_mm = max(piece.stretch.length_mm, (piece.right_um - piece.left_um) / 1000)
    return piece.area_mm2 >= limits.min_area_mm2 and extent_mm >= limits.min_extent_mm


def _drawn(mask: Mask, named: list[tuple[Defect, _Piece]]) -> NDArray[np.int32]:
    numbers = np.zeros(mask.logits.shape, np.int32)
    for defect, piece in named:
        for where, inside in piece.spots:
            numbers[where][inside] = defect.number
    return numbers


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
