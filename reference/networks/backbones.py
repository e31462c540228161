"""Backbones under the parameter names of the files that have their ImageNet weights."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reference.networks.layers import ConvBNReLU, DSConv


class Backbone(nn.Module):
    """A list of feature maps, finest first, `widths` channels each."""

    widths: tuple[int, ...]
    # Prefixes: what only torchvision's whole model has, and what only ours has.
    unused: tuple[str, ...] = ("classifier.",)
    own: tuple[str, ...] = ()
    source: str = "torchvision's"  # whose file has ImageNet weights for it


class Layered(Backbone):
    """A backbone that is one sequence of layers; maps are taken after the layers at `cuts`."""

    def __init__(
        self,
        features: nn.Sequential,
        cuts: Sequence[int],
        widths: tuple[int, ...],
        unused: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.features = features
        self.cuts = cuts
        self.widths = widths
        self.unused = (*Backbone.unused, *unused)

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self.cuts:
                maps.append(x)
        return maps


def vgg16_bn() -> Layered:
    """64,H - 128,H/2 - 256,H/4 - 512,H/8 - 512,H/16: cut before each max-pooling."""
    widths, depths = (64, 128, 256, 512, 512), (2, 2, 3, 3, 3)
    layers: list[nn.Module] = []
    cuts: list[int] = []
    before = 3
    for width, depth in zip(widths, depths, strict=True):
        if cuts:
            layers.append(nn.MaxPool2d(2))
        for _ in range(depth):
            layers.extend(ConvBNReLU(before, width, bias=True))
            before = width
        cuts.append(len(layers) - 1)
    return Layered(nn.Sequential(*layers), cuts, widths)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    expansion = 1

    def __init__(self, in_channels: int, channels: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = _shortcut(in_channels, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return torch.relu(y + self.downsample(x))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut; the middle one in groups for ResNeXt."""

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        stride: int = 1,
        groups: int = 1,
        group_width: int = 64,
    ) -> None:
        super().__init__()
        middle, out = channels * group_width // 64 * groups, channels * self.expansion
        self.conv1 = nn.Conv2d(in_channels, middle, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(middle)
        self.conv2 = nn.Conv2d(
            middle, middle, 3, stride=stride, padding=1, groups=groups, bias=False
        )
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv3 = nn.Conv2d(middle, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.downsample = _shortcut(in_channels, out, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return torch.relu(y + self.downsample(x))


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    if stride == 1 and in_channels == out_channels:
        return nn.Sequential()
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False),
        nn.BatchNorm2d(out_channels),
    )


def residual_layers(
    block: Callable[..., nn.Module], expansion: int, depths: Sequence[int]
) -> list[nn.Sequential]:
    """The four layers of a ResNet for 64 channels: 64, 128, 256 and 512, times `expansion`."""
    layers, before = [], 64
    for channels, depth in zip((64, 128, 256, 512), depths, strict=True):
        first = block(before, channels, stride=1 if channels == 64 else 2)
        before = channels * expansion
        layers.append(nn.Sequential(first, *(block(before, channels) for _ in range(depth - 1))))
    return layers


class ResNet(Backbone):
    """64,H/2 before the max-pooling, then the four residual layers: H/4 - H/8 - H/16 - H/32."""

    unused = ("fc.",)

    def __init__(
        self, block: Callable[..., nn.Module], expansion: int, depths: Sequence[int]
    ) -> None:
        super().__init__()
        self.widths = (64, *(channels * expansion for channels in (64, 128, 256, 512)))
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        layers = residual_layers(block, expansion, depths)
        self.layer1, self.layer2, self.layer3, self.layer4 = layers

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = [torch.relu(self.bn1(self.conv1(x)))]
        x = F.max_pool2d(maps[0], 3, stride=2, padding=1)
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
            maps.append(x)
        return maps


def resnet50() -> ResNet:
    """64,H/2 - 256,H/4 - 512,H/8 - 1024,H/16 - 2048,H/32."""
    return ResNet(Bottleneck, Bottleneck.expansion, (3, 4, 6, 3))


def resnext101_32x4d() -> ResNet:
    """As ResNet-50, deeper, in 32 groups of 4; torchvision has its names but no weights for it."""
    block = partial(Bottleneck, groups=32, group_width=4)
    network = ResNet(block, Bottleneck.expansion, (3, 4, 23, 3))
    network.source = "timm's resnext101_32x4d.gluon_in1k or R3Net's resnext_101_32x4d"
    return network


class DenseLayer(nn.Module):
    """Bottleneck of 128, then 32 new channels behind those that came in."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, 128, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(128)
        self.conv2 = nn.Conv2d(128, 32, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(torch.relu(self.norm1(x)))
        y = self.conv2(torch.relu(self.norm2(y)))
        return torch.cat([x, y], dim=1)


def densenet201() -> Layered:
    """64,H/4 - 128,H/8 - 256,H/16 - 896,H/32 - 1920,H/32, without the last normalisation."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv0=nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False),
        norm0=nn.BatchNorm2d(64),
        relu0=nn.ReLU(inplace=True),
        pool0=nn.MaxPool2d(3, stride=2, padding=1),
    )
    channels = 64
    for index, depth in enumerate((6, 12, 48, 32), start=1):
        dense = {f"denselayer{i + 1}": DenseLayer(channels + 32 * i) for i in range(depth)}
        layers[f"denseblock{index}"] = nn.Sequential(OrderedDict(dense))
        channels += 32 * depth
        if index < 4:
            transition = {
                "norm": nn.BatchNorm2d(channels),
                "relu": nn.ReLU(inplace=True),
                "conv": nn.Conv2d(channels, channels // 2, 1, bias=False),
                "pool": nn.AvgPool2d(2),
            }
            layers[f"transition{index}"] = nn.Sequential(OrderedDict(transition))
            channels //= 2
    names = ("pool0", "transition1", "transition2", "transition3", "denseblock4")
    cuts = [list(layers).index(name) for name in names]
    features = nn.Sequential(layers)
    return Layered(features, cuts, (64, 128, 256, 896, 1920), unused=("features.norm5.",))


class Fire(nn.Module):
    """Squeeze to few channels, then 1x1 and 3x3 convolutions side by side."""

    def __init__(self, in_channels: int, squeezed: int, out_channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, out_channels // 2, 1)
        self.expand3x3 = nn.Conv2d(squeezed, out_channels // 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.squeeze(x))
        return torch.relu(torch.cat([self.expand1x1(x), self.expand3x3(x)], dim=1))


def squeezenet1_1() -> Layered:
    """64,H/2 - 128,H/4 - 256,H/8 - 512,H/16: four maps only."""
    features = nn.Sequential(
        # torchvision's has no padding, which would make every size one less than a half.
        nn.Conv2d(3, 64, 3, stride=2, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2, ceil_mode=True),
        Fire(64, 16, 128),
        Fire(128, 16, 128),
        nn.MaxPool2d(3, stride=2, ceil_mode=True),
        Fire(128, 32, 256),
        Fire(256, 32, 256),
        nn.MaxPool2d(3, stride=2, ceil_mode=True),
        Fire(256, 48, 384),
        Fire(384, 48, 384),
        Fire(384, 64, 512),
        Fire(512, 64, 512),
    )
    return Layered(features, (1, 4, 7, 12), (64, 128, 256, 512))


def mobilenet_v1() -> Layered:
    """64,H/2 - 128,H/4 - 256,H/8 - 512,H/16 - 1024,H/32; torchvision has no weights for it."""
    layers: list[nn.Module] = [ConvBNReLU(3, 32, stride=2), DSConv(32, 64)]
    cuts, before = [1], 64
    for width, depth in ((128, 2), (256, 2), (512, 6), (1024, 2)):
        layers.append(DSConv(before, width, stride=2))
        layers.extend(DSConv(width, width) for _ in range(depth - 1))
        cuts.append(len(layers) - 1)
        before = width
    return Layered(nn.Sequential(*layers), cuts, (64, 128, 256, 512, 1024))


class SqueezeExcitation(nn.Module):
    """A weight for each channel, from its mean."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        weights = F.silu(self.fc1(x.mean(dim=(2, 3), keepdim=True)))  # N,C,1,1
        return x * torch.sigmoid(self.fc2(weights))


def _conv_bn_silu(
    in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    convolution = nn.Conv2d(
        in_channels,
        out_channels,
        kernel,
        stride=stride,
        padding=kernel // 2,
        groups=groups,
        bias=False,
    )
    return nn.Sequential(convolution, nn.BatchNorm2d(out_channels), nn.SiLU(inplace=True))


class MBConv(nn.Module):
    """Expand, filter each channel, excite, project; a shortcut where the shape stays."""

    def __init__(
        self, in_channels: int, out_channels: int, *, expansion: int, kernel: int, stride: int
    ) -> None:
        super().__init__()
        wide = in_channels * expansion
        layers = [_conv_bn_silu(in_channels, wide, 1)] if expansion > 1 else []
        self.block = nn.Sequential(
            *layers,
            _conv_bn_silu(wide, wide, kernel, stride=stride, groups=wide),
            SqueezeExcitation(wide, in_channels // 4),
            nn.Sequential(
                nn.Conv2d(wide, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)
            ),
        )
        self.shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.block(x)
        return x + y if self.shortcut else y


def efficient_stages(block: Callable[..., nn.Module]) -> Iterator[list[nn.Module]]:
    """The blocks of EfficientNet-B0's seven stages, for 32 channels."""
    before = 32
    for expansion, kernel, stride, width, depth in (
        (1, 3, 1, 16, 1),
        (6, 3, 2, 24, 2),
        (6, 5, 2, 40, 2),
        (6, 3, 2, 80, 3),
        (6, 5, 1, 112, 3),
        (6, 5, 2, 192, 4),
        (6, 3, 1, 320, 1),
    ):
        shape = partial(block, out_channels=width, expansion=expansion, kernel=kernel)
        yield [shape(before, stride=stride), *(shape(width, stride=1) for _ in range(depth - 1))]
        before = width


def efficientnet_b0() -> Layered:
    """16,H/2 - 24,H/4 - 40,H/8 - 80,H/16 - 112,H/16, without stochastic depth."""
    layers: list[nn.Module] = [_conv_bn_silu(3, 32, 3, stride=2)]
    layers.extend(nn.Sequential(*blocks) for blocks in islice(efficient_stages(MBConv), 5))
    unused = ("features.6.", "features.7.", "features.8.")
    return Layered(nn.Sequential(*layers), (1, 2, 3, 4, 5), (16, 24, 40, 80, 112), unused)
