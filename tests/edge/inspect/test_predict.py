"""Prediction on files: one map, one overlay and one line for each image, whatever is among them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.simulation import SimulatedLine

RAIL = SimulatedLine(seed=7)


def predict(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge.cli", "predict", "strip", *map(str, arguments)]
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


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    answer = predict(tmp_path, "--out", tmp_path / "out")
    assert answer.returncode == 2
    assert "holds no image" in answer.stderr
