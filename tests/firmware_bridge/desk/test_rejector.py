"""Rejectors in real time, on a simulated rail; what is asserted is places, never durations."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from firmware_bridge.core import NO_PASS, Actuator, ActuatorTraits, Change, News
from firmware_bridge.desk import DeskSettings, OrderDesk, Output, ProcessRejector, Rejector, Rig
from firmware_bridge.errors import EncoderError, LineError, PriorityRefused, RejectorStopped
from firmware_bridge.lines import Encoder, MemoryLine, SharedHistory, SimulatedEncoder
from firmware_bridge.types import SECOND_NS, Fired, Missed, Mode, Reason
from stands.places import STEEL_LINE
from stands.rigs import (
    CLOCK,
    HALF_M_S,
    MM,
    SETTINGS,
    SLOW,
    TOLERANCE_UM,
    FailingEncoder,
    StuckEncoder,
    claim_in_vain,
    open_rig,
)
from stands.waiting import eventually

PATIENT_NS = 5 * SECOND_NS  # the machine may have much else to do

ALL_MAY_PASS = DeskSettings(default_reject=False)  # but what is ordered
PATIENT = replace(ALL_MAY_PASS, silence_ns=PATIENT_NS)

Start = Callable[..., OrderDesk]


def in_a_thread(
    encoder: Encoder,
    history: SharedHistory,
    *,
    settings: DeskSettings = PATIENT,
    released: bool = False,
    **options: Any,
) -> OrderDesk:
    rig = open_rig(encoder, history, ExitStack(), released=released)
    return Rejector(rig, CLOCK, settings, **options)


def in_a_process(
    encoder: Encoder,
    history: SharedHistory,
    *,
    settings: DeskSettings = PATIENT,
    released: bool = False,
    **options: Any,
) -> OrderDesk:
    start = partial(open_rig, encoder, history, released=released)
    return ProcessRejector(start, CLOCK, settings, **options)


@pytest.fixture(params=[in_a_thread, in_a_process])
def start(request: pytest.FixtureRequest) -> Start:
    wanted: Start = request.param
    return wanted


def states(history: SharedHistory) -> list[bool]:
    return [active for _, active in history]


def ahead_um(encoder: SimulatedEncoder) -> int:
    """The rail that will be under the actuator in 400 ms."""
    return encoder.read().position_um + 100 * MM


def wait_until_at(encoder: SimulatedEncoder, position_um: int) -> None:
    when_ns = encoder.when_ns(position_um)
    assert when_ns is not None
    time.sleep(max(0, when_ns - CLOCK()) / SECOND_NS)


def raises(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except RejectorStopped:
        return True
    return False


# --- wherever it runs ----------------------------------------------------------------------------


def test_pulses_lie_where_the_orders_are(start: Start) -> None:
    encoder, history = SimulatedEncoder(CLOCK, SLOW), SharedHistory()
    with start(encoder, history) as desk:
        first_um = ahead_um(encoder)
        for begin, end in [(300, 320), (0, 30), (20, 50)]:
            desk.submit(first_um + begin * MM, first_um + end * MM, f"defect at {begin}")
        eventually(lambda: len(desk.report().pulses) == 2)
        report = desk.report()
    assert states(history)[:7] == [True, False, True, False, True, False, True]
    places_um = [encoder.position_um(at_ns) - 100 * MM - first_um for at_ns, _ in history[2:6]]
    due_um = [-50 * MM, 100 * MM, 250 * MM, 370 * MM]
    assert places_um == [pytest.approx(due, abs=TOLERANCE_UM) for due in due_um]
    assert (report.ordered, report.fired, report.missed, report.pending) == (3, 3, 0, 0)
    assert report.error_um_max <= TOLERANCE_UM
    assert [outcome.order.tag for outcome in report.outcomes] == [
        "defect at 0",
        "defect at 20",
        "defect at 300",
    ]
    for outcome in report.outcomes:
        assert isinstance(outcome, Fired)
        assert outcome.actual_um <= outcome.order.start_um
        assert outcome.due_um == outcome.order.start_um - TOLERANCE_UM


def test_a_tag_may_be_any_text_and_news_is_known_by_the_orders_number(start: Start) -> None:
    encoder, history = SimulatedEncoder(CLOCK, HALF_M_S), SharedHistory()
    tags = [NO_PASS, "2", "2", "", "Riß 1"]
    with start(encoder, history) as desk:
        first_um = ahead_um(encoder)
        for i, tag in enumerate(tags):
            desk.submit(first_um + i * 30 * MM, first_um + (i * 30 + 10) * MM, tag)
        eventually(lambda: desk.report().pending == 0)
        report = desk.report()
    assert (report.ordered, report.fired) == (len(tags), len(tags))
    told = [(outcome.order.number, outcome.order.tag) for outcome in report.outcomes]
    assert told == list(enumerate(tags, 1))


def test_an_order_that_comes_too_late_is_missed_and_all_is_rejected_until_acknowledged(
    start: Start,
) -> None:
    encoder, history = SimulatedEncoder(CLOCK, HALF_M_S), SharedHistory()
    heard: list[News] = []
    with start(
        encoder, history, settings=replace(PATIENT, on_missed=Mode.REJECT_ALL), watch=heard.append
    ) as desk:
        wait_until_at(encoder, 260 * MM)
        desk.submit(1 * MM, 20 * MM, "too late")
        eventually(lambda: desk.mode is Mode.REJECT_ALL)
        eventually(lambda: history[-1][1])
        assert [change.cause for change in desk.standing] == ["missed"]
        desk.acknowledge("seen to")
        eventually(lambda: desk.mode is Mode.ORDERED)
        assert desk.standing == ()
        eventually(lambda: len(desk.report().pulses) == 1)
        report = desk.report()
    assert states(history)[:5] == [True, False, True, False, True]
    [missed] = report.outcomes
    assert isinstance(missed, Missed)
    assert (missed.missed_um, missed.reason) == (19 * MM, Reason.ARRIVED_LATE)
    assert (report.ordered, report.fired, report.missed, report.pending) == (1, 0, 1, 0)
    late, seen = [each.event for each in heard if isinstance(each.event, Change)]
    assert "19000 um of the rail from 1000 to 20000 um" in late.reason
    assert seen == Change(Mode.ORDERED, "missed", "seen to")


def test_without_a_pass_all_is_rejected(start: Start) -> None:
    encoder, history = SimulatedEncoder(CLOCK, HALF_M_S), SharedHistory()
    with start(encoder, history, settings=DeskSettings(silence_ns=PATIENT_NS)) as desk:
        first_um = ahead_um(encoder)
        desk.submit_pass(first_um, first_um + 100 * MM, "frame 0")
        desk.submit_pass(first_um + 100 * MM, first_um + 200 * MM, "frame 1")
        eventually(lambda: desk.report().passed == 2)
        wait_until_at(encoder, first_um + 350 * MM)
    assert states(history) == [True, False, True]
    places_um = [encoder.position_um(at_ns) - 100 * MM - first_um for at_ns, _ in history[1:]]
    due_um = [50 * MM, 150 * MM]  # less the margin of what no pass came for
    assert places_um == [pytest.approx(due, abs=TOLERANCE_UM) for due in due_um]


def test_rail_that_nobody_looked_at_may_bring_about_more_until_it_is_acknowledged(
    start: Start,
) -> None:
    encoder, history = SimulatedEncoder(CLOCK, HALF_M_S), SharedHistory()
    stops = replace(PATIENT, default_reject=True, on_uninspected=Mode.STOP_LINE)
    with start(encoder, history, settings=stops) as desk:
        eventually(lambda: desk.mode is Mode.STOP_LINE)
        [change] = desk.standing
        assert (change.cause, change.reason) == (
            "uninspected",
            "nobody looked at the rail up to the actuators",
        )
        desk.acknowledge("the rail was looked at")
        eventually(lambda: desk.mode is Mode.ORDERED)
        assert states(history) == [True]  # it is rejected all the same
        first_um = ahead_um(encoder) + 400 * MM
        desk.submit_pass(first_um, first_um + 100 * MM, "frame 0")
        eventually(lambda: desk.mode is Mode.STOP_LINE)  # of the rail before that frame
    assert desk.report().uninspected_um > 400 * MM


def test_orders_still_to_come_at_close_are_pending_and_the_line_rejects(start: Start) -> None:
    encoder, history = SimulatedEncoder(CLOCK, HALF_M_S), SharedHistory()
    desk = start(encoder, history)
    desk.submit(1_000_000 * MM, 1_000_001 * MM, "a kilometre on")
    eventually(lambda: not history[-1][1])
    desk.close()
    desk.close()
    report = desk.report()
    assert (report.ordered, report.missed, report.pending) == (1, 0, 1)
    assert states(history) == [True, False, True]
    with pytest.raises(RejectorStopped, match="closed"):
        desk.submit(0, 1, "after the end")


def test_an_encoder_that_fails_rejects_and_is_raised_to_whoever_asks_next(start: Start) -> None:
    encoder, history = FailingEncoder(CLOCK, HALF_M_S), SharedHistory()
    desk = start(encoder, history, released=True)
    desk.submit(1_000_000 * MM, 1_000_001 * MM, "in time")
    eventually(lambda: raises(desk.check))
    assert states(history) == [True, False, True]
    for ask in (desk.check, desk.close, lambda: desk.submit(0, 1, "too late")):
        with pytest.raises(RejectorStopped, match="check its cable") as raised:
            ask()
        assert isinstance(raised.value.__cause__, EncoderError)
    assert desk.report().pending == 1


def test_an_encoder_that_blocks_is_noticed(start: Start) -> None:
    encoder, history = StuckEncoder(CLOCK, HALF_M_S), SharedHistory()
    desk = start(encoder, history, settings=replace(ALL_MAY_PASS, silence_ns=SECOND_NS // 2))
    eventually(lambda: raises(desk.check))
    for ask in (desk.check, lambda: desk.submit(0, 1, "nobody would fire it"), desk.close):
        with pytest.raises(RejectorStopped, match=r"check (its cable|cables) and bus"):
            ask()


def test_a_priority_the_system_refuses_is_not_done_without(start: Start) -> None:
    encoder, history = SimulatedEncoder(CLOCK, HALF_M_S), SharedHistory()
    with pytest.raises((RejectorStopped, PriorityRefused), match="LimitRTPRIO"):
        start(encoder, history, priority=1_000).close()
    assert states(history) == [True]


def test_orders_that_make_no_sense_are_refused_and_disturb_nobody(start: Start) -> None:
    with start(SimulatedEncoder(CLOCK, HALF_M_S), SharedHistory()) as desk:
        with pytest.raises(ValueError, match="give it a length"):
            desk.submit(5, 5, "")
        with pytest.raises(ValueError, match="give micrometres"):
            desk.submit(0, 10**17, "")
        with pytest.raises(ValueError, match=r"no actuator serves: give one of \[''\]"):
            desk.submit(0, 1, "", rail="left")
        with pytest.raises(ValueError, match="open it with default_reject"):
            desk.submit_pass(0, 1, "")
        desk.check()
        assert desk.report().ordered == 0


# --- in a thread ---------------------------------------------------------------------------------


def test_each_actuator_fires_where_it_sits_and_for_its_rail_alone() -> None:
    encoder = SimulatedEncoder(CLOCK, HALF_M_S)
    lines = [MemoryLine(CLOCK, safe_active=True) for _ in range(4)]
    offsets_mm = {"left marker": 50, "left gate": 150, "right marker": 50}
    outputs = []
    for (name, mm), line in zip(offsets_mm.items(), lines, strict=False):
        settings = ActuatorTraits(mm * MM, margin_um=TOLERANCE_UM)
        outputs.append(Output(Actuator(name, settings, rail=name.split()[0]), line))
    stop_line = lines[3]
    with Rejector(Rig(encoder, outputs, stop_line), CLOCK, ALL_MAY_PASS) as rejector:
        start_um = encoder.read().position_um + 100 * MM
        rejector.submit(start_um, start_um + 10 * MM, "rust", rail="left")
        eventually(lambda: len(rejector.report().pulses) == 2)
        rejector.hold("air", Mode.STOP_LINE, "below 5 bar")
        eventually(lambda: stop_line.active)
        rejector.release("air", "5 bar again")
        eventually(lambda: not stop_line.active)
        report = rejector.report()
    assert (report.ordered, report.fired) == (2, 2)
    for line, mm in zip(lines[:2], (50, 150), strict=True):
        at_ns, active = line.history[2]
        assert active
        place_um = encoder.position_um(at_ns) - mm * MM
        assert place_um == pytest.approx(start_um - TOLERANCE_UM, abs=TOLERANCE_UM)
    assert lines[2].states == [True, False, True, False, True]
    assert stop_line.states == [True, False, True, False]


def test_an_orderly_close_releases_the_line_when_told_to() -> None:
    encoder, history = SimulatedEncoder(CLOCK, HALF_M_S), SharedHistory()
    with in_a_thread(encoder, history, released=True):
        wait_until_at(encoder, 20 * MM)
    assert states(history) == [True, False]


def test_each_of_several_lines_comes_to_its_own_rest() -> None:
    encoder = SimulatedEncoder(CLOCK, HALF_M_S)
    lines = [MemoryLine(CLOCK, safe_active=safe) for safe in (True, False)]
    outputs = [
        Output(Actuator(str(line.active), SETTINGS), line, released_on_close=not line.active)
        for line in lines
    ]
    with Rejector(Rig(encoder, outputs), CLOCK, ALL_MAY_PASS):
        wait_until_at(encoder, 20 * MM)
    assert [line.states for line in lines] == [[True, False, True], [False]]


def test_a_line_that_cannot_be_driven_is_raised_too() -> None:
    line = MemoryLine(CLOCK, safe_active=True)
    line.close()
    encoder = SimulatedEncoder(CLOCK, HALF_M_S)
    rejector = Rejector(
        Rig(encoder, [Output(Actuator("reject", SETTINGS), line)]), CLOCK, DeskSettings()
    )
    with pytest.raises(RejectorStopped) as raised:
        rejector.close()
    assert isinstance(raised.value.__cause__, LineError)


# --- in a process of its own ---------------------------------------------------------------------


def test_what_the_process_cannot_claim_is_raised_here() -> None:
    with pytest.raises(LineError, match="line 17 is in use"):
        ProcessRejector(claim_in_vain, CLOCK, DeskSettings())


def test_the_process_runs_nothing_that_lies_in_the_working_directory(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    for module in ("socket", "signal", "struct", "firmware_bridge", "edge"):
        (tmp_path / f"{module}.py").write_text(f"open({str(ran)!r}, 'a').write('{module} ')")
    line = yaml.safe_load(STEEL_LINE.read_text())
    line["reject"] |= {"isolation": "process", "silence_ms": 20_000}
    (tmp_path / "line.yaml").write_text(yaml.safe_dump(line))
    inspecting = [sys.executable, "-I", "-m", "edge.cli", "run", "line.yaml", "--frames", "2"]
    done = subprocess.run(inspecting, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, ran.exists()) == (0, False), done.stderr


def test_a_process_that_is_killed_is_noticed() -> None:
    encoder, history = SimulatedEncoder(CLOCK, HALF_M_S), SharedHistory()
    desk = in_a_process(encoder, history)
    assert isinstance(desk, ProcessRejector)
    assert desk.read().position_um <= encoder.read().position_um
    desk._process.kill()
    eventually(lambda: raises(desk.check))
    with pytest.raises(RejectorStopped, match="exit code -9"):
        desk.submit(0, 1, "nobody would fire it")
    with pytest.raises(EncoderError, match="exit code -9"):
        desk.read()
    with pytest.raises(RejectorStopped):
        desk.close()


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP], ids=["dies", "hangs"])
def test_when_the_inspecting_process_is_gone_the_other_one_rejects_and_ends(
    blow: signal.Signals,
) -> None:
    history = SharedHistory()
    seen_there = pickle.dumps(history).hex()
    there = f"pickle.loads(bytes.fromhex({seen_there!r}))"
    command = (
        "import pickle; from stands.rigs import inspect_until_killed; "
        f"inspect_until_killed({there})"
    )
    with subprocess.Popen(
        [sys.executable, "-c", command],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    ) as inspecting:
        assert inspecting.stdout is not None
        pid = int(inspecting.stdout.readline())
        eventually(lambda: states(history)[-1:] == [False])
        inspecting.send_signal(blow)
        eventually(lambda: not is_running(pid))
        inspecting.kill()
    assert states(history) == [True, False, True]
