"""NaDiNet (IEEE TIM 2023): normalised channel attention, interaction of levels at two scales."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce

import torch
from torch import Tensor, nn

from reference.networks.backbones import (
    Backbone,
    BasicBlock,
    densenet201,
    residual_layers,
    vgg16_bn,
)
from reference.networks.layers import (
    CBAM,
    ConvBN,
    ConvBNReLU,
    NamedMaps,
    check_size,
    choose,
    name_head,
    resize,
)

WIDTH = 128  # of every level once it is reduced

# Every 3x3 convolution of the decoder has a bias beside its normalisation, as the authors count.
_conv = partial(ConvBNReLU, bias=True)
_resize = partial(resize, align_corners=True)


class FineResNet34(Backbone):
    """64,H - 128,H/2 - 256,H/4 - 512,H/8 - 512,H/16: a stem without stride, and a fifth layer.

    Of torchvision's ResNet-34 the four residual layers fit.
    """

    widths = (64, 128, 256, 512, 512)
    unused = ("fc.", "conv1.", "bn1.")
    own = ("stem.", "layer5.")

    def __init__(self) -> None:
        super().__init__()
        self.stem = _conv(3, 64)
        layers = residual_layers(BasicBlock, BasicBlock.expansion, (3, 4, 6, 3))
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        self.layer5 = nn.Sequential(
            nn.MaxPool2d(2, ceil_mode=True), *(BasicBlock(512, 512) for _ in range(3))
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.stem(x)
        maps = []
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4, self.layer5):
            x = layer(x)
            maps.append(x)
        return maps


class CAM(nn.Module):
    """Channel attention: each channel takes in the others by how alike they are, by a softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1))  # the authors' code starts from the input alone

    def forward(self, x: Tensor) -> Tensor:
        channels = x.flatten(2)  # N,C,HW
        related = self.relation(channels) @ channels
        return self.gamma * related.view_as(x) + x

    def relation(self, channels: Tensor) -> Tensor:
        return torch.softmax(channels @ channels.mT, dim=-1)  # N,C,C


class NAM(CAM):
    """The paper's: likeness is the cosine, so that low contrast weighs as much as high."""

    def relation(self, channels: Tensor) -> Tensor:
        norms: Tensor = torch.linalg.vector_norm(channels, dim=2, keepdim=True)  # N,C,1
        # Added, so small a number would be optimised away from an exported graph as nothing.
        return channels @ channels.mT / (norms @ norms.mT).clamp(min=1e-8)


