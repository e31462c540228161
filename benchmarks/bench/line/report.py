"""A measured line in the terminal, and as a section of RESULTS.md: the same tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.bench.line.record import CameraRun, LineRecord, LineRun, Rate
from benchmarks.bench.report.words import disturbances, facts_of
from benchmarks.bench.schema import Percentiles

_NARROWEST = 132  # columns, where nobody's terminal says otherwise


class _Sheet(NamedTuple):
    """One table."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


def print_line(record: LineRecord, console: Console) -> None:
    if not console.is_terminal:
        console.width = max(console.width, _NARROWEST)
    console.print(Text(_heading(record)), soft_wrap=True)
    for sheet in _sheets(record):
        table = Table(title=sheet.title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
        table.pad_edge, table.padding = False, (0, 1)
        for at, heading in enumerate(sheet.headings):
            table.add_column(heading, justify="right" if at else "left", no_wrap=True)
        for row in sheet.rows:
            table.add_row(*map(Text, row))
        console.print(table)
    for remark in _remarks(record):
        console.print(Text(remark), soft_wrap=True)


def write_line_section(record: LineRecord, path: Path) -> None:
    """Write the section."""
    path.write_text("\n".join(_lines(record)) + "\n", encoding="utf-8")


def _lines(record: LineRecord) -> Iterator[str]:
    yield f"## {_heading(record)}, {record.machine.date[:10]}"
    yield ""
    yield f"- command: {record.command}"
    yield f"- bundle {record.bundle.name}: sha256 {record.bundle.sha256}"
    yield from (f"- {fact}: {text}" for fact, text in facts_of(record.machine))
    for sheet in _sheets(record):
        yield from ("", f"{sheet.title}:", "")
        yield _cells(sheet.headings)
        yield _cells(["---", *("---:" for _ in sheet.headings[1:])])
        yield from map(_cells, sheet.rows)
    yield ""
    yield from (f"- {remark}" for remark in _remarks(record))


def _cells(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _heading(record: LineRecord) -> str:
    cameras = len(record.runs[0].cameras)
    workers = f", {record.workers} workers" if cameras > 1 else ""
    plural = "s"[: cameras != 1]
    return f"The line {record.line}: {cameras} camera{plural} on {record.engine}{workers}"


def _sheets(record: LineRecord) -> Iterator[_Sheet]:
    for run in record.runs:
        title = "As fast as they go"
        if run.pace == "line":
            title = f"At the line's pace, {record.speed_mm_s:g} mm/s"
        yield _Sheet(
            f"{title}: rates, and ms from the light on the sensor to the verdict",
            ("", *_RATES, *_TIMES, "UNKNOWN", "missed", "dropped"),
            [*_camera_rows(run)],
        )
        yield _Sheet(
            f"{title}: by stage, ms of a frame, and how many frames were in it at once",
            ("", "p50", "p99", "at once"),
            [
                (name, _ms(stage.p50_ms), _ms(stage.p99_ms), f"{stage.at_once:.2f}")
                for name, stage in run.stages.items()
            ],
        )


_RATES = ("frames/s", "MP/s", "mm/s")
_TIMES = ("p50", "p90", "p99", "p99.9", "max")


def _camera_rows(run: LineRun) -> Iterator[Sequence[str]]:
    for name, camera in run.cameras.items():
        yield (name, *_rate(camera.rate), *_times(camera.verdict), *_troubles([camera]))
    if len(run.cameras) > 1:
        troubles = _troubles(list(run.cameras.values()))
        yield ("all", *_rate(run.rate), *_times(run.verdict), *troubles)
    yield ("to the orders", "", "", "", *_times(run.order), "", "", "")


def _rate(rate: Rate) -> Sequence[str]:
    return (f"{rate.frames_per_s:.1f}", f"{rate.megapixels_per_s:.1f}", f"{rate.mm_per_s:.0f}")


def _times(of: Percentiles) -> Sequence[str]:
    return tuple(map(_ms, (of.p50_ms, of.p90_ms, of.p99_ms, of.p999_ms, of.max_ms)))


def _troubles(cameras: Sequence[CameraRun]) -> Sequence[str]:
    of = [(each.unknown, each.missed, each.dropped) for each in cameras]
    return tuple(str(sum(counts)) for counts in zip(*of, strict=True))


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _remarks(record: LineRecord) -> Iterator[str]:
    for run in record.runs:
        shares = ", ".join(f"{share:.0%}" for share in run.core_shares)
        pace = "flat out" if run.pace == "flat out" else "at the line's pace"
        yield (
            f"{pace}: {run.frames} frames in {run.seconds:g} s; the line kept "
            f"{run.busy_cores:.2f} cores busy, and judged {run.megapixels_per_core_s:.1f} "
            f"megapixels in each second of one; each core, with all that the machine did: {shares}"
        )
        if run.why_unknown is not None:
            yield f"{pace}: some frames were UNKNOWN, the first by {run.why_unknown}"
    yield from disturbances(record.machine)
