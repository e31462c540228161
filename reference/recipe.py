"""A training recipe: one YAML file, checked before any time is spent."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

from edge.yaml_file import read_yaml


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSection(_Section):
    """One data set, its folder below the data root, and its images in every batch."""

    layout: Literal["sd900", "simulated"]
    path: str
    share: PositiveInt
    zoom: tuple[PositiveFloat, PositiveFloat]


class ValidationSection(_Section):
    """The network's input size for validation, and how often it is done."""

    size: PositiveInt
    every: PositiveInt


class Recipe(_Section):
    """Everything that decides a training run but the data's place on disk."""

    network: dict[str, Any]
    data: list[DataSection] = Field(min_length=1)
    validation: ValidationSection
    mean: float
    std: PositiveFloat
    crop: PositiveInt
    learning_rate: PositiveFloat
    warmup: PositiveInt
    iterations: PositiveInt
    decay: PositiveInt
    ema: float = Field(gt=0, lt=1)
    seed: int


def read_recipe(path: Path) -> Recipe:
    """Read a recipe file; mistakes are named with their line, key and remedy."""
    return read_yaml(path, Recipe)
