"""What the firmware's core notices by itself, each at the turn at which it has to."""

from __future__ import annotations

import ctypes

import pytest

from firmware_bridge.board import requests
from firmware_bridge.board.answers import EventKind, Refusal, State, parse_board, parse_place
from firmware_bridge.board.requests import Kind
from firmware_bridge.core import ActuatorTraits
from firmware_bridge.types import SECOND_NS, Mode
from stands.firmware_core import NOTHING, SESSION, Core, Rail

MS = 1_000_000
MM = 1_000


def started(library: ctypes.CDLL, *, bits: int = 32) -> Core:
    """Its loop has turned before anybody opens it, as that of a board has."""
    core = Core(library, bits=bits)
    core.advance(1_000, MS)
    return core


# --- both ways of the link -----------------------------------------------------------------------


def test_a_host_that_hears_nothing_is_silence_however_much_it_asks(library: ctypes.CDLL) -> None:
    """Its answers are cut off: it may say after the silence that the board rejects by now."""
    core = started(library)
    core.open(silence_ns=20 * MS)
    core.advance(0, 5 * MS)
    core.ask(Kind.POLL, requests.poll(0))  # hears the answer, of 6 ms
    core.advance(0, MS)
    core.ask(Kind.POLL, requests.poll(0))  # says so, and hears no more
    rejecting = []
    for _ in range(22):
        core.sequence += 1
        poll = requests.request(Kind.POLL, core.sequence, SESSION, 4, requests.poll(0))
        core.exchange(poll)
        rejecting.append(core.advance(0, MS))
    assert rejecting.index(True) == 20  # more than 20 ms after the last answer that it heard
    assert core.state is State.SILENT


def test_a_request_that_comes_again_is_neither_acted_on_nor_a_sign_of_life(
    library: ctypes.CDLL,
) -> None:
    core = started(library)
    core.open(silence_ns=20 * MS)
    bypass = core.request(Kind.MODE, requests.mode(Mode.BYPASS))
    core.exchange(bypass)
    core.ask(Kind.MODE, requests.mode(Mode.REJECT_ALL))
    for _ in range(21):
        assert core.exchange(bypass) == []
        assert core.advance(0, MS)
    assert core.ask(Kind.POLL, requests.poll(0)).state is State.SILENT


def test_an_opening_that_comes_again_after_a_reset_opens_nothing(library: ctypes.CDLL) -> None:
    core = started(library)
    greeting_ns = core.ask(Kind.HELLO, requests.hello()).reading.at_ns
    opening = requests.greeted(greeting_ns, settings())
    assert core.ask(Kind.OPEN, opening).refusal is Refusal.NONE
    reset = Core(library)
    reset.advance(0, 2 * MS)
    reset.ask(Kind.HELLO, requests.hello())
    answer = reset.ask(Kind.OPEN, opening)
    assert (answer.refusal, answer.session) == (Refusal.STALE, 0)


def test_every_answer_says_what_the_board_acts_by(library: ctypes.CDLL) -> None:
    core = started(library)
    assert core.ask(Kind.HELLO, requests.hello()).settings == 0
    first = core.open()
    core.ask(Kind.MODE, requests.mode(Mode.BYPASS))
    core.order(100, 200)
    answer = core.ask(Kind.POLL, requests.poll(0))
    taken = requests.taken(0, Kind.ORDER, 1, 100, 200)
    assert (answer.mode, answer.order, answer.orders) == (2, 1, taken)
    assert answer.settings == first.settings == requests.settings_crc(settings())
    assert answer.number == first.number + 3


def settings() -> bytes:
    return requests.opening(
        NOTHING,
        nm_per_count=1_000,
        silence_ns=60 * SECOND_NS,
        fastest_um_s=10**12,
        default_reject=False,
    )


# --- near before far -----------------------------------------------------------------------------


