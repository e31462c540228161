"""A bundle on an archive: as its line would judge, the same however it is interrupted, and no
fault of the archive unsaid.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("pyarrow", reason="pip install 'trackside[backtest]'")
from pyarrow import parquet

from edge.backtest import Asked, ByLine, InThisProcess, Progress, backtest, verdict_on
from edge.backtest.cases import cut_at_gaps
from edge.backtest.listing import list_archive
from edge.cli.app import app
from edge.line_file import DATABASE, OnnxRuntimeSettings, read_line
from edge.recordings import read_expectation, read_recording
from edge.recordings.replay import replay
from edge.review import REVIEWS, Call, Mark, Review, add_reviews
from edge.run import run_line
from edge.store import read_events
from edge.swap import Evidence, read_evidence
from edge.types import State
from stands.line_files import CAMERA
from stands.make_recording import FRAMES, LINE, RECORDING, write_frames, write_pinned_bundle
from stands.places import TESTS_PATH

OWN = RECORDING / "line.bundle"


@pytest.fixture(scope="module")
def keener(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It finds what is less bright, too."""
    path = tmp_path_factory.mktemp("keener") / "keener.bundle"
    write_pinned_bundle(path, bright=185)
    return path


def run(
    out: Path,
    bundle: Path,
    *archives: Path | str,
    line: Path | None = None,
    against: Path | None = None,
    most_new_per_km: float | None = None,
    tell: Callable[[Progress], None] = lambda _: None,
) -> Evidence:
    asked = Asked(
        str(bundle),
        tuple(map(str, archives)),
        out,
        OnnxRuntimeSettings(),
        None if against is None else str(against),
        ByLine(None if line is None else read_line(line), None),
        most_new_per_km,
    )
    return backtest(asked, lambda: datetime(2030, 1, 2, tzinfo=timezone.utc), tell, InThisProcess)


