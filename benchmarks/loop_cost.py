"""The main loop beyond the engine, and how soon a line sees: `python -m benchmarks.loop_cost`.

A simulated line of 368x368 frames runs in a process of its own: with frames that wait for it, with
a camera that runs freely beside it, and with everything that a line can keep and tell besides. The
loop's overhead is the time from when it has a frame until the heartbeat's edge, less the inference.
The start is the time from starting `trackside run` until it says READY, which it does with the
first good frame; cold, nothing was compiled before: neither Python's modules nor the engine's
network.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.reject_timing import machine
from benchmarks.soak.broker import MOSQUITTO, Broker
from benchmarks.soak.evidence import Evidence
from benchmarks.soak.figures import Quantiles, latencies
from benchmarks.soak.plant import LineProcess, line_settings
from benchmarks.soak.watch import read_report

_ENGINES = {
    "native": None,
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "litert": "ai_edge_litert",
}
_KEEPING = ("metrics", "mqtt", "store", "swap")
_STARTS = 5
_PATIENCE_S = 60


@dataclass(frozen=True, slots=True)
class LoopCost:
    """The loop of one line, in ms."""

    line: str
    engine: str
    frames: int
    infer: Quantiles
    overhead: Quantiles


@dataclass(frozen=True, slots=True)
class StartCost:
    """From starting the process to the first good frame, in s."""

    engine: str
    cold_s: float
    warm_s: float  # median


def loop_cost(name: str, line: Mapping[str, Any], folder: Path, seconds: float) -> LoopCost:
    """Run a line for so long from its first word on, and look at its pins."""
    path, evidence = folder / "line.yaml", Evidence()
    path.write_text(yaml.safe_dump(dict(line)))
    process = LineProcess(path, folder / "line.log", {})
    stop_at: float | None = None
    for text in process.report:
        read_report(text, evidence)
        stop_at = stop_at or time.monotonic() + seconds  # not from its start, which may take longer
        if time.monotonic() > stop_at and process.is_running:
            process.stop()
    figures = latencies(evidence)["all"]
    engine = line["engine"]["type"]
    return LoopCost(name, engine, len(evidence.judged), figures["infer"], figures["overhead"])


def lines(folder: Path, stack: ExitStack) -> Iterator[tuple[str, dict[str, Any]]]:
    """From a loop that does nothing else to one that does all there is."""
    broker = None
    if MOSQUITTO is not None:
        broker = Broker(folder)
        broker.start()
        stack.callback(broker.kill)
    full = line_settings(folder, seed=7, broker=broker)
    bare = _bare(full)
    yield "frames that wait", bare
    yield "a live camera", {**bare, "cameras": full["cameras"]}
    yield "a live camera, and all that is kept and told", full


def _bare(full: Mapping[str, Any]) -> dict[str, Any]:
    """A line that keeps and tells nothing, and whose frames wait for it."""
    bare = {name: section for name, section in full.items() if name not in _KEEPING}
    bare["reject"] = _less(full["reject"], {"ledger"})
    bare["cameras"] = {
        name: _less(camera, {"fps", "overlap_mm"}) for name, camera in full["cameras"].items()
    }
    return bare


def _less(section: Mapping[str, Any], keys: set[str]) -> dict[str, Any]:
    return {key: value for key, value in section.items() if key not in keys}


def start_cost(engine: str, folder: Path) -> StartCost:
    """Of a line that keeps and tells nothing, with frames of 92 mm at 500 mm/s."""
    settings: dict[str, Any] = {"type": engine}
    cache = folder / f"compiled-{engine}"
    if engine == "openvino":
        settings["cache_dir"] = str(cache)
    line = _bare(line_settings(folder, seed=7))
    path = folder / "start.yaml"
    path.write_text(yaml.safe_dump({**line, "engine": settings}))
    modules = folder / f"modules-{engine}"
    cold_s = _start_s(path, folder, modules)
    warm_s = [_start_s(path, folder, modules) for _ in range(_STARTS)]
    return StartCost(engine, round(cold_s, 3), round(median(warm_s), 3))


def _start_s(path: Path, folder: Path, modules: Path) -> float:
    """Until READY, as systemd would hear it."""
    address = folder / "notify"
    address.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(address))
        systemd.settimeout(_PATIENCE_S)
        environment = {**os.environ, "NOTIFY_SOCKET": str(address)}
        environment |= {"PYTHONPYCACHEPREFIX": str(modules), "PYTHONDONTWRITEBYTECODE": ""}
        began = time.monotonic()
        line = subprocess.Popen(
            [sys.executable, "-m", "edge.cli", "run", str(path)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while not systemd.recv(4096).startswith(b"READY=1"):
                pass
            return time.monotonic() - began
        finally:
            line.terminate()
            line.wait()


def show(loops: Sequence[LoopCost], starts: Sequence[StartCost], console: Console) -> None:
    table = Table("line", "engine", "frames", "engine p50 ms", "overhead p50 ms", "p99", "p99.9")
    for loop in loops:
        overhead = [f"{loop.overhead[name]:.2f}" for name in ("p50", "p99", "p99.9")]
        frames, infer = str(loop.frames), f"{loop.infer['p50']:.2f}"
        table.add_row(loop.line, loop.engine, frames, infer, *overhead)
    console.print(table)
    table = Table("engine", "start to first verdict, cold s", "warm s")
    for start in starts:
        table.add_row(start.engine, f"{start.cold_s:.2f}", f"{start.warm_s:.2f}")
    console.print(table)


def main(
    seconds: Annotated[float, typer.Option(min=1, help="Of each loop.")] = 40,
    json_file: Annotated[Path | None, typer.Option("--json", help="Where the figures go.")] = None,
) -> None:
    """Measure the loop beyond the engine at 368x368, and the time to the first verdict."""
    engines = [name for name, package in _ENGINES.items() if not package or find_spec(package)]
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        (folder / "disk").mkdir()
        loops = [
            loop_cost(name, {**line, "engine": {"type": engines[0]}}, folder, seconds)
            for name, line in lines(folder, stack)
        ]
        starts = [start_cost(engine, folder) for engine in engines]
    show(loops, starts, Console(width=130))
    print(", ".join(f"{name} {value}" for name, value in machine(0).items()))
    if json_file is not None:
        record = {
            "machine": machine(0),
            "loops": [asdict(loop) for loop in loops],
            "starts": [asdict(start) for start in starts],
        }
        json_file.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
