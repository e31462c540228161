"""The commands of the training desktop."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class Device(str, Enum):
    """Where to train: `auto` is a GPU where there is one."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


def train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE.yaml", help="What to train, and how.")],
    data_root: Annotated[Path, typer.Option(help="The folder that the recipe's data lies in.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoints, log and pictures.")],
    resume: Annotated[Path | None, typer.Option(help="Go on exactly from a checkpoint.")] = None,
    start_from: Annotated[
        Path | None, typer.Option(help="A checkpoint to take the first weights from.")
    ] = None,
    backbone_weights: Annotated[
        Path | None, typer.Option(help="ImageNet weights, a file in torchvision's names.")
    ] = None,
    device: Annotated[Device, typer.Option(help="Where to train.")] = Device.AUTO,
    threads: Annotated[int | None, typer.Option(min=1, help="Of the CPU; all by default.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Threads that prepare batches ahead.")
    ] = None,
    compiled: Annotated[bool, typer.Option("--compile", help="Compile the network.")] = False,
    kernels: Annotated[
        bool, typer.Option("--kernels", help="On a CPU, train MINet by our own C++ kernels.")
    ] = False,
) -> None:
    """Train a reference network by a recipe; on several devices by `torchrun --no-python`."""
    import cv2
    import numpy as np
    import torch

    from reference.recipe import read_recipe
    from reference.training.train import train as train_network

    if threads is not None:
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
    np.finfo(np.float64), np.finfo(np.float32)  # numpy warns if it first looks after the next line
    torch.set_flush_denormal(True)  # a weight that has all but died must not cost ten times a live
    train_network(
        read_recipe(recipe),
        data_root=data_root,
        out=out,
        recipe_folder=recipe.parent,
        resume=resume,
        start_from=start_from,
        backbone_weights=backbone_weights,
        device=device.value,
        workers=workers,
        compiled=compiled,
        kernels=kernels,
    )


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
