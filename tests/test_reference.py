"""Evaluation of a predictor on a data set."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.simulation import SimulatedLine
from reference.data import read
from reference.evaluate import evaluate


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Simulated frames in the layout of SD-saliency-900, four of them held out."""
    root = tmp_path_factory.mktemp("data")
    line = SimulatedLine(2, width_px=64, defects_per_metre=20)
    for folder in ("Source Images", "Ground truth"):
        (root / "sd900" / folder).mkdir(parents=True)
    for index, number in enumerate((1, 2, 3, 4, 5, 6, 241, 242, 250, 260)):
        image, labels = line.render(64 * index, 64)
        mask = np.where(labels > 0, 255, 0).astype(np.uint8)
        cv2.imwrite(str(root / "sd900" / "Source Images" / f"In_{number}.bmp"), image)
        cv2.imwrite(str(root / "sd900" / "Ground truth" / f"In_{number}.png"), mask)
    return root


def test_a_perfect_predictor_scores_perfectly(data_root: Path) -> None:
    pairs = [p for p in read(data_root / "sd900", "sd900") if p.mask.any()]
    mask_of = {p.image.tobytes(): p.mask.astype(np.float32) for p in pairs}
    metrics = evaluate(lambda image: mask_of[image.tobytes()], pairs)
    assert metrics["mae"] == 0
    assert metrics["s_measure"] == pytest.approx(1, abs=1e-3)
    assert metrics["weighted_f"] == pytest.approx(1, abs=1e-3)
