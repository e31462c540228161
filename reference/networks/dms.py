"""DMS, deeper and mixed supervision: maps refined level by level, each with the image's class.

The paper gives no layers below its equations; where it is silent this is R3Net's, which it extends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reference.networks.backbones import Backbone, resnext101_32x4d
from reference.networks.efficientnet_lite import EfficientNetLite0
from reference.networks.layers import ConvBNPReLU, check_size, choose, name_head, resize

WIDTH = 256  # of each fused level
PUBLISHED_SIZE = (300, 300)
REUSES = ("concat", "skip", None)
BACKBONES: dict[str, Callable[[], Backbone]] = {
    "resnext101_32x4d": resnext101_32x4d,
    "efficientnet_lite0": EfficientNetLite0,
}

_conv = partial(ConvBNPReLU, bias=True)
_resize = partial(resize, align_corners=True)


class DMSOutput(NamedTuple):
    """Logit maps at the input's size, from the last refined, the result, back; and class logits.

    `classes` has one N,C for each map, in the same order, or is empty without classification. An
    image without a defect is one of the classes, and its mask is empty.
    """

    maps: list[Tensor]
    classes: list[Tensor]
    names: Sequence[Tensor] = ()  # N,C,h,w class logits, alone; none where nothing is named


class ASPP(nn.Module):
    """Four dilations and the whole image's mean, side by side."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.branches = nn.ModuleList([_conv(channels, half, 1)])
        self.branches.extend(_conv(channels, half, 3, dilation=d) for d in (2, 4, 6))
        self.image = _conv(channels, half, 1)
        self.merge = _conv(5 * half, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        image = self.image(x.mean(dim=(2, 3), keepdim=True)).expand(-1, -1, *x.shape[-2:])
        fields = [*(branch(x) for branch in self.branches), image]
        merged: Tensor = self.merge(torch.cat(fields, dim=1))
        return merged


def _fuse(in_channels: int, *, aspp: bool = False) -> nn.Sequential:
    """A level of the backbone's maps at the width of all."""
    last = ASPP(WIDTH) if aspp else _conv(WIDTH, WIDTH, 1)
    return nn.Sequential(_conv(in_channels, WIDTH), _conv(WIDTH, WIDTH), last)


class Lift(nn.Module):
    """The carried features at the next level's size."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.transpose = nn.Sequential(
            nn.ConvTranspose2d(channels, channels, 4, stride=2, padding=1),
            nn.BatchNorm2d(channels),
            nn.PReLU(),
        )

    def forward(self, x: Tensor, size: Sequence[int]) -> Tensor:
        return _resize(self.transpose(x), size)


class Output(nn.Module):
    """A saliency map, or the residual that refines the one before, and the class."""

    def __init__(self, channels: int, *, first: bool, refine: bool, classes: int | None) -> None:
        super().__init__()
        self.refine = refine and not first
        self.predict: nn.Module = nn.Conv2d(channels, 1, 1)
        if not first:
            self.predict = nn.Sequential(
                _conv(channels + int(refine), 128), _conv(128, 128), nn.Conv2d(128, 1, 1)
            )
        self.classify = None if classes is None else nn.Linear(channels, classes)

    def forward(self, features: Tensor, saliency: Tensor | None) -> tuple[Tensor, Tensor | None]:
        named = None if self.classify is None else self.classify(features.mean(dim=(2, 3)))
        if not self.refine or saliency is None:
            return self.predict(features), named
        saliency = _resize(saliency, features.shape[-2:])
        return saliency + self.predict(torch.cat([features, saliency], dim=1)), named


class Stream(nn.Module):
    """Three outputs, one after each level; what a level adds is carried on to the next.

    The first stream `starts` the saliency map and lifts what it carries by transposed convolutions;
    the second one's levels are all of one size.
    """

    def __init__(
        self, *, starts: bool, reuse: str | None, refine: bool, classes: int | None
    ) -> None:
        super().__init__()
        self.starts = starts
        self.reuse = reuse
        widths = [WIDTH * (i + 1) if reuse == "concat" else WIDTH for i in range(3)]
        self.outputs = nn.ModuleList(
            Output(width, first=starts and i == 0, refine=refine, classes=classes)
            for i, width in enumerate(widths)
        )
        lifted = widths[:-1] if starts and reuse else []
        self.lifts = nn.ModuleList(Lift(width) for width in lifted)

    def forward(
        self, levels: Sequence[Tensor], saliency: Tensor | None
    ) -> tuple[list[Tensor], list[Tensor]]:
        maps: list[Tensor] = []
        classes: list[Tensor] = []
        features = levels[0]
        for i, output in enumerate(self.outputs):
            lifted = self._lifted(i, features, levels)
            # Section 3.2: the first map is taken after the transposed convolutions.
            first = self.starts and i == 0
            saliency, named = output(lifted if first else features, saliency)
            maps.append(saliency)
            classes += [] if named is None else [named]
            if i + 1 < len(levels):
                features = self._join(lifted, levels[i + 1])
        return maps, classes

    def _lifted(self, index: int, features: Tensor, levels: Sequence[Tensor]) -> Tensor:
        """What is carried on, at the next level's size; as it is where nothing is lifted."""
        if index >= len(self.lifts):
            return features
        lifted: Tensor = self.lifts[index](features, levels[index + 1].shape[-2:])
        return lifted

    def _join(self, carried: Tensor, level: Tensor) -> Tensor:
        if self.reuse is None:
            return level
        return carried + level if self.reuse == "skip" else torch.cat([carried, level], dim=1)


class DMS(nn.Module):
    """BDMS; `bidirectional=False` is SDMS, which the variants of the paper's ablation are of.

    `reuse` is how features go on to the next level: `concat`, `skip` (D) or None (A); `classes` is
    None without classification (B); `aspp` is C's, and `refine=False` is E. The baseline has none.
    `class_maps` is how many classes it names pixel by pixel, from all three levels. The paper's
    `backbone` is ResNeXt-101; EfficientNet-Lite0 is one that a CPU can train.
    """

    odd_sizes = (PUBLISHED_SIZE,)  # that it takes beside the multiples of 32

    def __init__(
        self,
        *,
        backbone: str = "resnext101_32x4d",
        bidirectional: bool = True,
        reuse: str | None = "concat",
        refine: bool = True,
        classes: int | None = 6,
        aspp: bool = False,
        class_maps: int = 0,
    ) -> None:
        super().__init__()
        choose("reuse", reuse, dict.fromkeys(REUSES))
        self.backbone = choose("backbone", backbone, BACKBONES)()
        w0, w1, w2, w3, w4 = self.backbone.widths
        self.fuse_low, self.fuse_middle = _fuse(w0 + w1), _fuse(w2)
        self.fuse_high = _fuse(w3 + w4, aspp=aspp)
        stream = partial(Stream, reuse=reuse, refine=refine, classes=classes)
        self.top_down = stream(starts=True)
        self.bottom_up = stream(starts=False) if bidirectional else None
        self.name = name_head(3 * WIDTH, class_maps)

    def forward(self, x: Tensor) -> DMSOutput:
        size = x.shape[-2:]
        if tuple(size) not in self.odd_sizes:
            check_size(x)
        low, middle, high = self._levels(x)
        maps, classes = self.top_down((high, middle, low), None)
        if self.bottom_up is not None:
            levels = [_resize(level, low.shape[-2:]) for level in (low, middle, high)]
            more_maps, more_classes = self.bottom_up(levels, maps[-1])
            maps, classes = maps + more_maps, classes + more_classes
        names: tuple[Tensor, ...] = ()
        if self.name:
            levels = [_resize(level, low.shape[-2:]) for level in (low, middle, high)]
            names = (self.name(torch.cat(levels, dim=1)),)
        return DMSOutput([_resize(m, size) for m in reversed(maps)], classes[::-1], names)

    def _levels(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """256 channels each: low at H/4, middle at H/8, high at H/16."""
        stem, layer1, layer2, layer3, layer4 = self.backbone(x)
        stem = F.max_pool2d(stem, 3, stride=2, padding=1)
        low = torch.cat([stem, _resize(layer1, stem.shape[-2:])], dim=1)
        high = torch.cat([layer3, _resize(layer4, layer3.shape[-2:])], dim=1)
        return self.fuse_low(low), self.fuse_middle(layer2), self.fuse_high(high)
