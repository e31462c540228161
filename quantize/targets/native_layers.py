"""The deploy form as the native engine's operations, still in real numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from edge.errors import ConfigurationError
from quantize.deploy import DeployMINet, SignedSum
from reference.networks.backbones import Layered
from reference.networks.minet import Ablation

Reals = NDArray[np.float64]


class NoNativeForm(ConfigurationError):
    """A network the native engine has no operations for; the message says which engines do."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what}, and the native engine runs depthwise 3x3 and pointwise convolutions: "
            "pack this network for openvino, onnxruntime or litert"
        )


@dataclass(frozen=True, eq=False)
class Filter:
    """A depthwise branch: `sign` says on which side of zero its ReLU leaves it."""

    dilation: int
    weights: Reals  # C,3,3
    bias: Reals  # C
    sign: Reals  # C


@dataclass(frozen=True, eq=False)
class Mixer:
    """A pointwise convolution and its ReLU."""

    weights: Reals  # N,C
    bias: Reals  # N


@dataclass(frozen=True, eq=False)
class StemLayer:
    output: int
    weights: Reals  # N,3,3
    bias: Reals  # N


@dataclass(frozen=True, eq=False)
class ModuleLayer:
    """Branches summed on `mix`, a ReLU, then a mixer; either may be absent."""

    input: int
    output: int
    branches: Sequence[Filter] = ()
    mix: Reals | None = None  # C
    mixer: Mixer | None = None
    residual: int | None = None
    stride: int = 1
    offset: int = 0


@dataclass(frozen=True, eq=False)
class AddLayer:
    output: int
    inputs: Sequence[int]  # those of half the size are doubled


@dataclass(frozen=True, eq=False)
class HeadLayer:
    input: int
    weights: Reals  # N,C
    bias: Reals  # N


Layer = StemLayer | ModuleLayer | AddLayer | HeadLayer


@dataclass
class Lowered:
    """A network as operations on numbered tensors."""

    tensors: list[tuple[int, int]] = field(default_factory=list)  # channels, level
    layers: list[Layer] = field(default_factory=list)

    def tensor(self, channels: int, level: int) -> int:
        self.tensors.append((channels, level))
        return len(self.tensors) - 1

    def module(self, source: int, outputs: int, **parts: Any) -> int:
        """A module from a tensor to a new one."""
        level = self.tensors[source][1] + (parts.get("stride") == 2)
        target = self.tensor(outputs, level)
        self.layers.append(ModuleLayer(source, target, **parts))
        return target

    def add(self, inputs: Sequence[int]) -> int:
        target = self.tensor(*self.tensors[inputs[0]])
        self.layers.append(AddLayer(target, inputs))
        return target


def lower(network: nn.Module) -> Lowered:
    """The operations of a deploy form; what has none is refused."""
    if not isinstance(network, DeployMINet):
        raise NoNativeForm("this is no MINet on the pixel grid")
    to = Lowered()
    features = _encoder(to, network)
    x = _chain(to, features.pop(), network.decoders[-1])
    decoders = zip(
        reversed(features), network.decoders[-2::-1], reversed(network.factors), strict=True
    )
    namer = network.namer
    for feature, decoder, factor in decoders:
        if factor > 2:
            raise NoNativeForm(f"a map is enlarged {factor} times, not twice")
        x = to.add([feature, x])
        if namer is not None:
            convolutions, classes = namer.children()
            _head(to, _chain(to, x, convolutions), classes)
            namer = None
        x = _chain(to, x, decoder)
    _head(to, x, network.head)
    return to


def _head(to: Lowered, x: int, head: nn.Module) -> None:
    assert isinstance(head, nn.Conv2d)
    to.layers.append(HeadLayer(x, _reals(head.weight)[:, :, 0, 0], _reals(head.bias)))


