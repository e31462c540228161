"""The serial link with a real board at the other end: the firmware on this machine, and in QEMU.

What is asserted is places and outcomes, never durations.
"""

from __future__ import annotations

import os
import random
import sys
from contextlib import closing
from pathlib import Path

import pytest

from firmware_bridge.board import requests
from firmware_bridge.board.answers import parse_answer
from firmware_bridge.board.packets import PacketReader, packet
from firmware_bridge.board.requests import Kind
from firmware_bridge.board.serial_link import BAUD, SerialLink
from firmware_bridge.board.serial_session import Session
from firmware_bridge.board.serial_talk import Talk
from firmware_bridge.core import ActuatorTraits
from firmware_bridge.desk import DeskSettings
from firmware_bridge.errors import EncoderError, LineError, RejectorStopped
from firmware_bridge.ledger import EntryKind, Ledger, read_ledger
from firmware_bridge.lines import MemoryLine
from firmware_bridge.types import SECOND_NS, Fired, Missed, Mode, Reason
from stands.boards import (
    CLOCK,
    COUNTS_PER_S,
    MM,
    PATIENT_NS,
    SETTINGS,
    Board,
    Cable,
    HostBoard,
    ahead_um,
    open_link,
    unharmed,
)
from stands.waiting import eventually


def wait_until_at(link: SerialLink, position_um: int) -> None:
    eventually(lambda: link.read().position_um >= position_um)


# --- on every board ------------------------------------------------------------------------------


def test_pulses_lie_where_the_orders_are(board: Board, cable: Cable) -> None:
    # some 2 s on: time enough to order them
    stretches = [(190 * MM, 195 * MM), (130 * MM, 140 * MM), (135 * MM, 145 * MM)]
    with open_link(cable.port) as link:
        for start_um, end_um in stretches:
            link.submit(start_um, end_um, f"defect at {start_um}")
        assert not board.rejects()
        eventually(lambda: len(link.report().pulses) == 2)
        report = link.report()
    assert (report.ordered, report.fired, report.missed, report.pending) == (3, 3, 0, 0)
    places = [place for pulse in report.pulses for place in (pulse.from_um, pulse.until_um)]
    due = [110 * MM, 165 * MM, 170 * MM, 215 * MM]
    assert places == [pytest.approx(due_um, abs=20 * MM) for due_um in due]
    for outcome in report.outcomes:
        assert isinstance(outcome, Fired)
        assert outcome.actual_um <= outcome.order.start_um
    assert board.rejects()


def test_an_order_that_comes_too_late_is_reported_missed(cable: Cable) -> None:
    with open_link(cable.port) as link:
        wait_until_at(link, 40 * MM)
        link.submit(1 * MM, 5 * MM, "too late")
        eventually(lambda: link.report().pending == 0)
        [missed] = link.report().outcomes
    assert isinstance(missed, Missed)
    assert (missed.missed_um, missed.reason) == (4 * MM, Reason.ARRIVED_LATE)
    assert missed.order.tag == "too late"


def test_what_no_pass_came_for_is_rejected(board: Board, cable: Cable) -> None:
    settings = ActuatorTraits(offset_um=10 * MM)
    with open_link(cable.port, settings, default_reject=True) as link:
        assert board.rejects()
        link.submit_pass(100 * MM, 110 * MM, "frame 0")  # some 2 s on: time enough to say so
        link.submit_pass(110 * MM, 130 * MM, "frame 1")
        link.submit(120 * MM, 125 * MM, "defect")
        eventually(lambda: len(link.report().pulses) == 2)
        wait_until_at(link, 145 * MM)
        link.submit_pass(130 * MM, 140 * MM, "too late")
        eventually(lambda: link.report().late_passes == 1)
        report = link.report()
    assert link.report().passed == 2
    assert report.pulses[0].from_um == -10 * MM
    assert 100 * MM <= report.pulses[0].until_um < report.pulses[1].from_um
    assert report.pulses[1].until_um >= 125 * MM
    assert (report.ordered, report.pending) == (1, 0)


def test_the_next_session_takes_over_what_the_one_before_had_seen_and_ordered(
    host_cable: Cable, tmp_path: Path
) -> None:
    far, path = ActuatorTraits(offset_um=10_000 * MM), tmp_path / "ledger.db"
    with (
        Ledger(path, CLOCK) as ledger,
        open_link(host_cable.port, far, default_reject=True, ledger=ledger) as link,
    ):
        link.submit(100 * MM, 110 * MM, "defect")
        link.submit_pass(0, 200 * MM, "frame 0")
        first = link.place
    with (
        Ledger(path, CLOCK) as ledger,
        open_link(host_cable.port, far, default_reject=True, ledger=ledger) as link,
    ):
        assert first is not None and link.place is not None
        assert link.place.axis == first.axis  # the board has counted on
        eventually(lambda: link.report().passed == 4)  # in pieces of 50 mm
        assert link.report().ordered == 1
    orders = [entry for entry in read_ledger(path) if entry.kind is EntryKind.ORDER]
    went_um = link.place.origin_um - first.origin_um
    assert [order.start_um for order in orders] == [100 * MM, 100 * MM - went_um]
    assert EntryKind.HANDED_ON in [entry.kind for entry in read_ledger(path)]


