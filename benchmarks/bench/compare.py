"""Two records side by side: ratios of the rows they share, and how sure they are."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.bench.report.words import name, size
from benchmarks.bench.schema import BenchRecord
from benchmarks.bench.spread import Ratio, ratio


def print_comparison(before: BenchRecord, after: BenchRecord, console: Console) -> None:
    """B by A: below 1 the second is faster."""
    table = Table("", "size", "threads", "mode", title_justify="left", title="B by A, medians")
    for heading in ("A, p50 ms", "B, p50 ms", "inference", "whole path"):
        table.add_column(heading, justify="right")
    there = {row.key: row for row in after.rows}
    shared = [row for row in before.rows if row.key in there]
    for a in shared:
        b = there[a.key]
        table.add_row(
            Text(name(a)),
            size(a),
            str(a.threads),
            a.mode,
            f"{a.p50_ms:.2f}",
            f"{b.p50_ms:.2f}",
            _said(ratio(a.round_p50_ms, b.round_p50_ms)),
            _said(ratio(a.round_whole_p50_ms, b.round_whole_p50_ms)),
        )
    console.print(table)
    console.print(
        "In brackets what holds 95% of the resampled rounds; = where that holds 1. It covers the "
        "noise within each run, not what changed on the machine between them.",
        soft_wrap=True,
    )
    for letter, record, rows in (
        ("A", before, [row for row in before.rows if row.key not in there]),
        ("B", after, [row for row in after.rows if row.key not in {r.key for r in shared}]),
    ):
        console.print(Text(f"{letter}: {record.machine.cpu}, {record.machine.date}"))
        for row in rows:
            console.print(Text(f"  only in {letter}: {name(row)}, {size(row)}"), soft_wrap=True)


def _said(of: Ratio) -> str:
    sign = "" if of.is_a_difference else "= "
    return f"{sign}{of.value:.3f} ({of.low:.3f}-{of.high:.3f})"
