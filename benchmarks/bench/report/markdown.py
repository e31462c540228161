"""A record as a section of RESULTS.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

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
from benchmarks.bench.schema import BenchRecord, Row


def write_section(record: BenchRecord, path: Path) -> None:
    """Write the section."""
    path.write_text("\n".join(_lines(record)) + "\n", encoding="utf-8")


def _lines(record: BenchRecord) -> Iterator[str]:
    yield f"## {record.machine.cpu}, {record.machine.date[:10]}"
    yield ""
    yield from (f"- {fact}: {text}" for fact, text in machine_facts(record))
    for rows in groups(record.rows):
        yield from ("", f"Inference alone, ms, {title(rows)}:", "")
        yield from _table(rows, [latency_cells(row, rows[0]) for row in rows])
        yield from ("", "The whole path by stage, median ms:", "")
        yield from _table(rows, [path_cells(row) for row in rows])
        yield from ("", f"{COSTS}:", "")
        yield from _table(rows, [cost_cells(row) for row in rows])
    yield ""
    yield from (f"- {remark}" for remark in remarks(record))
    yield from (f"- Left out: {one.what}: {one.reason}" for one in record.left_out)


def _table(rows: Sequence[Row], cells: Sequence[dict[str, str]]) -> Iterator[str]:
    headings = ["", *cells[0]]
    yield _line(headings)
    yield _line(["---", *("---:" for _ in cells[0])])
    for row, figures in zip(rows, cells, strict=True):
        yield _line([name(row), *figures.values()])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
