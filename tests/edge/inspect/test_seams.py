"""A strip that is cut into frames is found to hold the defects that it holds in one piece."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.bundle import Limits
from edge.inspect import Judge, find, reject_stretches
from edge.inspect.seams import Seams
from edge.line_file import MinArea, Rules
from edge.line_file.rules import MinLength
from edge.types import Defect, Frame, Mask, State, Stretch, Verdict

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


@settings(max_examples=200)
@given(BLOBS, CUTS)
def test_cut_into_frames_a_strip_has_the_defects_that_it_has_in_one_piece(
    blobs: list[Blob], cuts: list[tuple[int, int]]
) -> None:
    strip = np.full((ROWS, COLUMNS), -4, np.float32)
    for blob in blobs:
        blob.draw(strip)
    seams, whole = Seams(), range(ROWS)
    seen = [seams.follow(a_frame(rows), a_mask(strip, rows), LIMITS) for rows in frames_of(cuts)]
    wanted = find(a_frame(whole), a_mask(strip, whole), LIMITS).defects
    assert measures(as_known_at_last(seen).values()) == measures(wanted)


def follow(strip: NDArray[np.float32], frames: list[range], rules: Rules) -> list[Verdict]:
    seams, judge = Seams(), Judge(rules)
    return [
        judge.judge(a_frame(rows), seams.follow(a_frame(rows), a_mask(strip, rows), LIMITS))
        for rows in frames
    ]


def a_strip(*boxes: tuple[slice, slice]) -> NDArray[np.float32]:
    strip = np.full((ROWS, COLUMNS), -4, np.float32)
    for box in boxes:
        strip[box] = 2
    return strip


def mm(*stretches: tuple[int, int]) -> tuple[Stretch, ...]:
    return tuple(Stretch(start * PITCH_UM, end * PITCH_UM) for start, end in stretches)


ANY = Rules(reject_if=MinArea(min_area_mm2=1))
END_TO_END = [range(0, 30), range(30, 60), range(60, 90)]


def test_a_defect_keeps_its_number_and_grows_with_each_frame() -> None:
    verdicts = follow(a_strip(np.s_[20:80, 4:6], np.s_[33:36, 10:14]), END_TO_END, ANY)
    known = [[(d.number, d.stretch, d.area_mm2) for d in v.defects] for v in verdicts]
    [first, second, third] = mm((20, 30), (20, 60), (20, 80))
    [other] = mm((33, 36))
    assert known == [[(1, first, 20)], [(1, second, 80), (2, other, 12)], [(1, third, 120)]]
    assert [d.box_px for v in verdicts for d in v.defects if d.number == 1] == [
        (4, 20, 2, 10),
        (4, 0, 2, 30),
        (4, 0, 2, 20),
    ]


def test_rail_that_is_rejected_already_is_not_ordered_again() -> None:
    [*verdicts] = follow(a_strip(np.s_[20:80, 4:6]), END_TO_END, ANY)
    assert [reject_stretches(v) for v in verdicts] == [mm((20, 30)), mm((30, 60)), mm((60, 80))]


def test_what_counts_only_as_a_whole_is_ordered_as_a_whole() -> None:
    long = Rules(reject_if=MinLength(min_length_mm=35))
    verdicts = follow(a_strip(np.s_[20:80, 4:6]), END_TO_END, long)
    assert [v.state for v in verdicts] == [State.OK, State.NG, State.NG]
    assert [reject_stretches(v) for v in verdicts] == [(), mm((20, 60)), mm((60, 80))]


def test_two_pieces_below_the_limits_that_are_one_above_them_count() -> None:
    verdicts = follow(a_strip(np.s_[28:32, 4:6]), END_TO_END, ANY)  # 4 and 4 mm2, 2 and 2 mm long
    assert [v.state for v in verdicts] == [State.OK, State.NG, State.OK]
    assert reject_stretches(verdicts[1]) == mm((28, 32))


def test_pieces_that_turn_out_to_be_one_have_the_first_ones_number() -> None:
    fork = a_strip(np.s_[20:40, 4:6], np.s_[22:40, 10:12], np.s_[40:42, 4:12])
    first, second, third = follow(fork, END_TO_END, ANY)
    assert [d.number for d in first.defects] == [1, 2]
    [whole] = second.defects
    assert (whole.number, whole.absorbed) == (1, (2,))
    assert (whole.stretch, whole.area_mm2) == (*mm((20, 42)), 40 + 36 + 16)
    assert third.defects == ()


def test_a_defect_over_many_frames_counts_once_in_its_metre() -> None:
    crowded = Rules(reject_if=MinArea(min_area_mm2=1000), max_per_metre=2)
    strip = a_strip(np.s_[2:88, 4:6], np.s_[40:44, 10:14])
    assert {v.state for v in follow(strip, END_TO_END, crowded)} == {State.OK}
    strip[70:74, 10:14] = 2
    assert [v.state for v in follow(strip, END_TO_END, crowded)][2] is State.NG


@pytest.mark.parametrize("lost", ["a gap", "a frame that nobody could look at"])
def test_nothing_merges_across_rail_that_nobody_saw(lost: str) -> None:
    strip, seams = a_strip(np.s_[20:50, 4:6]), Seams()
    frames = [range(0, 30), range(32, 60)] if lost == "a gap" else [range(0, 30), range(30, 60)]
    [before] = seams.follow(a_frame(frames[0]), a_mask(strip, frames[0]), LIMITS)
    if lost != "a gap":
        seams.forget()
    [after] = seams.follow(a_frame(frames[1]), a_mask(strip, frames[1]), LIMITS)
    assert (before.number, after.number) == (1, 2)
    assert after.stretch == Stretch(frames[1].start * PITCH_UM, 50 * PITCH_UM)


def test_rows_that_two_frames_share_are_counted_once() -> None:
    frames = [range(0, 40), range(25, 65), range(50, 90)]
    verdicts = follow(a_strip(np.s_[20:70, 4:6]), frames, ANY)
    assert [v.defects[0].area_mm2 for v in verdicts] == [40, 90, 100]
    assert [v.defects[0].number for v in verdicts] == [1, 1, 1]
    assert [reject_stretches(v) for v in verdicts] == [mm((20, 40)), mm((40, 65)), mm((65, 70))]


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.integers(5_000, 60_000), st.integers(5_000, 25_000)), max_size=4),
    st.lists(st.integers(0, 25_000), min_size=4, max_size=12),
)
def test_frames_whose_rows_do_not_coincide_count_each_defect_once(
    rods: list[tuple[int, int]], overlaps_um: list[int]
) -> None:
    seams, seen, start_um, rows = Seams(), list[list[Defect]](), 0, 30
    for overlap_um in overlaps_um:
        middles_um = start_um + (np.arange(rows) + 0.5) * PITCH_UM
        logits = np.full((rows, COLUMNS), -4, np.float32)
        for number, (rod_um, length_um) in enumerate(rods):
            logits[(middles_um >= rod_um) & (middles_um < rod_um + length_um), number * 6 + 1] = 2
        end_um = start_um + rows * PITCH_UM
        image = np.zeros((rows, COLUMNS), np.uint8)
        frame = Frame(0, image, 0, Stretch(start_um, end_um), PITCH_UM)
        seen.append(seams.follow(frame, Mask(logits, threshold=0.5), LIMITS))
        start_um = end_um - overlap_um
    found = as_known_at_last(seen).values()
    for number, (rod_um, length_um) in enumerate(rods):
        if rod_um + length_um > end_um:
            continue
        [one] = [defect for defect in found if defect.left_um == (number * 6 + 1) * PITCH_UM]
        assert abs(one.stretch.start_um - rod_um) <= PITCH_UM
        assert abs(one.stretch.end_um - rod_um - length_um) <= PITCH_UM
