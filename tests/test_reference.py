"""The reference networks, their losses and data, and a training run that resumes exactly."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from edge.simulation import SimulatedLine
from reference import checkpoint, losses
from reference.data import read
from reference.evaluate import evaluate
from reference.networks import build
from reference.recipe import Recipe
from reference.train import TrainingDiverged, train

RECIPE = {
    "network": {"name": "minet", "align_corners": False},
    "data": [{"layout": "sd900", "path": "sd900", "share": 2, "zoom": (1.0, 1.5)}],
    "validation": {"size": 64, "every": 2},
    "mean": 0.45,
    "std": 0.225,
    "crop": 64,
    "learning_rate": 0.003,
    "warmup": 2,
    "iterations": 4,
    "decay": 2,
    "ema": 0.9,
    "seed": 5,
}


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


def test_minet_has_the_published_number_of_parameters() -> None:
    assert sum(p.numel() for p in build("minet").parameters()) == 277_477


@pytest.mark.parametrize("size", [(64, 64), (96, 160), (368, 368)])
def test_minet_gives_five_maps_of_the_input_size(size: tuple[int, int]) -> None:
    with torch.inference_mode():
        maps = build("minet").eval()(torch.zeros(1, 3, *size))
    assert [tuple(m.shape) for m in maps] == [(1, 1, *size)] * 5


def test_mixing_as_a_weighted_sum_is_the_papers_grouped_convolution() -> None:
    module = build("minet").eval().stages[1][1]
    x = torch.randn(2, 32, 16, 16, generator=torch.Generator().manual_seed(0))
    scales = torch.stack([branch(x) for branch in module.branches], dim=2).reshape(2, 128, 16, 16)
    expected = torch.relu(module.pointwise(module.mix(scales)) + x)
    assert torch.allclose(module(x), expected, atol=1e-6)


def test_an_unknown_network_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="minet"):
        build("resnet")


EMPTY, FULL = torch.zeros(1, 1, 16, 16), torch.ones(1, 1, 16, 16)
SURE = 40.0  # a logit whose sigmoid is 1 in float32


@pytest.mark.parametrize(
    ("logits", "target", "bce", "iou"),
    [
        (FULL * 0, FULL, np.log(2), 1 - (128 + 1) / (256 + 1)),  # p = 0.5 everywhere
        (FULL * -SURE, EMPTY, 0, 0),  # nothing there, nothing said
        (FULL * SURE, FULL, 0, 0),
        (FULL * -SURE, FULL, SURE, 1 - 1 / 257),  # all missed
        (FULL * SURE, EMPTY, SURE, 1 - 1 / 257),  # all false
    ],
)
def test_losses_have_the_values_worked_out_by_hand(
    logits: Tensor, target: Tensor, bce: float, iou: float
) -> None:
    assert losses.bce(logits, target).item() == pytest.approx(bce, abs=1e-5)
    assert losses.iou(logits, target).item() == pytest.approx(iou, abs=1e-5)


def test_ssim_is_nothing_between_equals_and_one_between_opposites() -> None:
    assert losses.ssim(FULL, FULL).item() == pytest.approx(0, abs=1e-5)
    # Constant images: (2ab + C1) / (a^2 + b^2 + C1) with a = 1, b = 0, C1 = 1e-4.
    assert losses.ssim(FULL, EMPTY).item() == pytest.approx(1 - 1e-4 / (1 + 1e-4), abs=1e-5)


def test_a_perfect_predictor_scores_perfectly(data_root: Path) -> None:
    pairs = [p for p in read(data_root / "sd900", "sd900") if p.mask.any()]
    mask_of = {p.image.tobytes(): p.mask.astype(np.float32) for p in pairs}
    metrics = evaluate(lambda image: mask_of[image.tobytes()], pairs)
    assert metrics["mae"] == 0
    assert metrics["s_measure"] == pytest.approx(1, abs=1e-3)
    assert metrics["weighted_f"] == pytest.approx(1, abs=1e-3)


def test_a_resumed_run_ends_in_the_same_weights_as_one_that_never_stopped(
    data_root: Path, tmp_path: Path
) -> None:
    # With a decay of one iteration the rate is the same in both up to where the half ends.
    whole = Recipe.model_validate({**RECIPE, "iterations": 4, "decay": 1})
    half = whole.model_copy(update={"iterations": 2})
    unbroken = train(whole, data_root=data_root, out=tmp_path / "unbroken")
    train(half, data_root=data_root, out=tmp_path / "broken")
    last = tmp_path / "broken" / "last.safetensors"
    resumed = train(whole, data_root=data_root, out=tmp_path / "broken", resume=last)
    assert unbroken.iteration == resumed.iteration == 4
    for name in ("network", "ema"):
        expected = getattr(unbroken, name).state_dict()
        for key, tensor in getattr(resumed, name).state_dict().items():
            assert torch.equal(tensor, expected[key]), key


def test_a_checkpoint_carries_its_recipe(data_root: Path, tmp_path: Path) -> None:
    recipe = Recipe.model_validate({**RECIPE, "iterations": 2})
    train(recipe, data_root=data_root, out=tmp_path)
    groups, record = checkpoint.load(tmp_path / "last.safetensors")
    assert set(groups) == {"model", "ema", "optimizer"}
    assert Recipe.model_validate(record["recipe"]) == recipe
    assert record["iteration"] == 2
    with pytest.raises(checkpoint.CheckpointError, match="trackside train"):
        checkpoint.load(tmp_path / "nothing.safetensors")


def test_a_loss_that_is_no_number_stops_the_run_with_what_to_try(
    data_root: Path, tmp_path: Path
) -> None:
    recipe = Recipe.model_validate({**RECIPE, "learning_rate": 1e30, "warmup": 1})
    with pytest.raises(TrainingDiverged, match="lower learning_rate"):
        train(recipe, data_root=data_root, out=tmp_path)