def test_a_cut_cable_rejects_by_itself_and_is_noticed(board: Board, cable: Cable) -> None:
    link = open_link(cable.port, silence_ns=3 * SECOND_NS)
    assert not board.rejects()
    cable.to_board = lambda carried: b""
    eventually(board.rejects)
    eventually(lambda: link._failure is not None)
    for ask in (link.check, link.close, lambda: link.submit(0, 1, "too late")):
        with pytest.raises(RejectorStopped, match="check that the board is on") as raised:
            ask()
        assert isinstance(raised.value.__cause__, LineError)
    with pytest.raises(EncoderError, match="check that the board is on"):
        link.read()


def test_a_board_that_was_reset_rejects_and_is_noticed(board: Board, cable: Cable) -> None:
    link = open_link(cable.port)
    link.submit(1_000 * MM, 1_001 * MM, "forgotten by the board")
    board.reset()
    eventually(lambda: link._failure is not None)
    with pytest.raises(RejectorStopped, match="it was reset; check its supply"):
        link.check()
    assert board.rejects()
    assert link.report().pending == 1
    with open_link(cable.port) as link:
        link.check()
        assert not board.rejects()


def test_lost_and_doubled_bytes_cost_time_and_no_order(cable: Cable) -> None:
    chance = random.Random(3)

    def lossy(carried: bytes) -> bytes:
        return b"".join(
            bytes([byte]) * chance.choices([0, 1, 2], [5, 990, 5])[0] for byte in carried
        )

    with open_link(cable.port, ActuatorTraits(offset_um=50 * MM, margin_um=20 * MM)) as link:
        cable.to_board = cable.to_host = lossy
        for i in range(20):
            link.submit(i * MM, i * MM + 1, f"defect {i}")
        # How many pulses they make depends on when they come, and so on how busy the machine is.
        eventually(lambda: link.report().pending == 0 and len(link.report().outcomes) == 20)
        cable.to_board = cable.to_host = unharmed
        report = link.report()
    assert sorted(outcome.order.tag for outcome in report.outcomes) == sorted(
        f"defect {i}" for i in range(20)
    )
    assert report.ordered == report.fired + report.missed == 20
    statistics = link.statistics()
    assert statistics.resent > 0
    assert statistics.damaged + statistics.board.damaged > 0


def test_requests_that_come_twice_are_acted_on_once(cable: Cable) -> None:
    with open_link(cable.port) as link:
        cable.to_board = lambda carried: carried + carried
        at_um = ahead_um(link)
        link.submit(at_um, at_um + MM, "one")
        link.submit(at_um + 2 * MM, at_um + 3 * MM, "two")
        eventually(lambda: len(link.report().pulses) == 1)
        report = link.report()
    assert [outcome.order.tag for outcome in report.outcomes] == ["one", "two"]
    assert link.statistics().board.stale >= 2


@pytest.mark.parametrize("release", [False, True])
def test_an_orderly_close_leaves_the_output_as_told(
    board: Board, cable: Cable, release: bool
) -> None:
    link = open_link(cable.port, release_on_close=release)
    link.submit(1_000 * MM, 1_001 * MM, "a metre on")
    link.close()
    link.close()
    assert board.rejects() is not release
    assert link.report().pending == 1
    with pytest.raises(RejectorStopped, match="closed"):
        link.submit(0, 1, "after the end")


def test_what_overrides_the_orders_is_done_by_the_board(board: Board, cable: Cable) -> None:
    stop_line = MemoryLine(CLOCK, safe_active=True)
    with open_link(cable.port, on_missed=Mode.STOP_LINE, stop_line=stop_line) as link:
        eventually(lambda: not stop_line.active)
        wait_until_at(link, 12 * MM)
        link.hold("key", Mode.BYPASS, "turned")
        link.submit(4 * MM, 5 * MM, "let by")
        wait_until_at(link, 60 * MM)
        eventually(lambda: link.report().missed == 1)
        assert (link.mode, board.rejects(), stop_line.active) == (Mode.BYPASS, False, False)
        link.release("key", "turned back")
        link.submit(1 * MM, 2 * MM, "too late")
        eventually(lambda: link.mode is Mode.STOP_LINE)
        assert (board.rejects(), stop_line.active) == (True, True)
        link.acknowledge("seen to")
        eventually(lambda: link.mode is Mode.ORDERED and not board.rejects())
        eventually(lambda: len(link.report().pulses) == 1)
        report = link.report()
    reasons = [outcome.reason for outcome in report.outcomes if isinstance(outcome, Missed)]
    assert reasons == [Reason.BYPASSED, Reason.ARRIVED_LATE]


