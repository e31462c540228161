"""The reference networks behind the box's engine protocol: as published, as deployed, compiled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.bench.schema import Form
from edge import types as edge_types
from edge.engines import Answer, Engine
from quantize.deploy import listed, read_trained
from reference.networks import build, class_maps, logit_maps
from reference.networks.minet import DILATIONS, MultiScaleInteraction, WeightedSum
from reference.trained import checkpoint


def load(
    arguments: dict[str, Any], form: Form, trained: Path | None, *, threads: int, compiled: bool
) -> Engine:
    """Ready to run; compiled at its first inference, if at all."""
    torch.set_num_threads(threads)
    network = network_of(arguments, form, trained)
    # Every shape is fixed on a line, so it is compiled for one.
    return _TorchEngine(torch.compile(network, dynamic=False) if compiled else network)


def network_of(arguments: dict[str, Any], form: Form, trained: Path | None) -> nn.Module:
    """What a bundle of it answers, whatever else the network has in training."""
    if form == "deploy":
        assert trained is not None, "a deploy form is made of trained weights"
        return read_trained(trained).network
    torch.manual_seed(0)
    network = build(**arguments)
    if trained is not None:
        network.load_state_dict(checkpoint.load(trained)[0]["ema"])
    _replace(network, MultiScaleInteraction, _Interleaved)
    if form == "released":
        _replace(network, WeightedSum, _ChannelByChannel)
    return _ResultOnly(network).eval().requires_grad_(False)


def _replace(network: nn.Module, old: type[nn.Module], new: Callable[[Any], nn.Module]) -> None:
    for name, module in list(network.named_modules()):
        if isinstance(module, old):
            network.set_submodule(name, new(module))


class _Interleaved(nn.Module):
    """The MI module as its paper draws it: each channel's scales are neighbours in one tensor."""

    def __init__(self, module: MultiScaleInteraction) -> None:
        super().__init__()
        self.branches, self.mix, self.pointwise = module.branches, module.mix, module.pointwise

    def forward(self, x: Tensor) -> Tensor:
        stacked = torch.stack([branch(x) for branch in self.branches], dim=2)  # N,C,4,H,W
        return torch.relu(self.pointwise(self.mix(stacked.flatten(1, 2))) + x)


class _ChannelByChannel(nn.Module):
    """The mix as the authors' code computes it: one convolution for each channel."""

    def __init__(self, mix: WeightedSum) -> None:
        super().__init__()
        self.weight = mix.weight  # C,4,1,1

    def forward(self, x: Tensor) -> Tensor:
        channels = zip(torch.split(x, len(DILATIONS), dim=1), self.weight, strict=True)
        return torch.cat([F.conv2d(scales, weight[None]) for scales, weight in channels], dim=1)


class _ResultOnly(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        output = self.network(x)
        return (logit_maps(output)[0], *class_maps(output)[:1])


class _TorchEngine:
    name = "torch fp32"
    takes_pixels = False
    blocks_at_once = 0

    def __init__(self, network: Callable[[Tensor], Tensor | tuple[Tensor, ...]]) -> None:
        self._network = network

    @torch.inference_mode()
    def infer(self, tensor: edge_types.Tensor) -> Answer:
        return Answer(*(each.numpy() for each in listed(self._network(torch.from_numpy(tensor)))))

    def infer_all(self, tensors: Sequence[edge_types.Tensor]) -> list[Answer]:
        return [self.infer(tensor) for tensor in tensors]

    def close(self) -> None:
        del self._network
