"""The `evaluate` command."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edge.cli.commands import EngineName
from edge.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from quantize.evaluated import Evaluated
    from reference.evaluation import ClassTable, Protocol
    from reference.evaluation import Evaluation as Scored

Split = Literal["train", "validation", "test", "all"]
ProtocolName = Literal["line", "float", "minet", "csepnet", "lsanet", "nadinet", "dms"]


def evaluate(
    network: Annotated[
        str | None, typer.Argument(metavar="NETWORK", help="A checkpoint or bundle.")
    ] = None,
    pred: Annotated[Path | None, typer.Option(help="A folder of maps, instead.")] = None,
    gt: Annotated[Path | None, typer.Option(help="The folder of their masks.")] = None,
    data: Annotated[Path | None, typer.Option(help="A data set, as distributed.")] = None,
    layout: Annotated[str | None, typer.Option(help="What it is; else its folders say.")] = None,
    split: Annotated[
        Split | None, typer.Option(help="Which of its images; `validation` by default.")
    ] = None,
    engine: Annotated[
        EngineName | None, typer.Option(help="What runs a bundle; `onnxruntime` by default.")
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(min=1, help="Pixels a side that a checkpoint sees; else its recipe's."),
    ] = None,
    output: Annotated[
        int, typer.Option(min=0, help="Which of a checkpoint's maps; 0 is its result.")
    ] = 0,
    protocol: Annotated[
        ProtocolName,
        typer.Option(help="Whose steps from a network's map to its figures: a paper's, or ours."),
    ] = "line",
    stretch: Annotated[
        bool, typer.Option("--stretch", help="Stretch each map to 0..1, as papers' tables do.")
    ] = False,
    threshold: Annotated[
        str | None, typer.Option(help="A probability, or `otsu`; a bundle's, a protocol's, or 0.5.")
    ] = None,
    min_share: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Of an image, the least spot that rejects; a bundle's own."
        ),
    ] = None,
    sound_above: Annotated[
        float | None,
        typer.Option(
            min=0.5, max=1, help="Put the map of an image aside that is called sound by more."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for tables, curves, pictures.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object only.")] = False,
) -> None:
    """Score maps against masks: two folders', or a checkpoint's or bundle's on a data set."""
    from rich.console import Console
    from rich.progress import track

    from reference.evaluation import (
        Evaluation,
        protocol_of,
        score_cases,
        scoring_processes,
        write_report,
    )

    wanted, steps = None if threshold is None else _threshold(threshold), protocol_of(protocol)
    with _open(network, pred, gt, data, layout, split, engine, size, output, steps) as chosen:
        if sound_above is not None and not chosen.says_sound:
            raise UsageError(
                f"--sound-above: {chosen.name} does not say of an image that it is sound: leave it "
                "out, or name a DMS that learned the class `free`"
            )
        limit = steps.scoring.threshold if chosen.threshold is None else chosen.threshold
        scoring = replace(
            steps.scoring,
            stretch=steps.scoring.stretch or stretch,
            threshold=limit if wanted is None else wanted,
            min_share=chosen.min_share if min_share is None else min_share,
            sound_above=sound_above,
        )
        progress, total = Console(stderr=True), len(chosen.cases)
        if chosen.taught:
            progress.print(
                f"{chosen.taught} of these {total} images are not of the test side: they flatter "
                "whoever was trained or chosen by them"
            )
        with scoring_processes(total) as pool:
            scored = score_cases(chosen.cases, scoring, pool)
            scores = list(track(scored, "Scoring", total, console=progress, transient=True))
        evaluation = Evaluation(
            chosen.name, chosen.data, steps, scoring, scores, chosen.taught, chosen.classes
        )
        if out is not None:
            write_report(evaluation, chosen.cases, out)
    if as_json:
        print(json.dumps(evaluation.record()))
    else:
        _show(evaluation)


def _open(
    network: str | None,
    pred: Path | None,
    gt: Path | None,
    data: Path | None,
    layout: str | None,
    split: Split | None,
    engine: EngineName | None,
    size: int | None,
    output: int,
    protocol: Protocol,
) -> AbstractContextManager[Evaluated]:
    """What the command line names; anything but one thing to score and one truth is refused."""
    if (network is None) == (pred is None):
        raise UsageError("give either a NETWORK or a folder of maps by --pred")
    if (gt is None) == (data is None) or (network is not None and data is None):
        raise UsageError("give the truth once: --gt DIR for maps alone, or --data DIR")
    if network is not None:
        from edge.network import check_there

        check_there(network)
    is_bundle = network is not None and Path(network).suffix != ".safetensors"
    if engine is not None and not is_bundle:
        raise UsageError("--engine is for a bundle: leave it out, a checkpoint runs on torch")
    if size is not None and (network is None or is_bundle):
        raise UsageError("--size is for a checkpoint: leave it out, a bundle has its own")
    if output and (network is None or is_bundle):
        raise UsageError("--output is for a checkpoint: leave it out, a bundle has one map")
    if data is None and (layout is not None or split is not None):
        raise UsageError("--layout and --split say what --data holds: leave them out with --gt")
    from quantize import evaluated

    if pred is not None and gt is not None:
        return nullcontext(evaluated.folders(pred, gt, protocol))
    assert data is not None
    choice = evaluated.DataChoice(data, layout, split or "validation", protocol)
    if pred is not None:
        return nullcontext(evaluated.maps_on(pred, choice))
    assert network is not None
    if is_bundle:
        return evaluated.bundle_on(network, engine or "onnxruntime", choice)
    return nullcontext(evaluated.checkpoint_on(Path(network), choice, size, output))


def _threshold(text: str) -> float | Literal["otsu"]:
    if text == "otsu":
        return "otsu"
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise UsageError(f"--threshold {text}: give a number from 0 to 1, or otsu")
    return value


def _show(evaluation: Scored) -> None:
    """A column for all images and one for each class, and another table for the sizes."""
    from rich.console import Console
    from rich.table import Table

    from reference.evaluation import by_class, by_size, headings, shown, summarise

    whole, classes = {"all": summarise(evaluation.scores)}, by_class(evaluation.scores)
    for columns in (whole | classes if len(classes) > 1 else whole, by_size(evaluation.scores)):
        if not columns:  # no image has a defect
            continue
        table = Table("")
        for name in columns:
            table.add_column(name, justify="right", no_wrap=True)
        for key, heading in headings(evaluation.protocol, evaluation.scoring).items():
            table.add_row(heading, *(shown(figures[key]) for figures in columns.values()))
        Console().print(table)
    if evaluation.table is not None:
        Console().print(_classes(evaluation.table))


def _classes(confusion: ClassTable) -> Table:
    """A row for each class that is there, with what its pixels are said to be, in percent."""
    from rich.table import Table

    from reference.evaluation import shown

    miou = shown(confusion.miou)
    table = Table("truth", title=f"What pixels are said to be, %; mean IoU {miou}")
    for name in (*confusion.names, "IoU"):
        table.add_column(name, justify="right")
    for name, shares in confusion.shares.items():
        table.add_row(name, *(f"{s:.1f}" for s in shares), shown(confusion.ious.get(name)))
    return table
