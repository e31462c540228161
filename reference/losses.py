"""Losses on logit maps, each a mean over the batch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from kornia.losses import ssim_loss
from torch import Tensor


def bce(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy, mean over pixels."""
    return F.binary_cross_entropy_with_logits(logits, target)


def iou(logits: Tensor, target: Tensor) -> Tensor:
    """1 - soft intersection over union, per image; smoothed: empty on empty is 0."""
    p = torch.sigmoid(logits)
    overlap = (p * target).sum(dim=(1, 2, 3))
    union = (p + target - p * target).sum(dim=(1, 2, 3))
    return (1 - (overlap + 1) / (union + 1)).mean()


def ssim(probability: Tensor, target: Tensor) -> Tensor:
    """1 - structural similarity: 11x11 Gaussian window."""
    # kornia's loss is (1 - SSIM) / 2
    return 2 * ssim_loss(probability, target, window_size=11)


def deep_supervision(maps: list[Tensor], target: Tensor) -> Tensor:
    """BCE + IoU on every side output, and SSIM on the finest at half size.

    The paper has SSIM on all five at full size. Half size is what the finest decoder resolves, and
    one map of it costs a twentieth: on a CPU, training time is what limits the network.
    """
    total = ssim(F.avg_pool2d(torch.sigmoid(maps[0]), 2), F.avg_pool2d(target, 2))
    for logits in maps:
        total = total + bce(logits, target) + iou(logits, target)
    return total
