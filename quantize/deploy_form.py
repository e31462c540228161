"""MINet as it is deployed: the trained network's exact algebra in fewer, plainer layers."""

from __future__ import annotations

import copy
import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from edge.errors import ConfigurationError
from reference import checkpoint
from reference.networks import build
from reference.networks.layers import ConvBNReLU
from reference.networks.minet import DILATIONS, MINet, MultiScaleInteraction
from reference.recipe import Recipe


class DeployFormError(ConfigurationError):
    """A network that has no deploy form; the message says what to train instead."""


@dataclass(frozen=True)
class Trained:
    """A checkpoint's averaged weights in deploy form, and how they came to be."""

    network: DeployMINet
    recipe: Recipe
    iteration: int
    sha256: str  # of the checkpoint file


def read_trained(path: Path) -> Trained:
    """The deploy form of a checkpoint."""
    groups, record = checkpoint.load(path)
    recipe = Recipe.model_validate(record["recipe"])
    network = build(**recipe.network)
    network.load_state_dict(groups["ema"])
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Trained(DeployMINet(network), recipe, record["iteration"], digest)


class SignedSum(nn.Module):
    """An MI module whose mix of scales is a signed sum of its branches.

    s * relu(z) = sign(s) * relu(|s| * z): the mix's magnitude goes into each branch and only its
    sign is left. Signs are multiplied and the bias rides on a convolution, because ONNX Runtime
    leaves its blocked layout for a subtraction or for adding a constant.
    """

    signs: Tensor  # 3,1,C,1,1

    def __init__(self, trained: MultiScaleInteraction) -> None:
        super().__init__()
        mix = _folded(trained.mix)
        # The mix's 4C inputs are channel-major: the scales of one channel are neighbours.
        scales = mix.weight.reshape(-1, len(DILATIONS)).T  # 4,C
        self.branches = nn.ModuleList(
            _scaled(_folded(branch), scale)
            for branch, scale in zip(trained.branches, scales.abs(), strict=True)
        )
        first, *others = torch.where(scales < 0, -1.0, 1.0).double()
        width = len(first)
        self.first = nn.Conv2d(width, width, 1, groups=width)
        self.first.weight = nn.Parameter(first.reshape(-1, 1, 1, 1))
        self.first.bias = mix.bias
        self.register_buffer("signs", torch.stack(others).reshape(-1, 1, width, 1, 1))
        self.pointwise = _deploy(trained.pointwise)

    def forward(self, x: Tensor) -> Tensor:
        first, *others = self.branches
        mixed = self.first(torch.relu(first(x)))
        for branch, sign in zip(others, self.signs.unbind(), strict=True):
            mixed = mixed + sign * torch.relu(branch(x))
        return torch.relu(self.pointwise(torch.relu(mixed)) + x)


class DeployMINet(nn.Module):
    """One grey channel in, one logit map at half its size out.

    Side heads and dropout are gone, the three equal input channels are one, and the sigmoid and the
    resize to the frame are left to the mask step.
    """

    def __init__(self, trained: nn.Module) -> None:
        super().__init__()
        if not isinstance(trained, MINet):
            raise DeployFormError(f"{type(trained).__name__} has no deploy form yet: train minet")
        if trained.align_corners:
            raise DeployFormError(
                "align_corners=True makes every x2 depend on the position: train the network with "
                "`align_corners: false` in the recipe"
            )
        exact = copy.deepcopy(trained).eval().double()  # rounded once, at the end
        self.stages = nn.ModuleList(map(_deploy, exact.stages))
        _take_grey(self.get_submodule("stages.0.0"))
        self.decoders = nn.ModuleList(map(_deploy, exact.decoders))
        self.head = exact.get_submodule("heads.0.1")
        self.float().eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """N,1,H,W normalised pixels to N,1,H/2,W/2 logits."""
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        x = self.decoders[-1](features.pop())
        for feature, decoder in zip(reversed(features), self.decoders[-2::-1], strict=True):
            x = decoder(feature + F.interpolate(x, scale_factor=2.0, mode="bilinear"))
        logits: Tensor = self.head(x)
        return logits


def _deploy(trained: nn.Module) -> nn.Module:
    """The deploy form of a layer, or of each layer of a sequence."""
    if isinstance(trained, MultiScaleInteraction):
        return SignedSum(trained)
    if isinstance(trained, ConvBNReLU):
        return nn.Sequential(_folded(trained), nn.ReLU())
    if isinstance(trained, nn.Sequential):
        return nn.Sequential(*map(_deploy, trained))
    raise DeployFormError(f"{type(trained).__name__} has no deploy form")


def _folded(block: nn.Module) -> nn.Conv2d:
    """The convolution of a block with its batch normalisation inside."""
    convolution, norm, _ = block.children()
    assert isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
    return fuse_conv_bn_eval(convolution, norm)


def _scaled(convolution: nn.Conv2d, scale: Tensor) -> nn.Conv2d:
    """The convolution with each output channel multiplied by its own factor."""
    assert convolution.bias is not None
    convolution.weight.data *= scale.reshape(-1, 1, 1, 1)
    convolution.bias.data *= scale
    return convolution


def _take_grey(stem: nn.Module) -> None:
    """Let the stem read one channel in place of equal ones."""
    assert isinstance(stem, nn.Conv2d)
    stem.weight = nn.Parameter(stem.weight.sum(dim=1, keepdim=True))
    stem.in_channels = 1
