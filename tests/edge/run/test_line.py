"""A whole line, from a frame to a reject pulse, with the shipped bundle."""

from __future__ import annotations

import copy
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, cast

import cv2
import pytest
import yaml

from benchmarks.ports import free_port
from edge.assembly import open_camera, open_line
from edge.bridge import latest_entries
from edge.cameras import Fault, Faults
from edge.clock import clock_ns
from edge.commissioning import check_line
from edge.commissioning.check import check_telling
from edge.commissioning.commission import commission
from edge.demo import DEMO_LINE, run_demo
from edge.demo.demo import pulses_on_rail
from edge.errors import ConfigurationError, EngineUnavailable, LineStopped
from edge.inspect import Inspection, Inspector, reject_stretches, write_baseline
from edge.line_file import (
    LineSettings,
    LiteRtSettings,
    NativeSettings,
    OnnxRuntimeSettings,
    OpenVinoSettings,
    read_line,
)
from edge.network import SHIPPED, load_network
from edge.run import Tally
from edge.simulation import SimulatedLine
from edge.types import Frame, LostFrame, State, Stretch
from firmware_bridge.ledger import Ledger
from stands.ledgers import an_order
from stands.line_files import CAMERA, changed
from stands.places import STEEL_LINE
from stands.waiting import eventually

ENGINES = (OpenVinoSettings(), OnnxRuntimeSettings(), LiteRtSettings())
RAIL = SimulatedLine(seed=21, defects_per_metre=0, distractors_per_metre=0)
FRAME_UM = 88_000

# The machine that tests may be busy with other things: these lines, so slow, forgive a thread that
# comes 200 ms late, and a network that takes seven seconds.
UNHURRIED = {"speed_mm_s": 200}
PATIENT = {"offset_mm": 1500, "margin_mm": 40, "tolerance_mm": 40, "silence_ms": 20_000}
WAITING = {"ring": 64, "quality": {"stale_after_ms": 60_000}}  # for frames that must all be judged
BEYOND_UM = 1_600_000  # so far on, and all that was ordered has gone by
SLOW = {"speed_mm_s": 100}

MQTT = {"host": "broker.invalid", "topic": "rail", "spool": "spool.sqlite"}
TOKEN = "9f86d081884c7d65"
ELSEWHERE = {"host": "192.0.2.1", "port": 0}  # no box has this address
NOBODY = r"192\.0\.2\.1 port 0: Cannot assign requested address"