def _encoder(to: Lowered, network: DeployMINet) -> list[int]:
    """The tensors of the features, finest first."""
    if hasattr(network, "stages"):
        stem, *stages = network.stages
        features = [_stem(to, _convolutions(stem)[0])]
        for stage in stages:
            x = features[-1]
            assert isinstance(stage, nn.Sequential)
            for block in stage:
                x = _block(to, x, block)
            features.append(x)
        return features
    backbone = network.backbone
    if not isinstance(backbone, Layered):
        raise NoNativeForm("this backbone is no sequence of layers")
    features, x = [], -1
    for index, layer in enumerate(backbone.features):
        convolutions = _convolutions(layer)
        x = _stem(to, convolutions[0]) if x < 0 else _convolve(to, x, convolutions)
        if index in backbone.cuts:
            features.append(x)
    return features


def _block(to: Lowered, x: int, block: nn.Module) -> int:
    """A block of an encoder's stage."""
    if isinstance(block, SignedSum):
        return _signed_sum(to, x, block)
    if isinstance(block, Ablation):
        return _ablation(to, x, block)
    return _chain(to, x, block)


def _signed_sum(to: Lowered, x: int, block: SignedSum) -> int:
    signs = [block.first.weight.reshape(-1), *(sign.reshape(-1) for sign in block.signs)]
    branches = [
        _signed(branch, _reals(sign)) for branch, sign in zip(block.branches, signs, strict=True)
    ]
    parts = {"branches": branches, "mix": _reals(block.first.bias)}
    channels = to.tensors[x][0]
    if isinstance(block.pointwise, nn.Identity):
        return to.add([to.module(x, channels, **parts), x])
    (pointwise,) = _convolutions(block.pointwise)
    return to.module(x, channels, **parts, mixer=_mixer(pointwise), residual=x)


def _ablation(to: Lowered, x: int, block: Ablation) -> int:
    branches = [_convolutions(branch) for branch in block.branches]
    channels = to.tensors[x][0]
    layers = _convolutions(block.layers)
    if all(len(branch) == 1 for branch in branches):  # S-PW: filters, summed
        filters = [_signed(filter_, np.ones(channels)) for (filter_,) in branches]
        mix = np.zeros(channels)
        mixer = _mixer(layers[0])
        return to.module(x, channels, branches=filters, mix=mix, mixer=mixer, residual=x)
    if not layers:  # sum: separable convolutions, summed
        return to.add([*(_convolve(to, x, branch) for branch in branches), x])
    joined = to.tensor(len(branches) * channels, to.tensors[x][1])
    for index, (filter_, pointwise) in enumerate(branches):
        filters, mix = [_signed(filter_, np.ones(channels))], np.zeros(channels)
        offset = index * channels
        to.layers.append(ModuleLayer(x, joined, filters, mix, _mixer(pointwise), offset=offset))
    return to.module(joined, channels, mixer=_mixer(layers[0]), residual=x)


def _chain(to: Lowered, x: int, blocks: nn.Module) -> int:
    return _convolve(to, x, _convolutions(blocks))


def _convolve(to: Lowered, x: int, convolutions: Sequence[nn.Conv2d]) -> int:
    """Depthwise and pointwise convolutions by turns."""
    if len(convolutions) % 2:
        raise NoNativeForm("a convolution is neither depthwise nor the pointwise one after it")
    for filter_, pointwise in zip(convolutions[::2], convolutions[1::2], strict=True):
        channels = to.tensors[x][0]
        x = to.module(
            x,
            pointwise.out_channels,
            branches=[_signed(filter_, np.ones(channels))],
            mix=np.zeros(channels),
            mixer=_mixer(pointwise),
            stride=filter_.stride[0],
        )
    return x


def _stem(to: Lowered, convolution: nn.Conv2d) -> int:
    if (convolution.in_channels, convolution.kernel_size, convolution.stride) != (
        1,
        (3, 3),
        (2, 2),
    ):
        raise NoNativeForm("the first convolution is not 3x3 with stride 2 on one grey channel")
    assert convolution.bias is not None
    target = to.tensor(convolution.out_channels, 1)
    weights = _reals(convolution.weight)[:, 0]
    to.layers.append(StemLayer(target, weights, _reals(convolution.bias)))
    return target


