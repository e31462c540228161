"""The firmware's core on this machine: against the Python tracker, and against garbled streams."""

from __future__ import annotations

import ctypes
import os
import random
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from struct import iter_unpack, unpack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.board import requests
from firmware_bridge.board.answers import (
    BoardEvent,
    EventKind,
    EventReason,
    Refusal,
    State,
    parse_board,
    parse_events,
    parse_statistics,
)
from firmware_bridge.board.packets import PacketReader, packet
from firmware_bridge.board.requests import Kind
from firmware_bridge.core import ActuatorTraits, CountedPosition, Tracker
from firmware_bridge.core.motion import SPEED_WINDOW_NS
from firmware_bridge.types import (
    PLACE_LIMIT_UM,
    SECOND_NS,
    Event,
    Fired,
    Missed,
    Mode,
    Order,
    Passed,
    Pulse,
    Reading,
    Switch,
)
from stands.firmware import SOURCES, build
from stands.firmware_core import NOTHING, SESSION, Core, Rail

MS = 1_000_000
MM = 1_000


# --- the same as the Python room -------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """One reading, and what came before it: orders, how far ahead of the actuator and how long."""

    wait_ns: int
    counts: int
    orders: tuple[tuple[int, int], ...]
    mode: Mode = Mode.ORDERED


