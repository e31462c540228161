"""A strip that is cut into frames is found to hold the defects that it holds in one piece."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.manifest import Limits
from edge.seams import Seams
from edge.types import Defect, Frame, Mask, Stretch
from edge.verdict import find_defects

LIMITS = Limits(min_area_mm2=4, min_extent_mm=3)
PITCH_UM = 1000
COLUMNS, ROWS = 24, 90


def a_frame(rows: range, index: int = 0) -> Frame:
    stretch = Stretch(rows.start * PITCH_UM, rows.stop * PITCH_UM)
    return Frame(index, np.zeros((len(rows), COLUMNS), np.uint8), 0, stretch, PITCH_UM)


def a_mask(strip: NDArray[np.float32], rows: range) -> Mask:
    return Mask(strip[rows.start : rows.stop], threshold=0.5)


@dataclass(frozen=True)
class Blob:
    """A rod, a ring or a fork: what parts at one seam may be one at the next."""

    kind: str
    row: int
    column: int
    length: int
    width: int
    logit: float

    def draw(self, strip: NDArray[np.float32]) -> None:
        shape = np.zeros((self.length, self.width), np.uint8)
        if self.kind == "rod":
            shape[:] = 1
        elif self.kind == "ring":
            cv2.rectangle(shape, (0, 0), (self.width - 1, self.length - 1), 1, 1)
        else:
            shape[:, ::2] = 1
            shape[self.length // 2] = 1
        window = strip[self.row : self.row + self.length, self.column : self.column + self.width]
        part = shape[: window.shape[0], : window.shape[1]]
        window[part > 0] = self.logit


BLOBS = st.lists(
    st.builds(
        Blob,
        kind=st.sampled_from(["rod", "ring", "fork"]),
        row=st.integers(0, ROWS - 1),
        column=st.integers(0, COLUMNS - 1),
        length=st.integers(1, 40),
        width=st.integers(1, 12),
        logit=st.floats(0.5, 4, width=32),
    ),
    max_size=6,
)


CUTS = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 29)), max_size=12)


def frames_of(cuts: list[tuple[int, int]]) -> list[range]:
    """Of so many rows, by so many of which each goes back over the one before; then the rest."""
    frames, reached = [], 0
    for rows, overlap in cuts:
        start = max(reached - overlap, frames[-1].start if frames else 0)
        stop = max(start + rows, reached)
        if stop < ROWS:
            frames.append(range(start, stop))
            reached = stop
    return [*frames, range(reached, ROWS)]


def as_known_at_last(seen: list[list[Defect]]) -> dict[int, Defect]:
    """By number, but for those that turned out to be parts of others."""
    known = {defect.number: defect for defects in seen for defect in defects}
    parts = {number for defects in seen for d in defects for number in d.absorbed}
    return {number: defect for number, defect in known.items() if number not in parts}


def measures(defects: Iterable[Defect]) -> list[tuple[float, ...]]:
    return sorted(
        (d.stretch.start_um, d.stretch.end_um, d.left_um, round(d.area_mm2, 3), round(d.score, 3))
        for d in defects
    )


@settings(max_examples=200, deadline=None)
@given(BLOBS, CUTS)
def test_cut_into_frames_a_strip_has_the_defects_that_it_has_in_one_piece(
    blobs: list[Blob], cuts: list[tuple[int, int]]
) -> None:
    strip = np.full((ROWS, COLUMNS), -4, np.float32)
    for blob in blobs:
        blob.draw(strip)
    seams, whole = Seams(), range(ROWS)
    seen = [seams.follow(a_frame(rows), a_mask(strip, rows), LIMITS) for rows in frames_of(cuts)]
    wanted = find_defects(a_mask(strip, whole), a_frame(whole), LIMITS)
    assert measures(as_known_at_last(seen).values()) == measures(wanted)
