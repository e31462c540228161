"""The commands that begin a line of one's own: `new`, and those about recipes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from reference.data import DataReport
    from reference.proposal import Plan, Sides, Survey

recipe = typer.Typer(help="The recipe's format.", no_args_is_help=True)

_ASSUMED_UM = 250.0  # the shipped bundles' own scale
_KNOWN_UM = {"rail_defect": 250.0}


def new(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Pictures, and what marks defects.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="A folder to write the line into.")],
    um_per_px: Annotated[
        float | None,
        typer.Option(min=0.01, help="Micrometres that a pixel of a picture shows; else asked for."),
    ] = None,
    layout: Annotated[
        str | None, typer.Option(help="What DATA is (`trackside data layouts`); else looked at.")
    ] = None,
    marked_from: Annotated[
        int | None,
        typer.Option(min=1, max=255, help="Grey value of a mask that marks a defect; else 128."),
    ] = None,
    least: Annotated[
        int, typer.Option(min=1, help="Fewer pictures with a defect are refused.")
    ] = 10,
) -> None:
    """Look at a folder of pictures, and write what a line of your own begins with: a recipe, a line
    file that runs at once, and which pictures to hold out.

    Pictures may be marked by masks (`images/`, `masks/`, `good/`; or `x_mask.png` beside `x.png`),
    by COCO, Label Studio or CVAT, or lie as one of the published sets does.
    """
    from reference.proposal import plan, split, survey, write_line

    report = _looked_at(data, layout, least, marked_from)
    found = survey(report, least=least)
    sides = split(found)
    scale_um, said = _scale(um_per_px, found.layout)
    proposed = plan(found, sides, scale_um, least=least, marked_from=marked_from)
    _say(report, found, sides, proposed, said)
    write_line(out, found, sides, proposed)
    print(f"Written to {out}: recipe.yaml, line.yaml, golden.png, pictures/. Read them, then:")
    for command in (
        f"trackside train {out / 'recipe.yaml'}",
        f"trackside quantize {out / 'run' / 'best.safetensors'} --out {out / 'my.bundle'} --auto",
        f"trackside tune {out / 'line.yaml'} --data {data} --escapes 0.05 --write",
        f"trackside check {out / 'line.yaml'} && trackside run {out / 'line.yaml'}",
    ):
        print(f"  {command}")


def _looked_at(data: Path, layout: str | None, least: int, marked_from: int | None) -> DataReport:
    from rich.console import Console
    from rich.progress import track

    from reference.data import DataReport, judge, look
    from reference.datasets import list_samples, recognise

    layout = layout or recognise(data)
    listing = list_samples(data, layout, marked_from=marked_from)
    progress, total = Console(stderr=True), len(listing.samples)
    seen = list(track(look(listing.samples), "Looking", total, console=progress, transient=True))
    return DataReport(data, layout, seen, judge(listing, seen, least=least))


def _scale(um_per_px: float | None, layout: str) -> tuple[float, str]:
    """Micrometres a pixel: told, known of a published set, asked for, or taken for granted."""
    if um_per_px is not None:
        return um_per_px, "as you say"
    if layout in _KNOWN_UM:
        return _KNOWN_UM[layout], "as it was published"
    if sys.stdin.isatty() and sys.stdout.isatty():
        asked = "Micrometres that a pixel of a picture shows, or Enter if nobody knows yet"
        answer = typer.prompt(asked, default=0.0, show_default=False)
        if answer > 0:
            return answer, "as you say"
    return _ASSUMED_UM, "ASSUMED: nothing in a picture tells; measure, and give --um-per-px"


def _say(report: DataReport, found: Survey, sides: Sides, proposed: Plan, scale: str) -> None:
    from reference.data_commands import show

    show(report)
    held = sum(one.shows_defect for one in sides.held_out)
    print(
        f"Held out: {len(sides.held_out)} pictures, {held} of them with a defect; {sides.how}.\n"
        f"Usual picture: {found.columns}x{found.rows} pixels; a small defect is "
        f"{found.small_px:.0f} pixels a side.\n"
        + (
            f"Shown to the network in squares of {proposed.tiles} pixels, at {proposed.size}.\n"
            if proposed.tiles
            else f"Shown to the network whole, at {proposed.size}.\n"
        )
        + f"Scale: a pixel of the network shows {proposed.um_per_px:g} um ({scale})."
    )


@recipe.command("schema")
def recipe_schema() -> None:
    """Print the JSON Schema of a recipe."""
    from reference.recipe import Recipe

    print(json.dumps(Recipe.model_json_schema(), indent=2))


@recipe.command("examples")
def recipe_examples() -> None:
    """Print where the commented recipes lie."""
    for path in _examples():
        print(path)


def _examples() -> Iterator[Path]:
    yield from sorted((Path(__file__).parent / "recipes").glob("*.yaml"))


@recipe.command("check")
def recipe_check(
    path: Annotated[Path, typer.Argument(metavar="RECIPE.yaml", help="What would be trained.")],
    data_root: Annotated[
        Path | None, typer.Option(help="The folder that its data lies in; else the recipe's own.")
    ] = None,
) -> None:
    """Read a recipe and its data, and try its sizes, as `train` does before its first step."""
    import torch

    from reference.recipe import read_recipe, told_of
    from reference.training.rehearsal import rehearse
    from reference.training.run import begin
    from reference.training.train import classes_of, first_weights, read_data

    checked, root = read_recipe(path), data_root or path.parent
    for said in told_of(checked, root):
        print(said)
    sources, held_out = read_data(checked, root)
    classes, weights = classes_of(sources, checked), first_weights(checked, path.parent)
    rehearse(begin(checked, classes, torch.device("cpu"), start_from=weights), held_out)
    shown = sum(len(source.pairs) for source in sources)
    print(f"{path}: {shown} images to train on, {len(held_out)} held out; it can be trained.")
