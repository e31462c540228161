"""The commands of the training desktop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE.yaml", help="What to train, and how.")],
    data_root: Annotated[Path, typer.Option(help="The folder that the recipe's paths start at.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoints and the log.")],
    resume: Annotated[Path | None, typer.Option(help="Go on exactly from a checkpoint.")] = None,
) -> None:
    """Train a reference network by a recipe."""
    from reference.recipe import read_recipe
    from reference.train import train as train_network

    train_network(read_recipe(recipe), data_root=data_root, out=out, resume=resume)
