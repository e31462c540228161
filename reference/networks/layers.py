"""Layers shared by the reference networks, and the checks of what they are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edge.errors import ConfigurationError

Key = TypeVar("Key")
Value = TypeVar("Value")


class NetworkError(ConfigurationError):
    """A network was asked for what it is not; the message names the choices or the size."""


def choose(setting: str, key: Key, options: Mapping[Key, Value]) -> Value:
    """What an option stands for; an unknown one lists those there are."""
    if key not in tuple(options):  # compared, not hashed: a recipe may hold a list here
        known = ", ".join(str(option) for option in options)
        raise NetworkError(f"{setting} {key!r} is unknown: choose one of {known}")
    return options[key]


def check_size(image: Tensor, multiple: int = 32) -> None:
    """Refuse an image whose coarsest features would not line up with it."""
    for side, length in zip(("height", "width"), image.shape[-2:], strict=True):
        if length % multiple:
            padded = -(-length // multiple) * multiple
            raise NetworkError(f"{side} {length} is not a multiple of {multiple}: pad to {padded}")


def resize(x: Tensor, size: Sequence[int], *, align_corners: bool) -> Tensor:
    """Bilinear to a height and width; maps that have them already are left alone."""
    height, width = size
    if x.shape[-2:] == (height, width):
        return x
    return F.interpolate(x, size=(height, width), mode="bilinear", align_corners=align_corners)


class NamedMaps(NamedTuple):
    """Logit maps at the input's size, the result first, and what each class answers beside it.

    `names` has N,C,h,w class logits, finest first, each at its level's own size: they name what the
    maps find, and a name needs no outline.
    """

    maps: list[Tensor]
    names: list[Tensor]


def name_head(channels: int, class_maps: int) -> nn.Conv2d | None:
    """A logit for each class beside a network's own head; None where nothing is named."""
    return nn.Conv2d(channels, class_maps, 1) if class_maps else None


class ConvBN(nn.Sequential):
    """Convolution and batch normalisation; padding keeps the size at stride 1."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | tuple[int, int] = 3,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = False,
    ) -> None:
        rows, columns = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        convolution = nn.Conv2d(
            in_channels,
            out_channels,
            (rows, columns),
            stride=stride,
            padding=(dilation * (rows // 2), dilation * (columns // 2)),
            dilation=dilation,
            groups=groups,
            bias=bias,
        )
        super().__init__(convolution, nn.BatchNorm2d(out_channels), *self.activation())

    @staticmethod
    def activation() -> list[nn.Module]:
        return []


class ConvBNReLU(ConvBN):
    """Convolution, batch normalisation, ReLU."""

    @staticmethod
    def activation() -> list[nn.Module]:
        return [nn.ReLU(inplace=True)]


class ConvBNPReLU(ConvBN):
    """Convolution, batch normalisation, and a ReLU that learns its slope below zero."""

    @staticmethod
    def activation() -> list[nn.Module]:
        return [nn.PReLU()]


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


class ChannelAttention(nn.Module):
    """A weight for each channel, from its maximum and, if `mean`, from its mean too."""

    def __init__(self, channels: int, *, mean: bool) -> None:
        super().__init__()
        self.mean = mean
        self.squeeze = nn.Conv2d(channels, channels // 16, 1, bias=False)
        self.excite = nn.Conv2d(channels // 16, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        weights = self._weigh(x.amax(dim=(2, 3), keepdim=True))  # N,C,1,1
        if self.mean:
            weights = weights + self._weigh(x.mean(dim=(2, 3), keepdim=True))
        return torch.sigmoid(weights)

    def _weigh(self, pooled: Tensor) -> Tensor:
        weights: Tensor = self.excite(torch.relu(self.squeeze(pooled)))
        return weights


class SpatialAttention(nn.Module):
    """A weight for each pixel, from the maximum and, if `mean`, the mean over the channels."""

    def __init__(self, *, mean: bool, bias: bool) -> None:
        super().__init__()
        self.mean = mean
        self.weigh = nn.Conv2d(2 if mean else 1, 1, 7, padding=3, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        pooled = x.amax(dim=1, keepdim=True)  # N,1,H,W
        if self.mean:
            pooled = torch.cat([pooled, x.mean(dim=1, keepdim=True)], dim=1)
        return torch.sigmoid(self.weigh(pooled))


class CBAM(nn.Module):
    """Channel attention, then spatial attention."""

    def __init__(self, channels: int, *, mean: bool, bias: bool) -> None:
        super().__init__()
        self.channel = ChannelAttention(channels, mean=mean)
        self.spatial = SpatialAttention(mean=mean, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        x = x * self.channel(x)
        attended: Tensor = x * self.spatial(x)
        return attended
