"""`trackside events`: what a line's event store holds, shown and exported."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from edge.store import Wanted

events = typer.Typer(help="Look into a line's event store, and export it.", no_args_is_help=True)

StorePath = Annotated[
    Path, typer.Argument(metavar="STORE", help="A store's folder, or the line file that names it.")
]
States = Annotated[list[str] | None, typer.Option("--state", help="Only these: OK, NG or UNKNOWN.")]
Whys = Annotated[
    list[str] | None,
    typer.Option(
        "--why", help="Only those kept for this: NG, UNKNOWN, unsure, reported or sample."
    ),
]
Classes = Annotated[
    list[str] | None,
    typer.Option("--class", help="Only those that show such a class, or its code; or `unsure`."),
]
Since = Annotated[
    datetime | None,
    typer.Option(
        help="Only those after this moment, in UTC.", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"]
    ),
]
Camera = Annotated[str | None, typer.Option(help="Only those of this camera.")]
Run = Annotated[int | None, typer.Option(help="Only those of this run, by its number.")]
_RAIL_M = {"min": -1e12, "max": 1e12}  # what fits micrometres in 64 bits
FromM = Annotated[
    float | None, typer.Option(**_RAIL_M, help="Only beyond this place in its run, in metres.")
]
ToM = Annotated[
    float | None, typer.Option(**_RAIL_M, help="Only before this place in its run, in metres.")
]
Last = Annotated[int | None, typer.Option(min=1, help="Only so many, the latest.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object for each.")]


@events.command("list")
def list_events(
    store: StorePath,
    state: States = None,
    why: Whys = None,
    classes: Classes = None,
    since: Since = None,
    run: Run = None,
    camera: Camera = None,
    from_m: FromM = None,
    to_m: ToM = None,
    last: Last = 50,
    as_json: AsJson = False,
) -> None:
    """Print the latest events, a line each."""
    from edge.store import describe, read_events, read_losses

    root = _store(store)
    for event in read_events(
        root, _wanted(state, why, classes, since, run, camera, from_m, to_m, last)
    ):
        print(json.dumps(asdict(event)) if as_json else describe(event))
    for utc, count, reason in read_losses(root):
        print(f"{utc} {count} events could not be entered: {reason}", file=sys.stderr)


@events.command()
def show(
    store: StorePath,
    number: Annotated[int, typer.Argument(metavar="EVENT", help="Its number, as listed.")],
    as_json: AsJson = False,
) -> None:
    """Print all that is known of one event, and where its pictures lie."""
    from edge.store import picture_path, read_event

    root = _store(store)
    event = read_event(root, number)
    known = asdict(event)
    known["pictures"] = [str(picture_path(root, event.id, name)) for name in event.pictures]
    if as_json:
        print(json.dumps(known))
        return
    for name, value in known.items():
        for line in value if isinstance(value, list | tuple) else [value]:
            print(f"{name:<12} {line.value if isinstance(line, Enum) else line}")


@events.command()
def export(
    store: StorePath,
    kind: Annotated[
        Literal["csv", "parquet", "coco", "cvat"],
        typer.Option("--format", help="A table, or images with masks to be labelled again."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="A file; a folder for coco and cvat.")],
    state: States = None,
    why: Whys = None,
    classes: Classes = None,
    since: Since = None,
    run: Run = None,
    camera: Camera = None,
    from_m: FromM = None,
    to_m: ToM = None,
    last: Last = None,
) -> None:
    """Write events to a table, or those rejected or unsure as images to be labelled again."""
    from edge.store import read_events, write_annotated, write_coco, write_csv, write_cvat

    root = _store(store)
    if kind in {"coco", "cvat"}:
        why = why or ["NG", "UNKNOWN", "unsure"]
    found = read_events(root, _wanted(state, why, classes, since, run, camera, from_m, to_m, last))
    if kind == "csv":
        write_csv(found, root, out)
    elif kind == "parquet":
        from edge.store.parquet_table import write_parquet

        write_parquet(found, root, out)
    if kind in {"csv", "parquet"}:
        print(f"{len(found)} events in {out}")
        return
    write = write_coco if kind == "coco" else write_cvat
    written, without = write_annotated(found, root, out, write)
    print(f"{written} images in {out}; {without} events have no whole picture")


def _store(path: Path) -> Path:
    from edge.errors import ConfigurationError, UsageError
    from edge.line_file import read_line

    if path.is_dir():
        return path
    if not path.exists():
        raise UsageError(f"{path}: no such file: give a store's folder, or a line file")
    store = read_line(path).store
    if store is None:
        raise ConfigurationError(f"{path} keeps no events: give it a `store:` with a `path:`")
    return store.path


def _wanted(
    state: list[str] | None,
    why: list[str] | None,
    classes: list[str] | None,
    since: datetime | None,
    run: int | None,
    camera: str | None,
    from_m: float | None,
    to_m: float | None,
    last: int | None,
) -> Wanted:
    from edge.errors import UsageError
    from edge.store import Wanted, Why
    from edge.types import State

    for name, given, known in (("state", state, State), ("why", why, Why)):
        names = [each.value for each in known]
        if wrong := set(given or ()) - set(names):
            raise UsageError(f"--{name} {min(wrong)}: choose from {', '.join(names)}")
    return Wanted(
        states=tuple(state or ()),
        why=tuple(why or ()),
        classes=tuple(classes or ()),
        since_utc=None if since is None else since.replace(tzinfo=timezone.utc).isoformat(),
        run=run,
        camera=camera,
        from_um=None if from_m is None else round(from_m * 1e6),
        to_um=None if to_m is None else round(to_m * 1e6),
        last=last,
    )