def test_a_full_board_hands_back_the_furthest_for_a_nearer_one(library: ctypes.CDLL) -> None:
    core = started(library)
    core.open(ActuatorTraits(0, margin_um=25))
    capacity = parse_board(core.ask(Kind.HELLO, requests.hello()).body).order_capacity
    for i in range(capacity):
        assert core.order(10 * MM + 100 * i, 10 * MM + 100 * i + 50) is Refusal.NONE
        core.advance(0, MS if i % 2 else 0)
    furthest_um = 10 * MM + 100 * (capacity - 1)
    assert core.order(furthest_um, furthest_um + 50) is Refusal.FULL
    assert core.order(1 * MM, 2 * MM) is Refusal.NONE
    (returned,) = core.events()
    assert (returned.kind, returned.order) == (EventKind.RETURNED, capacity)
    assert (returned.second_um, returned.end_um) == (furthest_um, furthest_um + 50)
    fired: list[int] = []
    for _ in range(furthest_um // 25 + 40):
        core.advance(25, MS)
        fired += [event.order for event in core.events() if event.kind is EventKind.FIRED]
    assert fired == [capacity + 1, *range(1, capacity)]


def test_passes_leave_room_for_orders(library: ctypes.CDLL) -> None:
    core = started(library)
    core.open(default_reject=True)
    passes = 0
    while core.order(1_000 + 100 * passes, 1_050 + 100 * passes, Kind.PASS) is Refusal.NONE:
        core.advance(0, MS)
        core.events()
        passes += 1
    orders = 0
    while core.order(500 + orders, 900) is Refusal.NONE:
        core.advance(0, MS)
        orders += 1
    assert orders == 24


# --- the encoder ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("period_ns", "fails"), [(1 * MS, True), (4 * MS, False)])
def test_counts_that_only_go_to_and_fro_are_a_dead_channel(
    library: ctypes.CDLL, period_ns: int, fails: bool
) -> None:
    """One that stands still on an edge and shakes slowly is none."""
    core = started(library)
    core.open()
    for i in range(2_000):
        core.advance(1 if i % 2 else -1, period_ns)
    assert core.state is (State.ENCODER_FAILED if fails else State.RUNNING)


def test_a_rail_that_outruns_its_line_is_a_broken_encoder(library: ctypes.CDLL) -> None:
    core = started(library)
    core.open(fastest_um_s=1_000 * MM)
    for _ in range(100):
        assert not core.advance(1_000, MS)  # as fast as it may
    assert core.advance(3_000, MS)
    assert core.state is State.ENCODER_FAILED


def test_a_count_just_after_the_opening_is_no_speed(library: ctypes.CDLL) -> None:
    """One of 25 um within 5 us would be 5 m/s, and would lead 20 ms of delay by 100 mm."""
    core = started(library)
    core.open(ActuatorTraits(0, delay_ns=20 * MS), nm_per_count=25_000, default_reject=True)
    core.advance(1, 5_000)
    core.order(1 * MM, 150 * MM, Kind.PASS)
    core.advance(0, MS)
    (verdict,) = [event for event in core.events() if event.kind is EventKind.PASS]
    assert verdict.reason == 0


# --- places through sessions ---------------------------------------------------------------------


def test_the_board_counts_on_while_nobody_is_there(library: ctypes.CDLL) -> None:
    core = started(library, bits=16)
    first = parse_place(core.open(nm_per_count=2_000, silence_ns=20 * MS).body)
    for _ in range(100):
        core.advance(20_000, 10 * MS)  # the counter rolls over again and again
    assert core.state is State.SILENT
    second = parse_place(core.open(nm_per_count=2_000, session=SESSION + 1).body)
    assert second.axis == first.axis == SESSION
    assert second.origin_um - first.origin_um == 100 * 20_000 * 2
    core.advance(5, MS)
    assert core.ask(Kind.POLL, requests.poll(0), session=SESSION + 1).reading.position_um == 10
    core.advance(0, 2 * SECOND_NS)  # stood still, and may have missed a turn of the counter
    third = parse_place(core.open(nm_per_count=2_000, session=SESSION + 2).body)
    assert (third.axis, third.origin_um) == (SESSION + 2, 0)
    fourth = parse_place(core.open(nm_per_count=1_000, session=SESSION + 3).body)
    assert (fourth.axis, fourth.origin_um) == (SESSION + 3, 0)


# --- itself --------------------------------------------------------------------------------------


def test_a_board_that_does_not_trust_itself_rejects_and_opens_no_session(
    library: ctypes.CDLL,
) -> None:
    core = started(library)
    core.open()
    assert not core.advance(0, MS)
    library.bridge_find_fault(core.bridge, 4)
    assert core.advance(0, MS)
    assert core.state is State.FAULTY
    answer = core.open(session=SESSION + 1)
    assert (answer.refusal, answer.detail) == (Refusal.FAULT, 4)
    released = started(library)
    released.open()
    released.ask(Kind.CLOSE, requests.closing(release=True))
    assert not released.advance(0, MS)
    library.bridge_find_fault(released.bridge, 4)
    assert released.advance(0, MS)


def test_a_board_that_rolls_by_itself_agrees_with_one_moved_by_hand(library: ctypes.CDLL) -> None:
    """The stand's own loop, of which the oracle makes use."""
    rolled, moved = started(library), started(library)
    for core in (rolled, moved):
        core.open(ActuatorTraits(0, delay_ns=2 * MS))
        core.order(3_000, 5_000)
    rail = Rail(1_000_000, 1_000, MS, False)
    switched = rolled.roll(rail, 200_000, 50_000, 1_000)
    expected = []
    for i in range(1, 1_001):
        was = moved.rejects
        now = moved.advance(10, 50_000)
        if now != was:
            expected.append((MS + i * 50_000, now))
    assert switched == expected[-2:]