MAX_COUNTS = 30_000  # fewer than half of what 16 bits hold
JOURNEYS = st.lists(
    st.builds(
        Step,
        st.sampled_from([0, 1, MS, 2 * MS, 10 * MS, 30 * MS]),
        st.sampled_from([0, MAX_COUNTS // 3, MAX_COUNTS])
        | st.integers(-MAX_COUNTS // 3, MAX_COUNTS)
        | st.integers(-3, 3),
        st.lists(
            st.tuples(
                st.integers(-10, 30).map(lambda cm: cm * 10 * MM) | st.integers(-5, 5),
                st.integers(1, 8).map(lambda cm: cm * 10 * MM) | st.integers(1, 5),
            ),
            max_size=2,
        ).map(tuple),
    ),
    min_size=10,
    max_size=40,
)
MODES = st.lists(
    st.sampled_from([*[Mode.ORDERED] * 5, Mode.REJECT_ALL, Mode.BYPASS]), min_size=40, max_size=40
)
ACTUATORS = st.builds(
    ActuatorTraits,
    offset_um=st.sampled_from([0, 500 * MM, -3]),
    delay_ns=st.sampled_from([0, 1, 3 * MS, 20 * MS]),
    margin_um=st.sampled_from([0, 1, 10 * MM]),
    dwell_ns=st.sampled_from([0, 1, 10 * MS]),
    min_gap_um=st.sampled_from([0, 1, 30 * MM]),
)


def with_modes(drawn: tuple[list[Step], list[Mode]]) -> list[Step]:
    return [replace(step, mode=mode) for step, mode in zip(*drawn, strict=False)]


def as_the_board_says_it(event: Event) -> BoardEvent:
    if isinstance(event, Fired):
        assert event.order.number is not None
        number = event.order.number
        places = event.due_um, event.actual_um, event.order.end_um
        return BoardEvent(EventKind.FIRED, EventReason.NONE, number, *places)
    if isinstance(event, Missed):
        number = event.order.number or 0  # of rail that no pass came for
        reason = EventReason[event.reason.name]
        places = event.missed_um, event.order.start_um, event.order.end_um
        return BoardEvent(EventKind.MISSED, reason, number, *places)
    if isinstance(event, Passed):
        late = EventReason.ARRIVED_LATE if event.late else EventReason.NONE
        places = event.over_um, event.order.start_um, event.order.end_um
        assert event.order.number is not None
        return BoardEvent(EventKind.PASS, late, event.order.number, *places)
    assert isinstance(event, Pulse)
    return BoardEvent(EventKind.PULSE, EventReason.NONE, 0, event.from_um, event.until_um, 0)


def switched(events: list[Event], active: bool) -> bool:
    for event in events:
        if isinstance(event, Switch):
            active = event.active
    return active


@settings(max_examples=400)
@given(
    actuator=ACTUATORS,
    counter=st.tuples(st.sampled_from([16, 24, 32]), st.sampled_from([1_000, 2_503, -1_000, -77])),
    journey=st.tuples(JOURNEYS, MODES).map(with_modes),
    passes=st.none() | st.randoms(use_true_random=False),
)
def test_any_journey_ends_as_in_the_python_tracker(
    library: ctypes.CDLL,
    actuator: ActuatorTraits,
    counter: tuple[int, int],
    journey: list[Step],
    passes: random.Random | None,
) -> None:
    """With `passes`, all is rejected by default, and about two in three submitted are passes."""
    bits, nm_per_count = counter
    default_reject = passes is not None
    core, tracker = Core(library, bits=bits), Tracker(actuator, default_reject=default_reject)
    opened = core.open(actuator, nm_per_count=nm_per_count, default_reject=default_reject)
    assert opened.refusal is Refusal.NONE
    counted = CountedPosition(bits=bits, nm_per_count=nm_per_count)
    position_um, active = 0, False
    for step in journey:
        for ahead_um, length_um in step.orders:
            start_um = position_um - actuator.offset_um + ahead_um
            kind = Kind.PASS if passes is not None and passes.randrange(3) else Kind.ORDER
            assert core.order(start_um, start_um + length_um, kind) is Refusal.NONE
            take = tracker.let_pass if kind is Kind.PASS else tracker.order
            take(Order(start_um, start_um + length_um, "", number=core.orders))
        assert core.ask(Kind.MODE, requests.mode(step.mode)).refusal is Refusal.NONE
        tracker.mode = step.mode
        rejects = core.advance(step.counts, step.wait_ns)
        position_um = counted.position_um(core.count % (1 << bits))
        events = tracker.advance(Reading(position_um, core.now_ns))
        active = switched(events, active)
        assert rejects == active
        assert core.events() == [
            as_the_board_says_it(event) for event in events if not isinstance(event, Switch)
        ]
    assert core.ask(Kind.POLL, requests.poll(0)).reading.position_um == position_um


@dataclass(frozen=True)
class Wheel:
    """An encoder and the rail that turns it evenly."""

    um_per_count: int
    counts_per_s: int


@settings(max_examples=50)
@given(
    wheel=st.builds(Wheel, st.sampled_from([1, 25, 1_000]), st.sampled_from([500, 20_000])),
    delay_ms=st.integers(0, 20),
    orders=st.lists(st.tuples(st.integers(0, 600), st.integers(1, 200)), min_size=1, max_size=5),
    offset_um=st.integers(0, 1_000),
)
def test_the_coil_acts_within_a_count_of_where_it_should(
    library: ctypes.CDLL,
    wheel: Wheel,
    delay_ms: int,
    orders: list[tuple[int, int]],
    offset_um: int,
) -> None:
    um = wheel.um_per_count
    core = Core(library)
    core.open(ActuatorTraits(offset_um, delay_ns=delay_ms * MS), nm_per_count=um * MM)
    ahead = 700  # counts, which take longer than the coil and the window of the speed
    for start, length in orders:
        core.order((ahead + start) * um, (ahead + start + length) * um)
    for _ in range(ahead + 900 + offset_um // um):
        core.advance(1, SECOND_NS // wheel.counts_per_s)
        core.advance(0, 0)  # boards read faster than rails move
    outcomes = [event for event in core.events() if event.kind is not EventKind.PULSE]
    assert len(outcomes) == len(orders)
    for event in outcomes:
        if event.kind is EventKind.FIRED:
            assert abs(event.second_um - event.first_um) <= um
        else:
            assert event.first_um <= um


@dataclass(frozen=True)
class Turn:
    """How often a board reads an encoder, and how the rail goes under it."""

    nm_per_count: int
    um_per_s: int
    turn_ns: int
    delay_ns: int

    def margin_um(self) -> float:
        """As PROTOCOL.md has it for a rail at an even speed."""
        counts = 2 + self.delay_ns / SPEED_WINDOW_NS
        return self.nm_per_count * counts / 1000 + self.um_per_s * 2 * self.turn_ns / SECOND_NS


@settings(max_examples=60)
@given(
    turn=st.builds(
        Turn,
        st.sampled_from([997, 2_500, 25_000, 104_713]),
        st.integers(3_000, 3_000_000),
        st.integers(9_000, 200_000),
        st.integers(0, 30 * MS),
    ),
    phase_nm=st.integers(0, 104_712),
)
def test_the_coil_acts_within_the_margin_that_the_protocol_promises_at_any_speed(
    library: ctypes.CDLL, turn: Turn, phase_nm: int
) -> None:
    core = Core(library)
    rail = Rail(phase_nm, turn.nm_per_count, 0, True)
    core.roll(rail, 0, turn.turn_ns, 1)
    core.open(ActuatorTraits(0, delay_ns=turn.delay_ns), nm_per_count=turn.nm_per_count)
    way_um = turn.um_per_s * (turn.delay_ns + 3 * SPEED_WINDOW_NS) // SECOND_NS
    starts_um = [way_um + i * max(way_um // 5, 2 * MM) for i in range(4)]
    for start_um in starts_um:
        core.order(start_um, start_um + 1_500)
    goes_ns = (starts_um[-1] + 4 * MM) * SECOND_NS // turn.um_per_s
    core.roll(rail, turn.um_per_s, turn.turn_ns, goes_ns // turn.turn_ns)
    outcomes = [event for event in core.events() if event.order]
    assert len(outcomes) == 4
    for event in outcomes:
        wrong_um = event.first_um
        if event.kind is EventKind.FIRED:
            wrong_um = abs(event.second_um - event.first_um)
        assert wrong_um <= turn.margin_um() + 1


@pytest.mark.parametrize(("gap_um", "pulses"), [(9, 2), (10, 1)])
@pytest.mark.parametrize("default_reject", [False, True])
def test_rail_closer_than_the_gap_is_one_pulse(
    library: ctypes.CDLL, gap_um: int, pulses: int, default_reject: bool
) -> None:
    core = Core(library)
    core.open(ActuatorTraits(0, margin_um=5, min_gap_um=gap_um), default_reject=default_reject)
    if default_reject:
        core.order(120, 140, Kind.PASS)
    else:
        core.order(100, 120)
        core.order(140, 160)
    rejecting = [core.advance(um != 0, MS) for um in range(155)]
    assert sum(now and not before for before, now in pairwise([False, *rejecting])) == pulses


# --- what no pass came for ---------------------------------------------------------------------


class SlowDefault:
    """Which readings reject, each decided anew from all readings and passes before it."""

    def __init__(self, actuator: ActuatorTraits) -> None:
        self.actuator = actuator
        self.readings: list[Reading] = []
        self.passes: list[tuple[int, int]] = []  # in time
        self.begun: list[int] = []  # starts of the gaps between them
        self.ended: list[int] = []
        self.until_um = 0
        self.rejects = True
        self.measured_ns: int | None = None

    def advance(self, reading: Reading, arrived: list[tuple[int, int]]) -> bool:
        self.readings.append(reading)
        place_um = reading.position_um - self.actuator.offset_um
        if len(self.readings) == 1:
            self.begun, self.start_um = [place_um], place_um
            self.measured_ns, self.acts_ns = reading.at_ns, reading.at_ns
        elif self.rejects and self.measured_ns is None:
            self.measured_ns = reading.at_ns
            self.acts_ns = reading.at_ns + self.actuator.delay_ns
        for start_um, end_um in sorted(arrived, key=lambda stretch: stretch[0]):
            self.take(start_um, end_um)
        gaps = self.gaps_um()
        margin_um = self.actuator.margin_um
        for start_um, end_um in gaps:
            if start_um not in self.begun and start_um - margin_um <= self.led_um(-1):
                self.begun.append(start_um)
            if start_um in self.begun and end_um is not None and end_um + margin_um <= place_um:
                self.ended.append(start_um)
        self.switch(reading, gaps)
        return self.rejects

    def take(self, start_um: int, end_um: int) -> None:
        begins_um = max([start_um, *(end for _, end in self.passes), self.start_um])
        reached_um = max(self.led_um(i) for i in range(len(self.readings)))
        if begins_um - self.actuator.margin_um > reached_um and end_um > begins_um:
            self.passes.append((begins_um, end_um))

    def gaps_um(self) -> list[tuple[int, int | None]]:
        starts = [self.start_um, *(end for _, end in self.passes)]
        ends = [*(start for start, _ in self.passes), None]
        return [(a, b) for a, b in zip(starts, ends, strict=True) if a != b]

    def led_um(self, i: int) -> int:
        now = self.readings[i]
        known = self.readings[: i % len(self.readings) + 1]
        old = [r for r in known if now.at_ns - r.at_ns >= SPEED_WINDOW_NS]
        then = old[-1] if old else known[0]
        elapsed_ns = max(now.at_ns - then.at_ns, SPEED_WINDOW_NS)
        travelled_um = max(0, now.position_um - then.position_um)
        speed_um_s = travelled_um * SECOND_NS // elapsed_ns
        lead_um = speed_um_s * self.actuator.delay_ns // SECOND_NS
        return now.position_um - self.actuator.offset_um + lead_um

    def switch(self, reading: Reading, gaps: list[tuple[int, int | None]]) -> None:
        actuator = self.actuator
        under = [gap for gap in gaps if gap[0] in self.begun and gap[0] not in self.ended]
        past = [end for start, end in gaps if start in self.ended and end is not None]
        if not self.rejects:
            if under:
                self.rejects, self.measured_ns = True, None
            return
        if under or self.measured_ns is None:
            return
        until_um = max(past) + actuator.margin_um
        next_um = min(start for start, _ in gaps if start not in self.begun) - actuator.margin_um
        held = next_um - until_um <= actuator.min_gap_um
        if not held and reading.at_ns >= self.acts_ns + actuator.dwell_ns:
            self.rejects = False


@settings(max_examples=300)
@given(actuator=ACTUATORS, journey=JOURNEYS)
def test_rail_is_rejected_unless_a_pass_for_it_came_in_time(
    library: ctypes.CDLL, actuator: ActuatorTraits, journey: list[Step]
) -> None:
    core, slow = Core(library), SlowDefault(actuator)
    core.open(actuator, default_reject=True)
    position_um, passed, said = 0, 0, 0
    for i, step in enumerate(journey):
        arrived = []
        for ahead_um, length_um in step.orders:
            start_um = position_um - actuator.offset_um + ahead_um
            arrived.append((start_um, start_um + length_um))
            assert core.order(*arrived[-1], Kind.PASS) is Refusal.NONE
            passed += 1
        rejects = core.advance(step.counts if i else 0, step.wait_ns)
        position_um += step.counts if i else 0
        assert rejects == slow.advance(Reading(position_um, core.now_ns), arrived)
        verdicts = [event for event in core.events() if event.kind is EventKind.PASS]
        said += len(verdicts)
        assert not any(event.reason for event in verdicts) or len(slow.passes) < passed
    assert said == passed


def test_frames_that_touch_pass_as_one_and_what_is_missing_between_them_is_rejected(
    library: ctypes.CDLL,
) -> None:
    core = Core(library)
    core.open(ActuatorTraits(offset_um=0, margin_um=2), default_reject=True)
    for start_um in (100, 200, 400, 500):
        assert core.order(start_um, start_um + 100, Kind.PASS) is Refusal.NONE
    assert core.order(450, 460) is Refusal.NONE
    passing = [um for um in range(700) if not core.advance(um != 0, MS)]
    assert passing == [*range(102, 298), *range(402, 448), *range(462, 598)]
    late = core.order(500, 900, Kind.PASS)
    core.advance(0, MS)
    assert (late, core.rejects) == (Refusal.NONE, True)
    assert core.events()[-1].reason is EventReason.ARRIVED_LATE


# --- the session ---------------------------------------------------------------------------------


def test_a_board_rejects_until_a_session_is_opened_and_after_it_is_closed(
    library: ctypes.CDLL,
) -> None:
    core = Core(library)
    assert core.advance(0, MS)
    assert core.order(100, 200) is Refusal.SESSION
    core.open()
    assert not core.advance(0, MS)
    assert core.ask(Kind.CLOSE, requests.closing(release=False)).state is State.CLOSED
    assert core.advance(0, MS)
    core.open(session=SESSION + 1)
    released = core.ask(Kind.CLOSE, requests.closing(release=True), session=SESSION + 1)
    assert released.state is State.RELEASED
    assert not core.advance(0, MS)


def test_a_silent_link_rejects_by_itself_and_for_good(library: ctypes.CDLL) -> None:
    core = Core(library)
    core.open(silence_ns=20 * MS)
    rejecting = [core.advance(0, MS) for _ in range(30)]
    assert rejecting == [False] * 20 + [True] * 10
    answer = core.ask(Kind.POLL, requests.poll(0))
    assert (answer.state, core.advance(0, MS)) == (State.SILENT, True)
    assert core.order(100, 200) is Refusal.NOT_RUNNING
    core.open(session=SESSION + 1)
    assert not core.advance(0, MS)


def test_noise_on_the_link_is_silence(library: ctypes.CDLL) -> None:
    core = Core(library)
    core.open(silence_ns=20 * MS)
    for _ in range(20):
        wrong = core.request(Kind.POLL, requests.poll(0), session=SESSION + 1)
        core.exchange(b"\xaa\x00\x55" + wrong)
        assert not core.advance(0, MS)
    assert core.advance(0, MS)


@pytest.mark.parametrize(
    ("counts", "wait_ns", "state"),
    [
        (1 << 30, MS, State.ENCODER_FAILED),
        (-1 << 30, MS, State.ENCODER_FAILED),
        (0, SECOND_NS + 1, State.STALLED),
        (0, -1, State.STALLED),
    ],
)
def test_what_no_rail_and_no_clock_does_rejects(
    library: ctypes.CDLL, counts: int, wait_ns: int, state: State
) -> None:
    core = Core(library)
    core.open()
    assert not core.advance(0, MS)
    assert core.advance(counts, wait_ns)
    assert (core.state, core.advance(0, MS)) == (state, True)


def test_an_order_is_taken_once_however_often_it_is_repeated(library: ctypes.CDLL) -> None:
    core = Core(library)
    core.open()
    orders = [requests.stretches(n, [(100 * n, 100 * n + 50)]) for n in (1, 2, 3)]
    for i in (0, 0, 1, 0, 1):
        assert core.ask(Kind.ORDER, orders[i]).refusal is Refusal.NONE
    core.open()  # as a host does that missed the answer
    assert core.ask(Kind.ORDER, requests.stretches(4, [(1, 2)])).refusal is Refusal.SEQUENCE
    assert core.ask(Kind.ORDER, orders[2]).refusal is Refusal.NONE
    rejecting = [um for um in range(500) if core.advance(um != 0, MS)]
    assert rejecting == [*range(100, 150), *range(200, 250), *range(300, 350)]
    assert [event.order for event in core.events() if event.order] == [1, 2, 3]
    assert parse_statistics(core.ask(Kind.STATISTICS).body).repeated == 3


def test_a_full_board_refuses_and_loses_nothing(library: ctypes.CDLL) -> None:
    core = Core(library)
    core.open()
    capacity = parse_board(core.ask(Kind.HELLO, requests.hello()).body).order_capacity
    while core.order(100 * core.orders + 100, 100 * core.orders + 150) is Refusal.NONE:
        core.advance(0, MS)
    assert core.orders == capacity
    for _ in range(100 * capacity + 100):  # nobody asks for news meanwhile
        core.advance(1, MS)
    taken = 0
    while core.order(core.count + 1_000 + taken, core.count + 2_000) is Refusal.NONE:
        core.advance(0, MS)
        taken += 1
    assert taken < capacity  # room for the news is short now
    news = core.events()
    assert [event.order for event in news if event.order] == [*range(1, capacity + 1)]
    assert len([event for event in news if event.kind is EventKind.PULSE]) == capacity
    assert core.order(core.count + 1_000, core.count + 2_000) is Refusal.NONE


def test_a_mode_waits_for_room_and_its_pulses_are_told(library: ctypes.CDLL) -> None:
    core = Core(library)
    core.open()
    core.advance(0, MS)
    pulses = 0
    while core.ask(Kind.MODE, requests.mode(Mode.REJECT_ALL)).refusal is Refusal.NONE:
        core.advance(1, MS)
        core.ask(Kind.MODE, requests.mode(Mode.ORDERED))
        core.advance(1, MS)
        core.advance(1, MS)
        pulses += not core.rejects
    assert [event.kind for event in core.events()] == [EventKind.PULSE] * pulses
    assert core.ask(Kind.MODE, requests.mode(Mode.REJECT_ALL)).refusal is Refusal.NONE


def test_a_batch_is_taken_up_to_the_first_that_is_refused(library: ctypes.CDLL) -> None:
    core = Core(library)
    core.open()
    answer = core.ask(Kind.ORDER, requests.stretches(1, [(10, 20), (30, 40), (50, 50), (70, 80)]))
    assert (answer.refusal, answer.detail) == (Refusal.STRETCH, 2)
    answer = core.ask(Kind.ORDER, requests.stretches(2, [(30, 40), (50, 60)]))
    assert (answer.refusal, answer.detail) == (Refusal.NONE, 2)
    assert [um for um in range(100) if core.advance(um != 0, MS)] == [
        *range(10, 20),
        *range(30, 40),
        *range(50, 60),
    ]


def test_a_board_full_of_passes_says_what_became_of_each(library: ctypes.CDLL) -> None:
    core = Core(library)
    core.open(default_reject=True)
    core.advance(0, MS)
    while core.order(100 * core.orders + 100, 100 * core.orders + 150, Kind.PASS) is Refusal.NONE:
        pass  # all of them before the next reading
    for _ in range(100 * core.orders + 200):
        core.advance(1, MS)
    news = core.events()
    assert [event.order for event in news if event.order] == [*range(1, core.orders + 1)]
    assert len([event for event in news if event.kind is EventKind.PULSE]) == core.orders


def test_events_are_kept_until_later_ones_are_asked_for(library: ctypes.CDLL) -> None:
    core = Core(library)
    core.open()
    core.order(1, 3)
    core.order(5, 7)
    for _ in range(10):
        core.advance(1, MS)

    def numbers(next_event: int) -> list[int]:
        first, events = parse_events(core.ask(Kind.POLL, requests.poll(next_event)).body)
        return [*range(first, first + len(events))]

    assert [numbers(n) for n in (0, 0, 2, 1, 9, 3, 4, 3)] == [
        [0, 1, 2, 3],
        [0, 1, 2, 3],
        [2, 3],
        [2, 3],
        [2, 3],
        [3],
        [],
        [],
    ]


def test_requests_that_make_no_sense_are_refused(library: ctypes.CDLL) -> None:
    core = Core(library)
    assert core.open(session=0).refusal is Refusal.SESSION
    for nm_per_count, silence_ns, detail in ((0, SECOND_NS, 1), (1_000, 1, 7)):
        answer = core.open(nm_per_count=nm_per_count, silence_ns=silence_ns)
        assert (answer.refusal, answer.detail) == (Refusal.SETTING, detail)
    answer = core.open(ActuatorTraits(offset_um=0, delay_ns=SECOND_NS + 1))
    assert (answer.refusal, answer.detail, answer.session) == (Refusal.SETTING, 3, 0)
    core.open()
    assert core.order(5, 5) is Refusal.STRETCH
    assert core.order(0, PLACE_LIMIT_UM + 1) is Refusal.STRETCH
    assert core.order(0, 5, Kind.PASS) is Refusal.NO_DEFAULT
    assert core.ask(Kind.POLL, b"").refusal is Refusal.UNKNOWN
    assert core.ask(Kind.MODE, b"\3").refusal is Refusal.UNKNOWN
    core.ask(Kind.CLOSE, requests.closing(release=False))
    assert core.ask(Kind.MODE, requests.mode(Mode.BYPASS)).refusal is Refusal.NOT_RUNNING


# --- garbled streams -----------------------------------------------------------------------------


def requests_for(core: Core, numbers: Sequence[int]) -> bytes:
    """Each for the order of its number, and the next."""
    stretches = [[(1_000 * n, 1_256 * n) for n in (number, number + 1)] for number in numbers]
    orders = [requests.stretches(n, um) for n, um in zip(numbers, stretches, strict=True)]
    return b"".join(core.request(Kind.ORDER, order) for order in orders)


def orders_in(stream: bytes) -> list[Order]:
    """Those that an undamaged packet asks for, in the order of their numbers."""
    orders: list[Order] = []
    newest = 0
    for body in PacketReader().feed(stream):
        header, first, stretches = body[:13], body[13:17], body[17:]
        kind, sequence, session, _ = unpack("<BIII", header)
        if (kind, session) == (Kind.ORDER, SESSION) and sequence > newest:
            newest = sequence
            number = int.from_bytes(first, "little")
            for i, (start_um, end_um) in enumerate(iter_unpack("<qq", stretches)):
                if number + i == len(orders) + 1:
                    orders.append(Order(start_um, end_um, "", number=number + i))
    return orders


@dataclass(frozen=True)
class Damage:
    """What happens to the stream at a place: bytes go, others come."""

    at: float
    lost: int
    instead: bytes

    def on(self, stream: bytes) -> bytes:
        i = int(self.at * len(stream))
        return stream[:i] + self.instead + stream[i + self.lost :]


DAMAGES = st.lists(
    st.builds(
        Damage, st.floats(0, 1), st.integers(0, 40), st.binary(max_size=300) | st.just(b"\0")
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=400)
@given(damages=DAMAGES, numbers=st.lists(st.integers(1, 6), max_size=12))
def test_a_damaged_stream_fires_what_came_whole_and_nothing_else(
    library: ctypes.CDLL, damages: list[Damage], numbers: list[int]
) -> None:
    core, tracker = Core(library), Tracker(NOTHING, default_reject=False)
    core.open()
    stream = requests_for(core, [*range(1, 7), *numbers])
    for damage in damages:
        stream = damage.on(stream)
    stream += b"\0"
    answers = core.exchange(stream)
    assert len(answers) == len(PacketReader().feed(stream))
    for order in orders_in(stream):
        tracker.order(order)
    expected: list[Event] = []
    for um in range(0, 9_000, 100):
        core.advance(100 if um else 0, MS)
        expected += tracker.advance(Reading(um, core.now_ns))
    assert core.events() == [
        as_the_board_says_it(event) for event in expected if not isinstance(event, Switch)
    ]


@settings(max_examples=300)
@given(noise=st.binary(max_size=1_000))
def test_noise_fires_nothing_and_the_next_request_is_understood(
    library: ctypes.CDLL, noise: bytes
) -> None:
    core = Core(library)
    core.open()
    core.exchange(noise)
    assert not core.advance(0, MS)
    assert core.order(100, 200) is Refusal.NONE


def test_the_end_of_what_is_too_long_is_no_packet(library: ctypes.CDLL) -> None:
    core = Core(library)
    core.open()
    request = core.request(Kind.ORDER, requests.stretches(1, [(0, 100)]))
    for length in range(250, 260):
        stream = b"\x01" * length + request[1:]
        assert PacketReader().feed(stream) == core.exchange(stream) == []
    assert core.exchange(request) != []


@given(body=st.binary(min_size=1, max_size=249), cut=st.integers(0, 600))
def test_a_packet_is_read_however_the_stream_is_cut(body: bytes, cut: int) -> None:
    reader, stream = PacketReader(), packet(body) * 2
    assert reader.feed(stream[:cut]) + reader.feed(stream[cut:]) == [body, body]
    assert (reader.damaged, stream[1:-1].count(0)) == (0, 2)


def test_the_example_in_the_protocol_is_what_is_sent() -> None:
    sent = requests.request(Kind.POLL, 7, SESSION, 6, requests.poll(0))
    assert sent.hex(" ") in (SOURCES / "PROTOCOL.md").read_text()


def test_the_core_keeps_its_promises_whatever_comes_under_a_right_crc(images: Path) -> None:
    """Under sanitizers, with the stand's own judge; TRACKSIDE_FUZZ_HISTORIES makes it longer."""
    histories = os.environ.get("TRACKSIDE_FUZZ_HISTORIES", "200")
    fuzz = [build("fuzz", images), "1", histories]
    ran = subprocess.run(fuzz, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
