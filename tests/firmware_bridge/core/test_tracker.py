"""The tracker against exact sequences, and against the same rules followed slowly."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.core import NO_PASS, ActuatorTraits, CountedPosition, Tracker
from firmware_bridge.types import (
    Event,
    Fired,
    Missed,
    Mode,
    Order,
    Passed,
    Pulse,
    Reading,
    Reason,
    Switch,
)
from stands.slow_tracker import Outcome, SlowTracker

MS = 1_000_000
MM = 1_000


@dataclass
class Run:
    """A tracker on a rail that is moved by hand, one reading a millisecond."""

    settings: ActuatorTraits
    default_reject: bool = False
    position_um: int = 0
    now_ns: int = 0
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tracker = Tracker(self.settings, default_reject=self.default_reject)
        self.move(0, 1)

    def move(self, um_per_ms: int, ms: int) -> None:
        for _ in range(ms):
            self.position_um += um_per_ms
            self.now_ns += MS
            self.events += self.tracker.advance(Reading(self.position_um, self.now_ns))

    def order(self, start_um: int, end_um: int, tag: str = "") -> Order:
        order = Order(start_um, end_um, tag)
        self.tracker.order(order)
        return order

    def let_pass(self, start_um: int, end_um: int) -> Order:
        order = Order(start_um, end_um, "frame")
        self.tracker.let_pass(order)
        return order

    @property
    def switches(self) -> list[tuple[bool, int]]:
        return [(e.active, e.place_um) for e in self.events if isinstance(e, Switch)]

    @property
    def outcomes(self) -> list[Event]:
        return [e for e in self.events if isinstance(e, (Fired, Missed))]

    @property
    def pulses(self) -> list[Pulse]:
        return [e for e in self.events if isinstance(e, Pulse)]


def test_a_stretch_becomes_one_pulse_when_it_is_under_the_actuator() -> None:
    run = Run(ActuatorTraits(offset_um=500 * MM, margin_um=5 * MM))
    order = run.order(100 * MM, 120 * MM)
    run.move(1 * MM, 700)
    assert run.switches == [(True, 95 * MM), (False, 125 * MM)]
    # a switch is measured by the next reading, here a millimetre on
    assert run.outcomes == [Fired(order, due_um=95 * MM, actual_um=96 * MM)]
    assert run.pulses == [Pulse(96 * MM, 126 * MM)]


def test_the_coil_is_driven_early_by_its_delay_at_the_present_speed() -> None:
    run = Run(ActuatorTraits(offset_um=0, delay_ns=20 * MS, margin_um=1 * MM))
    slow, fast = run.order(101 * MM, 110 * MM), run.order(401 * MM, 450 * MM)
    run.move(1 * MM, 200)
    run.move(2 * MM, 200)
    assert run.switches == [
        (True, 80 * MM),
        (False, 111 * MM),
        (True, 360 * MM),
        (False, 452 * MM),
    ]
    assert run.outcomes == [
        Fired(slow, due_um=100 * MM, actual_um=101 * MM),
        Missed(fast, missed_um=1 * MM, reason=Reason.ACTED_LATE),  # the reading came 2 mm on
    ]


def test_overlapping_and_touching_orders_are_one_pulse() -> None:
    run = Run(ActuatorTraits(offset_um=0))
    run.order(300 * MM, 400 * MM)
    run.order(100 * MM, 250 * MM)
    run.order(200 * MM, 300 * MM)
    run.order(110 * MM, 120 * MM)
    run.move(100, 5_000)
    assert run.switches == [(True, 100 * MM), (False, 400 * MM)]
    assert len(run.outcomes) == 4


@pytest.mark.parametrize(("gap_um", "pulses"), [(9_999, 2), (10_000, 1)])
def test_orders_closer_than_the_gap_are_one_pulse(gap_um: int, pulses: int) -> None:
    run = Run(ActuatorTraits(offset_um=0, margin_um=5 * MM, min_gap_um=gap_um))
    run.order(100 * MM, 150 * MM)
    run.order(170 * MM, 200 * MM)
    run.move(1 * MM, 300)
    assert len(run.pulses) == pulses
    assert [type(outcome) for outcome in run.outcomes] == [Fired, Fired]


def test_a_stretch_that_comes_back_fires_once() -> None:
    run = Run(ActuatorTraits(offset_um=0, margin_um=1 * MM))
    order = run.order(100 * MM, 120 * MM)
    for um_per_ms in (1 * MM, -1 * MM, 1 * MM):
        run.move(um_per_ms, 150)
    assert run.switches == [(True, 99 * MM), (False, 121 * MM)]
    assert run.outcomes == [Fired(order, 99 * MM, 100 * MM)]


def test_a_rail_that_creeps_to_and_fro_over_an_edge_fires_once() -> None:
    run = Run(ActuatorTraits(offset_um=0))
    run.order(100 * MM, 120 * MM)
    for _ in range(3):
        run.move(1 * MM, 105)
        run.move(-1 * MM, 100)
    assert run.switches == [(True, 100 * MM)]
    run.move(1 * MM, 120)
    for _ in range(3):
        run.move(-1 * MM, 100)
        run.move(1 * MM, 105)
    assert [active for active, _ in run.switches] == [True, False]
    assert len(run.outcomes) == 1


def test_a_rail_that_stops_under_the_actuator_is_held() -> None:
    run = Run(ActuatorTraits(offset_um=0))
    run.order(100 * MM, 120 * MM)
    run.move(1 * MM, 110)
    run.move(0, 1_000)
    assert run.switches == [(True, 100 * MM)]
    assert run.tracker.next_due_ns() is None
    run.move(1 * MM, 10)
    assert run.switches == [(True, 100 * MM), (False, 120 * MM)]


def test_a_late_order_is_fired_for_what_is_left_and_missed_for_what_went_by() -> None:
    run = Run(ActuatorTraits(offset_um=0, delay_ns=10 * MS, margin_um=5 * MM))
    run.move(1 * MM, 120)
    order = run.order(100 * MM, 200 * MM)
    run.move(1 * MM, 100)
    # looked at when the rail was at 121, measured at 122, and 10 ms later the coil acts
    assert run.switches == [(True, 121 * MM), (False, 205 * MM)]
    assert run.outcomes == [Missed(order, 32 * MM, Reason.ARRIVED_LATE)]


def test_an_order_that_is_all_gone_is_missed_without_a_pulse() -> None:
    run = Run(ActuatorTraits(offset_um=0, margin_um=5 * MM))
    run.move(1 * MM, 300)
    order = run.order(100 * MM, 200 * MM)
    run.move(1 * MM, 100)
    run.move(-1 * MM, 400)
    assert run.events == [Missed(order, 100 * MM, Reason.ARRIVED_LATE)]


def test_an_order_that_is_late_for_a_pulse_already_running_is_fired() -> None:
    run = Run(ActuatorTraits(offset_um=0, margin_um=2 * MM))
    first = run.order(100 * MM, 200 * MM)
    run.move(1 * MM, 150)
    late = run.order(110 * MM, 160 * MM)
    run.move(1 * MM, 100)
    assert run.outcomes == [
        Fired(late, due_um=108 * MM, actual_um=108 * MM),
        Fired(first, due_um=98 * MM, actual_um=99 * MM),
    ]
    assert run.switches == [(True, 98 * MM), (False, 202 * MM)]


def test_a_stretch_that_jumps_by_between_two_readings_is_missed_not_lost() -> None:
    run = Run(ActuatorTraits(offset_um=0))
    order = run.order(100 * MM, 120 * MM)
    run.move(90 * MM, 3)
    assert run.events == [Missed(order, 20 * MM, Reason.ACTED_LATE)]


def test_the_coil_acts_for_its_dwell_at_least() -> None:
    run = Run(ActuatorTraits(offset_um=0, delay_ns=5 * MS, dwell_ns=50 * MS, margin_um=1 * MM))
    run.order(100 * MM, 101 * MM)
    run.move(1 * MM, 200)
    on, off = run.switches
    assert (on, off) == ((True, 94 * MM), (False, (95 + 5 + 50) * MM))


def test_the_next_switch_is_foreseen_to_the_nanosecond() -> None:
    run = Run(ActuatorTraits(offset_um=0, delay_ns=20 * MS, margin_um=1 * MM))
    assert run.tracker.next_due_ns() is None
    run.order(101 * MM, 110 * MM)
    run.move(0, 1)
    assert run.tracker.next_due_ns() is None  # stopped
    started_ns = run.now_ns
    run.move(2 * MM, 20)
    due_ns = started_ns + (100 - 40) // 2 * MS
    assert run.tracker.next_due_ns() == due_ns
    assert run.tracker.advance(Reading(60 * MM - 1, due_ns - 1)) == []
    assert run.tracker.advance(Reading(60 * MM, due_ns)) == [Switch(True, 60 * MM)]


def test_a_reading_at_the_foreseen_time_is_never_too_early() -> None:
    run = Run(ActuatorTraits(offset_um=0))
    run.order(200, 400)
    run.move(3, 20)
    due_ns = run.tracker.next_due_ns()
    assert due_ns == run.now_ns + 46_666_667  # 140 um at 3 mm/s, rounded up
    assert run.tracker.advance(Reading(200, due_ns)) == [Switch(True, 200)]


def test_the_coil_is_let_go_where_the_longest_order_ends() -> None:
    run = Run(ActuatorTraits(offset_um=0, min_gap_um=20 * MM))
    run.order(100 * MM, 200 * MM)
    run.order(100 * MM, 120 * MM)
    run.move(1 * MM, 110)
    run.order(115 * MM, 130 * MM)
    run.move(1 * MM, 50)
    assert run.tracker.next_due_ns() == run.now_ns + 40 * MS
    run.order(219 * MM, 230 * MM)
    run.move(1 * MM, 50)
    assert run.tracker.next_due_ns() is None  # held over the gap
    run.move(1 * MM, 50)
    assert run.switches == [(True, 100 * MM), (False, 230 * MM)]


def test_the_dwell_is_foreseen() -> None:
    run = Run(ActuatorTraits(offset_um=0, dwell_ns=50 * MS))
    run.order(100 * MM, 110 * MM)
    run.move(1 * MM, 105)
    assert run.switches == [(True, 100 * MM)]
    dwelt_ns = run.now_ns - 4 * MS + 50 * MS  # acting since the reading at 101
    assert run.tracker.next_due_ns() == dwelt_ns
    run.move(0, 20)
    assert run.tracker.next_due_ns() is None  # stopped before the end
    run.move(1 * MM, 10)
    assert run.tracker.next_due_ns() == dwelt_ns


def test_without_a_pass_all_is_rejected_and_a_late_one_lets_nothing_by() -> None:
    run = Run(ActuatorTraits(offset_um=0, margin_um=2 * MM), default_reject=True)
    frame_0, frame_1 = run.let_pass(100 * MM, 200 * MM), run.let_pass(200 * MM, 300 * MM)
    defect = run.order(150 * MM, 160 * MM)
    run.move(1 * MM, 350)
    late = run.let_pass(310 * MM, 400 * MM)
    run.move(1 * MM, 100)
    assert run.switches == [
        (True, 0),
        (False, 102 * MM),
        (True, 148 * MM),
        (False, 162 * MM),
        (True, 298 * MM),
    ]
    passed = [event for event in run.events if isinstance(event, Passed)]
    assert [(event.order, event.late) for event in passed] == [
        (frame_0, False),
        (frame_1, False),
        (late, True),
    ]
    assert passed[-1].over_um == 350 * MM - (310 - 2) * MM + 1 * MM
    assert run.outcomes == [Fired(defect, 148 * MM, 149 * MM)]


def test_rail_that_no_pass_came_for_and_that_got_away_is_missed() -> None:
    run = Run(ActuatorTraits(offset_um=0, delay_ns=10 * MS), default_reject=True)
    run.let_pass(100 * MM, 200 * MM)
    run.let_pass(230 * MM, 300 * MM)
    run.move(1 * MM, 180)
    run.move(50 * MM, 1)  # faster than anybody could foresee
    run.move(1 * MM, 50)
    [missed] = run.outcomes
    assert isinstance(missed, Missed)
    assert (missed.order, missed.missed_um) == (Order(200 * MM, 230 * MM, NO_PASS), 30 * MM)


def test_while_all_is_rejected_late_orders_are_fired_if_the_coil_acted_on_them() -> None:
    run = Run(ActuatorTraits(offset_um=0))
    run.move(1 * MM, 100)
    run.tracker.mode = Mode.REJECT_ALL
    assert run.tracker.next_due_ns() == run.now_ns
    run.move(1 * MM, 100)
    assert run.tracker.next_due_ns() is None
    before, since = run.order(50 * MM, 60 * MM), run.order(150 * MM, 160 * MM)
    run.move(1 * MM, 100)
    run.tracker.mode = Mode.ORDERED
    assert run.tracker.next_due_ns() == run.now_ns
    run.move(1 * MM, 10)
    assert run.switches == [(True, 101 * MM), (False, 301 * MM)]
    assert run.outcomes == [
        Missed(before, 10 * MM, Reason.ARRIVED_LATE),
        Fired(since, 150 * MM, 150 * MM),
    ]


def test_in_bypass_the_coil_is_let_go_and_what_goes_by_is_missed() -> None:
    run = Run(ActuatorTraits(offset_um=0, dwell_ns=500 * MS))
    under, ahead = run.order(100 * MM, 200 * MM), run.order(250 * MM, 260 * MM)
    after = run.order(400 * MM, 410 * MM)
    run.move(1 * MM, 150)
    run.tracker.mode = Mode.BYPASS
    run.move(1 * MM, 200)
    run.tracker.mode = Mode.ORDERED
    run.move(1 * MM, 55)
    assert run.switches == [(True, 100 * MM), (False, 151 * MM), (True, 400 * MM)]
    assert run.outcomes == [
        Missed(under, 100 * MM, Reason.BYPASSED),
        Missed(ahead, 10 * MM, Reason.BYPASSED),
    ]
    run.move(1 * MM, 10)
    assert run.outcomes[2:] == [Missed(after, 1 * MM, Reason.ACTED_LATE)]  # a reading later


def test_readings_out_of_order_are_refused() -> None:
    tracker = Tracker(ActuatorTraits(offset_um=0), default_reject=False)
    tracker.advance(Reading(0, 10))
    with pytest.raises(ValueError, match="monotonic"):
        tracker.advance(Reading(0, 9))


def test_settings_below_nought_and_orders_without_length_are_refused() -> None:
    with pytest.raises(ValueError, match="margin_um is -1"):
        ActuatorTraits(offset_um=-500, margin_um=-1)
    with pytest.raises(ValueError, match="track with default_reject"):
        Tracker(ActuatorTraits(offset_um=0), default_reject=False).let_pass(Order(0, 1, "frame"))
    with pytest.raises(ValueError, match="give it a length"):
        Order(5, 5, "")


# --- the same rules, followed slowly over the whole history -------------------------------------

SCENARIOS = int(os.environ.get("TRACKER_SCENARIOS", "2000"))  # 100,000 take ten minutes
COUNTERS = (12, 16, 24, 32, 48, 64)  # bits
NM_PER_COUNT = 50_000  # so that no step of a journey is half of what 12 bits hold
BYPASS_OR_NOT = [*[Mode.ORDERED] * 12, Mode.REJECT_ALL, Mode.STOP_LINE, Mode.BYPASS]


@dataclass(frozen=True)
class Step:
    """One reading, and what came before it: orders and passes, as (how far ahead of the actuator,
    how long, is a pass), and what overrides them.
    """

    wait_ns: int
    counts: int
    stretches: tuple[tuple[int, int, bool], ...]
    mode: Mode
    restart: bool  # the program is killed and started again before this reading


STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from([0, 1, MS, 2 * MS, 10 * MS, 30 * MS]),
        st.integers(-20, 60).map(lambda mm: mm * 20) | st.integers(-3, 3),
        st.lists(
            st.tuples(
                st.integers(-100, 300).map(lambda mm: mm * MM) | st.integers(-5, 5),
                st.integers(1, 80).map(lambda mm: mm * MM) | st.integers(1, 5),
                st.booleans(),
            ),
            max_size=2,
        ).map(tuple),
        st.sampled_from(BYPASS_OR_NOT),
        st.sampled_from([*[False] * 30, True]),
    ),
    max_size=40,
)
SETTINGS = st.builds(
    ActuatorTraits,
    offset_um=st.sampled_from([0, 500 * MM, -3]),
    delay_ns=st.sampled_from([0, 1, 3 * MS, 20 * MS]),
    margin_um=st.sampled_from([0, 1, 10 * MM]),
    dwell_ns=st.sampled_from([0, 1, 10 * MS]),
    min_gap_um=st.sampled_from([0, 1, 30 * MM]),
)


class Both:
    """The tracker and the slow one, from one start of the program on."""

    def __init__(self, actuator: ActuatorTraits, default_reject: bool, bits: int) -> None:
        self.tracker = Tracker(actuator, default_reject=default_reject)
        self.slow = SlowTracker(actuator, default_reject=default_reject)
        self.counted = CountedPosition(bits=bits, nm_per_count=NM_PER_COUNT)
        self.bits = bits
        self.position_um = 0
        self.ordered: set[str] = set()
        self.told: list[tuple[str | None, Outcome]] = []
        self.pulses: list[Pulse] = []
        self.late_passes: dict[str, bool] = {}
        self.active = False

    def advance(self, step: Step, count: int, now_ns: int, tag: str) -> None:
        orders, passes = self.take(step, tag)
        self.position_um = self.counted.position_um(count % (1 << self.bits))
        reading = Reading(self.position_um, now_ns)
        self.tracker.mode = step.mode
        for event in self.tracker.advance(reading):
            self.hear(event)
        self.slow.advance(reading, step.mode, orders, passes)
        assert self.active == self.slow.active

    def take(self, step: Step, tag: str) -> tuple[list[Order], list[Order]]:
        orders, passes = [], []
        offset_um = self.tracker._settings.offset_um
        for k, (ahead_um, length_um, is_pass) in enumerate(step.stretches):
            start_um = self.position_um - offset_um + ahead_um
            order = Order(start_um, start_um + length_um, f"{tag}.{k}")
            if is_pass and self.slow.default_reject:
                self.tracker.let_pass(order)
                passes.append(order)
            else:
                self.tracker.order(order)
                orders.append(order)
                self.ordered.add(order.tag)
        return orders, passes

    def hear(self, event: Event) -> None:
        if isinstance(event, Switch):
            assert event.active is not self.active
            self.active = event.active
        elif isinstance(event, Pulse):
            self.pulses.append(event)
        elif isinstance(event, Passed):
            self.late_passes[event.order.tag] = event.late
        elif isinstance(event, Fired):
            self.told.append((event.order.tag, Outcome(0, None, event.actual_um)))
        else:
            tag = None if event.order.tag == NO_PASS else event.order.tag
            self.told.append((tag, Outcome(event.missed_um, event.reason, None)))

    def check(self) -> None:
        """Nothing lost, nothing doubled, and all of it where the slow one has it."""
        slow = [
            (claim.tag, outcome)
            for claim, outcome in self.slow.outcomes
            if claim.tag is not None or outcome.missed_um
        ]
        assert sorted(self.told, key=repr) == sorted(slow, key=repr)
        assert self.pulses == self.slow.pulses
        assert self.late_passes == self.slow.late_passes
        ended = [tag for tag, _ in self.told if tag is not None]
        under_way = {c.tag for c in self.slow.claims if c.tag is not None and c.ended is None}
        assert len(ended) == len(set(ended)), "doubled"
        assert self.ordered == set(ended) | under_way, "lost"


@settings(max_examples=SCENARIOS)
@given(
    actuator=SETTINGS,
    default_reject=st.booleans(),
    bits=st.sampled_from(COUNTERS),
    first_count=st.integers(-1_500, 1_500),
    steps=STEPS,
)
def test_any_journey_ends_as_the_slow_tracker_says(
    actuator: ActuatorTraits,
    default_reject: bool,
    bits: int,
    first_count: int,
    steps: list[Step],
) -> None:
    """More of them: TRACKER_SCENARIOS=100000 pytest tests/firmware_bridge/core -k slow_tracker"""
    both, count, now_ns = Both(actuator, default_reject, bits), first_count, 0
    for i, step in enumerate(steps):
        if step.restart:
            both.check()
            both = Both(actuator, default_reject, bits)
        count += step.counts
        now_ns += step.wait_ns
        both.advance(step, count, now_ns, str(i))
    both.check()


@settings(max_examples=100)
@given(
    pieces=st.lists(st.tuples(st.integers(0, 2 * MM), st.integers(1, 100)), min_size=1),
    stretches=st.lists(st.tuples(st.integers(0, 400), st.integers(1, 60)), max_size=8),
    delay_ms=st.integers(0, 10),
)
def test_on_a_rail_that_goes_forward_all_is_rejected_and_nothing_else(
    pieces: list[tuple[int, int]], stretches: list[tuple[int, int]], delay_ms: int
) -> None:
    tolerance_um = 2 * MM * (delay_ms + 2)  # the speed may change by 2 m/s while the coil rises
    run = Run(ActuatorTraits(0, delay_ns=delay_ms * MS, margin_um=tolerance_um))
    ahead_um = 2 * tolerance_um
    orders = [
        run.order(ahead_um + start * MM, ahead_um + (start + length) * MM, str(i))
        for i, (start, length) in enumerate(stretches)
    ]
    for um_per_ms, ms in [*pieces, (2 * MM, 300)]:
        run.move(um_per_ms, ms)
    assert sorted(f.order.tag for f in run.outcomes if isinstance(f, Fired)) == sorted(
        order.tag for order in orders
    )
    for order in orders:
        assert any(p.from_um <= order.start_um and order.end_um <= p.until_um for p in run.pulses)
    for pulse in run.pulses:
        inside = [o for o in orders if pulse.from_um <= o.start_um and o.end_um <= pulse.until_um]
        assert pulse.from_um >= min(o.start_um for o in inside) - 2 * tolerance_um
        assert pulse.until_um <= max(o.end_um for o in inside) + 2 * tolerance_um
