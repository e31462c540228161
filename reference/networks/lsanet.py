"""LSA-Net (J. Manufacturing Processes 2023): a U-Net with attention to location and shape."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reference.networks.layers import ConvBNReLU, check_size, choose, name_head, resize

WIDTHS = (32, 64, 128, 256, 512)
GROUPS = 8  # in which the location is found

_up = partial(resize, align_corners=True)
_pointwise = partial(nn.Conv2d, kernel_size=1, bias=False)


class LSANetOutput(NamedTuple):
    """The logit map at the input's size, alone in its list, and what the other losses look at."""

    maps: list[Tensor]
    location: Tensor | None  # logits of the defects' boxes, N,1,H/2,W/2; None without LAM
    shapes: tuple[Tensor, ...]  # V1 and V2, which should differ, N,384,H/8,W/8; none without SDM
    shape_maps: tuple[Tensor, ...]  # a logit map of each, N,1,H/8,W/8
    names: tuple[Tensor, ...] = ()  # N,C,H,W class logits, alone; none where nothing is named


class Block(nn.Sequential):
    """The paper's VGG_B: two convolutions, each normalised and rectified."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int | tuple[int, int] = 3
    ) -> None:
        super().__init__(
            ConvBNReLU(in_channels, out_channels, kernel, bias=True),
            ConvBNReLU(out_channels, out_channels, kernel, bias=True),
        )


# The paper multiplies the two projections (H,1 by 1,W is a product of each pair); the code adds.
COMBINATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "sum": torch.add,
    "matmul": torch.mul,
}


class LocationAttention(nn.Module):
    """LAM: projections on the rows and on the columns, put together, show where a defect is."""

    def __init__(self, combination: str) -> None:
        super().__init__()
        channels = WIDTHS[0] + WIDTHS[1]
        self.combine = choose("lam", combination, COMBINATIONS)
        self.fuse = Block(channels, channels)
        self.mix = _pointwise(channels, channels)
        self.locate = _pointwise(channels // GROUPS, 1)
        self.out = Block(channels, WIDTHS[1])

    def forward(self, finer: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.cat([F.max_pool2d(finer, 2), level], dim=1)
        x = self.mix(self.fuse(x))  # N,96,H,W
        rows, columns = x.amax(dim=3, keepdim=True), x.amax(dim=2, keepdim=True)
        x = self.combine(rows, columns)
        grouped = x.view(x.shape[0], GROUPS, -1, *x.shape[2:])  # N,8,12,H,W
        location: Tensor = self.locate(grouped.sum(dim=1))  # N,1,H,W
        return level + self.out(x), location


class SquarePooling(nn.Module):
    """SPPM: means over squares of 5x5 and 3x3."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block = Block(channels, channels)
        self.reduce = _pointwise(2 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block(x)
        pooled = torch.cat([self._pool(x, 5), self._pool(x, 3)], dim=1)
        # One block twice, as in the code: two blocks would be 2.65 M parameters above the print.
        out: Tensor = self.block(self.reduce(pooled))
        return out

    @staticmethod
    def _pool(x: Tensor, kernel: int) -> Tensor:
        height, width = x.shape[-2:]
        kernels = (min(kernel, height), min(kernel, width))  # an input of 32 leaves 4x4
        return F.interpolate(F.avg_pool2d(x, kernels), size=(height, width), mode="nearest")


class StripPooling(nn.Module):
    """LSPM: maxima over `1/parts` of a row and of a column."""

    def __init__(self, channels: int, parts: int) -> None:
        super().__init__()
        self.parts = parts
        self.row_block = Block(channels, channels, (1, 3))
        self.column_block = Block(channels, channels, (3, 1))
        # The paper's table ends on a 3x3 block: 1.77 M parameters above its own count.
        self.out = Block(channels, channels, (1, 3))

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        rows = F.max_pool2d(self.row_block(x), (1, width // self.parts))  # N,C,H,parts
        columns = F.max_pool2d(self.column_block(x), (height // self.parts, 1))  # N,C,parts,W
        stretched = [F.interpolate(s, size=(height, width)) for s in (rows, columns)]
        out: Tensor = self.out(stretched[0] + stretched[1])
        return out


class ShapeDetection(nn.Module):
    """SDM: what square and strip pooling see, which a loss keeps apart."""

    def __init__(self, strip_parts: int) -> None:
        super().__init__()
        channels = WIDTHS[2] + WIDTHS[3]
        self.square = SquarePooling(channels)
        self.strip = StripPooling(channels, strip_parts)
        self.square_map = _pointwise(channels, 1)
        self.strip_map = _pointwise(channels, 1)
        # The caption of the paper's figure has the input too: 0.88 M parameters above the print.
        self.fuse = Block(2 * channels, WIDTHS[3])

    def forward(
        self, finer: Tensor, level: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...], tuple[Tensor, ...]]:
        x = torch.cat([level, F.max_pool2d(finer, 2)], dim=1)  # N,384,H/8,W/8
        square, strip = self.square(x), self.strip(x)
        fused = level + self.fuse(torch.cat([strip, square], dim=1))
        return fused, (square, strip), (self.square_map(square), self.strip_map(strip))


class FineExtraction(nn.Module):
    """FEM: two dilations beside the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.wide = nn.Conv2d(channels, channels, 3, padding=4, dilation=4)
        self.narrow = nn.Conv2d(channels, channels, 3, padding=2, dilation=2)
        self.merge = nn.Conv2d(3 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        merged: Tensor = self.merge(torch.cat([self.wide(x), self.narrow(x), x], dim=1))
        return merged


class LSANet(nn.Module):
    """U-Net of five levels; without `lam`, `sdm` and `fem` it is the paper's plain U-Net.

    `lam` is `sum`, the released code's and the default, `matmul`, the paper's equation, or None.
    `strip_parts` is 2 for strips of half a row, 1 for whole ones.
    """

    def __init__(
        self,
        *,
        lam: str | None = "sum",
        sdm: bool = True,
        fem: bool = True,
        strip_parts: int = 2,
        class_maps: int = 0,
    ) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(map(Block, (3, *WIDTHS), WIDTHS))
        self.lam = None if lam is None else LocationAttention(lam)
        self.sdm = ShapeDetection(strip_parts) if sdm else None
        self.fem = FineExtraction(WIDTHS[-1]) if fem else nn.Identity()
        self.decoders = nn.ModuleList(
            Block(width + coarser, width) for width, coarser in pairwise(WIDTHS)
        )
        self.head = nn.Conv2d(WIDTHS[0], 1, 1)
        self.name = name_head(WIDTHS[0], class_maps)

    def forward(self, x: Tensor) -> LSANetOutput:
        check_size(x)
        size, location = x.shape[-2:], None
        shapes: tuple[Tensor, ...] = ()
        shape_maps: tuple[Tensor, ...] = ()
        skips: list[Tensor] = []
        for index, encode in enumerate(self.encoders):
            x = encode(F.max_pool2d(x, 2) if skips else x)
            skips.append(x)  # before what location and shape add
            if index == 1 and self.lam is not None:
                x, location = self.lam(skips[0], x)
            if index == 3 and self.sdm is not None:
                x, shapes, shape_maps = self.sdm(skips[2], x)
        x = self.fem(x)
        for skip, decode in zip(skips[-2::-1], reversed(self.decoders), strict=True):
            x = decode(torch.cat([skip, _up(x, skip.shape[-2:])], dim=1))
        names = (self.name(x),) if self.name else ()
        return LSANetOutput([_up(self.head(x), size)], location, shapes, shape_maps, names)
