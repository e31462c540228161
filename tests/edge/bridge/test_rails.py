"""What passes an actuator that several cameras watch, and what life their line shows."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.bridge import open_bridge
from edge.bridge.rails import Cleared, Rails
from edge.bridge.rounds import Rounds
from edge.line_file import LineSettings
from edge.types import State, Stretch
from stands.watched_rail import WatchedRail, a_line

_STATES = (State.OK, State.OK, State.OK, State.NG, State.UNKNOWN)


def lines() -> st.SearchStrategy[tuple[tuple[int, ...], ...]]:
    """For each of up to four cameras the actuators that it orders, of whom there are no gaps."""
    some = st.sets(st.integers(0, 2), min_size=1).map(lambda each: tuple(sorted(each)))
    return st.lists(some, min_size=1, max_size=4).map(_without_gaps)


def _without_gaps(rejects: list[tuple[int, ...]]) -> tuple[tuple[int, ...], ...]:
    known = sorted({each for some in rejects for each in some})
    return tuple(tuple(known.index(each) for each in some) for some in rejects)


SEES = st.tuples(
    st.integers(0, 3),  # which camera
    st.integers(1, 8),  # as much rail
    st.integers(0, 3),  # of which it has seen so much before
    st.sampled_from(_STATES),
    st.integers(1, 4),  # so much of it is bad
)
MOVES = st.integers(1, 8)
RESTARTS = st.integers(-12, 0)  # the rail goes on meanwhile
HISTORIES = st.lists(st.one_of(SEES, SEES, SEES, MOVES, MOVES, RESTARTS), min_size=10, max_size=40)


History = list[tuple[int, int, int, State, int] | int]


def live_through(rejects: tuple[tuple[int, ...], ...], history: History) -> None:
    """At each micrometre that goes by, what may not is refused by the rail itself."""
    rail = WatchedRail(a_line(rejects))
    for each in history:
        match each:
            case (which, length_um, overlap_um, state, bad_um):
                camera = f"c{which % len(rejects)}"
                rail.see(camera, length_um, overlap_um, state, bad_um)
            case int() if each > 0:
                rail.move(each)
            case int():
                rail.restart(-each)
    rail.move(30)  # until all that was seen has gone by


@settings(max_examples=2000)
@given(lines(), HISTORIES)
def test_no_rail_passes_an_actuator_that_a_camera_of_its_own_has_not_passed(
    rejects: tuple[tuple[int, ...], ...], history: History
) -> None:
    live_through(rejects, history)


def test_good_rail_passes_once_all_its_cameras_have_seen_it_and_the_other_rail_is_let_be() -> None:
    """The left camera is lost; the right one's actuator goes on, the one of both stays closed."""
    rail = WatchedRail(a_line(((0, 2), (1, 2))))
    for _ in range(20):
        rail.move(4)
        if rail.rail_um < 40:
            rail.see("c0", 4, 0, State.OK, 1)
        rail.see("c1", 4, 0, State.OK, 1)
    rail.move(20)
    assert rail.went_by == {
        "a0": set(range(36)),
        "a1": set(range(80)),
        "a2": set(range(36)),
    }


def test_what_one_camera_finds_leaves_at_its_own_actuators_alone() -> None:
    rail = WatchedRail(a_line(((0, 2), (1, 2))))
    rail.move(8)
    rail.see("c0", 8, 0, State.NG, 3)
    rail.see("c1", 8, 0, State.OK, 1)
    rail.move(30)
    assert rail.went_by == {"a0": {3, 4, 5, 6, 7}, "a1": set(range(8)), "a2": {3, 4, 5, 6, 7}}


def test_what_two_cameras_saw_of_leaves_at_the_actuators_of_both_and_is_ordered_once() -> None:
    """The left one let its part by, before the right one saw the rest."""
    rail = WatchedRail(a_line(((0, 2), (1, 2))))
    rail.move(8)
    rail.see("c0", 8, 0, State.OK, 1)
    rail.see("c1", 8, 0, State.NG, 3, beside=["c0"])
    assert rail.open_orders() == ["a0", "a1", "a2"]
    rail.move(30)
    assert rail.went_by == {name: {3, 4, 5, 6, 7} for name in ("a0", "a1", "a2")}


def test_a_camera_alone_lets_by_each_frame_as_it_is() -> None:
    rails = Rails(a_line(((0,),)))
    for stretch in (Stretch(0, 88), Stretch(68, 156), Stretch(300, 388)):
        assert list(rails.let_by("c0", stretch)) == [Cleared("c0", stretch)]


def test_frames_of_other_lengths_pass_as_far_as_all_have_seen() -> None:
    rails = Rails(a_line(((0,), (0,))))
    assert list(rails.let_by("c0", Stretch(0, 100))) == []
    assert list(rails.let_by("c1", Stretch(0, 40))) == [Cleared("c0+c1", Stretch(0, 40))]
    assert list(rails.let_by("c1", Stretch(70, 120))) == [Cleared("c0+c1", Stretch(70, 100))]
    assert list(rails.let_by("c0", Stretch(90, 200))) == [Cleared("c0+c1", Stretch(90, 120))]


def test_each_heartbeat_beats_by_the_progress_of_the_cameras_that_it_stands_for() -> None:
    """The right camera's worker hangs after two frames: its own rail falls silent, and so does what
    stands for both; the left one's goes on.
    """
    config = with_heartbeats(a_line(((0,), (1,))), [["c0"], ["c1"], None])
    with open_bridge(config) as bridge:
        for camera in ["c1", "c0", "c0", "c1", "c1", "c0", "c0", "c0"]:
            bridge.beat(camera)
        edges = [len(each.line.states) - 1 for each in bridge.beating]
    assert list(config.heartbeats) == [
        "heartbeat 1 (c0)",
        "heartbeat 2 (c1)",
        "heartbeat 3 (c0, c1)",
    ]
    assert edges == [5, 3, 3]


def with_heartbeats(config: LineSettings, cameras: list[list[str] | None]) -> LineSettings:
    line = config.model_dump()
    memory = {"type": "memory"}
    first, *also = ({"output": memory, "cameras": each} for each in cameras)
    return LineSettings.model_validate(line | {"heartbeat": first | {"also": also}})


def test_a_line_shows_life_by_the_progress_of_every_camera() -> None:
    rounds = Rounds(["left", "right"])
    frames = ["left", "left", "right", "right", "left", "left", "left", "right"]
    assert [rounds.done(each) for each in frames] == [False] * 2 + [True, False, True] + [
        False,
        False,
        True,
    ]
