"""The tracker against exact sequences, and against the same rules followed slowly."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.motion import SPEED_WINDOW_NS
from firmware_bridge.tracker import ActuatorSettings, Tracker
from firmware_bridge.types import (
    SECOND_NS,
    Event,
    Fired,
    Missed,
    Order,
    Pulse,
    Reading,
    Reason,
    Switch,
)

MS = 1_000_000
MM = 1_000


@dataclass
class Run:
    """A tracker on a rail that is moved by hand, one reading a millisecond."""

    settings: ActuatorSettings
    position_um: int = 0
    now_ns: int = 0
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tracker = Tracker(self.settings)
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
    run = Run(ActuatorSettings(offset_um=500 * MM, margin_um=5 * MM))
    order = run.order(100 * MM, 120 * MM)
    run.move(1 * MM, 700)
    assert run.switches == [(True, 95 * MM), (False, 125 * MM)]
    # a switch is measured by the next reading, here a millimetre on
    assert run.outcomes == [Fired(order, due_um=95 * MM, actual_um=96 * MM)]
    assert run.pulses == [Pulse(96 * MM, 126 * MM)]


def test_the_coil_is_driven_early_by_its_delay_at_the_present_speed() -> None:
    run = Run(ActuatorSettings(offset_um=0, delay_ns=20 * MS, margin_um=1 * MM))
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
    run = Run(ActuatorSettings(offset_um=0))
    run.order(300 * MM, 400 * MM)
    run.order(100 * MM, 250 * MM)
    run.order(200 * MM, 300 * MM)
    run.order(110 * MM, 120 * MM)
    run.move(100, 5_000)
    assert run.switches == [(True, 100 * MM), (False, 400 * MM)]
    assert len(run.outcomes) == 4


@pytest.mark.parametrize(("gap_um", "pulses"), [(9_999, 2), (10_000, 1)])
def test_orders_closer_than_the_gap_are_one_pulse(gap_um: int, pulses: int) -> None:
    run = Run(ActuatorSettings(offset_um=0, margin_um=5 * MM, min_gap_um=gap_um))
    run.order(100 * MM, 150 * MM)
    run.order(170 * MM, 200 * MM)
    run.move(1 * MM, 300)
    assert len(run.pulses) == pulses
    assert [type(outcome) for outcome in run.outcomes] == [Fired, Fired]


def test_a_stretch_that_comes_back_fires_once() -> None:
    run = Run(ActuatorSettings(offset_um=0, margin_um=1 * MM))
    order = run.order(100 * MM, 120 * MM)
    for um_per_ms in (1 * MM, -1 * MM, 1 * MM):
        run.move(um_per_ms, 150)
    assert run.switches == [(True, 99 * MM), (False, 121 * MM)]
    assert run.outcomes == [Fired(order, 99 * MM, 100 * MM)]


def test_a_rail_that_creeps_to_and_fro_over_an_edge_fires_once() -> None:
    run = Run(ActuatorSettings(offset_um=0))
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
    run = Run(ActuatorSettings(offset_um=0))
    run.order(100 * MM, 120 * MM)
    run.move(1 * MM, 110)
    run.move(0, 1_000)
    assert run.switches == [(True, 100 * MM)]
    assert run.tracker.next_due_ns() is None
    run.move(1 * MM, 10)
    assert run.switches == [(True, 100 * MM), (False, 120 * MM)]


def test_a_late_order_is_fired_for_what_is_left_and_missed_for_what_went_by() -> None:
    run = Run(ActuatorSettings(offset_um=0, delay_ns=10 * MS, margin_um=5 * MM))
    run.move(1 * MM, 120)
    order = run.order(100 * MM, 200 * MM)
    run.move(1 * MM, 100)
    # looked at when the rail was at 121, measured at 122, and 10 ms later the coil acts
    assert run.switches == [(True, 121 * MM), (False, 205 * MM)]
    assert run.outcomes == [Missed(order, 32 * MM, Reason.ARRIVED_LATE)]


def test_an_order_that_is_all_gone_is_missed_without_a_pulse() -> None:
    run = Run(ActuatorSettings(offset_um=0, margin_um=5 * MM))
    run.move(1 * MM, 300)
    order = run.order(100 * MM, 200 * MM)
    run.move(1 * MM, 100)
    run.move(-1 * MM, 400)
    assert run.events == [Missed(order, 100 * MM, Reason.ARRIVED_LATE)]


def test_an_order_that_is_late_for_a_pulse_already_running_is_fired() -> None:
    run = Run(ActuatorSettings(offset_um=0, margin_um=2 * MM))
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
    run = Run(ActuatorSettings(offset_um=0))
    order = run.order(100 * MM, 120 * MM)
    run.move(90 * MM, 3)
    assert run.events == [Missed(order, 20 * MM, Reason.ACTED_LATE)]


def test_the_coil_acts_for_its_dwell_at_least() -> None:
    run = Run(ActuatorSettings(offset_um=0, delay_ns=5 * MS, dwell_ns=50 * MS, margin_um=1 * MM))
    run.order(100 * MM, 101 * MM)
    run.move(1 * MM, 200)
    on, off = run.switches
    assert (on, off) == ((True, 94 * MM), (False, (95 + 5 + 50) * MM))


def test_the_next_switch_is_foreseen_to_the_nanosecond() -> None:
    run = Run(ActuatorSettings(offset_um=0, delay_ns=20 * MS, margin_um=1 * MM))
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
    run = Run(ActuatorSettings(offset_um=0))
    run.order(200, 400)
    run.move(3, 20)
    due_ns = run.tracker.next_due_ns()
    assert due_ns == run.now_ns + 46_666_667  # 140 um at 3 mm/s, rounded up
    assert run.tracker.advance(Reading(200, due_ns)) == [Switch(True, 200)]


def test_the_coil_is_let_go_where_the_longest_order_ends() -> None:
    run = Run(ActuatorSettings(offset_um=0, min_gap_um=20 * MM))
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
    run = Run(ActuatorSettings(offset_um=0, dwell_ns=50 * MS))
    run.order(100 * MM, 110 * MM)
    run.move(1 * MM, 105)
    assert run.switches == [(True, 100 * MM)]
    dwelt_ns = run.now_ns - 4 * MS + 50 * MS  # acting since the reading at 101
    assert run.tracker.next_due_ns() == dwelt_ns
    run.move(0, 20)
    assert run.tracker.next_due_ns() is None  # stopped before the end
    run.move(1 * MM, 10)
    assert run.tracker.next_due_ns() == dwelt_ns


def test_readings_out_of_order_are_refused() -> None:
    tracker = Tracker(ActuatorSettings(offset_um=0))
    tracker.advance(Reading(0, 10))
    with pytest.raises(ValueError, match="monotonic"):
        tracker.advance(Reading(0, 9))


def test_settings_below_nought_and_orders_without_length_are_refused() -> None:
    with pytest.raises(ValueError, match="margin_um is -1"):
        ActuatorSettings(offset_um=-500, margin_um=-1)
    with pytest.raises(ValueError, match="give it a length"):
        Order(5, 5, "")


# --- the same rules, followed slowly over the whole history -------------------------------------


@dataclass(frozen=True)
class Step:
    """One reading, and the orders that came before it: how far ahead of the actuator, how long."""

    wait_ns: int
    travel_um: int
    orders: tuple[tuple[int, int], ...]


STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from([0, 1, MS, 2 * MS, 10 * MS, 30 * MS]),
        st.integers(-20, 60).map(lambda mm: mm * MM) | st.integers(-3, 3),
        st.lists(
            st.tuples(
                st.integers(-100, 300).map(lambda mm: mm * MM) | st.integers(-5, 5),
                st.integers(1, 80).map(lambda mm: mm * MM) | st.integers(1, 5),
            ),
            max_size=2,
        ).map(tuple),
    ),
    max_size=40,
)
SETTINGS = st.builds(
    ActuatorSettings,
    offset_um=st.sampled_from([0, 500 * MM, -3]),
    delay_ns=st.sampled_from([0, 1, 3 * MS, 20 * MS]),
    margin_um=st.sampled_from([0, 1, 10 * MM]),
    dwell_ns=st.sampled_from([0, 1, 10 * MS]),
    min_gap_um=st.sampled_from([0, 1, 30 * MM]),
)


class SlowModel:
    """Each order looked at anew with each reading, and the coil's path walked from its start."""

    def __init__(self, settings: ActuatorSettings) -> None:
        self.settings = settings
        self.readings: list[Reading] = []
        self.orders: list[Order] = []
        self.begun: dict[str, int] = {}  # tag -> index of the reading
        self.missed_um: dict[str, int] = {}  # tag -> 0 if fired
        self.switches: list[tuple[int, bool]] = []  # index of the reading, active
        self.pulses: list[Pulse] = []
        self.on: int | None = None  # index of the reading at which the coil was last driven

    def advance(self, reading: Reading) -> None:
        self.readings.append(reading)
        i = len(self.readings) - 1
        if self.switches[-1:] == [(i - 1, False)]:
            path_um = self.path_um([k for k, active in self.switches if active][-1], i)
            self.pulses.append(Pulse(min(path_um), max(path_um)))
        for order in self.orders:
            if order.tag not in self.begun and self.led_um(i) >= self.due_um(order):
                self.begun[order.tag] = i
            has_ended = self.place_um(i) >= order.end_um + self.settings.margin_um
            if has_ended and order.tag in self.begun and order.tag not in self.missed_um:
                self.missed_um[order.tag] = self.gone_by_um(order, i)
        under = self.begun.keys() - self.missed_um.keys()
        if self.on is None and under:
            self.on = i
            self.switches.append((i, True))
        elif self.on is not None and not under and not self.is_held(i):
            self.on = None
            self.switches.append((i, False))

    def due_um(self, order: Order) -> int:
        return order.start_um - self.settings.margin_um

    def place_um(self, i: int) -> int:
        return self.readings[i].position_um - self.settings.offset_um

    def led_um(self, i: int) -> int:
        now = self.readings[i]
        old = [r for r in self.readings if now.at_ns - r.at_ns >= SPEED_WINDOW_NS]
        then = old[-1] if old else self.readings[0]
        elapsed_ns = now.at_ns - then.at_ns
        travelled_um = max(0, now.position_um - then.position_um)
        speed_um_s = travelled_um * SECOND_NS // elapsed_ns if elapsed_ns else 0
        return self.place_um(i) + speed_um_s * self.settings.delay_ns // SECOND_NS

    def path_um(self, on: int, i: int) -> list[int]:
        """Every place at which the coil acted up to reading i, having been driven after `on`."""
        acts_ns = self.readings[on + 1].at_ns + self.settings.delay_ns
        path_um = []
        for a, b in zip(range(on, i), range(on + 1, i + 1), strict=True):
            begins_ns, ends_ns = self.readings[a].at_ns, self.readings[b].at_ns
            if begins_ns < acts_ns <= ends_ns:
                way_um = self.place_um(b) - self.place_um(a)
                done_um = way_um * (acts_ns - begins_ns) // (ends_ns - begins_ns)
                path_um.append(self.place_um(a) + done_um)
            if ends_ns >= acts_ns:
                path_um.append(self.place_um(b))
        return path_um

    def gone_by_um(self, order: Order, i: int) -> int:
        path_um = [] if self.on is None else self.path_um(self.on, i)
        from_um = min(path_um, default=order.end_um)
        return min(max(0, from_um - order.start_um), order.length_um)

    def is_held(self, i: int) -> bool:
        assert self.on is not None
        acts_ns = self.readings[self.on + 1].at_ns + self.settings.delay_ns
        if self.readings[i].at_ns < acts_ns + self.settings.dwell_ns:
            return True
        in_pulse = [order for order in self.orders if self.begun.get(order.tag, -1) >= self.on]
        until_um = max(order.end_um for order in in_pulse) + self.settings.margin_um
        return any(
            self.due_um(order) - until_um <= self.settings.min_gap_um
            for order in self.orders
            if order.tag not in self.begun
        )


