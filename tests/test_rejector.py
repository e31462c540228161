"""The rejector in real time, on a simulated rail; what is asserted is places, never durations."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from firmware_bridge.control import Actuator
from firmware_bridge.desk import RejectorStopped
from firmware_bridge.encoder import Encoder, EncoderError, SimulatedEncoder, Speed
from firmware_bridge.line import LineError, OutputLine
from firmware_bridge.memory_line import MemoryLine
from firmware_bridge.rejector import Rejector
from firmware_bridge.rig import Output, Rig
from firmware_bridge.tracker import ActuatorSettings
from firmware_bridge.types import SECOND_NS, Fired, Missed, Reading, Reason

MM = 1_000
TOLERANCE_UM = 20 * MM
CLOCK = time.monotonic_ns
HALF_M_S = [Speed(0, 500_000)]
SETTINGS = ActuatorSettings(offset_um=100 * MM, margin_um=TOLERANCE_UM)


def rig(encoder: Encoder, line: OutputLine) -> Rig:
    return Rig(encoder, [Output(Actuator("reject", SETTINGS), line)])


def wait_until_at(encoder: SimulatedEncoder, position_um: int) -> None:
    when_ns = encoder.when_ns(position_um)
    assert when_ns is not None
    time.sleep(max(0, when_ns - CLOCK()) / SECOND_NS)


def eventually(condition: Callable[[], bool]) -> None:
    """Wait for another thread, as long as a busy machine may take."""
    give_up_ns = CLOCK() + 10 * SECOND_NS
    while not condition():
        assert CLOCK() < give_up_ns
        time.sleep(0.005)


class FailingEncoder(SimulatedEncoder):
    """An encoder whose cable is pulled out after 50 mm."""

    def read(self) -> Reading:
        reading = super().read()
        if reading.position_um > 50 * MM:
            raise EncoderError("no edge from the encoder: check its cable")
        return reading


class BlockingEncoder(SimulatedEncoder):
    """An encoder whose bus does not answer until `answer` is set."""

    def __init__(self) -> None:
        super().__init__(CLOCK, HALF_M_S)
        self.answer = threading.Event()

    def read(self) -> Reading:
        self.answer.wait()
        return super().read()


def test_pulses_lie_where_the_orders_are() -> None:
    encoder = SimulatedEncoder(CLOCK, HALF_M_S)
    line = MemoryLine(CLOCK, safe_active=True)
    stretches = [(300 * MM, 320 * MM), (100 * MM, 130 * MM), (120 * MM, 150 * MM)]
    with Rejector(rig(encoder, line), CLOCK) as rejector:
        for start_um, end_um in stretches:
            rejector.submit(start_um, end_um, f"defect at {start_um}")
        eventually(lambda: len(rejector.report().pulses) == 2)
        report = rejector.report()
    assert line.states == [True, False, True, False, True, False, True]
    places_um = [encoder.position_um(at_ns) - 100 * MM for at_ns, _ in line.history[2:6]]
    due_um = [80 * MM, 170 * MM, 280 * MM, 340 * MM]
    assert places_um == [pytest.approx(due, abs=TOLERANCE_UM) for due in due_um]
    assert (report.scheduled, report.fired, report.missed, report.pending) == (3, 3, 0, 0)
    assert report.error_um_max <= TOLERANCE_UM
    for outcome in report.outcomes:
        assert isinstance(outcome, Fired)
        assert outcome.actual_um <= outcome.order.start_um
        assert outcome.due_um == outcome.order.start_um - TOLERANCE_UM


def test_an_order_that_comes_too_late_is_reported_missed() -> None:
    encoder = SimulatedEncoder(CLOCK, HALF_M_S)
    line = MemoryLine(CLOCK, safe_active=True)
    with Rejector(rig(encoder, line), CLOCK) as rejector:
        wait_until_at(encoder, 160 * MM)
        rejector.submit(1 * MM, 20 * MM, "too late")
        eventually(lambda: rejector.report().pending == 0)
        report = rejector.report()
    assert line.states == [True, False, True]
    [missed] = report.outcomes
    assert isinstance(missed, Missed)
    assert (missed.missed_um, missed.reason) == (19 * MM, Reason.ARRIVED_LATE)
    assert (report.scheduled, report.fired, report.missed, report.pending) == (1, 0, 1, 0)


def test_orders_still_to_come_at_close_are_pending_and_the_line_rejects() -> None:
    encoder = SimulatedEncoder(CLOCK, HALF_M_S)
    line = MemoryLine(CLOCK, safe_active=True)
    rejector = Rejector(rig(encoder, line), CLOCK)
    rejector.submit(1_000_000 * MM, 1_000_001 * MM, "a kilometre on")
    rejector.close()
    rejector.close()
    report = rejector.report()
    assert (report.scheduled, report.missed, report.pending) == (1, 0, 1)
    assert line.states == [True, False, True]
    with pytest.raises(RejectorStopped, match="closed"):
        rejector.submit(0, 1, "after the end")


def test_an_orderly_close_releases_the_line_when_told_to() -> None:
    line = MemoryLine(CLOCK, safe_active=True)
    encoder = SimulatedEncoder(CLOCK, HALF_M_S)
    with Rejector(rig(encoder, line), CLOCK, release_on_close=True):
        wait_until_at(encoder, 20 * MM)
    assert line.states == [True, False]


def test_an_encoder_that_fails_rejects_and_is_raised_to_whoever_asks_next() -> None:
    line = MemoryLine(CLOCK, safe_active=True)
    encoder = FailingEncoder(CLOCK, HALF_M_S)
    rejector = Rejector(rig(encoder, line), CLOCK, release_on_close=True)
    rejector.submit(1_000 * MM, 1_001 * MM, "in time")
    eventually(lambda: not rejector._thread.is_alive())
    assert line.states == [True, False, True]
    for ask in (rejector.check, rejector.close, lambda: rejector.submit(0, 1, "too late")):
        with pytest.raises(RejectorStopped, match="check its cable") as raised:
            ask()
        assert isinstance(raised.value.__cause__, EncoderError)
    assert rejector.report().pending == 1


def test_a_line_that_cannot_be_driven_is_raised_too() -> None:
    line = MemoryLine(CLOCK, safe_active=True)
    line.close()
    rejector = Rejector(rig(SimulatedEncoder(CLOCK, HALF_M_S), line), CLOCK)
    with pytest.raises(RejectorStopped) as raised:
        rejector.close()
    assert isinstance(raised.value.__cause__, LineError)


def test_a_priority_the_system_refuses_is_not_done_without() -> None:
    line = MemoryLine(CLOCK, safe_active=True)
    encoder = SimulatedEncoder(CLOCK, HALF_M_S)
    rejector = Rejector(rig(encoder, line), CLOCK, priority=1_000)
    with pytest.raises(RejectorStopped, match="LimitRTPRIO"):
        rejector.close()
    assert line.states == [True]


def test_an_encoder_that_blocks_is_noticed() -> None:
    encoder = BlockingEncoder()
    line = MemoryLine(CLOCK, safe_active=True)
    rejector = Rejector(rig(encoder, line), CLOCK, stall_ns=SECOND_NS // 4)
    time.sleep(0.3)
    with pytest.raises(RejectorStopped, match="check its cable and bus"):
        rejector.submit(0, 1, "nobody would fire it")
    encoder.answer.set()
    rejector.close()
    assert line.states == [True, False, True]


def test_an_order_without_length_is_refused_and_disturbs_nobody() -> None:
    encoder = SimulatedEncoder(CLOCK, HALF_M_S)
    with Rejector(rig(encoder, MemoryLine(CLOCK, safe_active=True)), CLOCK) as rejector:
        with pytest.raises(ValueError, match="give it a length"):
            rejector.submit(5, 5, "")
        rejector.check()
        assert rejector.report().scheduled == 0
