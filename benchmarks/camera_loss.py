"""How far the rail goes on until a lost camera is UNKNOWN: `python -m benchmarks.camera_loss`.

A simulated line runs with a synthetic camera that runs freely, and with the shipped network. In
each trial the camera fails, at a time that has nothing to do with its pictures; measured is the
rail from there, or from what a picture that was just being taken still showed, until the first
verdict UNKNOWN has been given to the rejector, and, once the fault is mended, until the first
verdict that is not. Beside it stands for how long at most the machine let this process wait
meanwhile, which no program can make up for.
"""

from __future__ import annotations

import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from threading import Event, Thread, Timer
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from edge.assembly import Line, open_line
from edge.cameras import Fault, Faults
from edge.inspect import Inspection
from edge.line_file import EXAMPLES, LineSettings, read_line
from edge.types import State

_CALM_FRAMES = 3  # with a verdict, before the next trial
_LATEST_S = 0.2  # until the camera fails
_BEAT_S = 0.002


@dataclass(frozen=True, slots=True)
class Trial:
    """One failure of the camera."""

    fault: Fault
    unknown_after_mm: float
    held_up_ms: float
    seen_again_after_mm: float


class Pulse:
    """A thread that wakes each 2 ms, and notes how late it was woken."""

    def __init__(self) -> None:
        self.latest_ms = 0.0
        self._ended = Event()
        Thread(target=self._beat, daemon=True).start()

    def end(self) -> None:
        self._ended.set()

    def _beat(self) -> None:
        before_ns = time.monotonic_ns()
        while not self._ended.wait(_BEAT_S):
            now_ns = time.monotonic_ns()
            self.latest_ms = max(self.latest_ms, (now_ns - before_ns) / 1e6 - _BEAT_S * 1e3)
            before_ns = now_ns


class Trials:
    """Has the camera fail and mends it, by what becomes of the line's frames."""

    def __init__(self, line: Line, faults: Faults, kinds: Iterator[Fault], seed: int) -> None:
        self.done: list[Trial] = []
        self._line = line
        self._faults = faults
        self._kinds = kinds
        self._random = random.Random(seed)
        self._pulse = Pulse()
        self._calm = 0
        self._fault: Fault | None = None
        self._failed_mm: float | None = None
        self._unknown_mm: float | None = None
        self._held_up_ms = 0.0

    def see(self, inspection: Inspection) -> None:
        """Orders have been given for it."""
        unknown = inspection.verdict.state is State.UNKNOWN
        if self._fault is None:
            self._calm = 0 if unknown else self._calm + 1
            if self._calm >= _CALM_FRAMES:
                self._prepare()
        elif self._failed_mm is not None and self._unknown_mm is None and unknown:
            self._unknown_mm = self._place_mm()
            # A picture that was just being taken may show a little more.
            seen_mm = inspection.seen.stretch.start_um / 1000
            self._failed_mm = max(self._failed_mm, seen_mm)
            self._held_up_ms = self._pulse.latest_ms
            self._faults.mend()
        elif self._unknown_mm is not None and not unknown:
            again_mm = self._place_mm() - self._unknown_mm
            after_mm = self._unknown_mm - (self._failed_mm or 0)
            self.done.append(Trial(self._fault, after_mm, self._held_up_ms, again_mm))
            self._fault = self._failed_mm = self._unknown_mm = None
            self._calm = 0

    def _prepare(self) -> None:
        self._fault = next(self._kinds, None)
        if self._fault is None:
            self._pulse.end()
            self._line.stop()
        else:
            Timer(self._random.uniform(0, _LATEST_S), self._fail, [self._fault]).start()

    def _fail(self, fault: Fault) -> None:
        self._pulse.latest_ms = 0
        self._failed_mm = self._place_mm()
        self._faults.begin(fault)

    def _place_mm(self) -> float:
        return self._line.rehearsal.encoder.read().position_um / 1000


def a_line(speed_mm_s: float, lost_after_mm: float) -> LineSettings:
    """The demo's line with a camera that runs freely."""
    line = read_line(EXAMPLES / "steel.yaml")
    live = {"fps": 60.0, "overlap_mm": 30.0, "lost_after_mm": lost_after_mm}
    return line.model_copy(
        update={
            "cameras": {
                name: camera.model_copy(update=live) for name, camera in line.cameras.items()
            },
            "encoder": line.encoder.model_copy(update={"speed_mm_s": speed_mm_s}),
        }
    )


def run_trials(config: LineSettings, trials: int, seed: int) -> list[Trial]:
    """Each kind of failure in turn."""
    faults = Faults()
    with open_line(config, camera_faults={config.lookout().name: faults}) as line:
        run = Trials(line, faults, islice(cycle(Fault), trials), seed)
        line.run(run.see)
    return run.done


def show(trials: list[Trial], limit_mm: float) -> None:
    table = Table(title=f"Rail from the failure to UNKNOWN; the limit is {limit_mm:g} mm")
    headings = ("camera", "trials", "median mm", "most mm", "within", "held up ms", "seen again mm")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "camera" else "right")
    kinds: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        kinds[trial.fault.value].append(trial)
    for name, some in [*kinds.items(), ("all", trials)]:
        after_mm = sorted(trial.unknown_after_mm for trial in some)
        within = sum(mm <= limit_mm for mm in after_mm)
        again_mm = max(trial.seen_again_after_mm for trial in some)
        table.add_row(
            name,
            str(len(some)),
            f"{after_mm[len(after_mm) // 2]:.1f}",
            f"{after_mm[-1]:.1f}",
            f"{within} of {len(some)}",
            f"{max(trial.held_up_ms for trial in some):.0f}",
            f"{again_mm:.0f}",
        )
    Console(width=100).print(table)


def main(
    trials: Annotated[int, typer.Option(min=1, help="Failures in all.")] = 50,
    speed_mm_s: Annotated[float, typer.Option(min=1, help="Of the rail.")] = 500,
    lost_after_mm: Annotated[float, typer.Option(min=1, help="The limit.")] = 150,
    seed: Annotated[int, typer.Option(min=0, help="Of the times of the failures.")] = 1,
) -> None:
    """Exit 1 unless UNKNOWN came within the limit in every trial."""
    done = run_trials(a_line(speed_mm_s, lost_after_mm), trials, seed)
    show(done, lost_after_mm)
    sys.exit(0 if all(trial.unknown_after_mm <= lost_after_mm for trial in done) else 1)


if __name__ == "__main__":
    typer.run(main)
