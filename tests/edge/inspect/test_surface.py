"""What several cameras see of one surface is what one would see that sees all of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.bundle import Limits
from edge.inspect import Finder, Inspection, Judge, Neighbours, Surface, find
from edge.inspect.verdict import unknown
from edge.line_file import MinArea, Rules
from edge.store import things_of
from edge.store.event import NO_IMAGE, Why, event_of
from edge.types import Defect, Frame, LostFrame, Mask, State, Stretch, Verdict, unite

LIMITS = Limits(min_area_mm2=4, min_extent_mm=3)
ANY = Rules(reject_if=MinArea(min_area_mm2=1))
PITCH_UM = 1000
ROWS, COLUMNS, PLACE_MM = 60, 48, 200
Surfaces = NDArray[np.float32]


class Seen(NamedTuple):
    """Columns of the surface that a camera sees."""

    start: int
    stop: int


@dataclass
class ACamera:
    """One of several over a strip that is drawn, frame by frame."""

    name: str
    columns: Seen
    neighbours: Neighbours
    rules: Rules = ANY
    start: int = 0
    reached: int = 0
    index: int = 0
    finder: Finder = field(default_factory=Finder)
    judge: Judge = field(init=False)

    def __post_init__(self) -> None:
        self.judge = Judge(self.rules)

    def see(self, strip: Surfaces, rows: int, overlap: int = 0) -> Inspection:
        """The next so many rows, and some of those of the frame before again."""
        start = self.start = max(self.start, self.reached - overlap)
        self.reached = min(ROWS, self.reached + rows)
        stretch = Stretch(start * PITCH_UM, self.reached * PITCH_UM)
        part = strip[start : self.reached, self.columns.start : self.columns.stop]
        frame = Frame(self.index, np.zeros(part.shape, np.uint8), 0, stretch, PITCH_UM)
        self.index += 1
        mask = Mask(part, threshold=0.5)
        across = self.neighbours.across(self.name, frame)
        found = self.finder.find(frame, mask, LIMITS, across=across)
        verdict = self.judge.judge(frame, found.defects, found.reported)
        trace = self.finder.trace
        return Inspection(frame, verdict, mask, {}, 0, "", self.name, trace)

    def lose(self, rows: int) -> Inspection:
        """Nobody sees the next so many rows."""
        stretch = Stretch(self.reached * PITCH_UM, (self.reached + rows) * PITCH_UM)
        self.reached += rows
        self.finder.forget()
        seen = LostFrame(self.index, 0, stretch, "cable")
        self.index += 1
        return Inspection(seen, unknown(seen, ("cable",)), None, {}, 0, "", self.name)


def cameras_over(places: Sequence[Seen], rules: Rules = ANY) -> tuple[list[ACamera], Surface]:
    """They are placed from 200 mm on, and how wide each sees is known before its first frame."""
    names = [f"c{number}" for number in range(len(places))]
    neighbours = Neighbours(
        {
            name: (PLACE_MM + seen.start) * PITCH_UM
            for name, seen in zip(names, places, strict=True)
        },
        {
            name: (seen.stop - seen.start) * PITCH_UM
            for name, seen in zip(names, places, strict=True)
        },
    )
    cameras = [ACamera(*each, neighbours, rules) for each in zip(names, places, strict=True)]
    return cameras, Surface(neighbours, dict.fromkeys(names, rules))


def a_strip(*boxes: tuple[slice, slice]) -> Surfaces:
    strip = np.full((ROWS, COLUMNS), -4, np.float32)
    for box in boxes:
        strip[box] = 2
    return strip


def told(verdict: Verdict) -> list[Defect]:
    return [*verdict.defects, *verdict.let_by]


def as_known_at_last(verdicts: Sequence[Verdict]) -> dict[int, Defect]:
    """By number, but for those that turned out to be parts of others."""
    known = {each.number: each for verdict in verdicts for each in told(verdict)}
    parts = {number for verdict in verdicts for each in told(verdict) for number in each.absorbed}
    return {number: each for number, each in known.items() if number not in parts}


def measures(defects: Sequence[Defect], moved_mm: int = 0) -> list[tuple[float, ...]]:
    moved_um = moved_mm * 1000
    return sorted(
        (
            d.stretch.start_um,
            d.stretch.end_um,
            d.left_um + moved_um,
            d.right_um + moved_um,
            round(d.area_mm2, 3),
        )
        for d in defects
    )


BOXES = st.lists(
    st.tuples(
        st.integers(0, ROWS - 1),
        st.integers(0, COLUMNS - 1),
        st.integers(1, 30),
        st.integers(1, 40),
    ).map(lambda box: np.s_[box[0] : box[0] + box[2], box[1] : box[1] + box[3]]),
    max_size=8,
)
PLACES = st.sampled_from(
    [
        (Seen(0, 28), Seen(20, 48)),
        (Seen(0, 24), Seen(24, 48)),  # end to end
        (Seen(0, 25), Seen(24, 48)),
        (Seen(0, 20), Seen(14, 36), Seen(29, 48)),
    ]
)
TURNS = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 25), st.integers(0, 9)), max_size=24)
COUNTS_FROM_MM2 = st.sampled_from([1, 30, 200])


@settings(max_examples=300)
@given(PLACES, BOXES, TURNS, COUNTS_FROM_MM2)
def test_by_several_cameras_a_surface_has_the_defects_that_it_has_in_one_piece(
    places: tuple[Seen, ...],
    boxes: list[tuple[slice, slice]],
    turns: list[tuple[int, int, int]],
    from_mm2: int,
) -> None:
    """Whichever is ahead, and however their frames lie; no verdict grows better by it, and each
    camera has what counts rejected over its whole length, once, where it saw a part of it.
    """
    strip, verdicts = a_strip(*boxes), list[Verdict]()
    cameras, surface = cameras_over(places, Rules(reject_if=MinArea(min_area_mm2=from_mm2)))
    ordered: dict[str, list[Stretch]] = {camera.name: [] for camera in cameras}
    rest = [(number, ROWS, 0) for number in range(len(places))]
    for number, rows, overlap in [*turns, *rest]:
        camera = cameras[number % len(cameras)]
        if camera.reached < ROWS:
            alone = camera.see(strip, rows, overlap)
            joined = surface.join(alone)
            for stretch, names in joined.orders().items():
                for name in names:
                    ordered[name].append(stretch)
            verdicts.append(joined.verdict)
            assert_no_better(joined.verdict, alone.verdict)
            assert covers(ordered[camera.name], alone.verdict.rejects)
    whole = Frame(0, np.zeros(strip.shape, np.uint8), 0, Stretch(0, ROWS * PITCH_UM), PITCH_UM)
    wanted = find(whole, Mask(strip, threshold=0.5), LIMITS).defects
    found = as_known_at_last(verdicts)
    assert measures(list(found.values())) == measures(wanted, PLACE_MM)
    for camera in cameras:
        orders = ordered[camera.name]
        assert unite(orders) == unite(reach_of_what_counts(strip, camera.columns, from_mm2))
        assert sum(each.length_mm for each in orders) == sum(e.length_mm for e in unite(orders))


# the frame by which a defect of two cameras turns out to be large enough for either
@example((Seen(0, 28), Seen(20, 48)), [np.s_[20:34, 15:33]], [], 200, {1})
@settings(max_examples=200)
@given(PLACES, BOXES, TURNS, COUNTS_FROM_MM2, st.sets(st.integers(0, 3), min_size=1))
def test_a_frame_that_is_unfamiliar_has_no_camera_let_by_what_it_would_reject(
    places: tuple[Seen, ...],
    boxes: list[tuple[slice, slice]],
    turns: list[tuple[int, int, int]],
    from_mm2: int,
    odd: set[int],
) -> None:
    strip, rules = a_strip(*boxes), Rules(reject_if=MinArea(min_area_mm2=from_mm2))
    ordered = list[dict[str, list[Stretch]]]()
    for distrusted in (set[int](), odd):
        cameras, surface = cameras_over(places, rules)
        orders: dict[str, list[Stretch]] = {camera.name: [] for camera in cameras}
        rest = [(number, ROWS, 0) for number in range(len(places))]
        for turn, (number, rows, overlap) in enumerate([*turns, *rest]):
            camera = cameras[number % len(cameras)]
            if camera.reached >= ROWS:
                continue
            seen = camera.see(strip, rows, overlap)
            is_odd = turn % 4 in distrusted
            if is_odd:
                seen = replace(seen, verdict=camera.judge.distrust(seen.verdict, "3.0"))
            joined = surface.join(seen)
            for stretch, names in joined.orders().items():
                for name in names:
                    orders[name].append(stretch)
            if is_odd:
                assert joined.verdict.state is not State.OK
                assert covers(orders[camera.name], [seen.verdict.stretch])
        ordered.append(orders)
    without, with_it = ordered
    assert all(covers(with_it[name], wanted) for name, wanted in without.items())


def assert_no_better(joined: Verdict, alone: Verdict) -> None:
    """What a camera finds by itself counts."""
    assert joined.state is State.NG or joined.state is alone.state
    assert len(joined.defects) > 0 or not alone.defects


def covers(ordered: Sequence[Stretch], wanted: Sequence[Stretch]) -> bool:
    return not any(list(each.without(ordered)) for each in wanted)


def reach_of_what_counts(strip: Surfaces, columns: Seen, from_mm2: float) -> Iterator[Stretch]:
    """Along the stitched surface, of all pieces of which these columns show a pixel."""
    count, pieces = cv2.connectedComponents((strip > 0).astype(np.uint8), connectivity=8)
    for number in range(1, count):
        rows, across = np.nonzero(pieces == number)
        extent_mm = max(np.ptp(rows), np.ptp(across)) + 1
        counts = LIMITS.reached_by(len(rows), extent_mm) and len(rows) >= from_mm2
        if counts and ((columns.start <= across) & (across < columns.stop)).any():
            yield Stretch(int(rows.min()) * PITCH_UM, (int(rows.max()) + 1) * PITCH_UM)


TWO = (Seen(0, 28), Seen(20, 48))


def test_a_defect_over_the_seam_has_one_number_and_grows_as_the_second_camera_sees_it() -> None:
    [left, right], surface = cameras_over(TWO)
    strip = a_strip(np.s_[10:14, 15:35], np.s_[2:6, 2:6])
    first, second = (surface.join(each.see(strip, 30)).verdict for each in (left, right))
    [alone, half] = first.defects
    [whole] = second.defects
    assert (alone.number, alone.area_mm2) == (1, 16)
    assert (half.number, half.left_um, half.right_um, half.area_mm2) == (2, 215_000, 228_000, 52)
    assert (whole.number, whole.left_um, whole.right_um, whole.area_mm2) == (
        2,
        215_000,
        235_000,
        80,
    )
    assert (whole.stretch, whole.absorbed) == (Stretch(10_000, 14_000), ())
    assert whole.box_px == (0, 10, 15, 4)  # of the second camera's frame
    assert second.reasons == ("80 mm2, 4 mm long, score 0.88, 215 to 235 mm across",)


def test_what_is_a_reason_to_reject_only_as_a_whole_is_rejected_over_its_whole_length() -> None:
    [left, right], surface = cameras_over(TWO, Rules(reject_if=MinArea(min_area_mm2=70)))
    strip = a_strip(np.s_[10:14, 15:28], np.s_[12:16, 26:35])
    alone = [each.see(strip, 30) for each in (left, right)]
    assert [each.verdict.state for each in alone] == [State.OK, State.OK]
    first, second = (surface.join(each).verdict for each in alone)
    assert (first.state, first.rejects) == (State.OK, ())
    assert (second.state, second.rejects) == (State.NG, (Stretch(10_000, 16_000),))


def test_what_rejects_only_as_a_whole_is_ordered_once_by_every_camera_that_saw_a_part() -> None:
    """The third camera saw nothing of it; the left one, which let its part by, orders nothing anew
    when its own part grows into a reason to reject.
    """
    places = (Seen(0, 20), Seen(14, 36), Seen(29, 48))
    [left, middle, right], surface = cameras_over(places, Rules(reject_if=MinArea(min_area_mm2=90)))
    strip = a_strip(np.s_[10:34, 5:8], np.s_[10:14, 7:28])
    joined = [surface.join(each.see(strip, 20)) for each in (left, middle, right)]
    assert [each.orders() for each in joined] == [
        {},
        {Stretch(10_000, 20_000): ["c1", "c0"]},
        {},
    ]
    grown = surface.join(left.see(strip, 20, overlap=20))
    assert grown.orders() == {Stretch(20_000, 34_000): ["c0", "c1"]}


def test_what_counts_by_the_rules_of_a_camera_that_saw_a_part_counts_for_all_that_did() -> None:
    [left, right], _ = cameras_over(TWO)
    strict, lax = (Rules(reject_if=MinArea(min_area_mm2=area)) for area in (50, 500))
    surface = Surface(left.neighbours, {"c0": strict, "c1": lax})
    left.judge, right.judge = Judge(strict), Judge(lax)
    strip = a_strip(np.s_[10:14, 18:24], np.s_[10:14, 24:40])
    joined = [surface.join(each.see(strip, 30)) for each in (left, right)]
    assert [each.orders() for each in joined] == [{}, {Stretch(10_000, 14_000): ["c1", "c0"]}]


def test_what_is_too_small_for_each_camera_is_a_defect_where_it_is_large_enough_as_a_whole() -> (
    None
):
    [left, right], surface = cameras_over((Seen(0, 24), Seen(24, 48)))
    strip = a_strip(np.s_[10:11, 22:26])
    first, second = (surface.join(each.see(strip, 30)).verdict for each in (left, right))
    assert (first.state, told(first)) == (State.OK, [])
    [defect] = second.defects
    assert measures([defect]) == [(10_000, 11_000, 222_000, 226_000, 4)]


def test_the_rest_of_what_is_only_reported_is_only_reported() -> None:
    """The right camera alone would let its part by; as a whole it would be large enough."""
    [left, right], surface = cameras_over(TWO, Rules(reject_if=MinArea(min_area_mm2=70)))
    strip = a_strip(np.s_[10:14, 5:28], np.s_[10:11, 28:32])
    seen = left.see(strip, 30)
    joint = replace(seen.verdict, state=State.OK, defects=(), reported=seen.verdict.defects)
    assert surface.join(replace(seen, verdict=joint)).verdict.reported[0].area_mm2 == 92
    rest = surface.join(right.see(strip, 30)).verdict
    assert (rest.state, rest.rejects) == (State.OK, ())
    assert [each.area_mm2 for each in rest.let_by] == [96]


def test_what_two_cameras_see_of_a_defect_is_one_thing_in_the_store() -> None:
    [left, right], surface = cameras_over(TWO)
    strip = a_strip(np.s_[10:14, 15:35], np.s_[2:6, 2:6])
    joined = [surface.join(each.see(strip, 30)) for each in (left, right)]
    events = [
        replace(event_of(each, Why.NG, 1.0, utc="", evidence=NO_IMAGE), id=number)
        for number, each in enumerate(joined, start=1)
    ]
    assert [(each.camera, each.defect.area_mm2) for each in things_of(events)] == [
        ("c0", 16),
        ("c1", 80),
    ]


def test_two_that_turn_out_to_be_one_keep_the_first_ones_number() -> None:
    [left, right], surface = cameras_over(TWO)
    strip = a_strip(np.s_[5:40, 4:8], np.s_[5:40, 40:44], np.s_[36:40, 4:44])
    verdicts = [
        surface.join(camera.see(strip, rows)).verdict
        for rows in (30, 30)
        for camera in (left, right)
    ]
    assert [[(d.number, d.absorbed) for d in v.defects] for v in verdicts] == [
        [(1, ())],
        [(2, ())],
        [(1, ())],
        [(1, (2,))],
    ]


def test_verdicts_only_grow_worse_and_unknown_stays_unknown() -> None:
    [left, right], surface = cameras_over(TWO)
    strip = a_strip(np.s_[10:40, 15:35])
    assert surface.join(left.see(strip, 30)).verdict.state is State.NG
    lost = right.lose(30)
    assert surface.join(lost).verdict == lost.verdict
    assert surface.join(left.see(strip, 30)).verdict.state is State.NG
    [after] = surface.join(right.see(strip, 30)).verdict.defects
    assert after.number == 1  # the left one saw that it goes on
    assert after.stretch == Stretch(10_000, 40_000)


@pytest.mark.parametrize("camera", ["alone", ""])
def test_a_camera_that_shares_no_surface_is_left_as_it_is(camera: str) -> None:
    neighbours = Neighbours({}, {})
    only = ACamera(camera, Seen(0, COLUMNS), neighbours)
    inspection = only.see(a_strip(np.s_[10:14, 15:35]), 30)
    assert Surface(neighbours, {}).join(inspection) is inspection