@settings(max_examples=400, deadline=None)
@given(actuator=SETTINGS, steps=STEPS)
def test_any_journey_ends_as_the_slow_model_says(
    actuator: ActuatorSettings, steps: list[Step]
) -> None:
    tracker, model = Tracker(actuator), SlowModel(actuator)
    switches, pulses, missed_um = [], [], {}
    position_um = now_ns = 0
    for i, step in enumerate(steps):
        for ahead_um, length_um in step.orders:
            start_um = position_um - actuator.offset_um + ahead_um
            order = Order(start_um, start_um + length_um, str(len(model.orders)))
            tracker.order(order)
            model.orders.append(order)
        position_um += step.travel_um
        now_ns += step.wait_ns
        model.advance(Reading(position_um, now_ns))
        for event in tracker.advance(Reading(position_um, now_ns)):
            if isinstance(event, Switch):
                switches.append((i, event.active))
            elif isinstance(event, Pulse):
                pulses.append(event)
            else:
                assert event.order.tag not in missed_um, "doubled"
                missed = event.missed_um if isinstance(event, Missed) else 0
                missed_um[event.order.tag] = missed
    assert switches == model.switches
    assert pulses == model.pulses
    assert missed_um == model.missed_um


@settings(max_examples=100, deadline=None)
@given(
    pieces=st.lists(st.tuples(st.integers(0, 2 * MM), st.integers(1, 100)), min_size=1),
    stretches=st.lists(st.tuples(st.integers(0, 400), st.integers(1, 60)), max_size=8),
    delay_ms=st.integers(0, 10),
)
def test_on_a_rail_that_goes_forward_all_is_rejected_and_nothing_else(
    pieces: list[tuple[int, int]], stretches: list[tuple[int, int]], delay_ms: int
) -> None:
    tolerance_um = 2 * MM * (delay_ms + 2)  # the speed may change by 2 m/s while the coil rises
    run = Run(ActuatorSettings(0, delay_ns=delay_ms * MS, margin_um=tolerance_um))
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
