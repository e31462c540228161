"""Networks as they are deployed: the trained one's exact algebra in fewer, plainer layers."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from edge.errors import ConfigurationError
from quantize.deploy.norms import fold_norms, mute
from reference.datasets import FREE
from reference.networks import Output, build, class_maps, logit_maps
from reference.networks.dms import DMSOutput
from reference.networks.dms import Output as PictureOutput
from reference.networks.layers import ConvBNReLU
from reference.networks.minet import (
    DILATIONS,
    Ablation,
    MINet,
    MultiScaleInteraction,
    enlarge_probabilities,
)
from reference.recipe import Recipe
from reference.trained import checkpoint

PROBE = 32  # pixels a side: the least that every network takes
SURE = 8.0  # a logit; engines' probabilities, and those of 8 bits, are told apart up to there
TOLERANCE = 1e-9  # of the largest logit, in double precision


class DeployFormError(ConfigurationError):
    """A network that has no deploy form; the message says what to train instead."""


@dataclass(frozen=True)
class Trained:
    """A checkpoint's averaged weights in deploy form, and how they came to be."""

    network: nn.Module
    recipe: Recipe
    iteration: int
    sha256: str  # of the checkpoint file
    classes: tuple[str, ...] = ()  # of its second output, in the channels' order
    sound: bool = False  # whether a last channel says that the whole picture is sound

    def at(self, size: int) -> Trained:
        """The same, given images of another side."""
        validation = self.recipe.validation.model_copy(update={"size": size})
        return replace(self, recipe=self.recipe.model_copy(update={"validation": validation}))


def read_trained(path: Path) -> Trained:
    """The deploy form of a checkpoint."""
    groups, record = checkpoint.load(path)
    recipe = Recipe.model_validate(record["recipe"])
    network = build(**recipe.network)
    network.load_state_dict(groups["ema"])
    mute(network)
    classes = recipe.names
    shown = record.get("classes", [])
    if classes and shown:
        raise DeployFormError(
            f"{path} names both pictures and pixels, and a bundle holds one kind of names: train "
            "it without `classes`, or without `class_maps`"
        )
    classes = classes or free_last(network, shown)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    form = deploy(network, channels=recipe.channels)
    if recipe.divide_by_maximum:
        form = DividedByMaximum(form, recipe).eval()
    return Trained(form, recipe, record["iteration"], digest, classes, sound=FREE in shown)


@torch.no_grad()
def free_last(network: nn.Module, classes: Sequence[str]) -> tuple[str, ...]:
    """The classes of defects; that of pictures without any becomes the network's last one.

    Where none was taught, none is told.
    """
    order = sorted(range(len(classes)), key=lambda number: classes[number] == FREE)
    for output in network.modules():
        if not isinstance(output, PictureOutput) or output.classify is None:
            continue
        if not classes:
            output.classify = None
        else:
            output.classify.weight.copy_(output.classify.weight[order])
            output.classify.bias.copy_(output.classify.bias[order])
    return tuple(classes[number] for number in order if classes[number] != FREE)


def deploy(trained: nn.Module, *, channels: int = 1) -> nn.Module:
    """Exactly the trained network's first map of logits out; of equal channels one goes in.

    Of three the box's planes go in, blue first, where the trained network has red first.

    Of a network that names classes there are two: the map, and a logit for each class, as coarse as
    the network answers them.

    Where probabilities are enlarged, their logits are bounded for engines: of a map of 8 bits, by
    less than a tenth of a level.

    A MINet whose maps keep to the pixel grid leaves the last resize to the mask step; what ends in
    `align_corners=True`, which the mask step cannot do, keeps it.
    """
    exact = copy.deepcopy(trained).eval().double()  # rounded once, at the end
    if isinstance(exact, MINet) and exact.enlarge is enlarge_probabilities:
        exact.enlarge = partial(enlarge_probabilities, sure=SURE)
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, channels, PROBE, PROBE, generator=generator).double()
    with torch.no_grad():
        wanted = results(exact(image.flip(1).expand(-1, 3, -1, -1)))
        form: nn.Module
        if isinstance(exact, MINet) and not exact.align_corners:
            form = DeployMINet(exact, channels)
        else:
            form = FirstMap(exact, channels)
        answers = listed(form(image))
    error = max(map(apart, answers, wanted))
    if not error <= TOLERANCE:
        raise DeployFormError(
            f"the deploy form of {type(trained).__name__} differs by {error:.1e} of the largest "
            "logit: a convolution's output is used beside its normalisation, name them apart"
        )
    return form.float().eval().requires_grad_(False)


