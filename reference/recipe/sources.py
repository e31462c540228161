"""The images that a recipe names, as its data sets split them."""

from __future__ import annotations

from pathlib import Path

from edge.errors import ConfigurationError
from reference.data import READERS, Pair, Source
from reference.recipe.recipe import Recipe


def read_sources(recipe: Recipe, data_root: Path) -> tuple[list[Source], list[Pair]]:
    """The training sources of a recipe, and the pairs that its data sets hold out."""
    sources, held_out = [], []
    for section in recipe.data:
        pairs = READERS[section.layout](data_root / section.path)
        found = sorted({pair.class_name for pair in pairs})
        chosen = section.classes or found
        if unknown := [name for name in chosen if name not in found]:
            raise ConfigurationError(
                f"{data_root / section.path} has no image of class {', '.join(unknown)}: its "
                f"classes are {', '.join(found)}"
            )
        pairs = [pair for pair in pairs if pair.class_name in chosen]
        training = [pair for pair in pairs if pair.split == "train"]
        if not training:
            raise ConfigurationError(
                f"{data_root / section.path} has no image to train on: its classes are "
                f"{', '.join(found)}"
            )
        held_out += [pair for pair in pairs if pair.split == "validation"]
        sources.append(Source(training, section.share, section.zoom, section.augment))
    return sources, held_out
