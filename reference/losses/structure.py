"""The structure measure as a loss: what a network is judged by, it can be taught by."""

from __future__ import annotations

import torch
from torch import Tensor

# Keeps a quarter without any defect from being judged by a quotient of nothings.
_LEAST = 1e-6


def structure(logits: Tensor, target: Tensor) -> Tensor:
    """1 - S-measure (Fan et al. 2017) of maps that are taken as they are, not stretched."""
    pairs = zip(torch.sigmoid(logits)[:, 0], target[:, 0], strict=True)
    return 1 - torch.stack([_measure(p, t) for p, t in pairs]).mean()


def _measure(p: Tensor, t: Tensor) -> Tensor:
    """Of one image, H,W."""
    share = t.mean()
    if share == 0:
        return 1 - p.mean()
    if share == 1:
        return p.mean()
    objects = share * _alike(p[t == 1]) + (1 - share) * _alike(1 - p[t == 0])
    row, column = (t.nonzero().float().mean(dim=0).round().long() + 1).tolist()
    regions = [
        _similarity(p_part, t_part) * (t_part.numel() / t.numel())
        for p_band, t_band in zip(_cut(p, row, 0), _cut(t, row, 0), strict=True)
        for p_part, t_part in zip(_cut(p_band, column, 1), _cut(t_band, column, 1), strict=True)
    ]
    return 0.5 * objects + 0.5 * torch.stack(regions).sum()


def _cut(x: Tensor, at: int, dim: int) -> list[Tensor]:
    """Both parts, or the one where the other would be empty."""
    return [part for part in x.tensor_split([at], dim) if part.numel()]


def _alike(p: Tensor) -> Tensor:
    """How near to 1, and to each other, the pixels of one kind are."""
    mean = p.mean()
    spread = (p - mean).square().sum() / max(len(p) - 1, 1)
    # The root of nothing has no slope.
    return 2 * mean / (mean.square() + 1 + (spread + _LEAST**2).sqrt())


def _similarity(p: Tensor, t: Tensor) -> Tensor:
    """SSIM of two parts as wholes."""
    mean_p, mean_t, degrees = p.mean(), t.mean(), max(p.numel() - 1, 1)
    variances = ((p - mean_p).square() + (t - mean_t).square()).sum() / degrees
    covariance = ((p - mean_p) * (t - mean_t)).sum() / degrees
    both = 4 * mean_p * mean_t * covariance
    return (both + _LEAST) / ((mean_p.square() + mean_t.square()) * variances + _LEAST)