def apart(answer: Tensor, wanted: Tensor) -> float:
    """The largest difference, of the largest logit."""
    if answer.shape != wanted.shape:
        answer = F.interpolate(answer, size=wanted.shape[-2:], mode="bilinear")
    return float((answer - wanted).abs().max() / wanted.abs().max().clamp(min=1))


def results(output: Output) -> tuple[Tensor, ...]:
    """The map that decides, N,1,H,W, and where there are some the classes, N,C,h,w.

    What names only the picture as a whole, as DMS does, has one cell of them.
    """
    named = list(class_maps(output)[:1])
    if isinstance(output, DMSOutput) and not named:
        named = [classes[:, :, None, None] for classes in output.classes[:1]]
    return (logit_maps(output)[0], *named)


def listed(answer: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """What a deploy form answers, one map or two."""
    return answer if isinstance(answer, tuple) else (answer,)


class SignedSum(nn.Module):
    """An MI module whose mix of scales is a signed sum of its branches.

    s * relu(z) = sign(s) * relu(|s| * z): the mix's magnitude goes into each branch and only its
    sign is left. Signs are multiplied and the bias rides on a convolution, because ONNX Runtime
    leaves its blocked layout for a subtraction or for adding a constant.
    """

    signs: Tensor  # 3,1,C,1,1

    def __init__(self, branches: Iterable[nn.Module], mix: nn.Module, pointwise: nn.Module) -> None:
        super().__init__()
        folded = _fused(mix)
        # The mix's 4C inputs are channel-major: the scales of one channel are neighbours.
        scales = folded.weight.reshape(-1, len(DILATIONS)).T  # 4,C
        self.branches = nn.ModuleList(
            _scaled(_fused(branch), scale)
            for branch, scale in zip(branches, scales.abs(), strict=True)
        )
        first, *others = torch.where(scales < 0, -1.0, 1.0).double()
        width = len(first)
        self.first = nn.Conv2d(width, width, 1, groups=width)
        self.first.weight = nn.Parameter(first.reshape(-1, 1, 1, 1))
        self.first.bias = folded.bias
        self.register_buffer("signs", torch.stack(others).reshape(-1, 1, width, 1, 1))
        self.pointwise = pointwise

    def forward(self, x: Tensor) -> Tensor:
        first, *others = self.branches
        mixed = self.first(torch.relu(first(x)))
        for branch, sign in zip(others, self.signs.unbind(), strict=True):
            mixed = mixed + sign * torch.relu(branch(x))
        return torch.relu(self.pointwise(torch.relu(mixed)) + x)


class DeployMINet(nn.Module):
    """One logit map at the size of the finest features out, and the classes' where there are some.

    Side heads and dropout are gone, the three equal input channels are one, and the sigmoid and the
    resize to the frame are left to the mask step.
    """

    def __init__(self, exact: MINet, channels: int) -> None:
        super().__init__()
        if exact.backbone is None:
            self.stages = nn.ModuleList(map(_deploy, exact.stages))
            _take_planes(self.get_submodule("stages.0.0"), channels)
        else:
            self.backbone = _folded(exact.backbone, channels)
        self.decoders = nn.ModuleList(map(_deploy, exact.decoders))
        self.head = exact.get_submodule("heads.0.1")
        self.namer: nn.Module | None = None
        if exact.namer is not None:
            convolutions, _, classes = exact.namer
            self.namer = nn.Sequential(_deploy(convolutions), classes)
        probe = torch.zeros(1, channels, PROBE, PROBE).double()
        sizes = [len(feature[0, 0]) for feature in self._encode(probe)]
        # EfficientNet's two coarsest maps are of one size.
        self.factors = [fine // coarse for fine, coarse in pairwise(sizes)]

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """N,C,H,W normalised pixels to logits: N,1,H/2,W/2 but for a backbone that starts at H.

        And the classes', N,C,H/16,W/16.
        """
        features = self._encode(x)
        x = self.decoders[-1](features.pop())
        names: Tensor | None = None
        for feature, decoder, factor in zip(
            reversed(features), self.decoders[-2::-1], reversed(self.factors), strict=True
        ):
            if factor > 1:
                x = F.interpolate(x, scale_factor=float(factor), mode="bilinear")
            x = feature + x
            if names is None and self.namer is not None:
                names = self.namer(x)
            x = decoder(x)
        logits: Tensor = self.head(x)
        return logits if names is None else (logits, names)

    def _encode(self, x: Tensor) -> list[Tensor]:
        if not hasattr(self, "stages"):
            features: list[Tensor] = self.backbone(x)
            return features
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


class FirstMap(nn.Module):
    """Any other network: normalisations folded, and of its maps only the result, with its names.

    The side heads are still there, and are dropped from every graph, which keeps what its output
    needs.
    """

    def __init__(self, exact: nn.Module, channels: int) -> None:
        super().__init__()
        for name, module in list(exact.named_modules()):
            if isinstance(module, MultiScaleInteraction | Ablation):
                exact.set_submodule(name, _deploy(module))
        self.odd_sizes: tuple[tuple[int, int], ...] = getattr(exact, "odd_sizes", ())
        self.network = _folded(exact, channels)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """N,C,H,W normalised pixels to N,1,H,W logits, and the classes' N,C,h,w."""
        answers = results(self.network(x))
        return answers if len(answers) > 1 else answers[0]


class DividedByMaximum(nn.Module):
    """A deploy form whose graph brings each picture to its own maximum first, as some papers do.

    The box gives it pixels from 0 to 1. It is as the paper has it, and not for a line: one hot
    pixel darkens all the others.
    """

    def __init__(self, network: nn.Module, recipe: Recipe) -> None:
        super().__init__()
        self.network = network
        self.odd_sizes: tuple[tuple[int, int], ...] = getattr(network, "odd_sizes", ())
        self.mean: Tensor
        self.std: Tensor
        for name, given in (("mean", recipe.mean), ("std", recipe.std)):
            planes = [given] if isinstance(given, float) else [*reversed(given)]  # blue first
            self.register_buffer(name, torch.tensor(planes).view(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """N,C,H,W from 0 to 1 to what the network answers."""
        x = x / x.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1 / 255)  # black stays black
        answer: Tensor | tuple[Tensor, ...] = self.network((x - self.mean) / self.std)
        return answer


def _deploy(trained: nn.Module) -> nn.Module:
    """The deploy form of a layer, or of each layer of a sequence."""
    if isinstance(trained, MultiScaleInteraction):
        return SignedSum(trained.branches, trained.mix, _deploy(trained.pointwise))
    if isinstance(trained, Ablation):
        if isinstance(trained.gather, nn.Module):
            return SignedSum(trained.branches, trained.gather, nn.Identity())
        layers = map(_deploy, trained.layers)
        return Ablation(map(_deploy, trained.branches), trained.gather, *layers)
    if isinstance(trained, ConvBNReLU):
        return nn.Sequential(_fused(trained), nn.ReLU())
    if isinstance(trained, nn.Sequential):
        return nn.Sequential(*map(_deploy, trained))
    raise DeployFormError(f"{type(trained).__name__} has no deploy form")


def _folded(network: nn.Module, channels: int) -> nn.Module:
    """Any network with its normalisations folded, reading the planes that the box has."""
    image = torch.zeros(1, 3, PROBE, PROBE).double()
    for stem in fold_norms(network, image):
        _take_planes(stem, channels)
    return network


def _fused(block: nn.Module) -> nn.Conv2d:
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


def _take_planes(stem: nn.Module, channels: int) -> None:
    """Let the stem read one channel in place of equal ones, or blue, green and red."""
    assert isinstance(stem, nn.Conv2d)
    weight = stem.weight.sum(dim=1, keepdim=True) if channels == 1 else stem.weight.flip(1)
    stem.weight = nn.Parameter(weight.contiguous())
    stem.in_channels = channels
