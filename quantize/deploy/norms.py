"""Batch normalisation before deployment: folded into convolutions, and muted where it died."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Convolution = nn.Conv2d | nn.ConvTranspose2d

# Of a normalisation's epsilon: what varies less is not brought to one variance, but amplified.
_ALIVE = 0.1


def fold_norms(network: nn.Module, image: Tensor) -> list[nn.Module]:
    """Fold, in place, every normalisation that is given a convolution's untouched output.

    Which follows which is seen by running the network on `image`, since a module's place says
    nothing of the order it is called in. Returns the convolutions that read the image itself.
    """
    made: dict[int, tuple[Convolution, Tensor, int]] = {}  # the tensors stay, or ids come twice
    pairs: dict[nn.Module, tuple[nn.BatchNorm2d, Convolution]] = {}
    stems: list[nn.Module] = []

    def note(module: Convolution | nn.BatchNorm2d, inputs: tuple[Tensor], output: Tensor) -> None:
        if isinstance(module, nn.BatchNorm2d):
            convolution, _, version = made.get(id(inputs[0]), (None, None, 0))
            if convolution is not None and inputs[0]._version == version:
                pairs[module] = module, convolution
            return
        made[id(output)] = (module, output, output._version)
        if inputs[0] is image:
            stems.append(module)

    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d)
    hooks = [m.register_forward_hook(note) for m in network.modules() if isinstance(m, kinds)]
    with torch.no_grad():
        network.eval()(image)
    for hook in hooks:
        hook.remove()
    for norm, convolution in pairs.values():
        _fold(convolution, norm)
    for name, module in list(network.named_modules()):
        if module in pairs:
            network.set_submodule(name, nn.Identity())
    return stems


def _fold(convolution: Convolution, norm: nn.BatchNorm2d) -> None:
    transposed = isinstance(convolution, nn.ConvTranspose2d)
    fused = fuse_conv_bn_eval(convolution, norm, transpose=transposed)
    convolution.weight, convolution.bias = fused.weight, fused.bias


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