class ResidualCBAM(CBAM):
    """CBAM beside its input."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, mean=True, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + x


class ProgressiveEnsemble(nn.Module):
    """One half is attended first, and then both together."""

    def __init__(self, in_channels: int, *, groups: int) -> None:
        super().__init__()
        self.fuse = _conv(in_channels, 2 * WIDTH, groups=groups)
        self.attend_half = ResidualCBAM(WIDTH)
        self.join = _conv(2 * WIDTH, WIDTH)
        self.attend_both = ResidualCBAM(WIDTH)
        self.merge = _conv(2 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.fuse(x).chunk(2, dim=1)
        half = self.attend_half(first)
        both = self.attend_both(self.join(torch.cat([half, second], dim=1)))
        merged: Tensor = self.merge(torch.cat([half, both], dim=1))
        return merged


def _single_attention(in_channels: int, *, groups: int) -> nn.Sequential:
    """One attention of everything; the paper does not say how it returns to the width."""
    return nn.Sequential(
        _conv(in_channels, 2 * WIDTH, groups=groups),
        ResidualCBAM(2 * WIDTH),
        _conv(2 * WIDTH, WIDTH),
    )


class DIB(nn.Module):
    """Dual-scale interaction of a level and the coarser one: at the level's size and at half."""

    def __init__(
        self,
        groups: int,
        *,
        scales: tuple[str, ...] = ("large", "small"),
        branch: Callable[..., nn.Module] = ProgressiveEnsemble,
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleDict({scale: branch(2 * WIDTH, groups=groups) for scale in scales})
        self.out = _conv(WIDTH, WIDTH)

    def forward(self, level: Tensor, coarser: Tensor) -> Tensor:
        size = level.shape[-2:]
        sizes = {"large": size, "small": _half(size)}
        answers = []
        for scale, branch in self.branches.items():
            pair = [_resize(x, sizes[scale]) for x in (level, coarser)]
            answers.append(_resize(branch(torch.cat(pair, dim=1)), size))
        merged: Tensor = self.out(reduce(torch.mul, answers))
        return merged


class SeparateBranches(nn.Module):
    """Without scale interaction: the level at its size, the coarser one at half, never joined.

    The paper does not say how each comes to the ensemble's width: by its first convolution here.
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.level = ProgressiveEnsemble(WIDTH, groups=groups)
        self.coarser = ProgressiveEnsemble(WIDTH, groups=groups)
        self.out = _conv(WIDTH, WIDTH)

    def forward(self, level: Tensor, coarser: Tensor) -> Tensor:
        size = level.shape[-2:]
        small = self.coarser(_resize(coarser, _half(size)))
        merged: Tensor = self.out(self.level(level) * _resize(small, size))
        return merged


class PlainFusion(nn.Module):
    """The baseline's: concatenation and three convolutions, whose widths the paper leaves open."""

    def __init__(self) -> None:
        super().__init__()
        self.fuse = nn.Sequential(_conv(2 * WIDTH, WIDTH), _conv(WIDTH, WIDTH), _conv(WIDTH, WIDTH))

    def forward(self, level: Tensor, coarser: Tensor) -> Tensor:
        coarser = _resize(coarser, level.shape[-2:])
        fused: Tensor = self.fuse(torch.cat([level, coarser], dim=1))
        return fused


def _half(size: torch.Size) -> tuple[int, int]:
    """Half of a height and width, rounded up: a single row stays one."""
    return -(-size[0] // 2), -(-size[1] // 2)


class GCM(nn.Module):
    """Global context of the coarsest level: four receptive fields beside a shortcut.

    The authors' code has a ReLU in each convolution that it never calls, so there is none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleList([ConvBN(WIDTH, WIDTH, 1)])
        for kernel in (3, 5, 7):
            self.branches.append(
                nn.Sequential(
                    ConvBN(WIDTH, WIDTH, 1),
                    ConvBN(WIDTH, WIDTH, (1, kernel)),
                    ConvBN(WIDTH, WIDTH, (kernel, 1)),
                    ConvBN(WIDTH, WIDTH, 3, dilation=kernel),
                )
            )
        self.merge = ConvBN(4 * WIDTH, WIDTH, 3)
        self.shortcut = ConvBN(WIDTH, WIDTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        fields = torch.cat([branch(x) for branch in self.branches], dim=1)  # N,512,H,W
        return torch.relu(self.merge(fields) + self.shortcut(x))


BACKBONES: dict[str, Callable[[], Backbone]] = {
    "vgg16_bn": vgg16_bn,
    "resnet34": FineResNet34,
    "densenet201": densenet201,
}
ATTENTIONS: dict[str | None, Callable[[], nn.Module]] = {
    "nam": NAM,
    "cam": CAM,
    None: nn.Identity,
}
INTERACTIONS: dict[str | None, Callable[[int], nn.Module]] = {
    "dual": DIB,
    "large": partial(DIB, scales=("large",)),
    "small": partial(DIB, scales=("small",)),
    "without_pe": partial(DIB, branch=_single_attention),
    "without_si": SeparateBranches,
    None: lambda groups: PlainFusion(),
}


class NaDiNet(nn.Module):
    """Five levels of 128 channels, each attended, then joined from coarse to fine.

    `fuse_groups=2` has the published number of parameters, `1` is the code that the authors
    released: 589,824 more in each DIB. `attention` and `interaction` of None leave the paper's
    modules out, and both together are its baseline.
    """

    def __init__(
        self,
        *,
        backbone: str = "vgg16_bn",
        fuse_groups: int = 2,
        attention: str | None = "nam",
        interaction: str | None = "dual",
        class_maps: int = 0,
    ) -> None:
        super().__init__()
        self.backbone = choose("backbone", backbone, BACKBONES)()
        attend = choose("attention", attention, ATTENTIONS)
        interact = choose("interaction", interaction, INTERACTIONS)
        levels = len(self.backbone.widths)
        self.reductions = nn.ModuleList(_conv(width, WIDTH) for width in self.backbone.widths)
        self.context = GCM()
        self.attentions = nn.ModuleList(attend() for _ in range(levels))
        self.interactions = nn.ModuleList(interact(fuse_groups) for _ in range(levels))
        self.heads = nn.ModuleList(nn.Conv2d(WIDTH, 1, 1) for _ in range(levels + 1))
        self.name = name_head(WIDTH, class_maps)

    def forward(self, x: Tensor) -> list[Tensor] | NamedMaps:
        """Six logit maps at the input's size, finest first; the last is the context's."""
        check_size(x)
        maps = self.backbone(x)
        levels = [reduction(m) for reduction, m in zip(self.reductions, maps, strict=True)]
        decoded = [self.context(levels[-1])]  # coarsest first
        for level, attention, interaction in zip(
            reversed(levels), reversed(self.attentions), reversed(self.interactions), strict=True
        ):
            decoded.append(interaction(attention(level), decoded[-1]))
        answers = [
            _resize(head(d), x.shape[-2:])
            for head, d in zip(self.heads, reversed(decoded), strict=True)
        ]
        return NamedMaps(answers, [self.name(decoded[-1])]) if self.name else answers
