"""A paper's own recipe becomes a bundle at a size that the box can run, in INT8 on two engines.

The weights are random, their normalisations those of what is shown: what is held is the way from a
checkpoint to a box, not an accuracy. CSEPNet, LSA-Net and NaDiNet are not among them: so little of
their random maps differs from picture to picture that 7 bits decide otherwise.
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edge.bundle import InputSpec, Limits, open_bundle
from edge.engines import open_engine
from edge.line_file import settings_for
from edge.network import check_golden
from quantize.deploy import read_trained
from quantize.describe import Purpose
from quantize.pack import LEFT_OUT, PARITY, Packing, Wishes, build
from quantize.parity import simulated
from quantize.targets import choose, of_pairs
from reference.data import Pair
from reference.networks import build as network_of
from reference.networks import logit_maps
from reference.recipe import Recipe, read_recipe
from reference.trained import checkpoint, network_input
from stands.places import RECIPES

torch.set_num_threads(1)
pytestmark = pytest.mark.timeout(900)  # the largest network of all, on a busy machine

SIZE, TAUGHT, SHOWN = 64, 4, 2
SPEC = InputSpec(
    height=SIZE, width=SIZE, channels=1, mean=[0], scale=[1], resize="linear", um_per_px=250
)
HEADS = {  # of each recipe's network, the last layer of its result
    "minet_paper": "heads.0.1",
    "dms": "bottom_up.outputs.2.predict.2",
}
KINDS = ["blowhole", "break", "crack", "fray", "free", "uneven"]  # that DMS tells apart


@dataclass(frozen=True)
class Made:
    """A bundle of one recipe, and what was measured on the way."""

    path: Path
    packing: Packing


def frames() -> list[Pair]:
    """Of the simulated line, each with a defect."""
    found = (pair for pair in simulated(SPEC, 60) if pair.mask.mean() > 0.01)
    return [pair for pair, _ in zip(found, range(TAUGHT + SHOWN), strict=False)]


@torch.no_grad()
def awake(recipe: Recipe, head: str) -> nn.Module:
    """Random weights that see the frames, and a result that is sure of some of what it says."""
    torch.manual_seed(0)
    network = network_of(**recipe.network).train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.5
        if isinstance(module, (nn.Dropout, nn.Dropout2d)):
            module.p = 0
    shown = network_input(torch.from_numpy(np.stack([f.image for f in frames()])), recipe)
    network(shown)
    last, seen = network.eval().get_submodule(head), []
    hook = last.register_forward_hook(lambda *told: seen.append(told[-1]))
    logit_maps(network(shown))
    hook.remove()
    answers, scale = seen[0].flatten(), 2 / seen[0].std()
    levels = answers.quantile(torch.linspace(0.6, 0.9, 31))
    widest = int(levels.diff().argmax())  # where a little noise decides least
    last.weight.mul_(scale)
    last.bias.sub_(levels[widest : widest + 2].mean()).mul_(scale)
    return network


@pytest.fixture(scope="module", params=HEADS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    root = tmp_path_factory.mktemp(request.param)
    recipe = read_recipe(RECIPES / f"{request.param}.yaml")
    network = awake(recipe, HEADS[request.param])
    record = {"recipe": recipe.model_dump(mode="json"), "iteration": 0, "best": 0.0}
    record["classes"] = KINDS if request.param == "dms" else []
    checkpoint.save(root / "ckpt", {"ema": network.state_dict()}, record)
    pairs = frames()
    packing = build(
        read_trained(root / "ckpt").at(SIZE),
        choose(of_pairs(pairs[:TAUGHT]), SPEC, count=TAUGHT, seed=0),
        pairs[TAUGHT:],
        Purpose("paper", SPEC.um_per_px, 0.5, Limits(min_area_mm2=4, min_extent_mm=2)),
        Wishes(targets=("openvino", "onnxruntime"), max_drop={"S": 1.0}, frames=0),
        out=root / "paper.bundle",
        step=lambda _: nullcontext(),
    )
    return Made(root / "paper.bundle", packing)


def test_a_papers_recipe_is_packed_in_int8_for_two_engines_and_its_parity_is_told(
    made: Made,
) -> None:
    assert made.packing.failures == []
    bundle = open_bundle(made.path)
    artefacts = {(a.engine, a.precision): a for a in bundle.manifest.artefacts}
    wanted = {("openvino", "int8"), ("onnxruntime", "int8"), ("onnxruntime", "fp32")}
    if bundle.manifest.network == "dms":  # of 62 million parameters, as much as a box takes
        wanted.remove(("onnxruntime", "fp32"))
        assert bundle.manifest.provenance["fp32"] == LEFT_OUT
    assert set(artefacts) == wanted
    assert bundle.manifest.input.height == SIZE
    for artefact in artefacts.values():
        engine = open_engine(settings_for(artefact), bundle)
        check_golden(bundle, engine)
        engine.close()
    told = json.loads(bundle.read(PARITY))["engines"]
    assert all(set(row["drops"]) >= {"S", "MAE", "flips"} for row in told[1:])
    assert artefacts["onnxruntime", "int8"].accuracy["mask_iou"] > 0.5


def test_dms_carries_what_the_picture_shows_into_its_bundle_and_the_others_nothing(
    made: Made,
) -> None:
    manifest = open_bundle(made.path).manifest
    if manifest.network != "dms":
        assert manifest.names is None
        return
    assert manifest.classes == [kind for kind in KINDS if kind != "free"]
    assert manifest.names is not None
    assert (manifest.names.height, manifest.names.width, manifest.names.sound) == (1, 1, True)
    assert all("names_as_fp32" in artefact.accuracy for artefact in manifest.artefacts)
