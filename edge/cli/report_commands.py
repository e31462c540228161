"""`trackside report`: what a shift, a coil or a run came to."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from edge.reports import Asked, Format, Report, Sources

_MOMENTS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M"]


def report(
    line: Annotated[
        Path | None,
        typer.Argument(metavar="[LINE.yaml]", help="A line file, or the folder of a store."),
    ] = None,
    run: Annotated[
        int | None, typer.Option(help="Of this run, by its number; of the last if left out.")
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(help="Of a shift instead: from this moment, box's time.", formats=_MOMENTS),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(help="Up to this one; now if left out.", formats=_MOMENTS)
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Of the coil or rail of this name instead.")
    ] = None,
    ledger: Annotated[
        Path | None, typer.Option(help="The ledger, where no line file names it.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write it as a page; - is stdout.")] = None,
    pdf: Annotated[
        Path | None, typer.Option(help="Write it as paper; needs the extra `report`.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Write each thing found as a row; - is stdout.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write it as JSON; - is stdout.")
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of a report, and do no more.")
    ] = False,
) -> None:
    """Say what a run or a shift came to: rail, defects, rejects, latency, beside the last runs."""
    from edge.errors import UsageError
    from edge.files import check_writable
    from edge.reports import content, gather, report_schema, write

    if schema:
        print(json.dumps(report_schema(), indent=2))
        return
    if line is None:
        raise UsageError("of what? Give a line file, or the folder of a store")
    sources = sources_at(line, ledger)
    named: dict[Format, Path | None] = {"html": html, "pdf": pdf, "csv": csv, "json": json_file}
    printed: list[Format] = [f for f, path in named.items() if f != "pdf" and str(path) == "-"]
    if len(printed) > 1:
        raise UsageError("two forms of the report go to standard output: name files but for one")
    files = {f: path for f, path in named.items() if path is not None and f not in printed}
    if len({path.resolve() for path in files.values()}) < len(files):
        raise UsageError("two forms of the report go to one file: name one for each")
    check_writable(*files.values())
    gathered = gather(sources, _asked(sources, run, name, since, until))
    write(gathered, files.items())
    if printed:
        print(str(content(gathered, printed[0])), end="")
        return
    _show(gathered.report)
    for path in files.values():
        print(path)


def sources_at(line: Path, ledger: Path | None = None) -> Sources:
    """Of a line file, or of a store's folder."""
    from edge.errors import UsageError
    from edge.line_file import read_line
    from edge.reports import Sources, sources_of

    if line.is_dir():
        return Sources(line=line.name, store=line, ledger=ledger)
    if not line.exists():
        raise UsageError(f"{line}: no such file: give a line file, or the folder of a store")
    sources = sources_of(read_line(line))
    return sources if ledger is None else sources.model_copy(update={"ledger": ledger})


def _asked(
    sources: Sources,
    run: int | None,
    name: str | None,
    since: datetime | None,
    until: datetime | None,
) -> Asked:
    from edge.errors import UsageError
    from edge.reports import a_name, a_run, a_time

    if name is not None:
        if run is not None or since is not None:
            raise UsageError("--name, --run and --since: give one of them")
        return a_name(sources, name)

    if since is None:
        if until is not None:
            raise UsageError("--until ends what --since begins: give that too")
        return a_run(sources, run)
    if run is not None:
        raise UsageError("--run and --since: give one of them")
    end = datetime.now() if until is None else until
    try:
        return a_time(since.astimezone(), end.astimezone())
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{since} to {end}: {error}: give a time that the line ran in") from error


def _show(report: Report) -> None:
    """As a terminal shows it: what stands first on the page."""
    from rich.console import Console
    from rich.table import Table

    from edge.reports.document import Tiles, document

    of = document(report)
    console = Console(highlight=False)
    console.print(f"{of.above}: {of.said}", markup=False, soft_wrap=True)
    grid = Table.grid(padding=(0, 3, 0, 0))
    for block in of.sections[0].blocks:
        assert isinstance(block, Tiles)
        for tile in block.tiles:
            grid.add_row(tile.name, tile.value, tile.note)
    console.print(grid)
