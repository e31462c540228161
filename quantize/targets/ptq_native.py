"""INT8 for the native engine: the numbers of NUMERICS.md, chosen from calibration images.

Every channel of every tensor has a range of its own: it costs nothing, because each operation that
reads it scales by channel anyway.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor as Torch
from torch import nn

from edge.bundle import Artefact, InputSpec
from edge.errors import UsageError
from edge.types import Tensor
from quantize.deploy import listed
from quantize.targets.native_artefact import (
    Add,
    Branch,
    Head,
    Module,
    Operation,
    Pointwise,
    Program,
    Requantisation,
    Stem,
)
from quantize.targets.native_layers import (
    AddLayer,
    Filter,
    HeadLayer,
    Lowered,
    Mixer,
    ModuleLayer,
    StemLayer,
    lower,
    run,
)
from quantize.targets.target import Files, Layers, Material

Reals = NDArray[np.float64]
SAMPLES = 100  # values a channel and an image
SHARES = np.linspace(0.3, 1.0, 29)  # of a channel's maximum, tried as the end of its range
SIXTY_FOURTHS = 64
TINY = 1e-9


class Target:
    """INT8 for the native engine."""

    artefact = Artefact(engine="native", precision="int8", path="native.bin", layout="NCHW")

    def __init__(self, material: Material) -> None:
        self._material = material

    def quantize(self, keep: Collection[str]) -> Files:
        if keep:
            raise UsageError(
                "the native engine has no FP32 to keep a layer in: leave native out of --targets, "
                "or leave out --keep"
            )
        material = self._material
        made = quantize(material.network, material.tensors, material.spec)
        return {self.artefact.path: made}

    def layer_pairs(self, files: Files, tensor: Tensor) -> tuple[Layers, Layers]:
        return {}, {}  # its operations are not the graph's


def quantize(network: nn.Module, tensors: Sequence[Tensor], spec: InputSpec) -> bytes:
    """The native artefact of a deploy form."""
    operations = lower(network)
    seen = _observe(operations, network, tensors)
    return _Quantizer(operations, seen, spec).program().to_bytes()


@dataclass(frozen=True)
class _Span:
    """What the calibration images showed of a map's channels, in real numbers."""

    end: Reals  # where each is clipped
    mean: Reals


