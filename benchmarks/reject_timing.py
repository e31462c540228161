"""Where rejects land on a loaded machine: `python -m benchmarks.reject_timing`.

A simulated rail runs at each speed, and stretches of it are rejected, while other processes spin on
every core and this one inspects frames with the shipped network, as it does on a line. Measured is
how far from where it should the output was switched, at both ends of every pulse; orders that no
pulse came for, and pulses that no order was for; and how long an order takes from the frame on,
beyond the inference.
"""

from __future__ import annotations

import json
import os
import platform
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.reject.benches import BENCHES, Bench, OpenBench, Stretch, Unavailable, clock_ns
from benchmarks.reject.picture import Curve, draw
from edge.box import Box
from edge.inspect import Inspector
from edge.line_file import MinArea, Quality, Rules
from edge.network import engine_by_name, load_network
from edge.simulation import SimulatedLine
from edge.types import Frame
from edge.types import Stretch as Rail
from firmware_bridge.errors import BridgeError
from firmware_bridge.types import SECOND_NS

AHEAD_NS = 5 * SECOND_NS  # orders are given so long before; slow inspection must not make them late
PULSE_NS, PAUSE_NS = 10_000_000, (15_000_000, 25_000_000)  # on average 33 orders a second
SETTLE_NS = SECOND_NS // 2  # before the first order is due, and after the last


@dataclass
class Run:
    """One rejector at one speed."""

    bench: str
    speed_m_s: float
    orders: int = 0
    missed: int = 0  # no pulse came for them
    false: int = 0  # pulses that no order was for
    errors_mm: list[float] = field(default_factory=list)
    beyond_inference_ms: list[float] = field(default_factory=list)
    submit_ms: list[float] = field(default_factory=list)
    stolen_share: float = 0.0  # of the machine's time, by the hypervisor
    skipped: str | None = None

    def row(self) -> dict[str, Any]:
        """The figures without the samples."""
        row = {key: value for key, value in asdict(self).items() if not isinstance(value, list)}
        return row | {
            "edges": len(self.errors_mm),
            "error_mm": _quantiles(self.errors_mm),
            "beyond_inference_ms": _quantiles(self.beyond_inference_ms),
            "submit_ms": _quantiles(self.submit_ms),
        }


class Work:
    """Inspects one frame again and again, with the shipped network on one thread."""

    def __init__(self, stack: ExitStack) -> None:
        network = load_network(engine_by_name("onnxruntime"), "strip")
        stack.callback(network.engine.close)
        manifest = network.bundle.manifest
        rules = Rules(reject_if=MinArea(min_area_mm2=manifest.limits.min_area_mm2))
        quality = Quality(stale_after_ms=3_600_000)
        self._inspector = Inspector(network, rules, quality, clock_ns)
        spec = manifest.input
        line = SimulatedLine(7, width_px=spec.width, um_per_px=round(spec.um_per_px))
        self._image, _ = line.render(0, spec.height)
        self._um_per_px = line.um_per_px

    def inspect(self) -> int:
        """How long it took beyond the inference."""
        stretch = Rail(0, self._image.shape[0] * self._um_per_px)
        frame = Frame(0, self._image, clock_ns(), stretch, self._um_per_px)
        inspection = self._inspector.inspect(frame)
        return inspection.latency_ns - inspection.stage_ns["infer"]


def measure(name: str, open_bench: OpenBench, speed_m_s: float, seconds: float, work: Work) -> Run:
    """Run one rejector for so many seconds of rail."""
    run = Run(name, speed_m_s)
    um_per_s = round(speed_m_s * 1e6)
    try:
        with ExitStack() as stack:
            bench = open_bench(um_per_s, stack)
            orders = list(_orders(bench, um_per_s, seconds))
            before = _ticks()
            _inspect(bench, orders, um_per_s, work, run)
            run.stolen_share = _stolen(before, _ticks())
    except Unavailable as missing:
        run.skipped = str(missing)
        return run
    except BridgeError as failure:
        run.skipped = f"failed: {failure}"
        return run
    compare(orders, bench.pulses(), run)
    return run


def _orders(bench: Bench, um_per_s: int, seconds: float) -> Iterator[Stretch]:
    chance = random.Random(5)
    start_um = bench.position_um() + um_per_s * (AHEAD_NS + SETTLE_NS) // SECOND_NS
    until_um = start_um + round(um_per_s * seconds)
    while start_um < until_um:
        end_um = start_um + um_per_s * PULSE_NS // SECOND_NS
        yield start_um, end_um
        pause_ns = bench.pauses * chance.randrange(*PAUSE_NS)
        start_um = end_um + um_per_s * pause_ns // SECOND_NS


