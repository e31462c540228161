"""A line takes from its fleet's depot what is right, and comes back from what is not, by itself."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import yaml

pytest.importorskip("tuf", reason="pip install 'trackside[fleet]'")

from edge.bundle import write_bundle
from edge.fleet import LineAttempt, LineRequest
from edge.run.fleet_line import run_in_fleet
from edge.swap import in_force_now
from stands.bundles import make_files, manifest, some_bundles
from stands.depots import Box, Desk, served
from stands.fleet_lines import START_AGAIN, Service, unhurried
from stands.waiting import eventually


def test_a_line_takes_bundles_and_line_files_as_they_come_and_comes_back_from_bad_ones(
    tmp_path: Path,
) -> None:
    bundles = some_bundles(tmp_path, "own", "one")
    own, one = bundles["own"], bundles["one"]
    desk = Desk(tmp_path)
    with served(desk.folder) as url:
        box = Box(tmp_path / "a", "a", url, desk.depot.root_path, own.path)
        line = unhurried(box.path)
        del line["fleet"]
        good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
        good.write_text(yaml.safe_dump(line | {"name": "renamed"}))
        # nothing that it shows can be judged, and `check` says so
        line["cameras"]["top"]["quality"] = {"min_sharpness": 100_000}
        bad.write_text(yaml.safe_dump(line))

        with Service(box.path) as service:
            desk.publish(one)
            eventually(lambda: box.status.runs == 1)
            assert in_force_now(box.config) == one.digest
            assert service.codes == []  # a bundle is taken between two frames
            desk.publish(a=good)
            eventually(lambda: box.status.runs == 2)
            in_force = box.folder.line_standing().in_force
            assert in_force is not None
            service.kill()
            eventually(lambda: service.codes == [START_AGAIN, -signal.SIGKILL])
            desk.publish(a=bad)
            eventually(lambda: [each.release for each in box.status.refused] == [3])
            assert box.status.runs == 2
            assert box.folder.line_standing().in_force == in_force
            # once to try it, once to come back
            assert service.codes[2:] == [START_AGAIN, START_AGAIN]
            hasty = yaml.safe_load(box.path.read_text())
            hasty["fleet"] |= {"well_within_s": 1, "well_frames": 10_000}
            box.path.write_text(yaml.safe_dump(hasty))
            good.write_text(good.read_text().replace("renamed", "renamed again"))
            desk.publish(a=good)
            eventually(lambda: [each.release for each in box.status.refused] == [3, 4])
            assert "was not well within 1 s" in box.status.refused[-1].why
            assert box.folder.line_standing().in_force == in_force


def test_a_line_runs_what_is_in_force_where_its_fleets_folder_can_be_neither_read_nor_written(
    tmp_path: Path,
) -> None:
    own = write_bundle(manifest(), make_files(), tmp_path / "own.bundle")
    box = Box(tmp_path / "a", "a", "http://127.0.0.1:1", tmp_path / "root.json", own.path)
    folder = box.folder
    folder.ask(LineRequest(id="1", digest=None, release=1))
    (folder.root / "status.json").write_text("{")
    (folder.root / "line_attempt.json").mkdir()  # how often it was tried cannot be kept
    assert run_in_fleet(box.path, box.config, lambda _: [], frames=3).frames == 3
    assert folder.line_standing().outcome is None
    (folder.root / "line_request.json").write_text("{")
    assert run_in_fleet(box.path, box.config, lambda _: [], frames=3).frames == 3


def test_a_line_file_that_lines_ended_over_is_refused_and_the_same_start_runs_the_one_before(
    tmp_path: Path,
) -> None:
    own = write_bundle(manifest(), make_files(), tmp_path / "own.bundle")
    box = Box(tmp_path / "a", "a", "http://127.0.0.1:1", tmp_path / "root.json", own.path)
    request = LineRequest(id="1", digest="0" * 64, release=1)
    box.folder.ask(request)
    box.folder.begin(LineAttempt(request=request, lines=2))
    assert run_in_fleet(box.path, box.config, lambda _: [], frames=3).frames == 3
    outcome = box.folder.line_standing().outcome
    assert outcome is not None
    assert outcome.refusal == "the line ended over it, 2 times"
