"""The deploy form is exact algebra, and its ONNX graph answers as the trained network does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from edge.cameras.folder_camera import FolderCamera
from edge.network.preprocess import to_tensor
from edge.simulation import SimulatedLine
from edge.types import Frame
from quantize.deploy import Trained, to_onnx
from quantize.deploy.deploy_form import deploy, free_last
from quantize.deploy.export import ExportError
from quantize.deploy.norms import mute
from quantize.describe import input_spec
from quantize.targets.layers import layers
from reference.networks import NETWORKS, build, class_maps, logit_maps
from reference.networks.dms import DMS, DMSOutput, Output
from reference.networks.minet import MI_MODULES
from reference.trained import network_input
from stands.tiny_recipe import recipe_with

torch.set_num_threads(1)  # beside other work on the machine, two wait for each other for ever

SIDE = 64
ON_GRID: dict[str, Any] = {"align_corners": False}
VARIANTS: list[dict[str, Any]] = [
    *({"mi": name, **ON_GRID} for name in MI_MODULES),
    {"mi": "full"},  # the paper's own: aligned corners
    *({"backbone": name, **ON_GRID} for name in ("mobilenet_v1", "squeezenet1_1")),
    *({"backbone": f"efficientnet_{name}", **ON_GRID} for name in ("b0", "lite0")),
]
# The smallest of each that still has what makes it itself.
SMALLEST: dict[str, dict[str, Any]] = {
    "minet": {},
    "nadinet": {"backbone": "resnet34", "interaction": "large"},
    "csepnet": {},
    "lsanet": {},
    "dms": {"bidirectional": False},
}


def trained(name: str, **arguments: Any) -> nn.Module:
    """Random weights, and normalisations that a fold which forgot them would show."""
    torch.manual_seed(0)
    network = build(name, **arguments).eval()
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            assert norm.running_mean is not None and norm.running_var is not None
            nn.init.normal_(norm.running_mean, 0, 0.1)
            nn.init.uniform_(norm.running_var, 0.5, 1.5)
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, 0, 0.1)
    return network


def images(side: int) -> torch.Tensor:
    """One of noise, and one of a simulated rail."""
    rail, _ = SimulatedLine(3, width_px=side).render(0, side)
    noise = torch.randn(1, 1, side, side, generator=torch.Generator().manual_seed(1))
    return torch.cat([noise, (torch.from_numpy(rail)[None, None] / 255 - 0.45) / 0.225])


@pytest.mark.parametrize("arguments", VARIANTS, ids=str)
def test_the_deploy_form_answers_as_the_trained_network(arguments: dict[str, Any]) -> None:
    network, x = trained("minet", **arguments), images(SIDE)
    form = deploy(network)
    with torch.inference_mode():
        wanted, answer = network(x.expand(-1, 3, -1, -1))[0], form(x)
    if arguments.get("align_corners", True):
        assert answer.shape == wanted.shape  # the mask step could not do the last resize
    else:
        assert answer.shape == (2, 1, SIDE // 2, SIDE // 2)
        answer = F.interpolate(answer, scale_factor=2.0, mode="bilinear")
    torch.testing.assert_close(answer, wanted, rtol=0, atol=1e-4)


def test_signs_of_both_kinds_are_among_the_mixes_that_were_compared() -> None:
    stage = trained("minet", **ON_GRID).get_submodule("stages.1")
    weights = torch.cat([block.mix[0].weight.flatten() for block in list(stage)[1:]])
    assert (weights < 0).any() and (weights > 0).any()


def test_a_channel_that_died_in_training_is_a_constant_and_no_amplifier() -> None:
    network, x = trained("minet", **ON_GRID), images(SIDE).expand(-1, 3, -1, -1)
    fed, norm = (network.get_submodule(f"stages.1.{name}.1") for name in ("0.1", "1.branches.2"))
    fed.weight.data[3], fed.bias.data[3] = 0, -1  # under a ReLU: nothing ever comes
    norm.running_mean[3], norm.running_var[3] = 0, 1e-15
    with torch.inference_mode():
        wanted = network(x)[0]
        loudest = deploy(network).get_submodule("stages.1.1.branches.2").weight[3].abs().max()
        mute(network)
        torch.testing.assert_close(network(x)[0], wanted, rtol=0, atol=1e-4)
    muted = deploy(network).get_submodule("stages.1.1.branches.2").weight
    assert not muted[3].any() and loudest > 30 * muted.abs().max()
    assert (muted.flatten(1).abs().sum(1) > 0).sum() == len(muted) - 1


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("minet", {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225), "colour": True}),
        ("csepnet", {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}),
        ("minet", {"mean": 0.45, "std": 0.225, "colour": True}),
    ],
)
def test_what_a_colour_camera_shows_a_bundle_is_what_training_shows_the_network(
    name: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    """The camera and files give blue first, where a recipe and networks have red first."""
    recipe = recipe_with(**settings)
    network = trained(name, **(ON_GRID if name == "minet" else {}))
    spec = input_spec(Trained(deploy(network, channels=3), recipe, 0, ""), um_per_px=250)
    pixels = np.random.default_rng(0).integers(0, 256, (spec.height, spec.width, 3), np.uint8)
    pixels[..., 0] //= 4  # hardly any blue
    cv2.imwrite(str(tmp_path / "colour.png"), pixels)
    camera = FolderCamera(tmp_path, along_um=1, across_um=1, colour=True, clock_ns=lambda: 0)
    (frame,) = camera.frames()
    assert isinstance(frame, Frame)
    graph = to_onnx(deploy(network, channels=3), height=spec.height, width=spec.width, channels=3)
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    answer = torch.from_numpy(session.run(None, {"image": to_tensor(frame.image, spec)})[0])
    red_first = torch.from_numpy(pixels[..., ::-1].copy()).permute(2, 0, 1)[None] / 255
    mean, std = (torch.tensor(of).view(1, -1, 1, 1) for of in (recipe.mean, recipe.std))
    shown = (red_first - mean) / std
    torch.testing.assert_close(network_input(torch.from_numpy(pixels)[None], recipe), shown)
    with torch.inference_mode():
        wanted = logit_maps(network(shown))[0]
    answer = F.interpolate(answer, size=wanted.shape[-2:], mode="bilinear")
    torch.testing.assert_close(answer, wanted, rtol=0, atol=1e-3)


@pytest.fixture(scope="module")
def named() -> nn.Module:
    """A MINet that names classes, which two tests look at: an export takes its time."""
    return trained("minet", class_maps=3, **ON_GRID)


@pytest.fixture(scope="module")
def graph(named: nn.Module) -> onnx.ModelProto:
    return to_onnx(deploy(named), height=SIDE, width=SIDE)


def test_a_minet_that_names_classes_exports_the_map_and_a_map_for_each_class(
    named: nn.Module, graph: onnx.ModelProto
) -> None:
    x = images(SIDE)
    with torch.inference_mode():
        output = named(x.expand(-1, 3, -1, -1))
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    assert [end.name for end in session.get_outputs()] == ["logits", "names"]
    for one, decided, classes in zip(x, logit_maps(output)[0], class_maps(output)[0], strict=True):
        logits, names = map(torch.from_numpy, session.run(None, {"image": one[None].numpy()}))
        assert names.shape == (1, 3, SIDE // 16, SIDE // 16)
        logits = F.interpolate(logits, scale_factor=2.0, mode="bilinear")
        torch.testing.assert_close(logits[0], decided, rtol=0, atol=1e-4)
        torch.testing.assert_close(names[0], classes, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_exports_without_its_side_heads_and_answers_the_same(name: str) -> None:
    network, x = trained(name, **SMALLEST[name]), images(32)
    with torch.inference_mode():
        output = network(x.expand(-1, 3, -1, -1))
    wanted = logit_maps(output)[0]
    graph = to_onnx(deploy(network), height=32, width=32)
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    answers = [session.run(None, {"image": one[None].numpy()}) for one in x]
    maps = torch.from_numpy(np.concatenate([answer[0] for answer in answers]))
    torch.testing.assert_close(maps, wanted, rtol=0, atol=1e-4)
    if isinstance(output, DMSOutput):  # the class of the picture as a whole, in one cell
        classes = torch.from_numpy(np.concatenate([answer[1] for answer in answers]))
        named = output.classes[0][:, :, None, None]
        torch.testing.assert_close(classes, named, rtol=0, atol=1e-4)
    operators = {node.op_type for node in graph.graph.node}
    assert "BatchNormalization" not in operators
    assert not any("side_heads" in layer or "heads.1" in layer for layer in layers(graph))


@torch.no_grad()
def test_the_class_of_sound_pictures_comes_last_and_what_nobody_taught_does_not_come() -> None:
    one = Output(8, first=True, refine=False, classes=3)
    assert one.classify is not None
    features, classes = torch.randn(2, 8, 4, 4), ["blowhole", "free", "uneven"]
    before = one(features, None)[1]
    assert before is not None
    assert free_last(nn.Sequential(one), classes) == ("blowhole", "uneven")
    torch.testing.assert_close(one(features, None)[1], before[:, [0, 2, 1]])
    assert free_last(nn.Sequential(one), []) == ()
    assert one(features, None)[1] is None


def test_minets_graph_is_plain_and_names_its_layers(graph: onnx.ModelProto) -> None:
    assert {node.op_type for node in graph.graph.node} == {"Add", "Conv", "Mul", "Relu", "Resize"}
    assert {"stages.0.0", "stages.1.1.branches.3", "decoders.0.1.1.0", "head"} < set(layers(graph))
    assert len({node.name for node in graph.graph.node}) == len(graph.graph.node)
    constants = {i.name: onnx.numpy_helper.to_array(i) for i in graph.graph.initializer}
    for resize in (node for node in graph.graph.node if node.op_type == "Resize"):
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in resize.attribute}
        assert attributes["mode"] == b"linear"
        assert attributes["coordinate_transformation_mode"] == b"half_pixel"
        assert constants[resize.input[2]].tolist() == [1, 1, 2, 2]
    assert b".py" not in graph.SerializeToString()  # no trace of the machine it was made on


def test_a_dynamic_graph_takes_every_multiple_of_32() -> None:
    # Of MINets the one with the fewest layers: what depends on a size is in each alike.
    form = deploy(trained("minet", backbone="squeezenet1_1", **ON_GRID))
    graph = to_onnx(form, height=SIDE, width=SIDE, dynamic=True).SerializeToString()
    session = onnxruntime.InferenceSession(graph)
    for height, width in ((32, 96), (128, 64)):
        x = torch.randn(1, 1, height, width)
        with torch.inference_mode():
            wanted = form(x)
        (answer,) = session.run(None, {"image": x.numpy()})
        torch.testing.assert_close(torch.from_numpy(answer), wanted, rtol=0, atol=1e-4)


def test_a_side_off_the_stride_is_refused_with_the_next_that_fits() -> None:
    with pytest.raises(ExportError, match="height 250 is not a multiple of 32: use 256"):
        to_onnx(nn.Identity(), height=250, width=256)


def test_a_size_that_a_paper_has_off_the_stride_is_exported_as_it_is() -> None:
    form = nn.Conv2d(1, 1, 3, stride=4, padding=1).requires_grad_(False)
    form.odd_sizes = DMS.odd_sizes  # type: ignore[assignment]
    graph = to_onnx(form, height=300, width=300)
    assert [d.dim_value for d in graph.graph.output[0].type.tensor_type.shape.dim] == [1, 1, 75, 75]
    with pytest.raises(ExportError, match="height 300 is not a multiple of 32: use 320"):
        to_onnx(form, height=300, width=320)
