"""What reading beside a line costs the line: `python -m benchmarks.beside_the_line`.

A simulated line runs on this machine, and by turns nothing and everything runs beside it: somebody
who reviews its events on its page as fast as it answers, and the commands that export them and try
a bundle on a recording, each again as soon as it has ended. Its frames' latency is told apart by
those turns, so that what else the machine does strikes both alike.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import typer
import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.backtest_cost import recorded
from benchmarks.ports import free_port
from benchmarks.reject_timing import machine
from benchmarks.review_cost import review
from benchmarks.soak.evidence import Evidence, JudgedFrame
from benchmarks.soak.plant import LineProcess, line_settings
from benchmarks.soak.watch import read_report
from edge.health import deadline_of
from edge.line_file import LineSettings, read_line

_RECORDED = 200  # frames of the archive that is tried again and again
_STEPS = 12  # of a reviewer, who then begins anew
_AFTER_A_CHANGE_S = 1.0  # left out: what was begun loads, what was ended is still there
_PATIENCE_S = 60


@dataclass(frozen=True, slots=True)
class Turns:
    """What a line's frames took in all turns of a kind."""

    frames: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    deadline_misses: int


@dataclass(frozen=True, slots=True)
class Beside:
    """With and without, and how often what ran beside the line came to its end."""

    alone: Turns
    beside: Turns
    done: dict[str, int]


class _Readers:
    """All that reads, again and again, until it is stopped."""

    def __init__(self, folder: Path, line_file: Path, recording: Path, port: int) -> None:
        self.done = {"reviewed events": 0, "exports": 0, "backtests": 0}
        self._folder, self._line, self._recording = folder, str(line_file), recording
        self._port = port
        self._numbers = count()

    @contextmanager
    def running(self) -> Iterator[None]:
        stopping = threading.Event()
        work = (self._review, self._export, self._backtest)
        threads = [threading.Thread(target=each, args=(stopping,)) for each in work]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stopping.set()
            for thread in threads:
                thread.join()

    def _review(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            review(self._port, _STEPS)
            self.done["reviewed events"] += _STEPS

    def _export(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            out = self._folder / f"export-{next(self._numbers)}"
            self._command(stopping, "exports", out, "events", "export", "--format", "coco")

    def _backtest(self, stopping: threading.Event) -> None:
        archives = [str(self._recording)]
        while not stopping.is_set():
            out = self._folder / f"tried-{next(self._numbers)}"
            self._command(stopping, "backtests", out, "backtest", "strip", *archives)

    def _command(self, stopping: threading.Event, what: str, out: Path, *words: str) -> None:
        command = [sys.executable, "-m", "edge.cli", *words, self._line, "--out", str(out)]
        with (self._folder / f"{out.name}.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        while process.poll() is None and not stopping.is_set():
            time.sleep(0.05)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        elif process.returncode:
            raise RuntimeError((self._folder / f"{out.name}.log").read_text(errors="replace"))
        else:
            self.done[what] += 1
        process.wait(_PATIENCE_S)
        shutil.rmtree(out, ignore_errors=True)


def beside(folder: Path, turns: int, seconds: float) -> Beside:
    """One line, by turns alone and beside readers."""
    port = free_port()
    path, recording = folder / "line.yaml", recorded(folder, _RECORDED)
    (folder / "disk").mkdir()
    path.write_text(yaml.safe_dump(_line(folder, port)), encoding="utf-8")
    evidence, spans = Evidence(), {False: list[tuple[int, int]](), True: list[tuple[int, int]]()}
    readers = _Readers(folder, path, recording, port)
    with ExitStack() as stack:
        line = LineProcess(path, folder / "line.log", {})
        stack.callback(line.stop)
        reading = threading.Thread(target=_read, args=(line, evidence))
        reading.start()
        _wait_for_events(evidence, line)
        review(port, 1)  # the page's own process loads what it needs once
        for turn in range(2 * turns):
            is_beside = turn % 2 == 1
            with readers.running() if is_beside else ExitStack():
                time.sleep(_AFTER_A_CHANGE_S)
                began_ns = time.monotonic_ns()
                time.sleep(seconds)
                spans[is_beside].append((began_ns, time.monotonic_ns()))
            time.sleep(_AFTER_A_CHANGE_S)
    reading.join()
    config = read_line(path)
    alone, both = (_turns(config, evidence.judged, spans[each]) for each in (False, True))
    return Beside(alone, both, readers.done)


def _line(folder: Path, port: int) -> dict[str, Any]:
    """All that a line can keep and tell, and much to keep."""
    line = line_settings(folder, seed=7, page_port=port)
    line["store"] |= {"unsure_below": 0.8, "ok_every": 10}
    return line


def _read(line: LineProcess, evidence: Evidence) -> None:
    for text in line.report:
        read_report(text, evidence)


def _wait_for_events(evidence: Evidence, line: LineProcess) -> None:
    """Until there is something to review."""
    until_s = time.monotonic() + _PATIENCE_S
    while len(evidence.judged) < 10 * _STEPS:
        if not line.is_running or time.monotonic() > until_s:
            raise RuntimeError("the line does not run: see what it says with `trackside run`")
        time.sleep(0.1)


def _turns(
    config: LineSettings, judged: Sequence[JudgedFrame], spans: Sequence[tuple[int, int]]
) -> Turns:
    deadline_ns, camera = deadline_of(config), config.lookout().name
    seen = [
        frame for frame in judged if any(begin <= frame.captured_ns < end for begin, end in spans)
    ]
    latency_ns = [frame.decided_ns - frame.captured_ns for frame in seen]
    p50, p99, most = np.quantile(latency_ns, [0.5, 0.99, 1]) / 1e6
    late = sum(
        ns > deadline_ns(camera, frame.stretch) for ns, frame in zip(latency_ns, seen, strict=True)
    )
    return Turns(len(seen), round(p50, 2), round(p99, 2), round(most, 2), late)


def show(found: Beside, console: Console) -> None:
    table = Table("the line", "frames", "p50 ms", "p99 ms", "max ms", "deadline misses")
    for name, turns in (("alone", found.alone), ("beside readers", found.beside)):
        times = (f"{ms:.2f}" for ms in (turns.p50_ms, turns.p99_ms, turns.max_ms))
        table.add_row(name, str(turns.frames), *times, str(turns.deadline_misses))
    console.print(table)
    console.print(", ".join(f"{number} {what}" for what, number in found.done.items()))
    print(", ".join(f"{name} {value}" for name, value in machine(0).items()))


def main(
    turns: Annotated[int, typer.Option(min=1, help="Of each kind, one after the other.")] = 4,
    seconds: Annotated[float, typer.Option(min=1, help="Of each turn.")] = 20,
    json_file: Annotated[Path | None, typer.Option("--json", help="Where the figures go.")] = None,
) -> None:
    """Measure a line's latency with and without review, export and backtest beside it."""
    with TemporaryDirectory() as temporary:
        found = beside(Path(temporary), turns, seconds)
    show(found, Console())
    if json_file is not None:
        record = {"machine": machine(0), "cores": os.cpu_count(), **asdict(found)}
        json_file.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
