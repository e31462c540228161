"""MINet (IEEE TII 2024, arXiv 2405.16096): 277,477 parameters, five side outputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial, reduce

import torch
from torch import Tensor, nn

from reference.networks.backbones import (
    Backbone,
    efficientnet_b0,
    mobilenet_v1,
    resnet50,
    squeezenet1_1,
    vgg16_bn,
)
from reference.networks.efficientnet_lite import EfficientNetLite0
from reference.networks.layers import (
    ConvBNReLU,
    DSConv,
    NamedMaps,
    NetworkError,
    check_size,
    choose,
    resize,
)

DILATIONS = (1, 2, 4, 8)
WIDTHS = (16, 32, 64, 96, 128)
MI_BLOCKS = (0, 3, 4, 6, 3)  # MI modules in each encoder stage
NAMED_WIDTH = 32  # channels that the classes are told by
_SURE = 80.0  # a logit whose probability, and one minus it, single precision still holds
BACKBONES = {
    "vgg16_bn": vgg16_bn,
    "resnet50": resnet50,
    "squeezenet1_1": squeezenet1_1,
    "mobilenet_v1": mobilenet_v1,
    "efficientnet_b0": efficientnet_b0,
    "efficientnet_lite0": EfficientNetLite0,
}


class WeightedSum(nn.Conv2d):
    """Each channel's scales mixed to one.

    The paper interleaves the scales in one tensor of 4C channels and convolves each channel's
    neighbours to one. As a weighted sum of a list of scales these are the same numbers without the
    interleaving copies, which cost more than the convolution itself.
    """

    def __init__(self, channels: int) -> None:
        scales = len(DILATIONS)
        super().__init__(scales * channels, channels, 1, groups=channels, bias=False)

    def forward(self, scales: Tensor | list[Tensor]) -> Tensor:
        if isinstance(scales, Tensor):
            return super().forward(scales)
        weights = self.weight.view(-1, len(DILATIONS)).t()[:, None, :, None, None]  # 4,1,C,1,1
        mixed = scales[0] * weights[0]
        for scale, weight in zip(scales[1:], weights[1:], strict=True):
            mixed = torch.addcmul(mixed, scale, weight)
        return mixed


class MultiScaleInteraction(nn.Module):
    """MI module: four dilated depthwise branches, mixed per channel, then across channels."""

    def __init__(self, channels: int, *, dilations: tuple[int, ...] = DILATIONS) -> None:
        super().__init__()
        self.branches = nn.ModuleList(_depthwise(channels, dilations))
        self.mix = _mix(channels)
        self.pointwise = ConvBNReLU(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.mix([branch(x) for branch in self.branches])
        return torch.relu(self.pointwise(mixed) + x)


class Ablation(nn.Module):
    """What the paper puts in the MI module's place: branches, gathered to one map, then layers."""

    def __init__(
        self,
        branches: Iterable[nn.Module],
        gather: Callable[[list[Tensor]], Tensor],
        *layers: nn.Module,
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.gather = gather
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        gathered = self.gather([branch(x) for branch in self.branches])
        return torch.relu(self.layers(gathered) + x)


def _depthwise(channels: int, dilations: tuple[int, ...] = DILATIONS) -> list[nn.Module]:
    return [ConvBNReLU(channels, channels, 3, dilation=d, groups=channels) for d in dilations]


def _separable(channels: int) -> list[nn.Module]:
    return [DSConv(channels, channels, dilation=d) for d in DILATIONS]


def _mix(channels: int) -> nn.Sequential:
    return nn.Sequential(WeightedSum(channels), nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


def _total(scales: list[Tensor]) -> Tensor:
    return reduce(torch.add, scales)


def _s_pw(channels: int) -> Ablation:
    return Ablation(_depthwise(channels), _total, ConvBNReLU(channels, channels, 1))


def _without_ci(channels: int) -> Ablation:
    # The text replaces the pointwise convolution by another; the printed counts fit leaving it out.
    return Ablation(_depthwise(channels), _mix(channels))


def _concat(channels: int) -> Ablation:
    pointwise = ConvBNReLU(len(DILATIONS) * channels, channels, 1)
    return Ablation(_separable(channels), partial(torch.cat, dim=1), pointwise)


def _sum(channels: int) -> Ablation:
    return Ablation(_separable(channels), _total)


MI_MODULES: dict[str, Callable[[int], nn.Module]] = {
    "full": MultiScaleInteraction,
    "without_multi": partial(MultiScaleInteraction, dilations=(1, 1, 1, 1)),
    "s_pw": _s_pw,
    "without_ci": _without_ci,
    "concat": _concat,
    "sum": _sum,
}


def enlarge_probabilities(
    logits: Tensor, size: Sequence[int], *, align_corners: bool, sure: float = _SURE
) -> Tensor:
    """The logits of enlarged probabilities, also where they are nearly 1; `sure` is the greatest.

    The probability of being sound is enlarged beside that of a defect: as the rest to 1 it would
    have been rounded away.
    """
    bounded = logits.clamp(-sure, sure)
    bounded = bounded if bounded.dtype == torch.float64 else bounded.float()
    # Not clamped: that would be calculated in 8 bits, too, where this is, and end as nothing.
    least = torch.full((), 1 / (1 + math.exp(sure)), dtype=bounded.dtype, device=logits.device)
    defect, sound = (
        torch.maximum(resize(torch.sigmoid(x), size, align_corners=align_corners), least)
        for x in (bounded, -bounded)
    )
    return torch.log(defect) - torch.log(sound)


ENLARGED: dict[str, Callable[..., Tensor]] = {
    "logits": resize,
    "probabilities": enlarge_probabilities,
}


class MINet(nn.Module):
    """Encoder of MI modules, additive decoder, one logit map for each scale.

    `mi` is what the encoder is built of, as in the paper's ablations; a `backbone` of the paper's
    table takes the whole encoder's place. `align_corners=True` is the paper's; `False` makes every
    x2 a fixed stencil at multiples of 32, which is what the deployed network is trained with.
    `enlarge` is what the last resize is of: the paper's Eq. 8 enlarges `probabilities`, and the
    deployed network's mask step `logits`, which need no sigmoid to be held to a threshold.
    `class_maps` is how many classes are named, on the second coarsest level as it is decoded: what
    a thing is shows in what surrounds it, and nothing there moves the map that decides.
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        dropout: float = 0.1,
        align_corners: bool = True,
        enlarge: str = "logits",
        mi: str = "full",
        backbone: str | None = None,
        class_maps: int = 0,
    ) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.enlarge = choose("enlarge", enlarge, ENLARGED)
        self.backbone: Backbone | None = None
        widths: tuple[int, ...] = WIDTHS
        if backbone is None:
            self.stages = _stages(in_channels, choose("mi", mi, MI_MODULES))
        elif in_channels != 3 or mi != "full":
            raise NetworkError("a backbone takes the encoder's place: leave out mi and in_channels")
        else:
            self.backbone = choose("backbone", backbone, BACKBONES)()
            widths = self.backbone.widths
        finer = (widths[0], *widths[:-1])  # decoder i ends on the width of the next finer stage
        self.decoders = nn.ModuleList(
            nn.Sequential(DSConv(width, width, dilation=2), DSConv(width, out))
            for width, out in zip(widths, finer, strict=True)
        )
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Dropout2d(dropout), nn.Conv2d(out, 1, 1)) for out in finer
        )
        self.namer: nn.Sequential | None = None
        if class_maps:
            # A depthwise and a pointwise convolution, and the classes: nothing that engines lack.
            self.namer = nn.Sequential(
                DSConv(widths[-2], NAMED_WIDTH),
                nn.Dropout2d(dropout),
                nn.Conv2d(NAMED_WIDTH, class_maps, 1),
            )

    def forward(self, x: Tensor) -> list[Tensor] | NamedMaps:
        """A logit map of each scale at the input's size, finest first; the first is the result."""
        check_size(x, 16)  # the paper's 368 is no multiple of 32
        features = self._encode(x)
        decoded: list[Tensor] = []  # coarsest first
        names: list[Tensor] = []
        for level, decoder in zip(reversed(features), reversed(self.decoders), strict=True):
            feature = level + self._up(decoded[-1], level) if decoded else level
            if len(decoded) == 1 and self.namer is not None:
                names = [self.namer(feature)]
            decoded.append(decoder(feature))
        maps = [
            self.enlarge(head(d), x.shape[-2:], align_corners=self.align_corners)
            for head, d in zip(self.heads, reversed(decoded), strict=True)
        ]
        return NamedMaps(maps, names) if names else maps

    def _encode(self, x: Tensor) -> list[Tensor]:
        features: list[Tensor] = []
        if self.backbone is not None:
            features = self.backbone(x)
            return features
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features

    def _up(self, x: Tensor, like: Tensor) -> Tensor:
        return resize(x, like.shape[-2:], align_corners=self.align_corners)


def _stages(in_channels: int, module: Callable[[int], nn.Module]) -> nn.ModuleList:
    """The encoder: 16,H/2 - 32,H/4 - 64,H/8 - 96,H/16 - 128,H/32."""
    stages = nn.ModuleList([ConvBNReLU(in_channels, WIDTHS[0], 3, stride=2)])
    for before, after, blocks in zip(WIDTHS, WIDTHS[1:], MI_BLOCKS[1:], strict=False):
        modules = [module(after) for _ in range(blocks)]
        stages.append(nn.Sequential(DSConv(before, after, stride=2), *modules))
    return stages
