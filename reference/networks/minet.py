"""MINet (IEEE TII 2024, arXiv 2405.16096): 277,477 parameters, five side outputs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reference.networks.layers import ConvBNReLU, DSConv

DILATIONS = (1, 2, 4, 8)
WIDTHS = (16, 32, 64, 96, 128)
MI_BLOCKS = (0, 3, 4, 6, 3)  # MI modules in each encoder stage


class MultiScaleInteraction(nn.Module):
    """MI module: four dilated depthwise branches, mixed per channel, then across channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            ConvBNReLU(channels, channels, 3, dilation=d, groups=channels) for d in DILATIONS
        )
        self.mix = ConvBNReLU(len(DILATIONS) * channels, channels, 1, groups=channels)
        self.pointwise = ConvBNReLU(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        # The paper interleaves the four results and convolves each channel's neighbours to one. As
        # a weighted sum these are the same numbers without the interleaving copies, which cost
        # more than the convolution itself.
        convolution, *rest = self.mix
        weights = convolution.weight.view(-1, len(DILATIONS)).t()[:, None, :, None, None]
        mixed = self.branches[0](x) * weights[0]
        for branch, weight in zip(self.branches[1:], weights[1:], strict=True):
            mixed = torch.addcmul(mixed, branch(x), weight)
        for module in rest:
            mixed = module(mixed)
        return torch.relu(self.pointwise(mixed) + x)


class MINet(nn.Module):
    """Encoder of MI modules, additive decoder, one logit map for each of the five scales.

    `align_corners=True` is the paper's; `False` makes every x2 a fixed stencil at multiples of 32,
    which is what the deployed network is trained with.
    """

    def __init__(
        self, *, in_channels: int = 3, dropout: float = 0.1, align_corners: bool = True
    ) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.stages = nn.ModuleList([ConvBNReLU(in_channels, WIDTHS[0], 3, stride=2)])
        for before, after, blocks in zip(WIDTHS, WIDTHS[1:], MI_BLOCKS[1:], strict=False):
            modules = [MultiScaleInteraction(after) for _ in range(blocks)]
            self.stages.append(nn.Sequential(DSConv(before, after, stride=2), *modules))
        finer = (WIDTHS[0], *WIDTHS[:-1])  # decoder i ends on the width of the next finer stage
        self.decoders = nn.ModuleList(
            nn.Sequential(DSConv(width, width, dilation=2), DSConv(width, out))
            for width, out in zip(WIDTHS, finer, strict=True)
        )
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Dropout2d(dropout), nn.Conv2d(out, 1, 1)) for out in finer
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Five logit maps at the input's size, finest first; the first is the result."""
        image, features = x, []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        decoded: list[Tensor] = []  # coarsest first
        for feature, decoder in zip(reversed(features), reversed(self.decoders), strict=True):
            decoded.append(
                decoder(feature + self._up(decoded[-1], feature) if decoded else feature)
            )
        return [
            self._up(head(d), image) for head, d in zip(self.heads, reversed(decoded), strict=True)
        ]

    def _up(self, x: Tensor, like: Tensor) -> Tensor:
        size = (like.shape[-2], like.shape[-1])
        return F.interpolate(x, size=size, mode="bilinear", align_corners=self.align_corners)