def a_line(folder: Path, like: Path = STEEL_LINE, **sections: dict[str, Any]) -> LineSettings:
    """Some line with other keys; a section with a `type` is replaced."""
    line = changed(copy.deepcopy(yaml.safe_load(like.read_text())), **sections)
    path = folder / "line.yaml"
    path.write_text(yaml.safe_dump(line))
    return read_line(path)


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Path]:
    """Four sound frames on disk, the third of them cut short."""
    folder = tmp_path / "recorded"
    folder.mkdir()
    for index in range(4):
        image, _ = RAIL.render(index * 352, 352)
        cv2.imwrite(str(folder / f"{index}.png"), image)
    whole = (folder / "2.png").read_bytes()
    (folder / "2.png").write_bytes(whole[: len(whole) // 2])
    yield folder


def folder_camera(path: Path) -> dict[str, Any]:
    return {"type": "folder", "path": str(path), "along_um": 250, "across_um": 250}


def test_the_demo_prints_one_object_names_what_it_finds_and_rejects_every_defect(
    tmp_path: Path,
) -> None:
    report = tmp_path / "demo-report.html"
    a_line(tmp_path, DEMO_LINE, camera=WAITING, reject=PATIENT, encoder=UNHURRIED)
    options = ["--line", tmp_path / "line.yaml", "--seconds", "20", "--report", report, "--json"]
    answer = subprocess.run(
        [sys.executable, "-m", "edge.cli", "demo", *options],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    result = json.loads(answer.stdout)
    assert answer.returncode == 0, answer.stderr
    assert result["defects_true"] >= 4
    assert result["defects_found"] == result["defects_rejected"] == result["defects_true"]
    assert result["rejects_fired"] == result["rejects_scheduled"]
    assert result["ok"] + result["ng"] == result["frames"] == 56
    assert (result["unknown"], result["rejects_missed"], result["false_rejects"]) == (0, 0, 0)
    assert result["reject_error_mm_max"] < result["tolerance_mm"]
    assert sum(result["defects_called"].values()) == result["defects_found"]
    assert result["defects_named_right"] > result["defects_true"] / 2
    assert result["only_reported"] and set(result["only_reported"]) <= {"gap", "dirt"}
    assert set(result["latency_ms"]) == {"p50", "p90", "p99", "max"}
    assert report.stat().st_size > 10_000


def test_a_demo_that_finds_nothing_does_not_pass(tmp_path: Path) -> None:
    blind = a_line(tmp_path, rules={"reject_if": {"min_length_mm": 1000}})
    result = run_demo(blind, seconds=2)
    assert result.fates and not any(each.found or each.rejected for each in result.fates)
    assert not result.passed


def test_a_reject_at_the_wrong_place_does_not_pass(tmp_path: Path) -> None:
    """The actuator is nearer than the frame is long: verdicts come when their rail has gone by, so
    all of it is rejected, for nobody had looked.
    """
    result = run_demo(a_line(tmp_path, reject={"offset_mm": 20}), seconds=2)
    assert all(fate.found and fate.rejected for fate in result.fates)
    assert result.sound_mm > 0.5 * result.rail_mm
    assert not result.passed


@pytest.mark.parametrize("engine", ENGINES, ids=lambda e: e.type)
def test_every_engine_finds_the_defects_of_the_simulated_rail(engine: Any, tmp_path: Path) -> None:
    sections = {"camera": WAITING, "reject": PATIENT, "encoder": UNHURRIED}
    config = a_line(tmp_path, engine={"type": engine.type}, **sections)
    result = run_demo(config, seconds=7.5)
    assert result.engine.startswith(engine.type)
    assert result.fates and all(fate.found for fate in result.fates)
    assert result.passed


@pytest.mark.parametrize("word", SHIPPED)
@pytest.mark.parametrize("engine", (*ENGINES, NativeSettings()), ids=lambda e: e.type)
def test_the_shipped_bundles_reproduce_their_golden_pairs(engine: Any, word: str) -> None:
    try:
        bundle, loaded = load_network(engine, word)
    except EngineUnavailable as reason:
        assert engine.type == "native"  # which only a compiler makes
        pytest.skip(str(reason))
    assert loaded.name == f"{engine.type} int8"
    assert bundle.path == SHIPPED[word]
    loaded.close()


def test_a_frame_that_cannot_be_read_is_rejected_whole(tmp_path: Path, recorded: Path) -> None:
    sections = {"camera": folder_camera(recorded), "reject": PATIENT, "encoder": UNHURRIED}
    config, tally = a_line(tmp_path, **sections), Tally()
    ordered: list[Stretch] = []
    with open_line(config) as line:
        line.run(lambda i: (tally.add(i), ordered.extend(reject_stretches(i.verdict)))[0])
        line.wait_for(6 * FRAME_UM + BEYOND_UM)
        pulses = pulses_on_rail(line)
    assert tally.states == {State.OK: 3, State.UNKNOWN: 1}
    assert ordered == [Stretch(2 * FRAME_UM, 3 * FRAME_UM)]
    # Before the first frame is rail that nobody saw, and after the last, which may be one with it.
    before, pulse, *after = pulses
    assert before.end_um < FRAME_UM < pulse.start_um <= 2 * FRAME_UM
    assert pulse.end_um >= 3 * FRAME_UM and len(after) <= 1


def test_rail_that_a_lost_camera_did_not_show_is_rejected_whole(tmp_path: Path) -> None:
    sound = {"fps": 60, "defects_per_metre": 0, "distractors_per_metre": 0}
    config = a_line(tmp_path, camera=sound, reject=PATIENT, encoder=UNHURRIED)
    faults, unseen = Faults(), list[Stretch]()

    def record(inspection: Inspection) -> None:
        if isinstance(inspection.seen, LostFrame):
            unseen.append(inspection.seen.stretch)
            faults.mend()
        elif inspection.seen.index == 2:
            faults.begin(Fault.VANISHED)

    with open_line(config, frames=12, camera_faults={CAMERA: faults}) as line:
        line.run(record)
        line.wait_for(unseen[-1].end_um + BEYOND_UM)
        pulses = pulses_on_rail(line)
    assert unseen
    for stretch in unseen:
        assert any(p.start_um <= stretch.start_um and stretch.end_um <= p.end_um for p in pulses)


def test_a_camera_that_is_lost_has_its_own_rail_rejected_and_leaves_the_other(
    tmp_path: Path,
) -> None:
    sound = {"type": "synthetic", "seed": 7, "defects_per_metre": 0, "distractors_per_metre": 0}
    reject = {**PATIENT, "ledger": "rejects.sqlite", "name": "left"}
    a_line(tmp_path, reject=reject, encoder=UNHURRIED)
    line = yaml.safe_load((tmp_path / "line.yaml").read_text())
    line["reject"]["also"] = [{**line["reject"], "name": "right"}]
    for key in ("ledger", "silence_ms", "tolerance_mm"):
        del line["reject"]["also"][0][key]
    line["cameras"] = {
        name: {**sound, "fps": 60, "rejects": [name], "along_mm": along_mm}
        for name, along_mm in (("left", 0), ("right", 30))
    }
    (tmp_path / "line.yaml").write_text(yaml.safe_dump(line))
    config, faults = read_line(tmp_path / "line.yaml"), Faults()
    seen: dict[str, list[Inspection]] = {"left": [], "right": []}

    def record(inspection: Inspection) -> None:
        seen[inspection.camera].append(inspection)
        if isinstance(inspection.seen, LostFrame):
            faults.mend()
        elif len(seen["left"]) == 3 and inspection.camera == "left":
            faults.begin(Fault.VANISHED)

    with open_line(config, frames=14, camera_faults={"left": faults}) as opened:
        opened.run(record)
        opened.wait_for(max(each[-1].verdict.stretch.end_um for each in seen.values()) + BEYOND_UM)
        late, rejected_left = opened.report().late_passes, pulses_on_rail(opened)
    unseen = [each.verdict.stretch for each in seen["left"] if each.verdict.state is State.UNKNOWN]
    assert unseen
    for stretch in unseen:
        assert not list(stretch.without(rejected_left))
    assert all("vanished" not in str(each.verdict.reasons) for each in seen["right"])
    good = [each.verdict.stretch for each in seen["right"] if each.verdict.state is State.OK]
    if not late and len(good) == len(seen["right"]):  # which a busy machine may prevent
        assert any(stretch.overlaps(other) for stretch in good for other in unseen)
        inside = Stretch(good[0].start_um + 60_000, good[-1].end_um - 60_000)
        for entry in latest_entries(tmp_path / "rejects.sqlite", 500):
            if entry.actuator == "right" and entry.kind.value == "pulse":
                assert not inside.overlaps(Stretch(entry.start_um or 0, entry.end_um or 0))


def test_a_worker_that_hangs_stops_the_heartbeat_of_all(tmp_path: Path) -> None:
    a_line(tmp_path, encoder={"speed_mm_s": 4000}, reject=PATIENT)
    line = yaml.safe_load((tmp_path / "line.yaml").read_text())
    line["cameras"] = dict.fromkeys(("left", "right"), line["cameras"][CAMERA])
    (tmp_path / "line.yaml").write_text(yaml.safe_dump(line))
    goes_on, seen = threading.Event(), list[str]()

    @dataclass
    class Hangs:
        inspector: Inspector
        camera: str = "left"

        def inspect(self, frame: Frame | LostFrame) -> Inspection:
            if frame.index == 3:
                goes_on.wait()
            return self.inspector.inspect(frame)

    with open_line(read_line(tmp_path / "line.yaml"), frames=12) as opened:
        left, right = opened.watches
        hanging = replace(left, inspector=cast(Inspector, Hangs(left.inspector)))
        line_of_two = replace(opened, watches=(hanging, right))
        record = (lambda inspection: seen.append(inspection.camera),)
        thread = threading.Thread(target=line_of_two.run, args=record)
        thread.start()
        pin = opened.rehearsal.heartbeat_pin
        try:
            eventually(lambda: seen.count("right") == 12)
            judged, beats = seen.count("left"), len(pin.states) - 1
        finally:
            goes_on.set()
            thread.join()
        # A beat is a round of both: fewer where one of them had several frames judged in a row.
        assert judged == 3 and 1 <= beats <= 3
        # One more: the right one has ended, and makes no progress any more.
        assert len(pin.states) - 1 == beats + 1


def test_a_line_may_be_told_to_stop_at_what_it_could_not_see(
    tmp_path: Path, recorded: Path
) -> None:
    camera = folder_camera(recorded)
    config, tally = a_line(tmp_path, camera=camera, reject={"on_unknown": "stop"}), Tally()
    with (
        pytest.raises(LineStopped, match=r"frame 2 is UNKNOWN .*2\.png"),
        open_line(config) as line,
    ):
        line.run(tally.add)
    assert tally.frames == 3
    assert line.rehearsal.reject_pin.active  # nobody inspects any more


def test_the_heartbeat_beats_once_a_frame_and_the_output_rests_at_reject(tmp_path: Path) -> None:
    with open_line(a_line(tmp_path, encoder={"speed_mm_s": 5000}), frames=5) as line:
        assert line.rehearsal.heartbeat_pin.states == [False]
        line.run(lambda _: None)
        assert line.rehearsal.heartbeat_pin.states == [False, True, False, True, False, True]
    assert line.rehearsal.reject_pin.states[-1] is True


def test_a_running_line_ends_in_order_when_it_is_told_to(tmp_path: Path) -> None:
    a_line(tmp_path)
    command = [sys.executable, "-m", "edge.cli", "run", str(tmp_path / "line.yaml")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any(": strip on " in line for line in iter(process.stderr.readline, ""))  # it runs
        process.send_signal(signal.SIGTERM)
        said = process.stderr.read()
        assert process.wait(timeout=30) == 0
    assert "the output is left at reject" in said


def test_check_does_the_sums(tmp_path: Path) -> None:
    checks = {check.name: check for check in check_line(a_line(tmp_path, encoder=SLOW))}
    assert all(check.passed for check in checks.values())
    assert "to spare" in checks["deadline"].detail


def test_check_does_not_measure_on_a_frame_that_shows_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "dark"
    folder.mkdir()
    cv2.imwrite(str(folder / "0.png"), RAIL.render(0, 352)[0] // 16)
    checks = {c.name: c for c in check_line(a_line(tmp_path, camera=folder_camera(folder)))}
    assert not checks["camera"].passed
    assert "dark" in checks["camera"].detail


@pytest.mark.parametrize(
    ("name", "sections", "remedy"),
    [
        ("deadline", {"reject": {"offset_mm": 60}}, "further on"),
        (
            "pace",
            {"encoder": {"speed_mm_s": 100_000}, "camera": {"height_px": 32}},
            "run the line below",
        ),
        ("scale", {"camera": {"um_per_px": 1000}}, "bring the camera nearer"),
        ("scale", {"camera": {"um_per_px": 450}}, "1.8 times off: bring the camera nearer"),
        ("limits", {"camera": {"height_px": 12, "width_px": 12}}, "take a bundle that is good for"),
        (
            "rules",
            {"rules": {"reject_if": {"any": [{"min_area_mm2": 20}, {"min_extent_mm": 3}]}}},
            "rules.reject_if.any[1].min_extent_mm 3: nothing below 4 mm counts: write as much",
        ),
        ("pictures", {"camera": {"fps": 20, "overlap_mm": 20}}, "overlap_mm to 25"),
        (
            "pictures",
            {"camera": {"fps": 60, "lost_after_mm": 90, "delay_ms": 50}},
            "good frames would be lost: set lost_after_mm to",
        ),
        ("deadline", {"camera": {"fps": 60, "lost_after_mm": 1490}}, "shorten lost_after"),
    ],
)
def test_check_says_what_cannot_work_and_what_to_change(
    name: str, sections: dict[str, Any], remedy: str, tmp_path: Path
) -> None:
    checks = {check.name: check for check in check_line(a_line(tmp_path, **sections))}
    assert not checks[name].passed
    assert remedy in checks[name].detail


def test_a_check_ends_no_order_that_a_run_before_left_open(tmp_path: Path) -> None:
    path = tmp_path / "rejects.sqlite"
    with Ledger(path, clock_ns) as ledger:
        ledger.add(an_order(1))
    before = latest_entries(path, 50)
    config = a_line(tmp_path, reject={"ledger": str(path)}, encoder=SLOW)
    checks = {check.name: check for check in check_line(config)}
    assert checks["ledger"].passed
    assert latest_entries(path, 50) == before


def test_check_warns_of_a_scale_that_a_network_may_just_bear(tmp_path: Path) -> None:
    camera = {"um_per_px": 350}
    checks = {c.name: c for c in check_line(a_line(tmp_path, camera=camera, encoder=SLOW))}
    assert checks["scale"].passed and checks["scale"].warns
    assert "1.4 times off" in checks["scale"].detail


def test_check_opens_what_a_line_tells_others_by_and_lets_it_go(tmp_path: Path) -> None:
    port, running = free_port(), threading.active_count()
    config = a_line(tmp_path, mqtt=MQTT, metrics={"port": 0}, web={"port": port})
    checks = {check.name: check for check in check_line(config, rounds=2)}
    assert all(checks[name].passed for name in ("mqtt", "metrics", "web"))
    assert "0 messages wait in it; the broker was not asked" in checks["mqtt"].detail
    assert threading.active_count() == running
    socket.create_server(("127.0.0.1", port)).close()


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"mqtt": {**MQTT, "tls": {"ca": "none.pem"}}}, r"mqtt\.tls: .*PEM files that can be read"),
        ({"mqtt": {**MQTT, "spool": "line.yaml"}}, r"line\.yaml: .*: give mqtt\.spool a file"),
        (
            {"web": {**ELSEWHERE, "token": "9f86d081884c7d65"}},
            f"web: {NOBODY}: choose another address or",
        ),
        ({"metrics": ELSEWHERE}, f"metrics: {NOBODY}: choose another address or port"),
        ({"camera": {"baseline": "none.json"}}, r"none\.json: No such file .*trackside commission"),
    ],
)
def test_check_refuses_what_a_start_would(
    sections: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        check_line(a_line(tmp_path, **sections), rounds=2)


def test_check_says_that_a_baseline_of_another_bundle_holds_nothing_up(tmp_path: Path) -> None:
    facts = commission(a_line(tmp_path), frames=4, enough=4)[CAMERA]
    write_baseline(facts.model_copy(update={"bundle": "ab" * 32}), tmp_path / "before.json")
    for quality, passes in (({}, True), ({"max_unfamiliar": 3}, False)):
        camera = {"baseline": "before.json", "quality": quality}
        checks = {each.name: each for each in check_line(a_line(tmp_path, camera=camera), rounds=2)}
        told = checks["baseline"]
        assert (told.passed, told.warns) == (passes, passes)
        assert "is of another bundle" in told.detail
        assert "run `trackside commission` again" in told.detail
    write_baseline(facts, tmp_path / "before.json")
    checks = {each.name: each for each in check_line(a_line(tmp_path, camera=camera), rounds=2)}
    assert (checks["baseline"].passed, checks["baseline"].warns) == (True, False)


def test_check_says_that_a_port_is_in_use_and_may_be_by_the_line_itself(tmp_path: Path) -> None:
    port = free_port()
    both = a_line(tmp_path, metrics={"port": port}, web={"port": port})
    with pytest.raises(ConfigurationError, match=f"web: 127.0.0.1 port {port}: in use: if this l"):
        check_telling(both)
    page = a_line(tmp_path, metrics={"port": 0}, web={"port": port})
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(
            ConfigurationError, match="if this line runs now, stop it first; else choose"
        ),
    ):
        check_telling(page)
    assert [check.name for check in check_telling(page)] == ["metrics", "web"]


def test_grease_rust_and_welds_on_a_sound_rail_are_left_alone(tmp_path: Path) -> None:
    sound = {"seed": 9, "defects_per_metre": 0.0, "distractors_per_metre": 3.0}
    config, tally = a_line(tmp_path, camera=sound), Tally()
    with open_line(config) as line:
        for frame in islice(open_camera(config.lookout().camera).frames(), 100):
            tally.add(line.inspectors[CAMERA].inspect(frame))
    assert tally.states == {State.OK: 100}
