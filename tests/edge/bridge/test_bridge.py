"""The bridge's ports: counts roll over, silence is silence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.core import CountedPosition
from firmware_bridge.core.counting import absolute_count
from firmware_bridge.desk import Heartbeat
from firmware_bridge.errors import LineError
from firmware_bridge.lines import MemoryLine, SimulatedEncoder, Speed
from firmware_bridge.types import SECOND_NS


class HandClock:
    """A clock that goes when it is pushed."""

    def __init__(self, now_ns: int = 0) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns


def test_only_a_beat_moves_the_heartbeat() -> None:
    clock = HandClock()
    line = MemoryLine(clock, safe_active=False)
    heartbeat = Heartbeat(line)
    for clock.now_ns in (10, 20, 30):
        heartbeat.beat()
    assert line.history == [(0, False), (10, True), (20, False), (30, True)]
    assert line.states == [False, True, False, True]


def test_a_heartbeat_whose_line_fails_has_not_beaten() -> None:
    line = MemoryLine(HandClock(), safe_active=False)
    heartbeat = Heartbeat(line)
    line.close()
    with pytest.raises(LineError):
        heartbeat.beat()
    assert line.states == [False]


@given(
    bits=st.integers(2, 64),
    first=st.integers(0, 2**64),
    moves=st.lists(st.floats(-0.99, 0.99), max_size=50),
)
def test_counts_survive_any_number_of_roll_overs(bits: int, first: int, moves: list[float]) -> None:
    true = near = first
    for move in moves:
        true += int(move * ((1 << (bits - 1)) - 1))
        near = absolute_count(true % (1 << bits), near, bits)
        assert near == true


def test_a_counter_begins_at_nought_and_may_run_either_way() -> None:
    raws = [65_000, 65_535, 0, 1_000, 65_000]
    forward = CountedPosition(bits=16, nm_per_count=52_360)
    assert [forward.position_um(raw) for raw in raws] == [0, 28_012, 28_064, 80_424, 0]
    backward = CountedPosition(bits=16, nm_per_count=-1_000)
    assert [backward.position_um(raw) for raw in raws] == [0, -535, -536, -1_536, 0]


def test_one_speed_is_a_straight_line() -> None:
    clock = HandClock(1_000)
    encoder = SimulatedEncoder(clock, [Speed(0, 2_000_000)])
    clock.now_ns += SECOND_NS // 4
    assert encoder.read().position_um == 500_000
    assert encoder.read().at_ns == clock.now_ns
    assert encoder.position_um(999) == 0
    assert encoder.when_ns(500_000) == clock.now_ns


def test_a_rail_that_stops_short_never_arrives() -> None:
    stops = [Speed(0, 1_000_000), Speed(SECOND_NS, 0)]
    encoder = SimulatedEncoder(HandClock(), stops)
    assert encoder.when_ns(1_000_000) == SECOND_NS
    assert encoder.when_ns(1_000_001) is None


@given(
    pieces=st.lists(
        st.tuples(st.integers(1, SECOND_NS), st.integers(-3_000_000, 3_000_000)), min_size=1
    ),
    position_um=st.integers(1, 3_000_000),
)
def test_when_is_the_first_time_at_which_the_rail_is_there(
    pieces: list[tuple[int, int]], position_um: int
) -> None:
    profile, from_ns = [], 0
    for lasts_ns, um_per_s in pieces:
        profile.append(Speed(from_ns, um_per_s))
        from_ns += lasts_ns
    encoder = SimulatedEncoder(HandClock(), profile)
    when_ns = encoder.when_ns(position_um)
    # the rail is furthest where a speed ends, so these and the moment before `when` decide
    ends_ns = [speed.from_ns for speed in profile] + [100 * from_ns]
    if when_ns is None:
        assert all(encoder.position_um(end_ns) < position_um for end_ns in ends_ns)
        return
    assert encoder.position_um(when_ns) >= position_um
    earlier_ns = [when_ns - 1, *(end_ns for end_ns in ends_ns if end_ns < when_ns)]
    assert all(encoder.position_um(at_ns) < position_um for at_ns in earlier_ns)


@pytest.mark.parametrize("times", [[], [5], [0, 10, 10], [0, 20, 10]])
def test_a_profile_that_does_not_begin_at_nought_and_go_up_is_refused(times: list[int]) -> None:
    with pytest.raises(ValueError, match="begin with 0"):
        SimulatedEncoder(HandClock(), [Speed(at_ns, 1) for at_ns in times])
