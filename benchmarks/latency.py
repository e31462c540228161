"""Offline latency of a bundle on this machine's CPU: `python -m benchmarks.latency [BUNDLE]`.

Every engine and precision takes its turn in each round, so that their ratios hold on a noisy
machine. A run is the whole path of one simulated frame: preprocess, quality, infer, mask, decide.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from pydantic import TypeAdapter
from rich.console import Console
from rich.progress import track
from rich.table import Table

from edge.app import resolve_bundle
from edge.bundle import Bundle, check_golden, open_bundle
from edge.engines import Engine, EngineSettings, open_engine
from edge.inspector import Inspector
from edge.rules import MinArea, Quality, Rules
from edge.simulation import SimulatedLine
from edge.types import Frame, Stretch

WARM_UP = 10
PACKAGES = ("numpy", "opencv-python-headless", "openvino", "onnxruntime", "ai-edge-litert")


@dataclass
class Contender:
    """One artefact on its engine, and how long each run took."""

    engine: Engine
    inspector: Inspector
    whole_ms: list[float] = field(default_factory=list)
    infer_ms: list[float] = field(default_factory=list)

    def run(self, frame: Frame) -> None:
        stages = self.inspector.inspect(frame).stage_ns
        self.whole_ms.append(sum(stages.values()) / 1e6)
        self.infer_ms.append(stages["infer"] / 1e6)

    def row(self) -> dict[str, Any]:
        whole, infer = np.array(self.whole_ms[WARM_UP:]), np.array(self.infer_ms[WARM_UP:])
        p50, p90, p99 = (round(float(p), 2) for p in np.percentile(infer, [50, 90, 99]))
        return {
            "engine": self.engine.name,
            "infer_ms": {"p50": p50, "p90": p90, "p99": p99, "max": round(float(infer.max()), 2)},
            "whole_path_p50_ms": round(float(np.median(whole)), 2),
        }


def measure(bundle: Bundle, *, rounds: int, threads: int) -> list[dict[str, Any]]:
    """A row for each artefact of the bundle, in its order."""
    contenders = [
        open_contender(bundle, a.engine, a.precision, threads) for a in bundle.manifest.artefacts
    ]
    frame = a_frame(bundle)
    for _ in track(range(WARM_UP + rounds), "Measuring", console=Console(stderr=True)):
        for contender in contenders:
            contender.run(frame)
    return [contender.row() for contender in contenders]


def open_contender(bundle: Bundle, engine: str, precision: str, threads: int) -> Contender:
    """Ready to run, having reproduced the golden pair: a fast wrong engine is no contender."""
    settings = TypeAdapter(EngineSettings).validate_python(
        {"type": engine, "precision": precision, "threads": threads}
    )
    opened = open_engine(settings, bundle)
    check_golden(bundle, opened)
    rules = Rules(reject_if=MinArea(min_area_mm2=bundle.manifest.limits.min_area_mm2))
    never_stale = Quality(stale_after_ms=1e12)
    inspector = Inspector(opened, bundle.manifest, rules, never_stale, time.monotonic_ns)
    return Contender(opened, inspector)


def a_frame(bundle: Bundle) -> Frame:
    """A simulated frame with a defect in it, at the network's own size."""
    spec = bundle.manifest.input
    line = SimulatedLine(7, width_px=spec.width, um_per_px=round(spec.um_per_px))
    defect = line.true_defects(0, 100_000)[0]
    start_row = max(0, defect.stretch.start_um // line.um_per_px - spec.height // 3)
    image, _ = line.render(start_row, spec.height)
    stretch = Stretch(0, spec.height * line.um_per_px)
    return Frame(0, image, time.monotonic_ns(), stretch, line.um_per_px)


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    return {
        "cpu": _cpu_name(),
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
    }


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "Model")):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def main(
    bundle: Annotated[str, typer.Argument(help="A *.bundle, or `shipped`.")] = "shipped",
    rounds: Annotated[int, typer.Option(min=20, help="Runs of each engine.")] = 200,
    threads: Annotated[int, typer.Option(min=1, help="Threads of each engine.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure every artefact of a bundle."""
    opened = open_bundle(resolve_bundle(bundle))
    rows = measure(opened, rounds=rounds, threads=threads)
    if as_json:
        json.dump({"machine": machine(), "bundle": opened.digest, "rows": rows}, sys.stdout)
        return
    table = Table("engine", "p50 ms", "p90", "p99", "max", "whole path p50", title="Inference")
    for row in rows:
        figures = [f"{value:.2f}" for value in row["infer_ms"].values()]
        table.add_row(row["engine"], *figures, f"{row['whole_path_p50_ms']:.2f}")
    console = Console()
    console.print(table)
    console.print(", ".join(f"{name} {value}" for name, value in machine().items()))


if __name__ == "__main__":
    typer.run(main)
