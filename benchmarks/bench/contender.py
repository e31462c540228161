"""One row's network on its engine, opened and run in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from benchmarks.bench.accuracy import rules_of, score, simulated_frames
from benchmarks.bench.schema import Accuracy
from benchmarks.bench.sources import Source
from edge.errors import EngineError
from edge.inspect import Inspection, Inspector
from edge.line_file import Quality
from edge.network import GoldenResult, Network
from edge.types import Frame

clock_ns = time.perf_counter_ns

_FRAMES = 8  # shown in turn, so that no branch of the verdict learns a frame by heart
_STEADY = 0.05  # two windows of the warm-up are alike
_WINDOW_NS = 200_000_000
_REFILLS_CACHES_NS = 100_000_000  # a run that takes longer needs no other before it


@dataclass(frozen=True, slots=True)
class Opened:
    """What is known before the first turn."""

    load_ms: float
    first_ms: float
    rss_mb: float
    steady: bool
    run_ns: float  # median of the whole path at the warm-up's end
    accuracy: Accuracy | None


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """What one turn measured: in each array a value for each run."""

    stage_ns: dict[str, NDArray[np.int64]]
    whole_ns: NDArray[np.int64]
    elapsed_ns: int
    cpu_ns: int  # of all the process's threads
    misses: int = 0


class Contender:
    """Loaded and run for the first time when it is made; `open` comes before the turns."""

    def __init__(self, source: Source, *, streams: int) -> None:
        self._source = source
        self._seen = list(simulated_frames(source.manifest, _FRAMES))
        start_ns = clock_ns()
        first = source.load()
        self._load_ns = clock_ns() - start_ns
        engines = [first, *(source.load() for _ in range(streams - 1))]
        an_hour = Quality(stale_after_ms=3_600_000)
        rules = rules_of(source.manifest)
        self._inspectors = [
            Inspector(Network(source.bundle, engine), rules, an_hour, clock_ns)
            for engine in engines
        ]
        self._first_ns = self._inspect(0).stage_ns["infer"]

    def open(self, accuracy_frames: int, seconds: float) -> Opened:
        """Golden pair, warm-up of so long at most, accuracy; what answers wrongly raises."""
        golden = self._source.golden(self._inspectors[0].network.engine)
        self._run_ns, steady = self._warm_up(seconds)
        rss_mb = _resident_mb()  # before frames are drawn, which takes memory of its own
        return Opened(
            load_ms=self._load_ns / 1e6,
            first_ms=self._first_ns / 1e6,
            rss_mb=rss_mb,
            steady=steady,
            run_ns=self._run_ns,
            accuracy=self._accuracy(golden, accuracy_frames),
        )

    def latency(self, runs: int) -> Turn:
        """One frame after the other, as fast as it goes."""
        self._refill_caches()
        spent = _Spent(clock_ns())
        return _turn([self._inspect(number) for number in range(runs)], spent)

    def throughput(self, runs: int) -> Turn:
        """Every stream takes the next frame as soon as it is free."""
        self._refill_caches()
        numbers = iter(range(runs))

        def work(inspector: Inspector) -> list[Inspection]:
            return [inspector.inspect(self._frame(number)) for number in numbers]

        with ThreadPoolExecutor(len(self._inspectors)) as pool:
            spent = _Spent(clock_ns())
            return _turn([i for done in pool.map(work, self._inspectors) for i in done], spent)

    def paced(self, runs: int, period_ns: int) -> Turn:
        """A frame each period. Its time runs from when it was due, so that one which waits for
        the frame before it is late too.
        """
        self._refill_caches()
        spent = _Spent(clock_ns() + period_ns)
        inspections = []
        for number in range(runs):
            due_ns = spent.start_ns + number * period_ns
            time.sleep(max(0, due_ns - clock_ns()) / 1e9)
            inspections.append(self._inspect(number, due_ns))
        turn = _turn(inspections, spent)
        latency_ns = np.array([inspection.latency_ns for inspection in inspections])
        return replace(turn, whole_ns=latency_ns, misses=int((latency_ns > period_ns).sum()))

    def _inspect(self, number: int, due_ns: int | None = None) -> Inspection:
        return self._inspectors[0].inspect(self._frame(number, due_ns))

    def _frame(self, number: int, due_ns: int | None = None) -> Frame:
        """Of when it was due, or now: none may be an hour old, and a bench may last longer."""
        captured_ns = clock_ns() if due_ns is None else due_ns
        return replace(self._seen[number % _FRAMES].frame, captured_ns=captured_ns)

    def _refill_caches(self) -> None:
        """The others' turns emptied them: the first run of a turn is not measured."""
        if self._run_ns < _REFILLS_CACHES_NS:
            self._inspect(0)

    def _warm_up(self, seconds: float) -> tuple[float, bool]:
        """Run until two windows have like medians; the last median, and whether it came to that."""
        before_ns, until_ns = float("inf"), clock_ns() + seconds * 1e9
        while True:
            window_ns: list[int] = []
            while sum(window_ns) < _WINDOW_NS:
                window_ns.append(sum(self._inspect(len(window_ns)).stage_ns.values()))
            median_ns = float(median(window_ns))
            steady = abs(median_ns - before_ns) <= _STEADY * before_ns
            if steady or clock_ns() > until_ns:
                return median_ns, steady
            before_ns = median_ns

    def _accuracy(self, golden: GoldenResult | None, frames: int) -> Accuracy | None:
        packed = self._source.packed_accuracy
        if packed is None:
            return None
        inspector = self._inspectors[0]
        simulated = score(inspector, simulated_frames(inspector.network.bundle.manifest, frames))
        return Accuracy(
            golden_iou=round(golden.iou, 5) if golden else None,
            golden_mae=round(golden.mae, 5) if golden else None,
            golden_names=round(golden.names.same, 5) if golden and golden.names else None,
            simulated_iou=round(simulated.iou, 5),
            verdict_agreement=round(simulated.verdict_agreement, 5),
            frames=frames,
            packed=packed,
        )


@dataclass(frozen=True, slots=True)
class _Spent:
    """When a turn began, and what the process had used by then."""

    start_ns: int
    cpu_ns: int = field(default_factory=time.process_time_ns)


def _turn(inspections: Sequence[Inspection], since: _Spent) -> Turn:
    elapsed_ns, cpu_ns = clock_ns() - since.start_ns, time.process_time_ns() - since.cpu_ns
    for inspection in inspections:
        if inspection.mask is None:
            reasons = "; ".join(inspection.verdict.reasons)
            raise EngineError(
                f"a frame of the bench could not be judged ({reasons}): check the engine with its "
                "golden pair"
            )
    stage_ns = {
        name: np.array([inspection.stage_ns[name] for inspection in inspections])
        for name in inspections[0].stage_ns
    }
    return Turn(stage_ns, np.sum(list(stage_ns.values()), axis=0), elapsed_ns, cpu_ns)


def _resident_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith("VmRSS:"))
    return int(kilobytes) / 1000