def rows(out: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = parquet.read_table(out / "backtest.parquet").to_pylist()
    return found


def copies(folder: Path, count: int) -> list[Path]:
    return [shutil.copytree(RECORDING, folder / f"rail-{n}.2030-01-01") for n in range(count)]


def test_the_bundle_that_a_line_ran_changes_nothing(tmp_path: Path) -> None:
    evidence = run(tmp_path / "out", OWN, RECORDING, most_new_per_km=0)
    assert (evidence.newly_rejected, evidence.no_longer_rejected) == (0, 0)
    assert (evidence.passed, evidence.frames, evidence.compared) == (True, FRAMES, FRAMES)
    expected = read_expectation(RECORDING / "expected.json").outcome
    assert [row["new_state"] for row in rows(tmp_path / "out")] == [
        f.state for f in expected.frames
    ]
    assert evidence.against == expected.bundle
    # one was lost when it was recorded, and rail that nobody saw weakens no gate
    assert evidence.km == pytest.approx((FRAMES - 1) * 64e-6)


def test_what_a_keener_bundle_would_reject_is_shown_and_held_against_a_gate(
    tmp_path: Path, keener: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, gate = tmp_path / "out", ["--max-new-rejects", "0.2/km", "--engine", "onnxruntime"]
    with pytest.raises(SystemExit) as ended:
        app(
            ["backtest", str(keener), str(RECORDING), "-o", str(out), "--json", *gate],
            standalone_mode=False,
        )
    assert ended.value.code == 1
    said = capsys.readouterr()
    evidence = Evidence.model_validate_json(said.out)
    assert evidence.newly_rejected > 0
    assert "new rejects a km, more than 0.2" in " ".join(said.err.split())
    changed = [row for row in rows(out) if row["newly_rejected"]]
    assert sum(len(row["newly_rejected"]) for row in changed) == evidence.newly_rejected
    assert {row["newly_rejected"][0] for row in changed} == {"defect"}
    assert all(row["picture"][:2] == b"\xff\xd8" for row in changed)
    assert all(row["new_state"] == "NG" for row in changed)
    page = (out / "report.html").read_text(encoding="utf-8")
    for part in ("By class", "By camera", "By day", "data:image/jpeg", f"{CAMERA} run 1 frame"):
        assert part in page
    assert read_evidence(out / "backtest.json") == evidence
    # The old bundle itself says the same as the archive, and the other way round it is turned.
    judged = run(tmp_path / "both", keener, RECORDING, against=OWN)
    assert judged.newly_rejected == evidence.newly_rejected
    turned = run(tmp_path / "turned", OWN, RECORDING, against=keener)
    assert turned.no_longer_rejected == evidence.newly_rejected


def test_a_bundle_that_rejects_all_rail_rejects_it_many_times(tmp_path: Path) -> None:
    write_pinned_bundle(tmp_path / "greedy.bundle", bright=150)
    evidence = run(tmp_path / "out", tmp_path / "greedy.bundle", RECORDING, most_new_per_km=1000)
    assert {row["new_state"] for row in rows(tmp_path / "out")} == {"NG", "UNKNOWN"}
    assert evidence.newly_rejected_per_km is not None
    assert evidence.newly_rejected_per_km > 1000
    assert not evidence.passed


def test_a_run_that_is_cut_at_gaps_is_judged_as_the_whole(tmp_path: Path) -> None:
    (recording,) = copies(tmp_path, 1)
    lines = (recording / "frames.jsonl").read_text().splitlines()
    kept = []
    for number, text in enumerate(lines):  # two gaps of more than a metre, and a small one
        row = json.loads(text)
        shift = 1_100_000 * (number > 7) + 2_000_000 * (number > 15) + 100_000 * (number > 19)
        row["start_um"], row["end_um"] = row["start_um"] + shift, row["end_um"] + shift
        row["position_um"] += shift
        kept.append(json.dumps(row))
    (recording / "frames.jsonl").write_text("\n".join(kept) + "\n")
    line = yaml.safe_load((recording / "line.yaml").read_text())
    line["rules"]["max_per_metre"] = 1
    (recording / "line.yaml").write_text(yaml.safe_dump(line))
    whole = replay(read_recording(recording))
    run(tmp_path / "out", OWN, recording)
    [listed] = list_archive(str(recording), ByLine(None, None)).runs
    assert [len(piece) for piece in cut_at_gaps(listed.cases)] == [8, 8, 8]
    assert [row["new_state"] for row in rows(tmp_path / "out")] == [f.state for f in whole.frames]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A line file whose line has run, and kept all that it saw."""
    folder = tmp_path_factory.mktemp("line")
    shutil.copyfile(OWN, folder / "line.bundle")
    write_frames(folder / "shown")
    line = LINE | {"store": {"path": "events", "ok_every": 1, "keep_free_mb": 0.001}}
    line["encoder"] = {"type": "simulated", "speed_mm_s": 20_000}
    (folder / "line.yaml").write_text(yaml.safe_dump(line))
    run_line(read_line(folder / "line.yaml"))
    return folder / "line.yaml"


def test_kept_frames_are_judged_as_they_were(tmp_path: Path, kept: Path, keener: Path) -> None:
    evidence = run(tmp_path / "own", OWN, kept)
    events = read_events(kept.parent / "events")
    with_pictures = [event for event in events if event.pictures]
    assert len(with_pictures) > FRAMES / 2
    found = rows(tmp_path / "own")
    assert [row["event"] for row in found] == [event.id for event in with_pictures]
    assert [row["new_state"] for row in found] == [event.state.value for event in with_pictures]
    assert evidence.newly_rejected == evidence.no_longer_rejected == 0
    assert run(tmp_path / "keener", keener, kept).newly_rejected > 0
    by_day = {row["utc"][:10] for row in found}
    assert by_day == {event.utc[:10] for event in events}


def test_peoples_word_tells_false_rejects_and_misses_and_right_ones_pass_the_gate(
    tmp_path: Path, kept: Path, keener: Path
) -> None:
    shutil.copytree(kept.parent, tmp_path / "line")
    line, root = tmp_path / "line" / "line.yaml", tmp_path / "line" / "events"
    before = run(tmp_path / "before", keener, line)
    assert (before.reviewed, before.newly_rejected > 1) == (0, True)
    by_event = {row["event"]: row for row in rows(tmp_path / "before")}
    rejected = next(e for e in read_events(root) if e.state is State.NG)
    newly = [number for number, row in by_event.items() if row["newly_rejected"]]
    for number, call in [(rejected.id, Call.SOUND), *((each, Call.MISSED) for each in newly)]:
        utc = by_event[number]["utc"]
        mark = (Mark("dent", (1, 2, 3, 4)),) if call is Call.MISSED else ()
        add_reviews(root, [Review(number, utc, utc, "Kim", "page", call, None, mark)])
    after = run(tmp_path / "after", keener, line, most_new_per_km=0)
    assert after.reviewed == 1 + len(newly)
    assert (after.false_rejects_before, after.false_rejects_now) == (1, 1)
    assert (after.missed_before, after.missed_now) == (len(newly), 0)
    # All that is new is right by people's word: the gate holds nothing against it.
    assert (after.newly_rejected, after.newly_rejected_per_km) == (before.newly_rejected, 0)
    assert after.passed
    assert "By people" in (tmp_path / "after" / "report.html").read_text(encoding="utf-8")
    own = run(tmp_path / "own", OWN, line)
    assert (own.missed_before, own.missed_now) == (len(newly), len(newly))


def test_pictures_need_a_line_file_and_an_old_bundle_to_be_compared(
    tmp_path: Path, kept: Path, keener: Path
) -> None:
    shown = kept.parent / "shown"
    alone = ["backtest", str(keener), str(shown), "-o", str(tmp_path / "alone")]
    with pytest.raises(Exception, match="name the line file with --line"):
        app(alone, standalone_mode=False)
    alone = run(tmp_path / "out", keener, shown, line=kept, most_new_per_km=1000)
    assert (alone.compared, alone.newly_rejected_per_km, alone.passed) == (0, None, False)
    both = run(tmp_path / "both", keener, shown, line=kept, against=OWN)
    assert both.newly_rejected > 0
    # One of them is cut short: it is told, and the line would not have seen that rail either.
    assert both.fault_count == 1
    assert "is not a whole image" in both.faults[0]


def test_an_archive_that_vanishes_midway_is_named_and_counted_and_nothing_is_lost(
    tmp_path: Path, keener: Path
) -> None:
    first, second, third = copies(tmp_path, 3)
    right = run(tmp_path / "right", keener, first, second, third)
    away = tmp_path / "away"

    def vanish(progress: Progress) -> None:
        if progress.frames == FRAMES and second.exists():
            second.rename(away)

    out = tmp_path / "out"
    hurt = run(out, keener, first, second, third, tell=vanish)
    assert not hurt.passed
    assert hurt.fault_count == FRAMES - 1  # one frame was lost when it was recorded
    assert "rail-1" in hurt.faults[0] and "cannot be read" in hurt.faults[0]
    assert hurt.newly_rejected == 2 * right.newly_rejected / 3
    # Now it is not there at all: what is known of it is still told.
    again = run(out, keener, first, second, third)
    assert again.fault_count == FRAMES
    assert (again.frames, again.newly_rejected) == (hurt.frames, hurt.newly_rejected)
    away.rename(second)
    healed = run(out, keener, first, second, third)
    assert (healed.fault_count, healed.digest) == (0, right.digest)


def test_what_was_read_once_is_not_lost_where_more_of_its_archive_goes(
    tmp_path: Path, keener: Path
) -> None:
    (recording,) = copies(tmp_path, 1)
    right = run(tmp_path / "right", keener, recording)
    pictures, away = recording / "frames" / CAMERA, tmp_path / "away"
    shutil.copytree(pictures, away)
    out = tmp_path / "out"
    for picture in sorted(pictures.iterdir())[6:18]:
        picture.unlink()
    half = run(out, keener, recording)
    assert half.fault_count == 12
    shutil.rmtree(pictures)
    assert run(out, keener, recording).digest == half.digest
    recording.rename(tmp_path / "gone")
    part = min((out / "parts").iterdir())
    whole = part.read_bytes()
    part.write_bytes(whole[:500])
    torn = run(out, keener, recording)
    assert (torn.frames, torn.fault_count) == (0, 3)  # the archive, its part, and what was in it
    part.write_bytes(whole)
    (tmp_path / "gone").rename(recording)
    shutil.copytree(away, pictures)
    assert run(out, keener, recording).digest == right.digest


def test_a_torn_part_is_named_and_its_run_inspected_again(tmp_path: Path, keener: Path) -> None:
    out, archives = tmp_path / "out", copies(tmp_path, 2)
    right = run(out, keener, *archives)
    part = min((out / "parts").iterdir())
    part.write_bytes(part.read_bytes()[:1000])
    torn = run(out, keener, *archives)
    assert (torn.passed, verdict_on(torn)) == (False, "1 fault of the archive")
    assert f"{part} is torn" in torn.faults[0]
    assert torn.digest == right.digest
    assert run(out, keener, *archives).passed


_KILLED = """
import os, signal, sys
from datetime import datetime, timezone
from pathlib import Path
from edge.backtest import Asked, InThisProcess, backtest
from edge.line_file import OnnxRuntimeSettings
bundle, out, *archives = sys.argv[1:]
def tell(progress):
    if progress.frames >= 48:
        os.kill(os.getpid(), signal.SIGKILL)
asked = Asked(bundle, tuple(archives), Path(out), OnnxRuntimeSettings())
backtest(asked, lambda: datetime.now(timezone.utc), tell, InThisProcess)
"""


def test_a_backtest_that_is_killed_goes_on_where_it_was(tmp_path: Path, keener: Path) -> None:
    out, archives = tmp_path / "out", copies(tmp_path, 4)
    command = [sys.executable, "-c", _KILLED, str(keener), str(out), *map(str, archives)]
    killed = subprocess.run(command, env={**os.environ, "PYTHONPATH": TESTS_PATH}, check=False)
    assert killed.returncode == -signal.SIGKILL
    there = {path: path.stat().st_mtime_ns for path in (out / "parts").iterdir()}
    assert len(there) == 2
    after = run(out, keener, *archives)
    assert {path: path.stat().st_mtime_ns for path in there} == there
    assert after.digest == run(tmp_path / "at-once", keener, *archives).digest


def test_a_folder_of_another_comparison_is_left_alone(tmp_path: Path, keener: Path) -> None:
    run(tmp_path / "out", OWN, RECORDING)
    with pytest.raises(Exception, match="holds a backtest of other bundles or another engine"):
        run(tmp_path / "out", keener, RECORDING)


def test_a_folder_of_archives_is_all_of_them(tmp_path: Path, keener: Path) -> None:
    copies(tmp_path / "plant" / "mill", 2)
    (tmp_path / "plant" / "readme.txt").write_text("two rails")
    evidence = run(tmp_path / "out", keener, tmp_path / "plant")
    assert (evidence.frames, evidence.fault_count) == (2 * FRAMES, 0)


def test_an_archive_with_nothing_in_it_fails_the_backtest_and_not_the_others(
    tmp_path: Path,
) -> None:
    (tmp_path / "empty").mkdir()
    evidence = run(tmp_path / "out", OWN, tmp_path / "empty", tmp_path / "nowhere", RECORDING)
    assert (evidence.frames, evidence.passed, evidence.fault_count) == (FRAMES, False, 2)
    assert "holds no recording, no store and no picture" in evidence.faults[0]
    assert "nowhere cannot be read" in evidence.faults[1]


@pytest.mark.parametrize(
    ("name", "inspected"),
    [("recording.json", 1), ("frames.jsonl", 1), ("line.yaml", 1), ("expected.json", 2)],
)
def test_a_recording_with_a_torn_file_is_named_and_the_others_are_inspected(
    tmp_path: Path, name: str, inspected: int
) -> None:
    torn, whole = copies(tmp_path, 2)
    content = (torn / name).read_bytes()
    (torn / name).write_bytes(content[: len(content) // 2])
    evidence = run(tmp_path / "out", OWN, torn, whole)
    assert (evidence.passed, evidence.fault_count) == (False, 1)
    assert torn.name in evidence.faults[0]
    assert (evidence.frames, evidence.compared) == (inspected * FRAMES, FRAMES)


@pytest.mark.parametrize(("name", "is_inspected"), [(DATABASE, False), (REVIEWS, True)])
def test_a_damaged_store_is_named_and_what_is_whole_is_inspected(
    tmp_path: Path, kept: Path, name: str, is_inspected: bool
) -> None:
    shutil.copytree(kept.parent, tmp_path / "line")
    (tmp_path / "line" / "events" / name).write_bytes(b"garbage " * 1000)
    evidence = run(tmp_path / "out", OWN, tmp_path / "line" / "line.yaml", RECORDING)
    assert (evidence.passed, evidence.fault_count) == (False, 1)
    assert name in evidence.faults[0]
    assert (evidence.frames > FRAMES, evidence.frames >= FRAMES) == (is_inspected, True)


# --- an archive elsewhere ------------------------------------------------------------------------


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Moto's server on loopback, with a bucket."""
    pytest.importorskip("s3fs", reason="pip install 'trackside[s3]'")
    server = pytest.importorskip("moto.server", reason="pip install 'moto[server]'")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # a server that is gone comes back to no test
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    yield running
    running.stop()


def test_an_archive_in_s3_is_read_as_one_at_home(tmp_path: Path, keener: Path, s3: Any) -> None:
    files = pytest.importorskip("s3fs").S3FileSystem()
    files.mkdir("archive")
    files.put(f"{RECORDING}/", "archive/plant/rail-0", recursive=True)
    at_home = run(tmp_path / "home", keener, RECORDING)
    assert at_home.newly_rejected > 0
    elsewhere = run(tmp_path / "s3", keener, "s3://archive/plant")
    assert elsewhere.fault_count == 0
    assert (elsewhere.frames, elsewhere.newly_rejected) == (FRAMES, at_home.newly_rejected)
    states = [Counter(row["new_state"] for row in rows(tmp_path / each)) for each in ("home", "s3")]
    assert states[0] == states[1]
    files.put(f"{RECORDING}/", "archive/plant/rail-1", recursive=True)

    def stop(progress: Progress) -> None:
        if progress.frames == FRAMES:
            s3.stop()

    hurt = run(tmp_path / "hurt", keener, "s3://archive/plant", tell=stop)
    assert (hurt.passed, hurt.frames, hurt.fault_count) == (False, 2 * FRAMES, FRAMES - 1)
    assert hurt.newly_rejected == at_home.newly_rejected  # what was inspected before is there
    gone = run(tmp_path / "gone", keener, "s3://archive/plant")
    assert (gone.passed, gone.frames, gone.fault_count) == (False, 0, 1)
