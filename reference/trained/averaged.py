"""The mean of several runs' weights: of runs that began with the same ones, often a better network.

Wortsman et al. 2022, arXiv 2203.05482. Runs that began apart have no such mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from reference.trained import checkpoint
from reference.trained.checkpoint import CheckpointError, Tensors


def average(paths: Sequence[Path], out: Path) -> None:
    """Write the mean of the checkpoints' averaged weights, with the first one's recipe.

    One that is named twice counts twice. No run goes on from what is written, but one may start.
    """
    loaded = [checkpoint.load(path) for path in paths]
    groups, record = loaded[0]
    for path, (_, other) in zip(paths, loaded, strict=True):
        for part in ("network", "names", "mean", "std", "colour", "divide_by_maximum"):
            if other["recipe"].get(part) != record["recipe"].get(part):
                raise CheckpointError(
                    f"{path} has another `{part}` than {paths[0]}: average runs of one network, "
                    "that began with the same weights"
                )
    weights = [each["ema"] for each, _ in loaded]
    mean: Tensors = {name: _mean([own[name] for own in weights]) for name in groups["ema"]}
    made_of = [
        {"name": p.name, "commit": r.get("commit")} for p, (_, r) in zip(paths, loaded, strict=True)
    ]
    kept = {**record, "losses": [], "metrics": {}, "average_of": made_of}
    checkpoint.save(out, {"ema": mean}, kept)


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    """Of whole numbers, which count batches, the first."""
    if not tensors[0].is_floating_point():
        return tensors[0]
    return torch.stack([tensor.double() for tensor in tensors]).mean(dim=0).to(tensors[0].dtype)
