"""Defects along the strip: what touches or overlaps from one frame to the next is one defect.

Where two frames overlap, each row of rail belongs to the frame in which it lies deeper: the seam is
in the middle of the overlap, and of frames that lie end to end it is where they meet. Nothing is
held back for that. Each frame is judged to its end at once, because it may be the last that is
seen; what lies beyond the seam is looked at again when the next frame has come, and only that
second look is carried on. Across a gap nothing merges.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count

import numpy as np
from numpy.typing import NDArray

from edge.bundle import Limits
from edge.inspect.pieces import Across, Piece, Spot, find_pieces, join, row_um
from edge.inspect.traces import Share, Strip, Trace
from edge.types import Defect, Frame, Mask

Pixel = tuple[int, int]  # row, column
_IN_A_ROW = (0.02, 0.98)  # but for rounding, its first and its last micrometre


@dataclass(frozen=True, eq=False)
class _Look:
    """The latest frame: what of it may have to be looked at again."""

    frame: Frame
    mask: Mask | None  # None for nothing at all
    first_row: int  # what lies before it belongs to the frame before
    open: Sequence[Piece]  # that reach the row before the first
    found: Sequence[Piece]  # each by its number, if it has one
    defects: Mapping[int, Piece]  # of these, those that are large enough; by number
    blank: bool  # no pixel of its own rows is defective
    limits: Limits
    across: Across | None = None
    absorbed: Mapping[int, frozenset[int]] = field(default_factory=dict)  # by number

    def goes_on_in(self, frame: Frame) -> bool:
        """The same columns of the rail, and no row missing between."""
        before, shown = self.frame.stretch, frame.stretch
        return (
            self.frame.across_um == frame.across_um
            and self.frame.image.shape[1] == frame.image.shape[1]
            and before.start_um <= shown.start_um <= before.end_um + frame.along_um / 2
            and before.end_um <= shown.end_um
        )

    def open_at(self, seam_um: float, limits: Limits) -> Sequence[Piece]:
        """The pieces that reach the last row before a seam."""
        seam_row = round((seam_um - self.frame.stretch.start_um) / self.frame.along_um)
        if seam_row <= self.first_row:
            return self.open
        if self.blank:
            return ()
        found = self.found
        if seam_row < self.frame.image.shape[0]:
            own = range(self.first_row, seam_row)
            pieces = find_pieces(self.frame, self.mask, own, limits, self.across)
            parts = self.known(self.frame, pieces)
            # What goes on of those that are open has its number in this frame.
            nameless = [replace(piece, numbers=frozenset[int]()) for piece in self.open]
            found = join(nameless, parts)
        reaching = (piece for piece in found if piece.foot is not None)
        return [replace(piece, spots=(), head=None) for piece in reaching]

    def known(self, frame: Frame, pieces: list[Piece] | None) -> list[Piece]:
        """Pieces of this frame, or of the next, by the numbers that were given in their place."""
        return [
            replace(piece, numbers=self._numbers_at(frame, spot))
            for piece in pieces or ()
            for spot in piece.spots
        ]

    def _numbers_at(self, frame: Frame, spot: Spot) -> frozenset[int]:
        (rows, columns), inside = spot
        if self.blank or row_um(frame, rows.start) >= self.frame.stretch.end_um:
            return frozenset()
        height = self.frame.image.shape[0]
        ahead_um = frame.stretch.start_um - self.frame.stretch.start_um
        found = set[int]()
        for part in _IN_A_ROW:  # its rows need not begin where those of this frame do
            places_um = ahead_um + (np.arange(rows.start, rows.stop) + part) * frame.along_um
            at = np.floor(places_um / self.frame.along_um).astype(int)
            seen = at < height
            found |= set(np.unique(self.numbers[at[seen], columns][inside[seen]]).tolist())
        return frozenset(found - {0})

    def trace(self) -> Trace | None:
        """What a neighbour may see the rest of; None where there is no neighbour, or nothing."""
        if self.across is None or not self.found:
            return None
        shares = [self._share(piece) for piece in self.found]
        across = self.across
        return Trace(
            tuple(shares), self.limits, self._strip(across.left), self._strip(across.right)
        )

    def _share(self, piece: Piece) -> Share:
        number = min(piece.numbers)
        return Share(
            number=number,
            absorbed=self.absorbed.get(number, frozenset()),
            stretch=piece.stretch,
            left_um=piece.left_um,
            right_um=piece.right_um,
            area_mm2=piece.area_mm2,
            own_mm2=piece.own_mm2,
            score_mm2=piece.score_mm2,
            box_px=_box(piece),
        )

    def _strip(self, columns: range) -> Strip | None:
        """Some columns of the frame, each pixel with the number of its piece."""
        numbers = np.zeros((self.frame.image.shape[0], len(columns)), np.int32)
        for piece in self.found:
            for (rows, across), inside in piece.spots:
                start, stop = max(across.start, columns.start), min(across.stop, columns.stop)
                if start < stop:
                    part = inside[:, start - across.start : stop - across.start]
                    window = numbers[rows, start - columns.start : stop - columns.start]
                    window[part] = min(piece.numbers)
        if not numbers.any():
            return None
        frame = self.frame
        left_um = columns.start * frame.across_um
        return Strip(numbers, frame.stretch.start_um, frame.along_um, left_um, frame.across_um)

    @cached_property
    def numbers(self) -> NDArray[np.int32]:
        """H,W: of the defect there, or 0."""
        drawn = np.zeros(self.frame.image.shape[:2], np.int32)
        for piece in self.found:
            for where, inside in piece.spots:
                drawn[where][inside] = min(piece.numbers, default=0)
        return drawn


@dataclass
class Seams:
    """Follows defects along the strip, frame by frame; their numbers begin at 1."""

    unused: Iterator[int] = field(default_factory=lambda: count(1))
    _small: Iterator[int] = field(default_factory=lambda: count(-1, -1))  # of what is none so far
    _latest: _Look | None = None

    def forget(self) -> None:
        """Nobody saw what comes next: nothing merges across it."""
        self._latest = None

    def follow(
        self, frame: Frame, mask: Mask | None, limits: Limits, across: Across | None = None
    ) -> list[Defect]:
        """The defects in the rows that are this frame's own, as far as they are known by now.

        What as a whole is smaller than the limits is none. A mask of nothing may be left out. With
        neighbours `across`, what of it they may see the rest of is to be had as a `trace`.
        """
        before = self._latest
        if before is not None and not before.goes_on_in(frame):
            before = None
        first_row, open_ = 0, list[Piece]()
        if before is not None:
            overlap_um = before.frame.stretch.end_um - frame.stretch.start_um
            first_row = max(0, round(overlap_um / 2 / frame.along_um))
            seam_um = frame.stretch.start_um + first_row * frame.along_um
            open_ += before.open_at(seam_um, limits)
        parts = find_pieces(frame, mask, range(first_row, frame.image.shape[0]), limits, across)
        known = (before.known(frame, parts) if before else parts) or []
        absorbed = dict[int, frozenset[int]]()
        found, named, defects = self._name(join(open_, known), limits, absorbed)
        if across is not None:
            found = self._track(found, named, absorbed)
        self._latest = _Look(
            frame,
            mask,
            first_row,
            open_,
            found,
            named,
            blank=parts is None,
            limits=limits,
            across=across,
            absorbed=absorbed,
        )
        return defects

    def _track(
        self,
        found: Sequence[Piece],
        named: Mapping[int, Piece],
        absorbed: dict[int, frozenset[int]],
    ) -> list[Piece]:
        """What is too small to be a defect by itself has a number all the same, below 0."""
        tracked = list(named.values())
        taken = set(named).union(*absorbed.values())
        for piece in found:
            if named.get(min(piece.numbers, default=0)) is piece:
                continue
            known = piece.numbers - taken
            number = max(known) if known else next(self._small)
            taken |= known
            absorbed[number] = known - {number}
            tracked.append(replace(piece, numbers=frozenset({number})))
        return tracked

    @property
    def trace(self) -> Trace | None:
        """Of the latest frame."""
        return None if self._latest is None else self._latest.trace()

    def _name(
        self, pieces: list[Piece], limits: Limits, absorbed: dict[int, frozenset[int]]
    ) -> tuple[list[Piece], dict[int, Piece], list[Defect]]:
        """Those that are large enough become defects, in order along the strip."""
        found, named = list[Piece](), dict[int, Piece]()
        defects, taken = list[Defect](), set[int]()
        for piece in sorted(pieces, key=lambda p: (p.stretch.start_um, p.left_um)):
            if not piece.is_above(limits):
                found.append(piece)
                continue
            known = piece.numbers - taken  # where one has parted, the first keeps its number
            defects_before = [number for number in known if number > 0]
            number = min(defects_before) if defects_before else next(self.unused)
            taken |= known
            named[number] = replace(piece, numbers=frozenset({number}))
            found.append(named[number])
            absorbed[number] = known - {number}
            defects.append(_defect(piece, number, frozenset(defects_before) - {number}))
        return found, named, defects

    @property
    def is_blank(self) -> bool:
        """Whether the latest frame's own rows show nothing at all."""
        return self._latest is None or self._latest.blank

    def piece_of(self, number: int) -> Piece:
        """A defect that was found in the latest frame."""
        assert self._latest is not None
        return self._latest.defects[number]

    def pixel_of(self, number: int) -> Pixel:
        """One of such a defect in that frame."""
        (rows, columns), inside = self.piece_of(number).spots[0]
        row, column = np.unravel_index(int(inside.argmax()), inside.shape)
        return rows.start + int(row), columns.start + int(column)

    def number_at(self, pixel: Pixel) -> int:
        """Of the defect that has this pixel of that frame, or 0."""
        assert self._latest is not None
        return int(self._latest.numbers[pixel])


def _box(piece: Piece) -> tuple[int, int, int, int]:
    """Of what the frame shows of it."""
    rows, columns = zip(*(where for where, _ in piece.spots), strict=True)
    top, left = min(each.start for each in rows), min(each.start for each in columns)
    bottom, right = max(each.stop for each in rows), max(each.stop for each in columns)
    return left, top, right - left, bottom - top


def _defect(piece: Piece, number: int, absorbed: frozenset[int]) -> Defect:
    return Defect(
        stretch=piece.stretch,
        left_um=piece.left_um,
        right_um=piece.right_um,
        area_mm2=piece.area_mm2,
        score=piece.score_mm2 / piece.area_mm2,
        box_px=_box(piece),
        number=number,
        absorbed=tuple(sorted(absorbed)),
    )
