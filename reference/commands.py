"""The commands of the training desktop."""

from __future__ import annotations

import json
from dataclasses import asdict
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


def networks(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list only.")] = False,
) -> None:
    """List the reference networks and their variants beside the published figures."""
    from rich.console import Console
    from rich.progress import track
    from rich.table import Table

    from reference.networks.catalogue import CATALOGUE, rows

    progress = Console(stderr=True)
    counted = list(track(rows(), "Counting", len(CATALOGUE), console=progress, transient=True))
    if as_json:
        print(json.dumps([asdict(row) for row in counted], indent=2))
        return
    table = Table("network", "variant", "input")
    for heading in ("parameters", "published M", "GMACs", "published GFLOPs"):
        table.add_column(heading, justify="right")
    table.add_column("note")
    for row in counted:
        table.add_row(
            row.name,
            row.variant,
            "x".join(map(str, row.input)),
            f"{row.params:,}",
            _printed(row.published_params_m),
            f"{row.macs / 1e9:.3f}",
            _printed(row.published_flops_g),
            row.note,
        )
    Console().print(table)


def _printed(figure: float | None) -> str:
    return "" if figure is None else f"{figure:.2f}"
