"""A line file's cameras, measured twice: as fast as they go, and at the line's pace."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from benchmarks.bench.line.meter import Meter
from benchmarks.bench.line.record import LineRecord, LineRun
from benchmarks.bench.line.unwired import remember, unwired
from benchmarks.bench.machine import Probe, stolen_share
from benchmarks.bench.rounds import Show
from benchmarks.bench.schema import BundleRecord
from edge.assembly import open_line
from edge.line_file import LineSettings, read_line

Pace = Literal["flat out", "line"]
_PACES: tuple[Pace, ...] = ("flat out", "line")
_CREEPS_MM_S = 1.0
_SAID = {"flat out": "as fast as they go", "line": "at the line's pace"}


def measure_line(path: Path, seconds: float, command: str, show: Show) -> LineRecord:
    """So many seconds of each; raises as `open_line` does."""
    probe = Probe()
    date = datetime.now(timezone.utc).isoformat(timespec="seconds")
    before, ticks = probe.reading(), probe.ticks()
    config = read_line(path)
    runs, engine, bundle = [], "", None
    for number, pace in enumerate(_PACES):
        show(f"Judge the frames of {config.name} {_SAID[pace]}", number, len(_PACES))
        run, engine, bundle = _measure(config, pace, seconds, probe)
        runs.append(run)
    assert bundle is not None
    return LineRecord(
        command=command,
        line=config.name,
        speed_mm_s=config.encoder.speed_mm_s,
        engine=engine,
        workers=config.workers,
        bundle=bundle,
        machine=probe.machine(date, before, probe.reading(), stolen_share(ticks, probe.ticks())),
        runs=runs,
    )


def _measure(
    config: LineSettings, pace: Pace, seconds: float, probe: Probe
) -> tuple[LineRun, str, BundleRecord]:
    """What one run came to, and what judged in it."""
    memories = {each.name: remember(each, paced=pace == "line") for each in config.lookouts}
    # Flat out the rail hardly moves, however slow the machine is: no order comes too late.
    speed_mm_s = config.encoder.speed_mm_s if pace == "line" else _CREEPS_MM_S
    with _quiet(), open_line(unwired(config, speed_mm_s), memories=memories) as line:
        meter = Meter(line, seconds, probe)
        line.run(meter.record)
        bundle = BundleRecord(name=line.bundle.manifest.name, sha256=line.bundle.digest)
        return meter.run(pace), line.engine.name, bundle


@contextmanager
def _quiet() -> Iterator[None]:
    """What the line says of rail that came too late is counted, and need not be said."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
