"""A grey image into a reference network and its probability map out, scaled as its recipe says."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge.errors import UsageError
from reference.networks import logit_maps
from reference.recipe import Recipe

# 8-bit grey image -> probability map, at the size that the network answers in.
Predictor = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def network_input(images: Tensor, recipe: Recipe) -> Tensor:
    """N,H,W grey 8-bit images as a network's N,3,H,W, on the device where they are."""
    x = images.unsqueeze(1).float() / 255
    if recipe.divide_by_maximum:
        x = x / x.amax(dim=(2, 3), keepdim=True).clamp(min=1 / 255)  # a black image stays black
    x = (x - _by_channel(recipe.mean, x)) / _by_channel(recipe.std, x)
    x = x.expand(-1, 3, -1, -1)
    return x.contiguous(memory_format=memory_format(recipe, images.device))


def memory_format(recipe: Recipe, device: torch.device) -> torch.memory_format:
    """Channels last: five times as fast on a CPU, and what tensor cores want.

    But not for bf16 on a CPU: the gradient of a dilated depthwise convolution reads memory that
    nobody wrote (torch 2.13), and is no number whenever that holds none.
    """
    if recipe.precision == "bf16" and device.type == "cpu":
        return torch.contiguous_format
    return torch.channels_last


def laid_out(network: nn.Module, layout: torch.memory_format) -> nn.Module:
    """The network itself, its weights in this layout from now on."""
    # torch's own types leave this out.
    return network.to(memory_format=layout)  # type: ignore[call-overload,no-any-return]


def _by_channel(setting: float | tuple[float, ...], like: Tensor) -> float | Tensor:
    return setting if isinstance(setting, float) else _constant(setting, like.device)


@cache
def _constant(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Sent to a device once: each time it would wait for all that is still to be done there."""
    return torch.tensor(values, device=device).view(1, len(values), 1, 1)


def network_predictor(network: nn.Module, recipe: Recipe, output: int = 0) -> Predictor:
    """Predict at the recipe's validation size; a protocol says what becomes of the map.

    Of a network of several maps, `output` counts from the one that is the result.
    """
    size, device = recipe.validation.size, next(network.parameters()).device

    @torch.inference_mode()
    def predict(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        resized = cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR)
        x = network_input(torch.from_numpy(resized)[None].to(device), recipe)
        maps = logit_maps(network(x))
        if output >= len(maps):
            raise UsageError(f"--output {output}: the network has maps 0 to {len(maps) - 1}")
        probability = torch.sigmoid(maps[output])[0, 0]
        return np.asarray(probability.cpu().numpy(), np.float32)

    return predict
