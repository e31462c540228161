"""Losses on one logit map and its 0/1 target, N,1,H,W, each a mean over the batch.

All are finite where a mask or a prediction is empty: an image without a defect teaches too. None
asks anything of the device or sends it anything but once: a GPU would have to be waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from kornia.losses import binary_focal_loss_with_logits
from torch import Tensor

from reference.losses.structure import structure

WINDOW, DEVIATION = 11, 1.5  # of SSIM's Gaussian
C1, C2 = 0.01**2, 0.03**2
LEAST = 1e-12  # added to what SSIM divides by, as kornia does


def bce(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy, mean over pixels."""
    return F.binary_cross_entropy_with_logits(logits, target)


def iou(logits: Tensor, target: Tensor) -> Tensor:
    """1 - soft intersection over union, per image; smoothed: empty on empty is 0."""
    p = torch.sigmoid(logits)
    overlap = (p * target).sum(dim=(1, 2, 3))
    union = (p + target - p * target).sum(dim=(1, 2, 3))
    return (1 - (overlap + 1) / (union + 1)).mean()


def iou_plain(logits: Tensor, target: Tensor) -> Tensor:
    """The same without the smoothing, as CSEPNet and NaDiNet print it.

    Of an image without a defect it is 1 whatever is answered, and teaches nothing.
    """
    p = torch.sigmoid(logits)
    overlap = (p * target).sum(dim=(1, 2, 3))
    union = (p + target - p * target).sum(dim=(1, 2, 3))
    return (1 - overlap / union.clamp(min=1e-12)).mean()


def ssim(logits: Tensor, target: Tensor) -> Tensor:
    """1 - structural similarity, with nothing beyond the border, as MINet and CSEPNet have it."""
    blurred = _blurred(torch.sigmoid(logits), target, beyond="constant")
    mean_p, mean_t, square_p, square_t, product = blurred
    covariance = product - mean_p * mean_t
    variances = (square_p - mean_p**2) + (square_t - mean_t**2)
    alike = (2 * mean_p * mean_t + C1) * (2 * covariance + C2)
    return (1 - alike / ((mean_p**2 + mean_t**2 + C1) * (variances + C2) + LEAST)).mean()


def ssim_half(logits: Tensor, target: Tensor) -> Tensor:
    """1 - structural similarity at half size, mirrored beyond the border.

    Half size is what MINet's finest decoder resolves, and one map of it costs a twentieth of five
    at full size: on a CPU, training time is what limits the network.
    """
    p, t = (F.avg_pool2d(x, 2) for x in (torch.sigmoid(logits), target))
    mean_p, mean_t, square_p, square_t, product = _blurred(p, t, beyond="reflect")
    luminance = (2 * mean_p * mean_t + C1) / (mean_p**2 + mean_t**2 + C1)
    covariance = product - mean_p * mean_t
    variances = (square_p - mean_p**2) + (square_t - mean_t**2)
    return (1 - luminance * (2 * covariance + C2) / (variances + C2)).mean()


def _blurred(p: Tensor, t: Tensor, *, beyond: str) -> list[Tensor]:
    """Means in SSIM's window: of both maps, of their squares, and of their product.

    The window is a product of matrices from both sides: its convolution with a single channel is
    slow on a CPU.
    """
    down, across = (_window(length, beyond, p.device).to(p) for length in p.shape[-2:])
    return [down @ x @ across.t() for x in (p, t, p * p, t * t, p * t)]


@cache
@torch.inference_mode(mode=False)  # whoever learns later learns by the same one
def _window(length: int, beyond: str, device: torch.device) -> Tensor:
    """What the window makes of a row of pixels, as a matrix, sent to a device once."""
    places = torch.arange(WINDOW, dtype=torch.float64, device=device) - WINDOW // 2
    weights = torch.exp(-places.square() / (2 * DEVIATION**2))
    each_pixel = torch.eye(length, dtype=torch.float64, device=device).unsqueeze(1)
    continued = F.pad(each_pixel, [WINDOW // 2] * 2, mode=beyond)
    return F.conv1d(continued, (weights / weights.sum()).view(1, 1, -1))[:, 0].t()


def cel(logits: Tensor, target: Tensor) -> Tensor:
    """Consistency-enhanced: what only one of the two has, as a part of both; over the batch."""
    p = torch.sigmoid(logits)
    apart = (p - p * target).sum() + (target - p * target).sum()
    return apart / (p.sum() + target.sum() + 1e-6)


def dice_bce(logits: Tensor, target: Tensor) -> Tensor:
    """Half of BCE, and 1 - Dice per image, as LSA-Net's code writes its segmentation loss."""
    p = torch.sigmoid(logits)
    overlap = (p * target).sum(dim=(1, 2, 3))
    size = (p + target).sum(dim=(1, 2, 3))
    dice = (2 * overlap + 1e-5) / (size + 1e-5)
    return 0.5 * bce(logits, target) + (1 - dice).mean()


def focal(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of hard pixels (Lin et al. 2017): alpha 0.25 for defects, gamma 2."""
    loss: Tensor = binary_focal_loss_with_logits(
        logits, target, reduction="mean", ignore_index=None
    )
    return loss


def lovasz(logits: Tensor, target: Tensor) -> Tensor:
    """Lovasz-softmax (Berman et al. 2018), a surrogate of IoU: mean of background and defect."""
    p = torch.cat([torch.zeros_like(logits), logits], dim=1).flatten(2).softmax(dim=1)  # N,2,HW
    there = torch.cat([1 - target, target], dim=1).flatten(2)
    errors, order = (p - there).abs().sort(dim=2, descending=True)
    there = there.gather(2, order)
    count = there.sum(dim=2, keepdim=True)
    missed = 1 - (count - there.cumsum(2)) / (count + (1 - there).cumsum(2))
    # What each pixel adds to 1 - IoU once it is wrong besides those before it.
    added = missed.diff(dim=2, prepend=torch.zeros_like(count))
    return (errors * added).sum(dim=2).mean()


MAP_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "bce": bce,
    "iou": iou,
    "ssim": ssim,
    "ssim_half": ssim_half,
    "cel": cel,
    "dice_bce": dice_bce,
    "focal": focal,
    "lovasz": lovasz,
    "iou_plain": iou_plain,
    "structure": structure,
}
