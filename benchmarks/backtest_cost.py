"""What a backtest costs beside the bench, a frame by stage: `python -m benchmarks.backtest_cost`.

A simulated line is recorded, and its own bundle tried on the recording, in this process. Beside it
the frames are inspected out of memory, which is what `trackside bench` calls throughput. All is the
time for which the process had a processor, so that what else runs here changes little of it, and
what a second thread does is not free.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.reject_timing import machine
from edge.backtest import Asked, InThisProcess, Progress, backtest
from edge.backtest.archive import open_place
from edge.backtest.isal_png import decode
from edge.backtest.judging import Networks, inspect_run
from edge.backtest.listing import ByLine, list_archive
from edge.backtest.parts import packed
from edge.cli.commands import EngineName
from edge.inspect import make_inspector
from edge.line_file import EXAMPLES, EngineChoice
from edge.network import engine_by_name, load_network
from edge.recordings import record_line
from edge.types import Frame, Stretch

_FRAMES_OF_A_BENCH = 8
_APART_UM = 2_000_000

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Cost:
    """Milliseconds of a processor a frame."""

    bench: float
    whole: float
    stages: dict[str, float]

    @property
    def pace(self) -> float:
        """Frames a second and core, beside those of the bench."""
        return self.bench / self.whole


def measure(recording: Path, bundle: str, engine: EngineChoice, out: Path) -> Cost:
    """One round of it."""
    spent, bench = _Spent(), _Spent()
    runs = spent.on("list", lambda: list_archive(str(recording), ByLine(None, None)).runs)
    cases, lookout = [case for run in runs for case in run.cases], runs[0].lookout
    read = open_place(str(recording)).read
    names = [case.picture for case in cases if case.picture is not None]
    data = spent.on("read", lambda: [read(name) for name in names])
    images = spent.on("decode", lambda: [decode("a frame", each, colour=False) for each in data])
    network = load_network(engine, bundle)
    networks = Networks(network, None)
    inspector = make_inspector(lookout, network, lambda: 0, None)
    frames = [
        Frame(case.index, image, 0, Stretch(case.start_um, case.end_um), case.across_um)
        for case, image in zip(cases, images, strict=True)
    ]
    few = frames[:_FRAMES_OF_A_BENCH]
    inspector.inspect(few[0])
    bench.on("", lambda: [inspector.inspect(few[n % len(few)]) for n in range(len(frames))])
    spent.on("inspect", lambda: [inspector.inspect(frame) for frame in frames])
    rows = [inspect_run(run, networks, read) for run in runs]
    spent.on("write", lambda: [packed(each) for each in rows])
    network.engine.close()
    whole_ns = spent.ns["list"] + _of_all(recording, bundle, engine, out)
    per_frame = 1e6 * len(frames)
    stages = {name: ns / per_frame for name, ns in spent.ns.items()}
    stages["all else"] = whole_ns / per_frame - sum(stages.values())
    return Cost(bench.ns[""] / per_frame, whole_ns / per_frame, stages)


def _of_all(recording: Path, bundle: str, engine: EngineChoice, out: Path) -> int:
    """Nanoseconds of the command itself, from when bundle and archive are open."""
    asked = Asked(bundle, (str(recording),), out, engine)
    opened = list[int]()

    def tell(_: Progress) -> None:
        opened.append(time.process_time_ns())

    backtest(asked, lambda: datetime.now(timezone.utc), tell, InThisProcess)
    return time.process_time_ns() - opened[0]


class _Spent:
    """Nanoseconds of a processor, by what they went to."""

    def __init__(self) -> None:
        self.ns: dict[str, int] = {}

    def on(self, name: str, work: Callable[[], _Result]) -> _Result:
        began_ns = time.process_time_ns()
        result = work()
        self.ns[name] = time.process_time_ns() - began_ns
        return result


def recorded(folder: Path, frames: int) -> Path:
    """What the smallest line there is has seen."""
    record_line(EXAMPLES / "steel.yaml", folder / "recording", frames=frames)
    return folder / "recording"


def laid_apart(recording: Path) -> None:
    """As in a store that keeps one frame in many: no verdict hangs on another frame's."""
    path = recording / "frames.jsonl"
    rows = [json.loads(text) for text in path.read_text().splitlines()]
    for number, row in enumerate(rows):
        for name in ("start_um", "end_um", "position_um"):
            row[name] += number * _APART_UM
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = recording / "expected.json"
    expected = json.loads(path.read_text())
    for number, row in enumerate(expected["outcome"]["frames"]):
        shift_um = number * _APART_UM
        row["defects"] = [[start + shift_um, end + shift_um] for start, end in row["defects"]]
    path.write_text(json.dumps(expected))


def show(costs: Sequence[Cost], console: Console) -> None:
    table = Table("stage", "ms a frame", "share")
    whole = median(cost.whole for cost in costs)
    for name in costs[0].stages:
        ms = median(cost.stages[name] for cost in costs)
        table.add_row(name, f"{ms:.3f}", f"{ms / whole:.0%}")
    table.add_row("backtest", f"{whole:.3f}", "")
    table.add_row("bench", f"{median(cost.bench for cost in costs):.3f}", "")
    console.print(table)
    console.print(f"{median(cost.pace for cost in costs):.0%} of the bench's frames a second")


def main(  # noqa: PLR0917 - options are many
    frames: Annotated[int, typer.Option(min=20, help="How many are recorded.")] = 100,
    rounds: Annotated[int, typer.Option(min=1, help="The median of so many is shown.")] = 9,
    bundle: Annotated[str, typer.Option(help="What is tried on them.")] = "strip",
    engine: Annotated[EngineName, typer.Option(help="What runs the network.")] = "native",
    apart: Annotated[
        bool, typer.Option("--apart", help="Lay the frames apart, as in a store of samples.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object only.")] = False,
) -> None:
    """Measure what a frame of a backtest costs a processor, stage by stage."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        recording, choice = recorded(folder, frames), engine_by_name(engine)
        if apart:
            laid_apart(recording)
        costs = [measure(recording, bundle, choice, folder / f"out{n}") for n in range(rounds)]
    if as_json:
        known = [{"bench": cost.bench, "pace": cost.pace, **cost.stages} for cost in costs]
        print(json.dumps({"machine": machine(0), "ms": known}))
        return
    show(costs, Console())


if __name__ == "__main__":
    typer.run(main)
