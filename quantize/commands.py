"""The commands that lead from a checkpoint to the box: `export` and `quantize`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Annotated, TextIO

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TimeElapsedColumn

Checkpoint = Annotated[Path, typer.Argument(metavar="CKPT", help="A checkpoint of `train`.")]
Step = Callable[[str], AbstractContextManager[None]]


def export(
    checkpoint: Checkpoint,
    out: Annotated[Path, typer.Option("--out", "-o", help="The ONNX file to write.")],
) -> None:
    """Write a checkpoint's deploy form as an FP32 ONNX graph, checked against the network."""
    with _steps() as step:
        with step("Read the checkpoint"):
            from quantize.deploy_form import read_trained

            trained = read_trained(checkpoint)
        with step("Export and compare"):
            from quantize.export import to_onnx

            size = trained.recipe.validation.size
            graph = to_onnx(trained.network, height=size, width=size)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(graph.SerializeToString())


def quantize(
    checkpoint: Checkpoint,
    data_root: Annotated[Path, typer.Option(help="The folder that the recipe's paths start at.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The bundle to write.")],
    images: Annotated[int, typer.Option(min=1, help="How many to calibrate on.")] = 200,
    seed: Annotated[int, typer.Option(help="Another seed, another choice of images.")] = 0,
    um_per_px: Annotated[float, typer.Option(help="Surface that a network pixel shows.")] = 250,
    threshold: Annotated[float, typer.Option(help="Probability above which it is defect.")] = 0.5,
    min_area_mm2: Annotated[float, typer.Option(help="Smallest defect it is good for.")] = 4,
    min_extent_mm: Annotated[float, typer.Option(help="Shortest defect it is good for.")] = 2,
) -> None:
    """Make a bundle of a checkpoint: INT8 for every engine, measured against the FP32 network."""
    with _steps() as step:
        with step("Start the converters"):
            from edge.manifest import Limits
            from quantize.calibrate import choose
            from quantize.deploy_form import read_trained
            from quantize.pack import Purpose, build
            from quantize.parity import table
            from reference.train import read_sources

        with step("Read the checkpoint and its data"):
            trained = read_trained(checkpoint)
            sources, validation = read_sources(trained.recipe, data_root)
        with step("Choose the calibration images"):
            pairs = [pair for source in sources for pair in source.pairs]
            calibration = choose(pairs, count=images, seed=seed)
        limits = Limits(min_area_mm2=min_area_mm2, min_extent_mm=min_extent_mm)
        purpose = Purpose(out.stem, um_per_px, threshold, limits)
        parities = build(trained, calibration, validation, purpose, out=out, step=step)
    Console().print(table(parities))


@contextmanager
def _steps() -> Iterator[Step]:
    """Steps shown one under another on stderr, while whatever the vendors print goes nowhere.

    They print from Python and from C++, so it is the file descriptors that are turned away.
    """
    columns = (SpinnerColumn(finished_text="✓"), "{task.description}", TimeElapsedColumn())
    with _terminal_kept() as stderr, Progress(*columns, console=Console(file=stderr)) as progress:

        @contextmanager
        def step(description: str) -> Iterator[None]:
            task = progress.add_task(description, total=1)
            yield
            progress.advance(task)

        yield step


@contextmanager
def _terminal_kept() -> Iterator[TextIO]:
    """The real stderr, while descriptors 1 and 2 lead to nothing."""
    kept = [os.dup(descriptor) for descriptor in (1, 2)]
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    try:
        with os.fdopen(os.dup(kept[1]), "w") as stderr:
            yield stderr
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, original in zip((1, 2), kept, strict=True):
            os.dup2(original, descriptor)
            os.close(original)
        os.close(nothing)