def _signed(convolution: nn.Module, sign: Reals) -> Filter:
    assert isinstance(convolution, nn.Conv2d) and convolution.bias is not None
    if convolution.groups != convolution.out_channels or convolution.kernel_size != (3, 3):
        raise NoNativeForm("a convolution is neither depthwise 3x3 nor pointwise")
    weights = _reals(convolution.weight)[:, 0]
    dilation = int(convolution.dilation[0])
    return Filter(dilation, weights * sign[:, None, None], _reals(convolution.bias) * sign, sign)


def _mixer(convolution: nn.Conv2d) -> Mixer:
    if convolution.groups != 1 or convolution.kernel_size != (1, 1) or convolution.bias is None:
        raise NoNativeForm("a convolution is neither depthwise 3x3 nor pointwise")
    return Mixer(_reals(convolution.weight)[:, :, 0, 0], _reals(convolution.bias))


def _convolutions(block: nn.Module) -> list[nn.Conv2d]:
    """The convolutions of a sequence in which a ReLU follows each."""
    leaves = [leaf for leaf in block.modules() if not isinstance(leaf, nn.Sequential)]
    if strange := [x for x in leaves if not isinstance(x, nn.Conv2d | nn.ReLU | nn.Identity)]:
        raise NoNativeForm(f"this network has a {type(strange[0]).__name__}")
    return [leaf for leaf in leaves if isinstance(leaf, nn.Conv2d)]


def _reals(tensor: Tensor | None) -> Reals:
    assert tensor is not None
    return tensor.detach().double().numpy()


Watch = Callable[[str, int, Tensor], None]  # what, of which layer, its value N,C,H,W


@torch.no_grad()
def run(network: Lowered, x: Tensor, watch: Watch) -> list[Tensor]:
    """N,1,H,W normalised pixels to logits, and those of classes; `watch` sees all that will be
    quantized.
    """
    values: dict[int, Tensor] = {}
    answers: list[Tensor] = []
    for index, layer in enumerate(network.layers):
        if isinstance(layer, StemLayer):
            weights = _tensor(layer.weights)[:, None]
            y = torch.relu(F.conv2d(x, weights, _tensor(layer.bias), stride=2, padding=1))
            values[layer.output] = y
        elif isinstance(layer, ModuleLayer):
            y = _run_module(layer, values, index, watch)
            before = values.get(layer.output)
            values[layer.output] = y if before is None else torch.cat([before, y], dim=1)
        elif isinstance(layer, AddLayer):
            level = network.tensors[layer.output][1]
            y = sum(_at(values[i], network.tensors[i][1] - level) for i in layer.inputs)  # type: ignore[assignment]
            values[layer.output] = y
        else:
            weights = _tensor(layer.weights)[:, :, None, None]
            answers.insert(0, F.conv2d(values[layer.input], weights, _tensor(layer.bias)))
            continue
        watch("output", index, y)
    return answers  # of the head that decides, which is the last, first


def _run_module(layer: ModuleLayer, values: dict[int, Tensor], index: int, watch: Watch) -> Tensor:
    m = x = values[layer.input]
    if layer.mix is not None:
        m = _tensor(layer.mix)[:, None, None].expand_as(x[..., :: layer.stride, :: layer.stride])
        for branch in layer.branches:
            z = F.conv2d(
                x,
                _tensor(branch.weights)[:, None],
                _tensor(branch.bias),
                stride=layer.stride,
                padding=branch.dilation,
                dilation=branch.dilation,
                groups=x.shape[1],
            )
            sign = _tensor(branch.sign)[:, None, None]
            m = m + sign * torch.relu(sign * z)
            watch("sum", index, m)
        m = torch.relu(m)
        watch("middle", index, m)
    if layer.mixer is None:
        return m
    weights = _tensor(layer.mixer.weights)[:, :, None, None]
    m = torch.relu(F.conv2d(m, weights, _tensor(layer.mixer.bias)))
    return m if layer.residual is None else m + values[layer.residual]


def _at(x: Tensor, levels: int) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear") if levels else x


def _tensor(values: Reals) -> Tensor:
    return torch.from_numpy(values).float()
