"""`trackside backtest`: a bundle tried on what lines have kept, before it runs on any."""

from __future__ import annotations

import re
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge.cli.commands import EngineName

if TYPE_CHECKING:
    from edge.backtest import Asked, OpenWorkers
    from edge.swap import Evidence


def backtest(
    bundle: Annotated[str, typer.Argument(metavar="NEW", help="The *.bundle that is tried.")],
    archives: Annotated[
        list[str],
        typer.Argument(
            metavar="ARCHIVE...",
            help="Recordings, event stores (or the line file that names one), folders of pictures, "
            "or folders of these; of this machine, or any URL that fsspec reads, such as s3://.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of the result; goes on with what is there.")
    ],
    against: Annotated[
        str | None,
        typer.Option(
            metavar="OLD",
            help="The bundle that NEW would replace, which then looks too; left out, what the "
            "archive says was decided.",
        ),
    ] = None,
    line: Annotated[
        Path | None,
        typer.Option(help="The line file of stores and pictures; a recording has its own."),
    ] = None,
    camera: Annotated[
        str | None, typer.Option(help="Which of its cameras took the pictures, if it has several.")
    ] = None,
    engine: Annotated[EngineName, typer.Option(help="What runs the networks.")] = "auto",
    max_new_rejects: Annotated[
        str | None,
        typer.Option(metavar="N/km", help="Exit 1 if more than so many are newly rejected."),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS|local",
            help="Inspect on a Ray cluster, or on all processors of this machine; the same rows.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object only.")] = False,
) -> None:
    """Inspect archived frames again with another bundle, and show what it would change.

    Each frame is judged as its line would judge it: tiles, seams, region, rules and quality.
    OUT/report.html shows what would be rejected that was not, and the other way round, with
    pictures; OUT/backtest.parquet has a row for each frame; OUT/backtest.json is the evidence that
    `bundle activate` takes. The same command goes on where it was interrupted. What of an archive
    cannot be read is named and counted, all else is inspected, and the exit code is 1.
    """
    from edge.backtest import Asked, ByLine, InThisProcess
    from edge.line_file import read_line
    from edge.network import engine_by_name

    asked = Asked(
        bundle,
        tuple(archives),
        out,
        engine_by_name(engine),
        against,
        ByLine(None if line is None else read_line(line), camera),
        None if max_new_rejects is None else _per_km(max_new_rejects),
    )
    workers: OpenWorkers = InThisProcess
    if ray is not None:
        from edge.backtest.ray_workers import OnRay

        workers = OnRay(ray)
    evidence = _shown(asked, workers)
    if as_json:
        print(evidence.model_dump_json())
    sys.exit(0 if evidence.passed else 1)


def _shown(asked: Asked, workers: OpenWorkers) -> Evidence:
    """Run it under a progress bar on stderr, and say there what came of it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar
    from rich.text import Text

    from edge.backtest import Progress, backtest, headline, verdict_on
    from edge.cli.logs import printable

    console = Console(stderr=True, highlight=False)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("frames", total=None)

        there, began_s = list[int](), time.monotonic()

        def tell(progress: Progress) -> None:
            there.append(progress.frames)
            bar.update(task, completed=progress.frames, total=progress.of)

        evidence = backtest(asked, lambda: datetime.now(timezone.utc), tell, workers)
    inspected, took_s = there[-1] - there[0], time.monotonic() - began_s
    if inspected:
        console.print(f"{inspected} frames inspected, {inspected / took_s:.0f} a second")
    for fault in evidence.faults:
        console.print(Text(f"✗ {printable(fault)}", style="red"), soft_wrap=True)
    if evidence.fault_count > len(evidence.faults):
        console.print(f"✗ and {evidence.fault_count - len(evidence.faults)} more")
    console.print(
        f"{headline(evidence)}: {verdict_on(evidence)}; see {asked.out / 'report.html'}",
        markup=False,
        soft_wrap=True,
    )
    return evidence


def _per_km(text: str) -> float:
    from edge.errors import UsageError

    matched = re.fullmatch(r"(\d+(?:\.\d*)?)/(km|m)", text.strip())
    if matched is None:
        raise UsageError(f"--max-new-rejects {text} is no rate: write 0.2/km")
    return float(matched[1]) * {"km": 1.0, "m": 1000.0}[matched[2]]
