"""The `found` command: a network on pictures of track, as who stands beside the track counts it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge.cli.commands import EngineName
from edge.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from reference.datasets import Sample
    from reference.evaluation.found import Picture, Point

REPORT_ONLY, IGNORED = "gap,dirt", "unknown"


def found(
    network: Annotated[
        str,
        typer.Argument(
            metavar="NETWORK", help="A checkpoint, a bundle, or a results.jsonl of `predict`."
        ),
    ],
    data: Annotated[Path, typer.Option(help="RailDefect, as distributed.")],
    split: Annotated[
        str, typer.Option(help="Which of its runs: train, validation or all.")
    ] = "validation",
    report_only: Annotated[
        str, typer.Option(help="Classes that are no defect, with commas between.")
    ] = REPORT_ONLY,
    ignore: Annotated[str, typer.Option(help="Classes that neither count nor harm.")] = IGNORED,
    engine: Annotated[
        EngineName | None, typer.Option(help="What runs a bundle; `auto` by default.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of the CPU, for a checkpoint; all by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object only.")] = False,
    out: Annotated[Path | None, typer.Option(help="A file for each picture's outcome.")] = None,
) -> None:
    """Count defects found against false alarms a picture, over all thresholds."""
    from reference.datasets import list_samples

    samples = [
        sample
        for sample in list_samples(data, "rail_defect").samples
        if split in {"all", sample.split}
    ]
    if not samples:
        raise UsageError(f"{data} has no {split} picture: take --split train, validation or all")
    sound, ignored = frozenset(report_only.split(",")), frozenset(ignore.split(","))
    kind = Path(network).suffix
    if kind != ".jsonl":
        from edge.network import check_there

        check_there(network)
    if engine is not None and kind in {".jsonl", ".safetensors"}:
        raise UsageError("--engine is for a bundle: leave it out")
    if kind == ".jsonl":
        points, pictures = _of_results(Path(network), samples, sound, ignored)
    elif kind == ".safetensors":
        points, pictures = _of_checkpoint(Path(network), samples, sound, ignored, threads)
    else:
        points, pictures = _of_bundle(network, engine or "auto", samples, sound, ignored)
    if out is not None:
        with out.open("w") as file:
            for picture in pictures:
                print(json.dumps(_outcome(picture)), file=file)
    record = {
        "subject": network,
        "data": f"{data} ({split})",
        "pictures": len(samples),
        "points": [_record(point) for point in points],
    }
    if as_json:
        print(json.dumps(record))
    else:
        _show(points)


def _of_checkpoint(
    path: Path,
    samples: Sequence[Sample],
    sound: frozenset[str],
    ignored: frozenset[str],
    threads: int | None,
) -> tuple[list[Point], list[Picture]]:
    """Its maps cut at each threshold."""
    import torch

    from reference.evaluation.found import THRESHOLDS
    from reference.trained import open_network
    from reference.trained.rail_answer import Reading, look_with, points_of

    if threads is not None:
        torch.set_num_threads(threads)
    trained = open_network(path)
    if unknown := sound - set(trained.recipe.names) if trained.recipe.names else set():
        raise ConfigurationError(
            f"{path} names no {', '.join(sorted(unknown))}: its classes are "
            f"{', '.join(trained.recipe.names)}"
        )
    reading = Reading(trained.recipe.names, sound)
    look = look_with(trained.network, trained.recipe)
    size = trained.recipe.validation.size
    return points_of(samples, look, reading, ignored, THRESHOLDS, rows=size, width_px=size)


def _of_bundle(
    bundle: str,
    engine: EngineName,
    samples: Sequence[Sample],
    sound: frozenset[str],
    ignored: frozenset[str],
) -> tuple[list[Point], list[Picture]]:
    """Its masks cut at each threshold, as the box cuts them at its own."""
    from edge.network import engine_by_name, load_network
    from reference.evaluation.found import THRESHOLDS
    from reference.trained.rail_bundle import points_of_bundle

    network = load_network(engine_by_name(engine), bundle)
    with closing(network.engine):
        return points_of_bundle(samples, network, sound, ignored, THRESHOLDS)


def _of_results(
    path: Path, samples: Sequence[Sample], sound: frozenset[str], ignored: frozenset[str]
) -> tuple[list[Point], list[Picture]]:
    """The defects that `predict` wrote down, by their scores."""
    from reference.evaluation.found import THRESHOLDS, Picture, curve
    from reference.trained.rail_answer import labelled_of

    spots_of = dict(_read_results(path, sound))
    if missing := [s.name for s in samples if s.name not in spots_of]:
        raise ConfigurationError(
            f"{path} lacks {len(missing)} of {len(samples)} pictures ({', '.join(missing[:3])}): "
            "predict all of them"
        )
    pictures = [Picture(s.name, spots_of[s.name], labelled_of(s, sound, ignored)) for s in samples]
    return curve(pictures, (0.0, *THRESHOLDS)), pictures


def _read_results(path: Path, sound: frozenset[str]) -> Iterator[tuple[str, list[Any]]]:
    from reference.evaluation.found import Spot

    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            spots = []
            for d in row["defects"]:
                x, y, width, height = d["box_px"]
                named, share = d.get("class"), float(d.get("class_score") or 0)
                if named not in sound:
                    sides = (x, y, x + width, y + height)
                    spots.append(Spot(sides, float(d["score"]), named, share))
            yield Path(row["image"]).stem, spots
        except (ValueError, LookupError, TypeError) as error:
            raise ConfigurationError(f"{path}:{number}, {error}: predict again") from error


def _outcome(picture: Picture) -> dict[str, Any]:
    from reference.evaluation.found import finds

    defects = [box for box in picture.labelled if box.role == "defect"]
    return {
        "picture": picture.name,
        "missed": [
            {"class": b.class_name, "box": b.sides}
            for b in defects
            if not any(finds(s.sides, b.sides) for s in picture.spots)
        ],
        "spots": [
            {"box": s.sides, "score": round(s.score, 3), "class": s.class_name}
            | {"class_score": round(s.class_score, 3), "touches": _touched(s, picture)}
            for s in picture.spots
        ],
    }


def _touched(spot: Any, picture: Picture) -> list[str]:
    from reference.evaluation.found import shared

    return [b.class_name for b in picture.labelled if shared(spot.sides, b.sides) > 0]


def _record(point: Point) -> dict[str, Any]:
    tally = point.tally
    return {
        "threshold": point.threshold,
        "found": tally.found_share,
        "false_alarms": tally.false_alarms,
        "on_sound": tally.on_sound / tally.pictures,
        "on_other": {name: n / tally.pictures for name, n in sorted(tally.on_other.items())},
        "named_right": tally.named_right,
        "by_class": {name: [tally.found[name], n] for name, n in sorted(tally.defects.items())},
        "confusion": {f"{a} as {b}": n for (a, b), n in sorted(tally.named.items())},
    }


def _show(points: Sequence[Point]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("threshold", "found", "false alarms", "on joints, dirt", "named right")
    classes = sorted(points[0].tally.defects)
    for name in classes:
        table.add_column(name, justify="right")
    for point in points:
        tally = point.tally
        table.add_row(
            f"{point.threshold:.2f}",
            f"{tally.found_share or 0:.3f}",
            f"{tally.false_alarms:.2f}",
            f"{tally.on_other.total() / tally.pictures:.2f}",
            "" if tally.named_right is None else f"{tally.named_right:.2f}",
            *(f"{tally.found[name]}/{tally.defects[name]}" for name in classes),
        )
    Console().print(table)
