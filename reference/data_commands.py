"""The commands about data sets."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from reference.data import DataReport

data = typer.Typer(help="The data sets that networks are trained on.", no_args_is_help=True)

_SHOWN = 5  # files of each kind


@data.command()
def check(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A data set, as distributed.")],
    layout: Annotated[str | None, typer.Option(help="What it is; else its folders say.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object only.")] = False,
    picture: Annotated[Path | None, typer.Option(help="A PNG of what was found.")] = None,
    marked_from: Annotated[
        int | None,
        typer.Option(min=1, max=255, help="Grey value of a mask that marks a defect; else 128."),
    ] = None,
    least: Annotated[
        int, typer.Option(min=1, help="Fewer images with a defect to train on are wrong.")
    ] = 10,
) -> None:
    """Say what a data set is taken for, what is wrong with it and what is left out; exit 1 if
    something is wrong.

    It is read as `train` and `new` read it.
    """
    from rich.console import Console
    from rich.progress import track

    from edge.files.image_file import check_suffix, write_image
    from reference.data import DataReport, judge, look, picture_of
    from reference.datasets import list_samples, recognise

    if picture is not None:
        check_suffix(picture)
    layout = layout or recognise(folder)
    listing = list_samples(folder, layout, marked_from=marked_from)
    progress, total = Console(stderr=True), len(listing.samples)
    looks = track(look(listing.samples), "Looking", total, console=progress, transient=True)
    seen = list(looks)
    report = DataReport(folder, layout, seen, judge(listing, seen, least=least))
    if picture is not None:
        write_image(picture, picture_of(report))
    if as_json:
        print(json.dumps(report.record()))
    else:
        show(report)
    sys.exit(1 if report.is_wrong else 0)


@data.command()
def layouts() -> None:
    """List the data sets that are known, and what their folders hold."""
    from rich.console import Console
    from rich.table import Table

    from reference.datasets import LAYOUTS

    table = Table("layout", "data set", "known by")
    for name, layout in LAYOUTS.items():
        table.add_row(name, layout.title, "\n".join(layout.marks))
    Console().print(table)


def show(report: DataReport) -> None:
    """A line for what it is, and for each kind of finding some of its files."""
    from reference.data import KINDS
    from reference.datasets import LAYOUTS

    record = report.record()
    print(f"{report.root}: {LAYOUTS[report.layout].title}, {record['images']} images")
    for name in ("taken_for", "splits", "classes", "sizes"):
        counts = [f"{key} {count}" for key, count in record[name].most_common(8)]
        shown = f"{', '.join(counts)}{' ...' if len(record[name]) > 8 else ''}"
        print(f"  {name.replace('_', ' ')}: {shown}")
    for kind, remedy in KINDS.items():
        found = [finding for finding in report.findings if finding.kind == kind]
        if not found:
            continue
        times = f", {len(found)} times" if len(found) > 1 else ""
        print(f"{'WRONG' if found[0].is_wrong else 'Note'}{times}: {remedy}")
        for finding in found[:_SHOWN]:
            files = ", ".join(str(file.relative_to(report.root)) for file in finding.files)
            print(f"  {files}{': ' if finding.detail else ''}{finding.detail}")
        if len(found) > _SHOWN:
            print(f"  and {len(found) - _SHOWN} more: --json lists them")
    if not report.findings:
        print("Nothing is wrong with it.")
