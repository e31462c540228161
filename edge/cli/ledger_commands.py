"""`trackside ledger`: every order of a line and what became of it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from edge.bridge import Entry

_PIPED = 160  # columns of a table that nobody looks at in a terminal


def ledger(
    path: Annotated[
        Path, typer.Argument(metavar="LEDGER", help="A ledger, or the line file that names it.")
    ],
    last: Annotated[int, typer.Option(min=1, help="So many entries, the latest.")] = 50,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object for each.")
    ] = False,
) -> None:
    """Print the latest entries of a ledger: orders, pulses, misses, changes of mode."""
    from rich.console import Console

    from edge.bridge import latest_entries

    entries = latest_entries(_ledger(path), last)
    if as_json:
        for entry in entries:
            print(json.dumps(asdict(entry)))
    else:
        width = None if sys.stdout.isatty() else _PIPED
        Console(highlight=False, width=width).print(_table(entries))


def _table(entries: list[Entry]) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("UTC", "what", "order"):
        table.add_column(heading, no_wrap=True)
    for heading in ("rail in mm", "by"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    for entry in entries:
        table.add_row(
            entry.utc.split("+")[0],
            entry.kind.value,
            _joined(" ", entry.number, entry.actuator),
            _rail(entry),
            _joined("", entry.measure_um),
            _joined("; ", entry.tag, entry.reason),
        )
    return table


def _joined(by: str, *parts: object) -> str:
    return by.join(str(part) for part in parts if part is not None)


def _rail(entry: Entry) -> str:
    if entry.start_um is None or entry.end_um is None:
        return ""
    return f"{entry.start_um / 1000:.1f} to {entry.end_um / 1000:.1f}"


def _ledger(path: Path) -> Path:
    from edge.errors import ConfigurationError
    from edge.line_file import read_line

    if path.suffix not in {".yaml", ".yml"}:
        return path
    named = read_line(path).reject.ledger
    if named is None:
        raise ConfigurationError(f"{path} keeps no ledger: give its `reject:` a `ledger:`")
    return named
