"""A training recipe: one YAML file, checked before any time is spent."""

from reference.recipe.changes import changed
from reference.recipe.recipe import Recipe, read_recipe
from reference.recipe.sections import (
    DataSection,
    HoldOut,
    LineSection,
    LossSection,
    OptimizerSection,
)
from reference.recipe.sources import held_out_names, read_sources, refuse_too_few, told_of
from reference.recipe.split import resplit

__all__ = [
    "DataSection",
    "HoldOut",
    "LineSection",
    "LossSection",
    "OptimizerSection",
    "Recipe",
    "changed",
    "held_out_names",
    "read_recipe",
    "read_sources",
    "refuse_too_few",
    "resplit",
    "told_of",
]
