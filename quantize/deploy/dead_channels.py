"""Channels that died in training, made the constant that they are."""

from __future__ import annotations

import torch
from torch import nn

# Of a normalisation's epsilon: what varies less is not brought to one variance, but amplified.
_ALIVE = 0.1


def mute(network: nn.Module) -> None:
    """Let every normalisation answer its bias where, in training, nothing ever moved.

    Such a channel's weights are free to grow, and its normalisation multiplies them by 300 more:
    the network answers the same on all that it has seen, but one step of INT8 in that channel's
    input would span the output's whole range, and XNNPACK refuses the graph.
    """
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d) and norm.running_var is not None:
            with torch.no_grad():
                norm.weight[norm.running_var < _ALIVE * norm.eps] = 0
