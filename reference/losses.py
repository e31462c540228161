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


def ssim(logits: Tensor, target: Tensor) -> Tensor:
    """1 - structural similarity: 11x11 Gaussian window."""
    # kornia's loss is (1 - SSIM) / 2
    return 2 * ssim_loss(torch.sigmoid(logits), target, window_size=11)


def deep_supervision(maps: list[Tensor], target: Tensor) -> Tensor:
    """BCE + IoU on every side output, SSIM on the finest, the one that is deployed.

    SSIM on all five is the paper's; on one it costs a fifth, and training time on a CPU is what
    limits the shipped network.
    """
    total = ssim(maps[0], target)
    for logits in maps:
        total = total + bce(logits, target) + iou(logits, target)
    return total