def _inspect(bench: Bench, orders: Sequence[Stretch], um_per_s: int, work: Work, run: Run) -> None:
    """Inspect without a pause, and give each order when its rail is as far away as AHEAD_NS."""
    ahead_um = um_per_s * AHEAD_NS // SECOND_NS
    given = 0
    while bench.position_um() < orders[-1][1] + um_per_s * SETTLE_NS // SECOND_NS:
        beyond_ns = work.inspect()
        began_ns = clock_ns()
        before = given
        while given < len(orders) and orders[given][0] < bench.position_um() + ahead_um:
            bench.desk.submit(*orders[given], f"order {given}")
            given += 1
        took_ns = clock_ns() - began_ns
        if given > before:
            run.submit_ms.append(took_ns / (given - before) / 1e6)
            run.beyond_inference_ms.append((beyond_ns + took_ns) / 1e6)
        bench.desk.check()
    run.orders = len(orders)


def compare(orders: Sequence[Stretch], pulses: Sequence[Stretch], run: Run) -> None:
    """Hold the pulses against the orders. One pulse may serve several that lie close together."""
    served, i = 0, 0
    for from_um, until_um in pulses:
        while i < len(orders) and orders[i][1] <= from_um:
            i += 1
        first = i
        while i < len(orders) and orders[i][0] < until_um:
            i += 1
        if i == first:
            run.false += 1
            continue
        served += i - first
        run.errors_mm.append(abs(from_um - orders[first][0]) / 1000)
        run.errors_mm.append(abs(until_um - orders[i - 1][1]) / 1000)
    run.missed = len(orders) - served


@contextmanager
def spinning(processes: int) -> Iterator[None]:
    """So many processes that want a core each."""
    spinners = [subprocess.Popen([sys.executable, "-c", "while 1: 0"]) for _ in range(processes)]
    try:
        time.sleep(0.2)
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()


def machine(load: int) -> dict[str, str]:
    """What the figures were measured on."""
    return {
        "cpu": Box().name(),
        "cores": str(os.cpu_count()),
        "spinning processes": str(load),
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: _version(name) for name in ("onnxruntime", "pymodbus", "pyserial")},
    }


def _ticks() -> list[int]:
    """What the machine's time went to; the eighth is what the hypervisor took away."""
    return [int(ticks) for ticks in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]


def _stolen(before: Sequence[int], after: Sequence[int]) -> float:
    spent = [b - a for a, b in zip(before, after, strict=True)]
    return round(spent[7] / max(1, sum(spent)), 3)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _quantiles(samples: Sequence[float]) -> dict[str, float] | None:
    if not samples:
        return None
    values = np.quantile(samples, [0.5, 0.99, 0.999, 1])
    return dict(
        zip(("p50", "p99", "p99.9", "max"), (round(float(v), 4) for v in values), strict=True)
    )


def show(runs: Sequence[Run], console: Console) -> None:
    """A row for each run, in millimetres at the actuator."""
    table = Table(
        *("rejector", "m/s", "p50 mm", "p99", "p99.9", "max", "missed", "false", "of"),
        *("submit ms", "beyond inference ms", "stolen"),
        title="How far from its place the output was switched",
    )
    for run in runs:
        speed = f"{run.speed_m_s:g}"
        if run.skipped is not None:
            table.add_row(run.bench, speed, f"not run: {run.skipped}")
            continue
        row = run.row()
        errors = [f"{value:.3f}" for value in row["error_mm"].values()]
        counts = [str(count) for count in (run.missed, run.false, run.orders)]
        medians = [f"{row[key]['p50']:.3f}" for key in ("submit_ms", "beyond_inference_ms")]
        table.add_row(run.bench, speed, *errors, *counts, *medians, f"{run.stolen_share:.0%}")
    console.print(table)


def main(  # noqa: PLR0917 - options are many
    speeds: Annotated[str, typer.Option(help="Metres a second, separated by commas.")] = "0.5,2,10",
    seconds: Annotated[float, typer.Option(min=1, help="Of rail, for each speed.")] = 30,
    load: Annotated[int, typer.Option(min=0, help="Spinning processes.")] = os.cpu_count() or 1,
    only: Annotated[list[str] | None, typer.Option(help="One of the rejectors; repeat it.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Where the figures go.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Where the picture (SVG) goes.")] = None,
) -> None:
    """Measure where rejects land, for every kind of rejector that this machine has."""
    chosen = only or list(BENCHES)
    if unknown := [name for name in chosen if name not in BENCHES]:
        raise typer.BadParameter(f"{unknown[0]!r}: choose of {', '.join(BENCHES)}")
    sys.setswitchinterval(0.0005)  # as on a line
    console, runs = Console(stderr=True), []
    with ExitStack() as stack:
        work = Work(stack)
        stack.enter_context(spinning(load))
        for speed in (float(each) for each in speeds.split(",")):
            for name in chosen:
                console.print(f"{name} at {speed:g} m/s")
                runs.append(measure(name, BENCHES[name], speed, seconds, work))
    show(runs, Console(width=130))
    print(", ".join(f"{name} {value}" for name, value in machine(load).items()))
    if json_file is not None:
        record = {"machine": machine(load), "seconds": seconds, "runs": [run.row() for run in runs]}
        json_file.write_text(json.dumps(record, indent=2) + "\n")
    if picture is not None:
        curves = [Curve(r.bench, r.speed_m_s, r.errors_mm) for r in runs if r.errors_mm]
        picture.write_text(draw(curves))


if __name__ == "__main__":
    typer.run(main)
