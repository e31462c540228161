"""A record in the terminal: progress while it grows, then its tables and what must be said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text

from benchmarks.bench.report.words import (
    COSTS,
    cost_cells,
    groups,
    latency_cells,
    machine_facts,
    name,
    path_cells,
    remarks,
    title,
)
from benchmarks.bench.rounds import Show
from benchmarks.bench.schema import BenchRecord, Row

_NARROWEST = 120  # columns, where nobody's terminal says otherwise


@contextmanager
def progress() -> Iterator[Show]:
    """A bar on stderr; in a log a line for each thing that is begun. It is drawn between turns
    only, since drawing is work for the machine.
    """
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield _Log(console)
        return
    what = TextColumn(
        "{task.description}",
        markup=False,
        table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
    )
    columns = (BarColumn(20), TimeElapsedColumn(), what)
    with Progress(
        *columns, console=console, auto_refresh=False, transient=True, expand=True
    ) as drawn:
        task = drawn.add_task("")
        yield lambda begun, done, total: drawn.update(
            task, description=begun, completed=done, total=total, refresh=True
        )


class _Log:
    def __init__(self, console: Console) -> None:
        self._console, self._said = console, set[str]()

    def __call__(self, what: str, done: int, total: int) -> None:
        if what not in self._said:
            self._console.print(Text(what), soft_wrap=True)
        self._said.add(what)


def print_record(record: BenchRecord, console: Console) -> None:
    """Three tables for each group of rows, then what to know before quoting them."""
    if not console.is_terminal:
        console.width = max(console.width, _NARROWEST)
    for rows in groups(record.rows):
        of = title(rows)
        latency = [latency_cells(row, rows[0]) for row in rows]
        console.print(_table(f"{of}: inference alone, ms", rows, latency))
        path = [path_cells(row) for row in rows]
        console.print(_table(f"{of}: the whole path by stage, median ms", rows, path))
        costs = [cost_cells(row) for row in rows]
        console.print(_table(f"{of}: {COSTS}", rows, costs))
    for remark in remarks(record):
        console.print(Text(remark), soft_wrap=True)
    if record.left_out:
        console.print(Text("\nLeft out", style="bold"))
    for one in record.left_out:
        console.print(Text(f"  {one.what}: {one.reason}"), soft_wrap=True)
    console.print()
    facts = Table.grid(padding=(0, 3, 0, 0))
    for fact, text in machine_facts(record):
        facts.add_row(Text(fact, style="dim"), Text(text))
    console.print(facts)


def _table(title: str, rows: Sequence[Row], cells: Sequence[dict[str, str]]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    table.pad_edge, table.padding = False, (0, 1)
    table.add_column(overflow="fold")
    for heading in cells[0]:
        table.add_column(heading, justify="right", no_wrap=True)
    for row, figures in zip(rows, cells, strict=True):
        table.add_row(Text(name(row)), *figures.values())
    return table
