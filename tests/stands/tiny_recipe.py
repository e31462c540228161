"""The smallest recipe that trains, for the tests to change."""

from __future__ import annotations

from typing import Any

import torch

from reference.recipe import Recipe

CPU = torch.device("cpu")
SIDE = 64
RECIPE: dict[str, Any] = {
    "network": {"name": "minet", "align_corners": False},
    "data": [{"layout": "sd900", "path": "sd900", "share": 2, "zoom": [1.0, 1.5]}],
    "validation": {"size": SIDE, "every": 2},
    "mean": 0.45,
    "std": 0.225,
    "crop": SIDE,
    "learning_rate": 0.003,
    "warmup": 2,
    "iterations": 6,
    "decay": 2,
    "ema": 0.9,
    "seed": 5,
    "least_defective": 1,
}


def recipe_with(**changes: Any) -> Recipe:
    return Recipe.model_validate({**RECIPE, **changes})
