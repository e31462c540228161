"""From a checkpoint to a bundle: exact algebra, plain graphs, and INT8 that decides the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from edge.bundle import Bundle, open_bundle
from edge.types import Image
from quantize.calibrate import CalibrationError, choose
from quantize.golden import steel_with_defects
from quantize.parity import Parity, ParityError, open_artefact, require
from reference import checkpoint
from reference.data import Pair
from reference.networks.minet import MINet
from reference.recipe import DataSection, Recipe, ValidationSection

torch.set_num_threads(1)  # beside other work on the machine, two wait for each other for ever

REPOSITORY = Path(__file__).parents[1]
SIZE, MEAN, STD = 64, 0.45, 0.225


@pytest.fixture(scope="module")
def network() -> MINet:
    """Random weights, statistics of what flows through them, and a head that finds dark spots.

    The head is solved for: a random one reads what is common to all surfaces, and its answers drown
    in INT8 noise.
    """
    torch.manual_seed(0)
    network = MINet(align_corners=False).train()
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # the mean over all that it sees
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, 0, 1)
    images = torch.cat([grey(seed) for seed in range(16)])
    spots = torch.stack([torch.from_numpy(pair.mask)[None].float() for pair in pairs(16)])
    features: list[torch.Tensor] = []
    network.decoders[0].register_forward_hook(lambda _, __, output: features.append(output))
    _, head = network.heads[0]
    with torch.no_grad():
        network(images)
        for norm in norms:
            norm.running_var.clamp_(min=0.01)  # a channel that never moved must not explode later
        network.eval()(images)
        seen = F.pad(features[-1].movedim(1, -1).flatten(0, 2), (0, 1), value=1.0)  # pixels,C+1
        wanted = 24 * F.avg_pool2d(spots, 2).flatten() - 4  # the spots are few
        ridge = 0.01 * len(seen) * torch.eye(seen.shape[1])
        solution = torch.linalg.solve(seen.T @ seen + ridge, seen.T @ wanted)
        head.weight.copy_(solution[:-1].reshape(head.weight.shape))
        head.bias.copy_(solution[-1:])
    return network


def grey(seed: int) -> torch.Tensor:
    """What the trained network takes: three equal channels."""
    image = torch.from_numpy(steel_with_defects(seed, SIZE, SIZE))
    return ((image / 255 - MEAN) / STD).expand(1, 3, SIZE, SIZE)


def pairs(count: int) -> list[Pair]:
    images = [steel_with_defects(seed, SIZE, SIZE) for seed in range(count)]
    return [Pair(f"x_{n}", image, dark(image)) for n, image in enumerate(images)]


def dark(image: Image) -> Image:
    return (image < 80).astype(np.uint8)


def test_calibration_takes_what_is_least_alike() -> None:
    crowd = [
        Pair(str(n), steel_with_defects(0, 64, 64), np.zeros((64, 64), np.uint8)) for n in "abcdef"
    ]
    rng = np.random.default_rng(1)
    odd = [rng.integers(0, 40, (64, 64), np.uint8), rng.integers(0, 255, (64, 64), np.uint8)]
    mixed = [*crowd, *(Pair("odd", image, image) for image in odd)]
    for seed in range(3):
        chosen = choose(mixed, count=3, seed=seed).images
        assert {image.tobytes() for image in odd} < {image.tobytes() for image in chosen}


def test_calibration_is_known_by_its_pixels() -> None:
    some = pairs(6)
    first = choose(some, count=4, seed=0)
    assert choose(some, count=4, seed=0).sha256 == first.sha256
    brighter = [Pair(p.name, p.image + np.uint8(1), p.mask) for p in some]
    assert choose(brighter, count=4, seed=0).sha256 != first.sha256


def test_calibration_refuses_what_teaches_no_range() -> None:
    with pytest.raises(CalibrationError, match="no image"):
        choose([], count=4, seed=0)
    covered = np.zeros((64, 64), np.uint8)
    with pytest.raises(CalibrationError, match="1 of 3 images are of one single grey: covered"):
        choose([*pairs(2), Pair("covered", covered, covered)], count=4, seed=0)


def test_an_engine_that_lost_too_much_is_named() -> None:
    fp32 = Parity("torch fp32", 0.90, 0.02, 0.85, 1.0, 50.0)
    require(Parity("openvino int8", 0.885, 0.02, 0.85, 0.95, 9.0), fp32)
    with pytest.raises(ParityError, match=r"litert int8 drops S-measure by 0\.0300"):
        require(Parity("litert int8", 0.87, 0.02, 0.85, 0.95, 9.0), fp32)


Made = tuple[Bundle, "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def made(network: MINet, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A small bundle, and what the command that made it printed."""
    root = tmp_path_factory.mktemp("made")
    record = {"recipe": write_recipe(root).model_dump(mode="json"), "iteration": 1}
    checkpoint.save(root / "ckpt", {"ema": network.state_dict()}, record)
    command = "import typer; from quantize.commands import quantize; typer.run(quantize)"
    arguments = ["ckpt", "--data-root", ".", "--out", "small.bundle", "--images", "6"]
    ran = subprocess.run(
        [sys.executable, "-c", command, *arguments],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return open_bundle(root / "small.bundle"), ran


def test_the_bundle_holds_int8_for_every_engine_with_its_accuracy(made: Made) -> None:
    manifest = made[0].manifest
    measured = {(a.engine, a.precision): a.accuracy for a in manifest.artefacts}
    assert list(measured) == [
        ("openvino", "int8"),
        ("onnxruntime", "int8"),
        ("litert", "int8"),
        ("onnxruntime", "fp32"),
    ]
    assert measured["onnxruntime", "fp32"]["mask_iou"] == 1
    assert all(accuracy["mask_iou"] > 0.8 for accuracy in measured.values())
    assert manifest.name == "small"
    assert (manifest.input.mean, manifest.input.scale) == ([255 * MEAN], [1 / (255 * STD)])
    assert manifest.provenance["calibration"].startswith("6 images, sha256 ")


def test_every_artefact_answers_the_golden_pair(made: Made) -> None:
    bundle = made[0]
    for artefact in bundle.manifest.artefacts:
        open_artefact(artefact, bundle).close()


def test_the_command_shows_its_steps_and_hides_the_vendors(made: Made) -> None:
    ran = made[1]
    assert ran.stdout.strip().startswith("Parity on the validation pairs")
    assert all(line.startswith("✓ ") for line in ran.stderr.splitlines() if line.strip())


def write_recipe(root: Path) -> Recipe:
    """A recipe and its data set, of which 3 images are held out."""
    for folder in ("Source Images", "Ground truth"):
        (root / "steel" / folder).mkdir(parents=True)
    numbers = [1, 2, 3, 4, 5, 6, 241, 242, 243]
    for number, pair in zip(numbers, pairs(len(numbers)), strict=True):
        cv2.imwrite(str(root / "steel" / "Source Images" / f"x_{number}.bmp"), pair.image)
        cv2.imwrite(str(root / "steel" / "Ground truth" / f"x_{number}.png"), 255 * pair.mask)
    return Recipe(
        network={"name": "minet", "align_corners": False},
        data=[DataSection(layout="sd900", path="steel", share=1, zoom=(1, 1))],
        validation=ValidationSection(size=SIZE, every=1),
        mean=MEAN,
        std=STD,
        crop=SIZE,
        learning_rate=1e-3,
        warmup=1,
        iterations=1,
        decay=1,
        ema=0.9,
        seed=0,
    )
