"""A recorded line comes to the same verdicts and rejects, and what differs is named."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from edge.cli.app import app
from edge.errors import ConfigurationError, UsageError
from edge.health import brightness_distribution
from edge.inspect import Baseline, look_at, usual_of, write_baseline
from edge.recordings import accept, first_difference, read_expectation, read_recording, record_line
from edge.recordings.expectation import Expectation, Replayed
from edge.recordings.replay import replay
from edge.types import State
from stands.bundles import make_bundle
from stands.inspections import NOTHING_ELSE, recorded_line
from stands.line_files import CAMERA, changed
from stands.make_recording import (
    CUT,
    DARK,
    FRAMES,
    LINE,
    RECORDING,
    write_frames,
    write_pinned_bundle,
)
from stands.small_disk import a_small_disk
from stands.swapping_lines import write_line


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """One to be changed."""
    return Path(shutil.copytree(RECORDING, tmp_path / "recording"))


def differs(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        app(["replay", str(folder), "--expect"], standalone_mode=False)
    assert ended.value.code == 1
    return capsys.readouterr().err


def test_the_recorded_line_comes_to_the_same_verdicts_and_rejects(
    capsys: pytest.CaptureFixture[str],
) -> None:
    app(["replay", str(RECORDING), "--expect"], standalone_mode=False)
    assert capsys.readouterr().out == "4 NG, 18 OK, 2 UNKNOWN\nreject: 5 rejects\n"


def test_the_recorded_line_has_all_that_a_line_may_come_to() -> None:
    expected = read_expectation(RECORDING / "expected.json").outcome
    assert len(expected.frames) == FRAMES
    states = [frame.state for frame in expected.frames]
    assert set(states) == {state.value for state in State}
    assert states[DARK] == states[CUT] == State.UNKNOWN.value
    ends = [frame.start_um for frame in expected.frames[DARK : DARK + 2]]
    reached = [
        each for each in expected.rejects["reject"] if each[0] <= ends[0] and each[1] >= ends[1]
    ]
    assert len(reached) == 1  # the whole of a frame that nobody could see


def test_a_replay_is_the_same_each_time() -> None:
    recording = read_recording(RECORDING)
    assert replay(recording) == replay(recording)


def test_the_first_verdict_that_differs_is_named(
    recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for rejected in (6, 10):
        shutil.copyfile(
            recording / "frames/top/000001.png", recording / f"frames/top/{rejected:06d}.png"
        )
    said = differs(recording, capsys)
    assert said == "not as expected: top frame 6 at 0.384 m: expected NG, it is OK\n"


def test_a_reject_at_another_place_is_named(
    recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = (recording / "line.yaml").read_text()
    (recording / "line.yaml").write_text(line.replace("margin_mm: 10", "margin_mm: 20"))
    said = differs(recording, capsys)
    assert said.startswith("not as expected: reject: reject 1: expected -1935.5 to 11.0 mm, it is")


def test_what_differs_may_be_accepted(recording: Path) -> None:
    line = (recording / "line.yaml").read_text()
    (recording / "line.yaml").write_text(line.replace("min_area_mm2: 20", "min_area_mm2: 500"))
    app(["replay", str(recording), "--accept"], standalone_mode=False)
    app(["replay", str(recording), "--expect"], standalone_mode=False)


def test_a_line_that_unknown_stops_is_stopped_in_its_replay_too(
    recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = yaml.safe_load((recording / "line.yaml").read_text())
    line["reject"]["on_unknown"] = "stop"
    (recording / "line.yaml").write_text(yaml.safe_dump(line))
    judged = replay(read_recording(recording)).frames
    assert judged == read_expectation(recording / "expected.json").outcome.frames[: DARK + 1]
    assert differs(recording, capsys) == (
        f"not as expected: expected {FRAMES} frames, there are {DARK + 1}\n"
    )


def test_rounding_is_no_difference_and_a_missing_reject_is_one() -> None:
    expected = read_expectation(RECORDING / "expected.json")
    wanted = expected.outcome
    first, *others = wanted.rejects["reject"]
    moved = (first[0] + expected.tolerance_um, first[1])
    rounded = Expectation(
        type(wanted)(wanted.bundle, wanted.frames, {"reject": (moved, *others)}),
        expected.tolerance_um,
    )
    assert first_difference(rounded, wanted) is None
    fewer = type(wanted)(wanted.bundle, wanted.frames, {"reject": (first, *others[:-1])})
    assert first_difference(expected, fewer) == "reject: rejects: expected 5, there are 4"


def test_another_network_must_be_asked_for_and_is_said(
    recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = json.loads((recording / "recording.json").read_text())
    changed = {**facts, "bundle": "0" * 64}
    (recording / "recording.json").write_text(json.dumps(changed))
    with pytest.raises(ConfigurationError, match="name another with --bundle"):
        replay(read_recording(recording))
    other = str(recording / "line.bundle")
    app(["replay", str(recording), "--bundle", other, "--expect"], standalone_mode=False)
    said = capsys.readouterr().out.splitlines()[0]
    assert said == f"recorded with bundle {'0' * 12}, replayed with {facts['bundle'][:12]}"


@pytest.mark.parametrize(
    ("expected", "found", "said"),
    [
        ({}, {"bin": ((0, 9),)}, "bin: rejects: expected 0, there are 1"),
        ({"bin": ((0, 9),)}, {}, "bin: rejects: expected 1, there are 0"),
        ({}, {"bin": ()}, None),
    ],
)
def test_an_actuator_that_is_known_to_one_side_alone_is_compared_too(
    expected: dict[str, tuple[tuple[int, int], ...]],
    found: dict[str, tuple[tuple[int, int], ...]],
    said: str | None,
) -> None:
    wanted = Expectation(Replayed("", (), expected), tolerance_um=0)
    assert first_difference(wanted, Replayed("", (), found)) == said


def test_an_expectation_is_not_asked_for_and_replaced_at_once(recording: Path) -> None:
    before = (recording / "expected.json").read_bytes()
    with pytest.raises(UsageError, match="give --expect, or --accept"):
        app(["replay", str(recording), "--expect", "--accept"], standalone_mode=False)
    assert (recording / "expected.json").read_bytes() == before


def test_a_replay_needs_no_secret_of_the_line(recording: Path) -> None:
    line = yaml.safe_load((recording / "line.yaml").read_text())
    line["cameras"][CAMERA] = {
        "type": "rtsp",
        "url": "rtsp://line:${CAMERA_PASSWORD}@camera/stream",
        "along_um": 1000,
        "across_um": 1000,
        "overlap_mm": 10,
        "lost_after_mm": 200,
        "quality": line["cameras"][CAMERA]["quality"],
    }
    line["web"] = {"token": "${REVIEW_TOKEN}"}
    line["mqtt"] = {
        "host": "${BROKER}",
        "topic": "${TOPIC}",
        "username": "line",
        "password": "${REVIEW_TOKEN}",
        "spool": "spool.sqlite",
    }
    (recording / "line.yaml").write_text(yaml.safe_dump(line))
    app(["replay", str(recording), "--expect"], standalone_mode=False)


def test_a_variable_without_which_a_replay_cannot_be_is_named(recording: Path) -> None:
    with (recording / "line.yaml").open("a") as file:
        file.write("bundle_key: ${BUNDLE_KEY}\n")
    with pytest.raises(ConfigurationError, match="bundle_key: the environment variable BUNDLE_K"):
        read_recording(recording)


@pytest.mark.parametrize(
    ("part", "written", "said"),
    [
        ("recording.json", "[]", r"\(recording\.json: Input should be an object\)"),
        ("recording.json", '{"format": 1}', r"\(recording\.json: bundle: Field required\)"),
        ("recording.json", '{"format": 9, "bundle": ""}', "is of format 9, and this trackside"),
        ("frames.jsonl", "", "holds no frame"),
        ("frames.jsonl", '{"index": 0}', r"\(frames\.jsonl:1: camera: Field required\)"),
        ("frames.jsonl", '"start_um": "x"', r"\(frames\.jsonl:1: start_um: Input should be a val"),
        ("frames.jsonl", '"across_um": NaN', r"\(frames\.jsonl:1: across_um: "),
        ("expected.json", '{"outcome": []}', r"\(expected\.json: outcome: .*write it with --acc"),
        ("expected.json", '{"tolerance_um": 1}', r"\(expected\.json: outcome: Field required\)"),
    ],
)
def test_a_recording_that_says_what_it_cannot_is_refused_in_one_line(
    recording: Path, part: str, written: str, said: str
) -> None:
    if written.startswith('"'):  # a key of an otherwise sound first row
        key = written.partition(":")[0]
        rows = (recording / part).read_text()
        written = re.sub(f"{key}: [^,]+", written, rows, count=1)
    (recording / part).write_text(written)
    with pytest.raises(ConfigurationError, match=said) as refused:
        app(["replay", str(recording), "--expect"], standalone_mode=False)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("part", ["frames/top/000003.png", "frames.jsonl", "recording.json"])
def test_a_recording_that_is_not_whole_is_refused(recording: Path, part: str) -> None:
    whole = (recording / part).read_bytes()
    (recording / part).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigurationError, match="is no whole recording"):
        read_recording(recording)


def test_a_line_is_recorded_and_replays_as_it_ran(tmp_path: Path) -> None:
    write_pinned_bundle(tmp_path / "line.bundle")
    write_frames(tmp_path / "shown")
    line = dict(LINE)
    line["encoder"] = {"type": "simulated", "speed_mm_s": 2000}
    (tmp_path / "line.yaml").write_text(yaml.safe_dump(line))
    # The good rail between the first two defects is passed, and nothing before it came to be seen:
    # on a busy machine not always in time, and then it is recorded anew.
    for number in range(20):
        out = tmp_path / f"recording {number}"
        replayed = record_line(tmp_path / "line.yaml", out, frames=12)
        assert [frame.state for frame in replayed.frames].count("OK") == 7
        if replayed.rejects["reject"]:
            break
    assert replayed.rejects["reject"]
    recording = read_recording(out)
    assert first_difference(read_expectation(recording.expected), replay(recording)) is None
    accept(recording, replayed)
    with pytest.raises(UsageError, match="a folder of its own"):
        record_line(tmp_path / "line.yaml", out)


def test_what_frames_were_held_against_is_recorded_with_them(tmp_path: Path) -> None:
    """A line that was commissioned on another rail, all of whose frames are UNKNOWN."""
    line_file = recorded_line(tmp_path, frames=4)
    line = changed(yaml.safe_load(line_file.read_text()), camera={"baseline": "before.json"})
    line_file.write_text(yaml.safe_dump(line))
    look = look_at(np.full((64, 64), 200, np.uint8))
    counts = brightness_distribution().counts
    facts = {"line": "a", "bundle": "ab" * 32, "frames": 1, "usual": usual_of([look])}
    baseline = Baseline(
        brightness=counts, score=counts, unfamiliar=counts, answers=NOTHING_ELSE, **facts
    )
    write_baseline(baseline, tmp_path / "before.json")
    recorded = record_line(line_file, tmp_path / "recording")
    (tmp_path / "before.json").unlink()
    assert [frame.state for frame in recorded.frames] == ["UNKNOWN"] * 4
    assert replay(read_recording(tmp_path / "recording")) == recorded


def test_a_disk_that_fills_up_ends_the_recording_with_one_line(tmp_path: Path) -> None:
    make_bundle(tmp_path / "small.bundle")
    line, disk = write_line(tmp_path, "small.bundle"), tmp_path / "disk"
    fill = f'dd if=/dev/zero of={disk}/filler bs=1k count=3900 status=none; exec "$@"'
    record = (sys.executable, "-m", "edge.cli", "record", line, "--out", disk / "recorded")
    command = [*a_small_disk(disk), "sh", "-c", fill, "sh", *map(str, record), "--frames", "5000"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 1, ended.stderr
    [told] = [row for row in ended.stderr.splitlines() if row.startswith("trackside: ")]
    assert told.startswith(f"trackside: {disk / 'recorded'}")
    assert "disk" in told
    assert "Traceback" not in ended.stderr
