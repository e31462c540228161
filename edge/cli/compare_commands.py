"""`trackside compare`: what has come, gone and grown from one run to another."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from edge.comparison.page import Side
    from edge.store import Run

_RUN = "STORE:NUMBER: a line file or a store's folder, and a run's number in it; the last without."


def compare(
    run1: Annotated[str, typer.Argument(metavar="RUN1", help=_RUN)],
    run2: Annotated[
        str, typer.Argument(metavar="RUN2", help="Likewise, or a number alone: in the same store.")
    ],
    shift_m: Annotated[
        float,
        typer.Option(
            min=-1e6, max=1e6, help="How much greater the second run's places are, about."
        ),
    ] = 0,
    grown: Annotated[
        float, typer.Option(min=1, help="Grown is what has so many times its area or extent.")
    ] = 1.3,
    html: Annotated[Path | None, typer.Option(help="Write it as a page, with pictures.")] = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Write each thing of either run as a row.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object only.")] = False,
) -> None:
    """List what is new, gone or grown between two runs over the same rail, and roll marks."""
    from edge.comparison import compare as held
    from edge.comparison import read_pass, roll_marks, spots_of
    from edge.comparison.page import HEADS, as_page, headline, rows
    from edge.files import check_writable, write_whole

    check_writable(html, csv_file)
    one, first = _run(run1, None)
    two, second = _run(run2, one)
    after = read_pass(two.store, second)
    found = held(read_pass(one.store, first), after, shift_m * 1000)
    larger, rolls = found.grown(grown), roll_marks(spots_of(after.things))
    if html is not None:
        write_whole(html, as_page(found, larger, rolls, (one, two)))
    if csv_file is not None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([HEADS, *rows(found, grown, (one, two))])
        write_whole(csv_file, text.getvalue())
    if as_json:
        known = [dict(zip(HEADS, row, strict=True)) for row in rows(found, grown, (one, two))]
        said = {
            "runs": [first.run, second.run],
            "both": len(found.pairs),
            "new": len(found.new),
            "gone": len(found.gone),
            "grown": len(larger),
            "elsewhere": found.elsewhere,
            "stretched": found.stretched,
            "roll_marks": [
                {"spacing_mm": r.spacing_um / 1000, "diameter_mm": r.diameter_mm, "said": str(r)}
                for r in rolls
            ],
            "things": known,
        }
        print(json.dumps(said))
        return
    print(headline(found, larger))
    for pair in larger:
        was, has_become = one.told(pair.before), two.told(pair.after)
        print(f"grown  {pair.ratio:.1f} times: {was}; then {has_become}")
    for name, things, side in (("new ", found.new, two), ("gone", found.gone, one)):
        for thing in things:
            print(f"{name}   {side.told(thing)}")
    for mark in rolls:
        print(f"roll   {mark}")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _run(text: str, same: Side | None) -> tuple[Side, Run]:
    from edge.cli.report_commands import sources_at
    from edge.comparison.page import Side
    from edge.errors import UsageError
    from edge.reports import run_of
    from edge.store import naming_of

    path, _, number = text.rpartition(":") if ":" in text else (text, "", "")
    if same is not None and _is_number(text):
        path, number = "", text
    if number and not _is_number(number):
        raise UsageError(f"{text}: {number} is no run's number: `trackside events list` shows them")
    if same is not None and not path:
        return same, run_of(same.store, int(number) if number else None)
    sources = sources_at(Path(path))
    run = run_of(sources.store, int(number) if number else None)
    return Side(sources.store, naming_of(sources.store, sources.journal)), run