# --- on this machine, whose clock the board shares -----------------------------------------------


def test_readings_are_placed_on_this_machines_clock(host_cable: Cable) -> None:
    with open_link(host_cable.port) as link:
        readings = []
        for _ in range(5):
            first = link.read()
            eventually(lambda first=first: link.read() != first)
            readings.append((link.read(), link.statistics().clock_error_ns))
    zeros_ns = [r.at_ns - r.position_um * 1_000 * SECOND_NS // 50_000_000 for r, _ in readings]
    error_ns = max(error_ns for _, error_ns in readings)
    a_count_ns = SECOND_NS // COUNTS_PER_S
    assert max(zeros_ns) - min(zeros_ns) <= 2 * (error_ns + a_count_ns)


def test_more_orders_than_the_board_holds_wait_their_turn(host_cable: Cable) -> None:
    with open_link(host_cable.port, nm_per_count=25_000) as link:
        for i in range(300):
            link.submit(i * MM, i * MM + 500, "")
        assert link.board.order_capacity < 300
        eventually(lambda: link.report().pending == 0)
        report = link.report()
    assert report.fired + report.missed == 300
    assert link.statistics().board.most_orders <= link.board.order_capacity


def test_a_board_of_another_version_is_refused(host_cable: Cable) -> None:
    reader = PacketReader()

    def as_version_3(carried: bytes) -> bytes:
        answers = reader.feed(carried)
        return b"".join(packet(body[:46] + b"\3" + body[47:]) for body in answers)

    host_cable.to_host = as_version_3
    with pytest.raises(LineError, match=r"version 3.*version 2: flash"):
        open_link(host_cable.port)


def test_settings_that_the_board_refuses_are_named(host_cable: Cable) -> None:
    slow = ActuatorTraits(offset_um=0, delay_ns=2 * SECOND_NS)
    with pytest.raises(LineError, match="refuses delay_ns"):
        open_link(host_cable.port, slow)


def test_a_port_is_opened_by_one_program(host_cable: Cable) -> None:
    with open_link(host_cable.port), pytest.raises(LineError, match="no other program holds it"):
        open_link(host_cable.port)


def test_a_board_taken_over_is_noticed(host_board: HostBoard, host_cable: Cable) -> None:
    link = open_link(host_cable.port)
    opening = requests.opening(
        SETTINGS, nm_per_count=1, silence_ns=PATIENT_NS, fastest_um_s=1, default_reject=False
    )
    reader = PacketReader()

    def greet(carried: bytes) -> bytes:
        for body in reader.feed(carried):
            answer = parse_answer(body)
            if answer is not None and answer.kind is Kind.HELLO:
                take_over = requests.greeted(answer.reading.at_ns, opening)
                host_board.link.sendall(requests.request(Kind.OPEN, 1, 1, 0, take_over))
        return carried

    host_cable.to_host = greet
    host_cable.to_board = lambda carried: (
        requests.request(Kind.HELLO, 0, 1, 0, requests.hello()) + carried
    )
    eventually(lambda: link._failure is not None)
    with pytest.raises(RejectorStopped, match=r"another program opened|more questions than"):
        link.close()


def test_a_port_where_nobody_answers_says_what_to_check() -> None:
    master, slave = os.openpty()
    with (
        closing(Talk(os.ttyname(slave), BAUD, CLOCK)) as talk,
        pytest.raises(LineError, match="no answer for 100 ms: check"),
    ):
        Session(
            talk,
            SETTINGS,
            nm_per_count=1_000,
            fastest_um_s=1,
            silence_ns=PATIENT_NS,
            default_reject=True,
            boot_ns=100_000_000,
        )
    os.close(master)
    os.close(slave)
    with pytest.raises(LineError, match="check its name and cable"):
        SerialLink(
            "/dev/no-such-port", SETTINGS, CLOCK, DeskSettings(), nm_per_count=1_000, fastest_um_s=1
        )


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "serial", None)
    with pytest.raises(LineError, match=r"pip install 'trackside\[serial\]'"):
        SerialLink("/dev/null", SETTINGS, CLOCK, DeskSettings(), nm_per_count=1_000, fastest_um_s=1)


def test_orders_that_make_no_sense_are_refused_and_disturb_nobody(host_cable: Cable) -> None:
    with open_link(host_cable.port) as link:
        with pytest.raises(ValueError, match="give it a length"):
            link.submit(5, 5, "")
        with pytest.raises(ValueError, match="give micrometres"):
            link.submit(0, 10**17, "")
        with pytest.raises(ValueError, match="open it with default_reject"):
            link.submit_pass(0, 5, "")
        link.check()
        assert link.report().ordered == 0
