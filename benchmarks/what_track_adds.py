"""What simulated track adds to one labelled run: `python -m benchmarks.what_track_adds --data DIR`.

The rail network's recipe, from the strip's weights, on the pictures of a single run of RailDefect,
with simulated track beside them and without; what each finds is counted on all the other runs. Both
are shown the same real pictures at each step; several seeds say how much of it is chance.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from reference.datasets import Sample, list_samples
from reference.datasets.rail_defect import HELD_OUT_RUNS, LAYOUT, run_of
from reference.evaluation.found import Point, best_within
from reference.recipe import Recipe, read_recipe
from reference.trained import open_network
from reference.training.track import Track
from reference.training.train import train

_RECIPE = Path(__file__).parents[1] / "reference/recipes/minet_rail.yaml"
_BOXES = Path("annotations/boxes.json")
_FALSE_ALARMS = (0.5, 1.0, 2.0, 4.0)  # a picture
_THRESHOLDS = tuple(step / 50 for step in range(1, 50))


@dataclass(frozen=True)
class Outcome:
    """What one network finds of the other runs' defects."""

    track: bool
    seed: int
    found: tuple[float, ...]  # at most so many false alarms a picture
    named_right: float  # of what is found at the last of them


def main(
    data: Annotated[Path, typer.Option(help="A folder with RailDefect and track in it.")],
    run: Annotated[str, typer.Option(help="The run that is labelled.")] = "102801",
    share: Annotated[int, typer.Option(min=1, help="Of track, beside seven real ones.")] = 3,
    iterations: Annotated[int, typer.Option(min=20)] = 200,
    seeds: Annotated[int, typer.Option(min=1, help="Networks of each kind.")] = 3,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object only.")] = False,
) -> None:
    """Train both kinds by each seed, and print what they find."""
    samples = list_samples(data / "RailDefect", LAYOUT).samples
    others = [sample for sample in samples if run_of(sample.name) != run]
    if len(others) == len(samples):
        runs = ", ".join(sorted({run_of(sample.name) for sample in samples} - HELD_OUT_RUNS))
        raise typer.BadParameter(f"no picture is of {run}: choose from {runs}", param_hint="--run")
    outcomes = []
    with TemporaryDirectory() as folder:
        root = Path(folder)
        labelled_alone(data, root, run)
        for seed in range(1, seeds + 1):
            for track in (True, False):
                recipe = recipe_with_track(share if track else 0, iterations, seed=seed)
                outcomes.append(_outcome(recipe, root, others, track=track))
                print(json.dumps(asdict(outcomes[-1])), file=sys.stderr, flush=True)
    if as_json:
        print(json.dumps([asdict(each) for each in outcomes]))
    else:
        Console().print(_table(outcomes, run, len(others)))


def labelled_alone(data: Path, root: Path, run: str) -> None:
    """The data as if of all but the held-out runs only this one were labelled."""
    whole = data / "RailDefect"
    document = json.loads((whole / _BOXES).read_text(encoding="utf-8"))
    runs = HELD_OUT_RUNS | {run}
    kept = [each for each in document["images"] if run_of(each["file_name"]) in runs]
    numbers = {each["id"] for each in kept}
    boxes = [each for each in document["annotations"] if each["image_id"] in numbers]
    (root / "RailDefect/images").mkdir(parents=True)
    (root / "RailDefect/annotations").mkdir()
    few = document | {"images": kept, "annotations": boxes}
    (root / "RailDefect" / _BOXES).write_text(json.dumps(few), encoding="utf-8")
    for each in kept:
        name = Path(each["file_name"]).name
        (root / "RailDefect/images" / name).symlink_to((whole / "images" / name).resolve())
    (root / "track").symlink_to((data / "track").resolve())


def recipe_with_track(share: int, iterations: int, *, seed: int) -> Recipe:
    """The rail's, with as much of the simulated track in a batch, or none of it."""
    recipe = read_recipe(_RECIPE)
    real = [section for section in recipe.data if section.layout == LAYOUT]
    simulated = [section for section in recipe.data if section.layout != LAYOUT]
    more = [section.model_copy(update={"share": share}) for section in simulated if share]
    shorter = {"iterations": iterations, "decay": iterations * 3 // 4, "seed": seed, "ema": 0.98}
    watched = recipe.validation.model_copy(update={"every": iterations})
    return recipe.model_copy(update={"data": [*real, *more], "validation": watched, **shorter})


def _outcome(recipe: Recipe, root: Path, others: Sequence[Sample], *, track: bool) -> Outcome:
    out = root / f"{recipe.seed}-{track}"
    train(recipe, data_root=root, out=out, recipe_folder=_RECIPE.parent, kernels=True)
    network = open_network(out / "last.safetensors").network
    unseen = Track(others, frozenset(recipe.data[0].ignore))
    points = unseen.points(network, recipe, _THRESHOLDS)
    within = [best_within(points, alarms) for alarms in _FALSE_ALARMS]
    found = tuple(_found(point) for point in within)
    last = within[-1]
    named = None if last is None else last.tally.named_right
    return Outcome(track, recipe.seed, found, named or 0.0)


def _found(point: Point | None) -> float:
    return 0.0 if point is None else point.tally.found_share or 0.0


def _table(outcomes: Sequence[Outcome], run: str, others: int) -> Table:
    table = Table(title=f"run {run} is labelled, {others} pictures of other runs are looked at")
    table.add_column("track")
    table.add_column("seed")
    for alarms in _FALSE_ALARMS:
        table.add_column(f"found at {alarms:g}", justify="right")
    table.add_column("named right", justify="right")
    for track in (True, False):
        kind = [each for each in outcomes if each.track is track]
        for each in kind:
            table.add_row(*_row(track, str(each.seed), [each]))
        table.add_row(*_row(track, "mean", kind), end_section=True)
    return table


def _row(track: bool, seed: str, outcomes: Sequence[Outcome]) -> Iterator[str]:
    yield "with it" if track else "without"
    yield seed
    for shares in zip(*(each.found for each in outcomes), strict=True):
        yield f"{mean(shares):.3f}"
    yield f"{mean(each.named_right for each in outcomes):.2f}"


if __name__ == "__main__":
    typer.run(main)
