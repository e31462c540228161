"""Prediction on files: one map, one overlay and one line for each image, whatever is among them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from edge.simulation import SimulatedLine

ROOT = Path(__file__).parents[3]
RAIL = SimulatedLine(seed=7)


def predict(*arguments: str | Path, bundle: str = "strip") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge.cli", "predict", bundle, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A defect, a sound rail in colour and another size, a dark frame and a corrupt file."""
    folder = tmp_path_factory.mktemp("images")
    defect = RAIL.true_defects(0, 40_000)[0]
    start_row = defect.stretch.start_um // 250 - 100
    defective, _ = RAIL.render(max(0, start_row), 352)
    sound, labels = SimulatedLine(seed=7, defects_per_metre=0, distractors_per_metre=0).render(
        0, 352
    )
    assert not labels.any()
    cv2.imwrite(str(folder / "defective.png"), defective)
    colour = cv2.cvtColor(cv2.resize(sound, (300, 200)), cv2.COLOR_GRAY2BGR)
    cv2.imwrite(str(folder / "sound.bmp"), colour)
    cv2.imwrite(str(folder / "dark.png"), sound // 16)
    whole = (folder / "defective.png").read_bytes()
    (folder / "corrupt.png").write_bytes(whole[:500])
    return folder


def test_every_image_gets_a_map_an_overlay_and_a_line(images: Path, tmp_path: Path) -> None:
    answer = predict(images, "--out", tmp_path)
    rows = [json.loads(row) for row in (tmp_path / "results.jsonl").read_text().splitlines()]
    states = {Path(row["image"]).name: row["state"] for row in rows}
    assert states == {
        "corrupt.png": "UNKNOWN",
        "dark.png": "UNKNOWN",
        "defective.png": "NG",
        "sound.bmp": "OK",
    }
    assert answer.returncode == 1  # because of the corrupt one
    assert "corrupt.png is not a whole image" in answer.stderr
    assert answer.stdout == ""
    for stem, shape in {"defective": (352, 352), "sound": (200, 300), "dark": (352, 352)}.items():
        saliency = cv2.imread(str(tmp_path / f"{stem}.png"), cv2.IMREAD_UNCHANGED)
        overlay = cv2.imread(str(tmp_path / f"{stem}_overlay.png"), cv2.IMREAD_UNCHANGED)
        assert saliency is not None and saliency.shape == shape and saliency.dtype == np.uint8
        assert overlay is not None and overlay.shape == (*shape, 3)
    assert not (tmp_path / "corrupt.png").exists()


def test_ng_fails_the_command_only_where_that_was_asked_for(images: Path, tmp_path: Path) -> None:
    defective = images / "defective.png"
    assert predict(defective, "--out", tmp_path).returncode == 0
    assert predict(defective, "--out", tmp_path, "--fail-on-ng").returncode == 1
    assert predict(images / "sound.bmp", "--out", tmp_path, "--fail-on-ng").returncode == 0


def test_two_images_of_one_stem_are_refused_before_any_work(images: Path, tmp_path: Path) -> None:
    twin = tmp_path / "defective.jpg"
    twin.write_bytes((images / "defective.png").read_bytes())
    answer = predict(images / "defective.png", twin, "--out", tmp_path / "out")
    assert answer.returncode == 2
    assert "defective" in answer.stderr and "--out" in answer.stderr
    assert not (tmp_path / "out").exists()


def test_an_image_is_never_overwritten_by_its_map(images: Path) -> None:
    before = (images / "defective.png").read_bytes()
    answer = predict(images, "--out", images)
    assert answer.returncode == 2 and "png: give another folder as --out" in answer.stderr
    assert (images / "defective.png").read_bytes() == before


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    answer = predict(tmp_path, "--out", tmp_path / "out")
    assert answer.returncode == 2
    assert "holds no image" in answer.stderr


def test_the_rail_in_pictures_of_any_size_is_followed_and_named_at_its_own_scale(
    tmp_path: Path,
) -> None:
    tracks = {seed: SimulatedLine(seed, "track", 700, 250, 9, 5) for seed in (1, 2)}
    beside = ((0, 0), (300, 0))  # the head is in no middle
    for seed, track in tracks.items():
        picture, _ = track.render(0, 1400)
        cv2.imwrite(str(tmp_path / f"{seed}.png"), np.pad(picture, beside, mode="edge"))
    cv2.imwrite(str(tmp_path / "3.png"), np.full((1400, 1000), 60, np.uint8))
    assert predict(tmp_path, "--out", tmp_path / "out", bundle="rail").returncode == 0
    lines = (tmp_path / "out/results.jsonl").read_text().splitlines()
    worn, jointed, blank = map(json.loads, lines)
    truth = tracks[1].true_defects(0, 1400)
    assert len(worn["defects"]) == len(truth) == 4
    for defect, true in zip(worn["defects"], truth, strict=True):
        x, y, width, height = defect["box_px"]
        assert true.stretch.start_um < 250 * (y + height / 2) < true.stretch.end_um
        assert 0 < 250 * (x - 300 + width / 2) - true.left_um < 1000 * true.width_mm
        assert defect["class"] in {None, true.kind} and 0 < defect["class_score"] <= 1
        assert defect["score"] > 0.8 and defect["code"] is None
    assert [each["class"] for each in worn["defects"]].count(None) <= 1
    assert {each["class"] for each in jointed["reported"]} == {"gap"}
    assert "gap" not in {each["class"] for each in jointed["defects"]}
    assert blank["state"] == "UNKNOWN" and "head of the rail is not to be" in blank["reasons"][0]


def test_a_picture_too_small_to_show_what_counts_is_unknown(tmp_path: Path) -> None:
    track, _ = SimulatedLine(1, "track", 700, 250, 9, 5).render(0, 4)
    cv2.imwrite(str(tmp_path / "rows.png"), track)
    assert predict(tmp_path, "--out", tmp_path / "out", bundle="rail").returncode == 1
    row = json.loads((tmp_path / "out/results.jsonl").read_text())
    assert row["state"] == "UNKNOWN" and "it shows 1 x 175 mm" in row["error"]


def test_a_finer_picture_is_inspected_at_its_own_scale_and_as_a_line_says(
    images: Path, tmp_path: Path
) -> None:
    coarse = cv2.imread(str(images / "defective.png"), cv2.IMREAD_GRAYSCALE)
    assert coarse is not None
    fine = tmp_path / "fine.png"
    cv2.imwrite(str(fine), coarse.repeat(2, 0).repeat(2, 1))
    out = tmp_path / "out"
    assert predict(images / "defective.png", "--out", out).returncode == 0
    [native] = json.loads((out / "results.jsonl").read_text())["defects"]
    assert predict(fine, "--out", out, "--um-per-px", "125").returncode == 0
    [defect] = json.loads((out / "results.jsonl").read_text())["defects"]
    assert defect["class"] == native["class"]
    assert defect["box_px"] == pytest.approx([2 * px for px in native["box_px"]], abs=6)
    assert defect["area_mm2"] == pytest.approx(native["area_mm2"], rel=0.1)

    x, y, width, height = defect["box_px"]
    corners = [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]
    line = yaml.safe_load((ROOT / "edge/examples/strip.yaml").read_text())
    line["cameras"]["top"] |= {"um_per_px": 125, "width_px": 704, "height_px": 704}
    for ignored, state in ([], "NG"), ([corners], "OK"):
        line["cameras"]["top"]["region"] = {"ignore": ignored}
        (tmp_path / "line.yaml").write_text(yaml.safe_dump(line))
        assert predict(fine, "--out", out, "--line", tmp_path / "line.yaml").returncode == 0
        assert json.loads((out / "results.jsonl").read_text())["state"] == state


def test_one_scale_is_given_not_two(images: Path, tmp_path: Path) -> None:
    answer = predict(images, "--out", tmp_path, "--um-per-px", "250", "--line", "line.yaml")
    assert (answer.returncode, answer.stderr.count("leave --um-per-px out")) == (2, 1)
