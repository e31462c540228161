"""Images as a reference network takes them: at its size, and scaled as its recipe says."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from edge.types import Image
from reference.recipe import Recipe


def network_input(images: Tensor, recipe: Recipe) -> Tensor:
    """8-bit images, N,H,W grey or N,H,W,3 BGR, as N,3,H,W on the device they are on."""
    planes = images.unsqueeze(1) if images.ndim == 3 else images.flip(-1).permute(0, 3, 1, 2)
    x = planes.float() / 255
    if recipe.divide_by_maximum:
        x = x / x.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1 / 255)  # a black image stays black
    x = (x - _by_channel(recipe.mean, x)) / _by_channel(recipe.std, x)
    x = x.expand(-1, 3, -1, -1)
    return x.contiguous(memory_format=memory_format(recipe, images.device))


def memory_format(recipe: Recipe, device: torch.device) -> torch.memory_format:
    """Channels last: five times as fast on a CPU, and what tensor cores want.

    But not for 16 bits on a CPU: the gradient of a dilated depthwise convolution reads memory that
    nobody wrote (torch 2.13), and is no number whenever that holds none.
    """
    if recipe.precision in ("bf16", "fp16") and device.type == "cpu":
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


def resized(images: Sequence[Image], recipe: Recipe) -> Tensor:
    """8-bit images as one batch at the recipe's validation size."""
    size = (recipe.validation.size,) * 2
    shown = [cv2.resize(image, size, interpolation=cv2.INTER_LINEAR) for image in images]
    return torch.from_numpy(np.stack(shown))
