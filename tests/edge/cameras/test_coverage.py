"""Whatever a camera shows and loses: all rail is under a frame or given up, in order, in time."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.cameras import Laying
from edge.cameras.ring import Picture, Ring
from edge.errors import ConfigurationError
from edge.types import Frame, LostFrame, Stretch

LENGTH_UM, OVERLAP_UM, LOST_AFTER_UM = 88_000, 20_000, 150_000
IMAGE = np.zeros((352, 8), np.uint8)


def laying(ring: int = 2) -> Laying:
    return Laying(250, 250, OVERLAP_UM, LOST_AFTER_UM, ring=ring)


class Run:
    """A ring over a rail that a test moves."""

    def __init__(self, ring: int = 2) -> None:
        self.ring = Ring(laying(ring), 0, LENGTH_UM)
        self.position_um = self.farthest_um = 0
        self.seen: list[Frame | LostFrame] = []

    def move(self, by_um: int) -> None:
        self.position_um += by_um
        self.farthest_um = max(self.farthest_um, self.position_um)

    def show(self, behind_um: int = 0) -> None:
        """A picture arrives, taken when the rail was so far behind."""
        end_um = self.position_um - behind_um
        stretch = self.ring.lay(end_um)
        if stretch is not None:
            self.ring.keep(Picture(IMAGE, end_um, stretch))

    def look(self) -> list[Frame | LostFrame]:
        """The network has time again."""
        seen = self.ring.due(self.position_um, self.position_um)
        self.seen += seen
        return seen

    def run(self, step_um: int, steps: int, *, every: int = 0) -> None:
        """Move and look; with `every`, a picture comes each so many steps."""
        for step in range(steps):
            self.move(step_um)
            if every and step % every == 0:
                self.show()
            self.look()


def spoken_for(run: Run) -> int:
    """Check what holds for all runs; gives how far the rail is spoken for."""
    end_um, lost_um = 0, -LENGTH_UM
    assert [seen.index for seen in run.seen] == list(range(len(run.seen)))
    for seen in run.seen:
        start_um = seen.stretch.start_um
        if isinstance(seen, LostFrame):
            assert start_um == end_um  # all of it, and nothing twice
            assert seen.stretch.length_mm > 0
            lost_um = seen.stretch.end_um
        else:
            assert end_um - OVERLAP_UM <= start_um <= end_um
            assert start_um >= lost_um  # nothing that is given up is under a frame
        end_um = seen.stretch.end_um
    return end_um


STEPS = st.one_of(
    st.tuples(st.just("move"), st.integers(-40_000, 40_000)),
    st.tuples(st.just("show"), st.integers(0, 60_000)),
    st.tuples(st.just("look"), st.just(0)),
    st.tuples(st.just("miss"), st.just(0)),
)


@given(st.lists(STEPS, max_size=120), st.integers(1, 3))
def test_all_rail_is_under_a_frame_or_given_up_in_order(
    steps: list[tuple[str, int]], size: int
) -> None:
    run = Run(size)
    for what, by_um in steps:
        match what:
            case "move":
                run.move(by_um)
            case "show":
                run.show(by_um)
            case "look":
                run.look()
            case "miss":
                run.ring.miss("gone")
    while run.look():
        pass
    spoken_for(run)


@given(st.lists(st.tuples(st.integers(0, 8_000), st.booleans()), max_size=200))
def test_no_rail_goes_by_further_than_the_limit_without_a_word(
    steps: list[tuple[int, bool]],
) -> None:
    """Looked at each few millimetres; the next look may be twice as far on as it was expected."""
    run, longest_um = Run(), 8_000
    for by_um, shows in steps:
        run.move(by_um)
        if shows:
            run.show()
        while run.look():
            pass
        assert run.position_um - spoken_for(run) <= LOST_AFTER_UM + longest_um


def test_a_camera_that_keeps_up_loses_nothing() -> None:
    run = Run()
    run.run(1_000, 2_000, every=16)
    assert all(isinstance(seen, Frame) for seen in run.seen)
    assert len(run.seen) == 24  # as few as it takes: a picture each 16 mm, a frame each 80
    assert spoken_for(run) > 2_000_000 - LENGTH_UM


def test_rail_that_no_picture_shows_is_given_up_when_it_has_left_the_view() -> None:
    run = Run()
    run.run(1_000, 100, every=10)
    covered_um = spoken_for(run)
    run.run(1_000, 400)
    first, second, *_ = [seen for seen in run.seen if isinstance(seen, LostFrame)]
    # A picture's time is its place here; it is given before the third look from there is too late.
    assert first.captured_ns - covered_um == LOST_AFTER_UM - 2_000
    assert first.stretch == Stretch(covered_um, first.captured_ns - LENGTH_UM)
    assert second.stretch.start_um == first.stretch.end_um
    assert "no picture came" in first.reason


def test_what_is_dropped_for_later_frames_is_lost_and_says_why() -> None:
    run = Run(ring=2)
    for _ in range(4):
        run.move(80_000)
        run.show()
    assert run.ring.dropped == 2
    lost, *frames = [*run.look(), *run.look()]
    assert isinstance(lost, LostFrame)
    assert "the network is slower than the line" in lost.reason
    assert [frame.stretch.end_um for frame in frames] == [240_000, 320_000]
    spoken_for(run)


def test_a_rail_that_stands_or_goes_back_shows_nothing_new() -> None:
    run = Run()
    run.run(10_000, 10, every=1)
    before = len(run.seen)
    for by_um in (0, -1_000, -50_000, 0, 51_000):
        run.move(by_um)
        run.show()
        assert run.look() == []
    run.run(10_000, 10, every=1)
    assert len(run.seen) > before
    assert all(isinstance(seen, Frame) for seen in run.seen)
    starts = [seen.stretch.start_um for seen in run.seen]
    assert all(a < b for a, b in pairwise(starts))


@given(st.lists(st.integers(-3_000, 3_000), min_size=2, max_size=40))
def test_rows_that_are_taken_one_by_one_go_on_from_those_before(off_um: list[int]) -> None:
    """Blocks of a line-scan camera, whose places are known to a few millimetres."""
    ring = Ring(replace(laying(), line_scan=True), 0, LENGTH_UM)
    seen: list[Frame | LostFrame] = []
    for number, by_um in enumerate([*off_um, 0], start=1):
        if number == len(off_um):
            continue  # one is lost
        end_um = number * LENGTH_UM + by_um
        stretch = ring.lay(end_um)
        assert stretch is not None
        ring.keep(Picture(IMAGE, end_um, stretch))
        seen += ring.due(end_um, end_um)
    kinds = [type(each) for each in seen]
    assert kinds == [Frame] * (len(off_um) - 1) + [LostFrame, Frame]
    ends = [0, *(each.stretch.end_um for each in seen)]
    assert [each.stretch.start_um for each in seen] == ends[:-1]


@pytest.mark.parametrize(
    ("overlap_um", "lost_after_um", "remedy"),
    [
        (LENGTH_UM, LOST_AFTER_UM, "overlap_mm is 88, .* 88 mm long: set it to less"),
        (OVERLAP_UM, LENGTH_UM, "lost_after_mm is 88, .* 88 mm long: set it to more"),
    ],
)
def test_lengths_that_cannot_work_are_refused(
    overlap_um: int, lost_after_um: int, remedy: str
) -> None:
    with pytest.raises(ConfigurationError, match=remedy):
        Ring(Laying(250, 250, overlap_um, lost_after_um), 0, LENGTH_UM)
