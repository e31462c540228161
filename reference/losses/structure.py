"""The structure measure as a loss: what a network is judged by, it can be taught by."""

from __future__ import annotations

import torch
from torch import Tensor

# Keeps a quarter without any defect from being judged by a quotient of nothings.
_LEAST = 1e-6


def structure(logits: Tensor, target: Tensor) -> Tensor:
    """1 - S-measure (Fan et al. 2017) of maps that are taken as they are, not stretched.

    Nothing is asked of the device while it is worked out: what an image lacks is weighed by 0.
    """
    p, t = torch.sigmoid(logits)[:, 0], target[:, 0]  # N,H,W
    share = t.mean(dim=(1, 2))
    objects = share * _alike(p, t) + (1 - share) * _alike(1 - p, 1 - t)
    both = 0.5 * objects + 0.5 * _regions(p, t)
    mean = p.mean(dim=(1, 2))
    measure = torch.where(share == 0, 1 - mean, torch.where(share == 1, mean, both))
    return 1 - measure.mean()


def _alike(p: Tensor, inside: Tensor) -> Tensor:
    """N: how near to 1, and to each other, the pixels inside are."""
    count = inside.sum(dim=(1, 2)).clamp(min=1)
    mean = (p * inside).sum(dim=(1, 2)) / count
    squares = ((p - mean[:, None, None]).square() * inside).sum(dim=(1, 2))
    spread = squares / (count - 1).clamp(min=1)
    # The root of nothing has no slope.
    return 2 * mean / (mean.square() + 1 + (spread + _LEAST**2).sqrt())


def _regions(p: Tensor, t: Tensor) -> Tensor:
    """N: how alike the four parts are that meet in the middle of the defects, by their size."""
    _, height, width = t.shape
    total = t.sum(dim=(1, 2)).clamp(min=1)
    bands = []
    for across, length in ((2, height), (1, width)):
        places = torch.arange(length, device=t.device)
        middle = (t.sum(dim=across) * places).sum(dim=1) / total
        before = (places <= middle.round()[:, None]).to(p)  # N,length
        bands.append((before, 1 - before))
    measure = torch.zeros_like(total)
    for rows in bands[0]:
        for columns in bands[1]:
            part = rows[:, :, None] * columns[:, None, :]
            measure = measure + _similarity(p, t, part) * part.mean(dim=(1, 2))
    return measure


def _similarity(p: Tensor, t: Tensor, part: Tensor) -> Tensor:
    """N: SSIM of two parts as wholes; of an empty part some number."""
    count = part.sum(dim=(1, 2)).clamp(min=1)
    mean_p, mean_t = ((x * part).sum(dim=(1, 2)) / count for x in (p, t))
    off_p, off_t = ((x - m[:, None, None]) * part for x, m in ((p, mean_p), (t, mean_t)))
    degrees = (count - 1).clamp(min=1)
    variances = (off_p.square() + off_t.square()).sum(dim=(1, 2)) / degrees
    covariance = (off_p * off_t).sum(dim=(1, 2)) / degrees
    both = 4 * mean_p * mean_t * covariance
    return (both + _LEAST) / ((mean_p.square() + mean_t.square()) * variances + _LEAST)
