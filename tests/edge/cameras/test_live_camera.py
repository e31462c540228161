"""A camera that runs freely: what it shows, and what is told, in time, of what it does not show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from edge.cameras import Fault, Faults, Laying, LiveCamera
from edge.errors import CameraError, ConfigurationError
from edge.types import Frame, LostFrame
from stands.live_rail import (
    EVERY_UM,
    LAYING,
    LENGTH_UM,
    UM,
    Rail,
    open_rail_camera,
    picture,
    rail_camera,
)

UNSEEN = {Fault.DARK, Fault.BRIGHT}  # pictures come, and their verdicts are UNKNOWN


@pytest.fixture
def faults() -> Iterator[Faults]:
    faults = Faults()
    yield faults
    faults.mend()  # or a reader that blocks would wait for ever


class Watch:
    """Whoever looks at a live camera, and moves its rail by looking."""

    def __init__(self, camera: LiveCamera, rail: Rail) -> None:
        self.seen: list[tuple[Frame | LostFrame, int]] = []  # and where the rail was then
        self.rail = rail
        self._frames = camera.frames()

    def until(self, position_um: int) -> None:
        while self.rail.position_um < position_um:
            self.look()

    def look(self) -> Frame | LostFrame:
        seen = next(self._frames)
        self.seen.append((seen, self.rail.position_um))
        return seen


def test_frames_lie_where_the_rail_was_and_leave_none_of_it_out(faults: Faults) -> None:
    rail = Rail()
    with rail_camera(rail, faults) as camera:
        watch = Watch(camera, rail)
        watch.until(60_000)
        assert camera.counts().fault is None
    for one, following in pairwise(seen for seen, _ in watch.seen):
        shared_um = one.stretch.end_um - following.stretch.start_um
        assert 0 <= shared_um <= LAYING.overlap_um
    for frame, _ in watch.seen:
        assert isinstance(frame, Frame)
        assert frame.stretch.end_um == frame.captured_ns // 1000
        assert np.array_equal(frame.image, picture(frame.stretch.end_um))
        assert (frame.stretch.length_mm, frame.along_um) == (LENGTH_UM / 1000, UM)


@pytest.mark.parametrize("tells", [True, False], ids=["told", "by its arrival"])
def test_the_time_from_light_to_picture_is_taken_off(faults: Faults, tells: bool) -> None:
    """The source is 2 mm late with its times, or with its pictures."""
    rail = Rail()
    late = replace(LAYING, delay_ns=2_000_000)
    with rail_camera(rail, faults, laying=late, tells=tells) as camera:
        watch = Watch(camera, rail)
        watch.until(20_000)
    for frame, _ in watch.seen:
        assert isinstance(frame, Frame)
        assert np.array_equal(frame.image, picture(frame.stretch.end_um + 2_000))


@pytest.mark.parametrize("fault", sorted(set(Fault) - UNSEEN))
@pytest.mark.parametrize("begins_um", [21_000, 27_300])
def test_rail_that_a_camera_does_not_show_is_lost_within_the_limit(
    faults: Faults, fault: Fault, begins_um: int
) -> None:
    rail = Rail(step_um=1400)
    with rail_camera(rail, faults) as camera:
        watch = Watch(camera, rail)
        watch.until(begins_um)
        faults.begin(fault)
        failed_um = rail.position_um
        watch.until(failed_um + 2 * LAYING.lost_after_um)
        assert camera.counts().fault is not None or fault is Fault.BLOCKED
        faults.mend()
        while not isinstance(watch.look(), Frame):
            pass  # it is opened anew after a while
        watch.until(rail.position_um + LAYING.lost_after_um)
    told_um = [at_um for seen, at_um in watch.seen if isinstance(seen, LostFrame)]
    assert told_um[0] <= failed_um + LAYING.lost_after_um
    for one, following in pairwise(seen for seen, _ in watch.seen):
        assert following.stretch.start_um <= one.stretch.end_um
    for seen, at_um in watch.seen:  # also of the frames, from their first row on
        assert at_um - seen.stretch.start_um <= LAYING.lost_after_um


@pytest.mark.parametrize("fault", sorted(UNSEEN))
def test_a_camera_that_stays_blind_is_opened_anew(faults: Faults, fault: Fault) -> None:
    rail = Rail(step_um=1400)
    with rail_camera(rail, faults) as camera:
        watch = Watch(camera, rail)
        watch.until(20_000)
        faults.begin(fault)
        while not camera.counts().reopened:
            watch.look()
        faults.mend()
        while not (isinstance(seen := watch.look(), Frame) and 60 < seen.image.mean() < 160):
            pass
    reasons = {seen.reason for seen, _ in watch.seen if isinstance(seen, LostFrame)}
    assert reasons == {"dark or bright: see to lamp, lens and exposure"}


def test_a_driver_that_does_not_come_back_is_left_behind_a_few_times(faults: Faults) -> None:
    rail = Rail(step_um=1400)
    with rail_camera(rail, faults, stuck_um=20_000) as camera:
        watch = Watch(camera, rail)
        watch.until(20_000)
        faults.begin(Fault.BLOCKED)
        with pytest.raises(CameraError, match="has blocked 4 times: see to its cable"):
            watch.until(1_000_000)
        assert camera.counts().abandoned == 3
        assert "driver blocks" in (camera.counts().fault or "")


def test_what_an_abandoned_reader_brings_in_the_end_is_no_frame(faults: Faults) -> None:
    rail = Rail(step_um=1400)
    with rail_camera(rail, faults, stuck_um=20_000) as camera:
        watch = Watch(camera, rail)
        watch.until(20_000)
        faults.begin(Fault.BLOCKED)
        while not camera.counts().abandoned:
            watch.look()
        faults.mend()  # the abandoned reader comes back with a picture of long ago
        grabbed = camera.counts().grabbed
        while not isinstance(watch.look(), Frame):
            pass
        assert camera.counts().grabbed > grabbed
    for seen, at_um in watch.seen:
        assert at_um - seen.stretch.start_um <= LAYING.lost_after_um


def test_a_network_that_is_too_slow_has_the_oldest_dropped_or_the_camera_wait(
    faults: Faults,
) -> None:
    for drop in ("oldest", "never"):
        rail = Rail()
        laying = replace(LAYING, ring=2, drop=drop)
        with rail_camera(rail, faults, laying=laying) as camera:
            watch = Watch(camera, rail)
            watch.until(20_000)
            kept = len(watch.seen)
            rail.patience_s = 0.05  # with a camera that is held up
            for _ in range(24):  # the network takes a while
                rail.step(EVERY_UM)
            watch.until(rail.position_um + 30_000)
            counts = camera.counts()
        lost = [seen for seen, _ in watch.seen if isinstance(seen, LostFrame)]
        assert lost and "the network is slower than the line" in lost[0].reason
        assert (counts.dropped > 0, counts.held > 0) == (drop == "oldest", drop == "never")
        first, _ = watch.seen[kept]
        assert isinstance(first, LostFrame if drop == "oldest" else Frame)


def test_a_rail_that_stands_loses_nothing_and_is_not_silent(faults: Faults) -> None:
    rail, waits = Rail(step_um=1400), 0

    def waited() -> None:
        nonlocal waits
        waits += 1
        camera.close()

    with rail_camera(rail, faults, waited=waited) as camera:
        watch = Watch(camera, rail)
        watch.until(20_000)
        faults.begin(Fault.STOPPED)
        rail.step_um = 0
        with pytest.raises(StopIteration):
            watch.look()
    assert waits == 1


def test_a_camera_that_waits_for_the_rail_is_waited_for_and_lost_when_it_moves(
    faults: Faults,
) -> None:
    rail = Rail(step_um=0)
    faults.begin(Fault.STOPPED)

    def waited() -> None:  # as long as it stands there is no first picture
        faults.mend()
        rail.step_um = 1400

    with rail_camera(rail, faults, waited=waited, triggered=True) as camera:
        watch = Watch(camera, rail)
        watch.until(20_000)
        assert {type(seen) for seen, _ in watch.seen} == {Frame}
        assert camera.counts().reopened == 0
        faults.begin(Fault.STOPPED)
        while not camera.counts().reopened:
            watch.look()
    assert any(isinstance(seen, LostFrame) for seen, _ in watch.seen)


@pytest.mark.parametrize(
    ("laying", "tells", "remedy"),
    [
        (replace(LAYING, lost_after_um=LENGTH_UM), True, "lost_after_mm is 12, .* set it to more"),
        (replace(LAYING, drop="never"), False, "set its drop to oldest"),
    ],
)
def test_a_laying_that_cannot_work_is_refused_at_once(
    faults: Faults, laying: Laying, tells: bool, remedy: str
) -> None:
    with pytest.raises(ConfigurationError, match=remedy):
        open_rail_camera(Rail(), faults, laying=laying, tells=tells)


def test_a_camera_that_is_not_there_at_first_is_refused_with_its_remedy(faults: Faults) -> None:
    faults.begin(Fault.VANISHED)
    with pytest.raises(CameraError, match="vanished"):
        open_rail_camera(Rail(), faults)
