"""Layers shared by the reference networks."""

from __future__ import annotations

from torch import nn


class ConvBNReLU(nn.Sequential):
    """Convolution without bias, batch normalisation, ReLU; padding keeps the size at stride 1."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__(
            nn.Conv2d(
                in_channels,
                out_channels,
                kernel,
                stride=stride,
                padding=dilation * (kernel // 2),
                dilation=dilation,
                groups=groups,
                bias=False,
            ),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class DSConv(nn.Sequential):
    """Depthwise 3x3 then pointwise 1x1, each with its own normalisation and ReLU."""

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int = 1, dilation: int = 1
    ) -> None:
        super().__init__(
            ConvBNReLU(
                in_channels, in_channels, 3, stride=stride, dilation=dilation, groups=in_channels
            ),
            ConvBNReLU(in_channels, out_channels, 1),
        )
