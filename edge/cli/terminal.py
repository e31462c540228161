"""What the terminal shows of what has been done: a demo's result, checks, predictions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from edge.cli.logs import printable
from edge.demo import counted, headline, what_happened
from edge.types import State

if TYPE_CHECKING:
    from edge.checks import Check
    from edge.demo import DemoResult
    from edge.inspect import Prediction


def show_summary(result: DemoResult, report_path: Path) -> None:
    """A finished demo: the verdict, what got away, and the figures."""
    console = Console(highlight=False)
    sign, style = MARKS[State.OK if result.passed else State.NG]
    console.print()
    console.print(Text(f"{sign} {headline(result)}", style=f"bold {style}"), soft_wrap=True)
    for fate in result.fates:
        if not fate.rejected:
            console.print(Text(f"  {what_happened(fate)}", style=style), soft_wrap=True)
    console.print()
    figures = Table.grid(padding=(0, 3, 0, 0))
    for name, text in _summary_rows(result.summary()):
        figures.add_row(Text(name, style=QUIET), Text(text))
    figures.add_row(Text("report", style=QUIET), Text(str(report_path)))
    console.print(figures)


def _summary_rows(summary: dict[str, Any]) -> Iterator[tuple[str, str]]:
    latency = "  ".join(f"{name} {ms:.1f}" for name, ms in summary["latency_ms"].items())
    yield "frames", "{frames}: {ok} OK, {ng} NG, {unknown} UNKNOWN".format_map(summary)
    yield (
        "defects",
        "{defects_true} true, {defects_found} found, {defects_rejected} rejected; "
        "false rejects: {false_rejects}".format_map(summary),
    )
    if called := counted(summary["defects_called"]):
        right = summary["defects_named_right"]
        yield "called", called + ("" if right is None else f"; {right} by their true names")
    if reported := counted(summary["only_reported"]):
        yield "reported", f"{reported}: told, and no reason to reject"
    yield (
        "rejects",
        "{rejects_scheduled} ordered, {rejects_fired} fired, {rejects_missed} missed; "
        "at most {reject_error_mm_max:.1f} mm out of place".format_map(summary),
    )
    yield (
        "unseen",
        "{uninspected_rail_rejected_mm:.0f} mm rejected for want of inspection".format_map(summary),
    )
    yield "latency", f"{latency} ms"
    yield "network", "{bundle} on {engine}".format_map(summary)


def show_checks(checks: Iterable[Check], width: int = 8) -> None:
    """A line for each thing that was tried, as it comes; names are of this width."""
    console = Console(highlight=False)
    for check in checks:
        sign, style = MARKS[State.OK if check.passed else State.NG]
        if check.warns:
            sign, style = "!", "yellow"
        line = Text.assemble((sign, style), f" {check.name:{width}}  {printable(check.detail)}")
        console.print(line, soft_wrap=True)


@dataclass(frozen=True)
class Counts:
    """How many images got each verdict; the failed ones count as UNKNOWN too."""

    ok: int
    ng: int
    unknown: int
    failed: int  # could not be inspected at all


def show_predictions(predictions: Iterator[Prediction], total: int, out: Path) -> Counts:
    """Run through the predictions under a progress bar. Only stderr is written to."""
    console = Console(stderr=True, highlight=False)
    states: Counter[State] = Counter()
    failed = 0
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        for prediction in progress.track(predictions, total):
            states[prediction.state] += 1
            if prediction.error is not None:
                failed += 1
                console.print(Text(f"✗ {printable(prediction.error)}", style="red"), soft_wrap=True)
    counts = Counts(states[State.OK], states[State.NG], states[State.UNKNOWN], failed)
    could_not = f", of which {failed} could not be inspected" if failed else ""
    console.print(
        f"{total} images: {counts.ok} OK, {counts.ng} NG, {counts.unknown} UNKNOWN{could_not}; "
        f"results in {out}",
        markup=False,
        soft_wrap=True,
    )
    return counts


MARKS = {  # a sign besides the colour, for whoever cannot tell the colours apart
    State.OK: ("✓", "green"),
    State.NG: ("✗", "red"),
    State.UNKNOWN: ("?", "yellow"),
}


QUIET = "bright_black"
