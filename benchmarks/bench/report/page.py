"""A record as one HTML page: charts, tables, and the machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

from benchmarks.bench.report import charts
from benchmarks.bench.report.words import (
    COSTS,
    cost_cells,
    groups,
    latency_cells,
    machine_facts,
    name,
    path_cells,
    remarks,
    size,
    title,
)
from benchmarks.bench.schema import BenchRecord, LeftOut, Row
from edge.files import write_whole
from edge.html import facts, section, wide
from edge.html.page import page


def write_record_page(record: BenchRecord, path: Path) -> None:
    """Write the page."""
    above = f"bench, {record.machine.cpu}, {record.machine.date[:10]}"
    trusted = record.complete and not any(row.noisy or row.short for row in record.rows)
    sections = [_remarks(record)]
    for rows in groups(record.rows):
        sections += _group(rows)
    sections += [_left_out(record.left_out), facts("The machine", machine_facts(record))]
    write_whole(path, page(above, _headline(record), sections, good=trusted, style=_STYLE))


def _headline(record: BenchRecord) -> str:
    """The fastest row of a bundle, since that is what one would buy the box for."""
    own = [row for row in record.rows if row.bundle] or record.rows
    if not own:
        return "nothing was measured"
    best = min(own, key=lambda row: row.p50_ms)
    return f"{best.p50_ms:.2f} ms in the median: {name(best)}, {size(best)}"


def _remarks(record: BenchRecord) -> str:
    items = "".join(f"<li>{escape(remark)}</li>\n" for remark in remarks(record))
    return f'<ul class="remarks">\n{items}</ul>\n' if items else ""


def _group(rows: Sequence[Row]) -> Iterator[str]:
    of, numbered = title(rows), dict(enumerate(rows, start=1))
    yield section(
        f"Latency: {of}",
        "The inference alone. Thin: from the fastest run to p99; thick: from p10 to p90; the line "
        "is the median, the dot the slowest run. Blue is INT8, grey FP32; the bundle's own rows "
        "are full, its peers' pale.",
        wide(charts.latencies(rows)),
    )
    if any(row.accuracy for row in rows):
        yield section(
            f"Latency against accuracy: {of}",
            "Overlap of the mask with the exact truth of simulated frames, as this engine answered "
            "on this machine. Numbers are the table's.",
            wide(charts.against_accuracy(numbered)),
        )
    if any(row.floor_ms for row in rows):
        yield section(
            f"Distance to the roofline: {of}",
            "From the line to the median. The line is what the network's multiply-adds take at the "
            "speed of a matrix product measured in the same run, or its bytes at that of a copy.",
            wide(charts.roofline(rows)),
        )
    yield section(
        f"Figures: {of}",
        "Milliseconds of the inference alone; the ratio to the fastest row, and what holds 95% of "
        "its resampled rounds.",
        _table(numbered, {n: latency_cells(row, rows[0]) for n, row in numbered.items()}),
    )
    yield section(
        f"The whole path: {of}",
        f"From the decoded frame to the verdict, the median of each stage. {_stage_keys(rows[0])}",
        wide(charts.stages([row for row in rows if row.bundle] or rows))
        + _table(numbered, {n: path_cells(row) for n, row in numbered.items()}),
    )
    yield section(
        f"Cost and answers: {of}",
        f"{COSTS[0].upper()}{COSTS[1:]}.",
        _table(numbered, {n: cost_cells(row) for n, row in numbered.items()}),
    )


def _stage_keys(row: Row) -> str:
    return "".join(
        f'<span class="key"><span class="{stage}"></span>{stage}</span> '
        for stage in row.stage_p50_ms
    )


def _table(numbered: Mapping[int, Row], cells: Mapping[int, Mapping[str, str]]) -> str:
    head = "".join(f"<th class=right>{heading}</th>" for heading in cells[1])
    lines = [f"<tr><th></th><th></th>{head}</tr>"]
    for number, row in numbered.items():
        figures = "".join(f"<td class=right>{text}</td>" for text in cells[number].values())
        lines.append(f"<tr><td>{number}</td><td>{escape(name(row))}</td>{figures}</tr>")
    return wide("<table>\n{}\n</table>".format("\n".join(lines)))


def _left_out(left_out: Sequence[LeftOut]) -> str:
    return facts("Left out", [(one.what, one.reason) for one in left_out]) if left_out else ""


_STYLE = """
:root {
  --int8: #2273b8; --int8-pale: #9cc4e4; --fp32: #38424b; --fp32-pale: #a9b3bb;
  --preprocess: #7a5cc0; --quality: #b8860b; --mask: #10805a; --decide: #c2491d;
}
@media (prefers-color-scheme: dark) {
  :root {
    --int8: #6db3ef; --int8-pale: #2f6190; --fp32: #c4ced6; --fp32-pale: #66727c;
    --preprocess: #a58be6; --quality: #e0b040; --mask: #4fc193; --decide: #f08a5d;
  }
}
body { max-width: 72rem; }
.remarks { margin: 0; padding-left: 1.2rem; font-size: 0.9rem; color: var(--quiet); }
svg { min-width: 44rem; }
svg text.name, svg text.value { fill: var(--ink); }
svg path.median { stroke: var(--ink); stroke-width: 2; }
svg path.thin { stroke-width: 2; }
.int8.own { fill: var(--int8); stroke: var(--int8); }
.int8.peer { fill: var(--int8-pale); stroke: var(--int8-pale); }
.fp32.own { fill: var(--fp32); stroke: var(--fp32); }
.fp32.peer { fill: var(--fp32-pale); stroke: var(--fp32-pale); }
svg path.int8.own { stroke: var(--int8); }
svg path.int8.peer { stroke: var(--int8-pale); }
svg path.fp32.own { stroke: var(--fp32); }
svg path.fp32.peer { stroke: var(--fp32-pale); }
.preprocess { fill: var(--preprocess); background: var(--preprocess); }
.quality { fill: var(--quality); background: var(--quality); }
.infer { fill: var(--int8); background: var(--int8); }
.mask { fill: var(--mask); background: var(--mask); }
.decide { fill: var(--decide); background: var(--decide); }
.key { margin-left: 0.8em; white-space: nowrap; }
.key span { display: inline-block; width: 0.8em; height: 0.8em; margin-right: 0.35em; }
th, td { padding-right: 1rem; }
@media print {
  svg { min-width: 0; }
}
"""