@dataclass
class _Observed:
    """What the calibration images did to the network in real numbers, by layer."""

    samples: dict[tuple[str, int], list[Torch]] = field(default_factory=lambda: defaultdict(list))
    largest: dict[tuple[str, int], Reals] = field(default_factory=dict)

    def watch(self, what: str, index: int, value: Torch) -> None:
        key = (what, index)
        flat = value.transpose(0, 1).flatten(1)  # C,samples
        most = flat.abs().amax(dim=1).double().numpy()
        self.largest[key] = np.maximum(self.largest.get(key, 0.0), most)
        if what != "sum":
            step = max(1, flat.shape[1] // SAMPLES)
            # A stride that shares no factor with a row walks through all columns.
            self.samples[key].append(flat[:, :: step | 1].clone())

    def span(self, what: str, index: int) -> _Span:
        values = torch.cat(self.samples[what, index], dim=1).numpy()
        mean = values.mean(axis=1, dtype=np.float64)
        return _Span(_end(values, self.largest[what, index]), mean)


def _observe(layers: Lowered, network: nn.Module, tensors: Sequence[Tensor]) -> _Observed:
    seen = _Observed()
    for tensor in tensors:
        x = torch.from_numpy(tensor)
        answers = run(layers, x, seen.watch)
        with torch.no_grad():
            wanted = list(listed(network(x)))
            torch.testing.assert_close(answers, wanted, rtol=1e-3, atol=1e-3)
    return seen


def _end(values: NDArray[np.float32], largest: Reals) -> Reals:
    """Where each channel is clipped: where it leaves the least squared error."""
    best, least = largest.copy(), np.full(len(values), np.inf)
    for share in SHARES:
        end = np.maximum(share * largest, TINY)
        step = (end / 255).astype(np.float32)[:, None]
        error = np.clip(np.rint(values / step), 0, 255) * step - values
        cost = np.square(error).mean(axis=1)
        best, least = np.where(cost < least, end, best), np.minimum(cost, least)
    return np.maximum(best, TINY)


class _Quantizer:
    """One walk over the layers; each tensor's scales are fixed when it is written."""

    def __init__(self, layers: Lowered, seen: _Observed, spec: InputSpec) -> None:
        self._layers = layers
        self._seen = seen
        self._spec = spec
        self._scales: dict[int, Reals] = {}  # of each tensor: real numbers a level, by channel
        self._means: dict[int, Reals] = {}  # of each tensor, in levels

    def program(self) -> Program:
        operations = [self._operation(i, layer) for i, layer in enumerate(self._layers.layers)]
        padding = int(np.rint(self._spec.mean[0]))
        return Program(padding, self._layers.tensors, operations)

    def _operation(self, index: int, layer: object) -> Operation:
        if isinstance(layer, StemLayer):
            return self._stem(index, layer)
        if isinstance(layer, ModuleLayer):
            return self._module(index, layer)
        if isinstance(layer, AddLayer):
            return self._add(index, layer)
        assert isinstance(layer, HeadLayer)
        weights = layer.weights * self._scales[layer.input]
        scale = np.maximum(np.abs(weights).max(axis=1), TINY) / (2**15 - 1)
        return Head(layer.input, np.rint(weights / scale[:, None]), scale, layer.bias)

    def _stem(self, index: int, layer: StemLayer) -> Stem:
        # Rows of four, as they are read; the fourth weighs nothing.
        weights = np.pad(layer.weights * self._spec.scale[0], ((0, 0), (0, 0), (0, 1)))
        weights = weights.reshape(-1, 12)
        bias = layer.bias - weights.sum(axis=1) * self._spec.mean[0]
        levels = np.full(12, self._spec.mean[0])
        span = self._seen.span("output", index)
        whole, requantisation, scales = _to_bytes(Mixer(weights, bias), levels, span.end, 1)
        self._write(layer.output, scales, span)
        return Stem(layer.output, whole.reshape(-1, 3, 4)[..., :3], requantisation)

    def _module(self, index: int, layer: ModuleLayer) -> Module:
        scales, means = self._scales[layer.input], self._means[layer.input]
        branches: list[Branch] = []
        mix = squeeze = None
        if layer.mix is not None:
            unit = self._unit(index, layer, scales)
            branches = [_branch(branch, scales, means, unit) for branch in layer.branches]
            mix = np.rint(layer.mix / unit)
            middle = self._seen.span("middle", index)
            squeeze = np.clip(np.rint(unit * 2**15 * 255 / middle.end), 1, 2**15 - 1)
            scales = unit * 2**15 / squeeze
            means = middle.mean / scales
        pointwise = None
        span = self._seen.span("output", index)
        if layer.mixer is not None:
            mixer = Mixer(layer.mixer.weights * scales, layer.mixer.bias)
            summands = 1 if layer.residual is None else SIXTY_FOURTHS
            whole, requantisation, scales = _to_bytes(mixer, means, span.end, summands)
            residual = None
            if layer.residual is not None:
                residual = _share(self._scales[layer.residual], scales)
            pointwise = Pointwise(whole, requantisation, residual)
        self._write(layer.output, scales, span)
        place = (layer.residual, layer.stride, layer.offset)
        return Module(layer.input, layer.output, branches, mix, squeeze, pointwise, *place)

    def _unit(self, index: int, layer: ModuleLayer, scales: Reals) -> Reals:
        """What one unit of the 16-bit sums is worth, by channel: as little as overflows nothing."""
        assert layer.mix is not None
        unit: Reals = np.maximum(self._seen.largest["sum", index], np.abs(layer.mix)) / (2**15 - 1)
        for branch in layer.branches:
            taps = branch.weights.reshape(-1, 9) * scales[:, None]
            unit = np.maximum(unit, np.abs(taps).max(axis=1) / 127)
            for sign in (1, -1):
                reach = 255 * np.maximum(sign * taps, 0).sum(axis=1)
                reach += np.maximum(sign * branch.bias, 0)
                unit = np.maximum(unit, reach / (2**15 - 1 - 255 * 3))  # room for rounding up
        return np.maximum(unit, TINY)

    def _add(self, index: int, layer: AddLayer) -> Add:
        span = self._seen.span("output", index)
        scales = span.end / 255
        self._write(layer.output, scales, span)
        shares = [(tensor, _share(self._scales[tensor], scales)) for tensor in layer.inputs]
        return Add(layer.output, shares)

    def _write(self, tensor: int, scales: Reals, span: _Span) -> None:
        for store, values in ((self._scales, scales), (self._means, span.mean / scales)):
            store[tensor] = np.concatenate([store.get(tensor, np.empty(0)), values])


def _share(of: Reals, to: Reals) -> Reals:
    """The multiplier that takes one tensor's levels, shifted by 7, to another's sixty-fourths."""
    return np.clip(np.rint(of / to * 2**14), 0, 2**15 - 1)


def _branch(branch: Filter, scales: Reals, means: Reals, unit: Reals) -> Branch:
    taps = branch.weights.reshape(-1, 9) * (scales / unit)[:, None]
    whole = _bounded(np.rint(taps), taps, branch.bias / unit)
    # What rounding the weights adds on average is taken from the bias.
    bias = np.rint(branch.bias / unit + (taps - whole).sum(axis=1) * means)
    bias = np.clip(bias, -(2**15) - 255 * np.minimum(whole, 0).sum(axis=1), np.inf)
    bias = np.clip(bias, -np.inf, 2**15 - 1 - 255 * np.maximum(whole, 0).sum(axis=1))
    return Branch(branch.dilation, whole.reshape(-1, 3, 3), bias, branch.sign)


def _bounded(whole: Reals, taps: Reals, bias: Reals) -> Reals:
    """Whole weights that cannot overflow: those rounded up the furthest are rounded down."""
    whole = np.clip(whole, -127, 127)
    for sign, limit in ((1, 2**15 - 1), (-1, 2**15)):
        while True:
            reach = 255 * np.maximum(sign * whole, 0).sum(axis=1) + np.maximum(sign * bias, 0)
            if not (over := reach > limit).any():
                break
            excess = np.where(sign * whole > 0, sign * (whole - taps), -np.inf)
            rows = np.flatnonzero(over)
            whole[rows, excess[rows].argmax(axis=1)] -= sign
    return whole


def _to_bytes(
    mixer: Mixer, means: Reals, end: Reals, summands: int
) -> tuple[Reals, Requantisation, Reals]:
    """Whole weights of N channels, how their sums become bytes, and the scales of these."""
    unit = np.maximum(_pair_reach(mixer.weights) / 127, TINY)
    whole = np.rint(mixer.weights / unit[:, None])
    bias = mixer.bias / unit + (mixer.weights / unit[:, None] - whole) @ means
    bias = np.clip(bias, -(2**29), 2**29)
    # Shifted so far that the end of the range just fits 16 bits.
    shift = np.clip(np.ceil(np.log2(np.maximum(end / unit, 1) / (2**15 - 1))), 0, 31)
    step = unit * 2.0**shift * summands * 2**15  # a level, where the multiplier is 1
    multiplier = np.clip(np.rint(step * 255 / end), 1, 2**15 - 1)
    half = np.floor(2.0 ** (shift - 1))  # the shift then rounds to the nearest
    requantisation = Requantisation(np.rint(bias) + half, shift, multiplier)
    return whole, requantisation, step / multiplier


def _pair_reach(weights: Reals) -> Reals:
    """The most that two neighbouring inputs of the same sign weigh together, by output."""
    pairs = weights.reshape(len(weights), -1, 2)
    both = [np.maximum(sign * pairs, 0).sum(axis=2) for sign in (1, -1)]
    return np.asarray(np.max(both, axis=(0, 2)))
