"""From what was measured to the rows of the record."""

from __future__ import annotations

import numpy as np

from benchmarks.bench.plan import streams
from benchmarks.bench.roofline import ceiling, floor_ms
from benchmarks.bench.rounds import RUNS, SECONDS, Measured, Runner
from benchmarks.bench.schema import Ceiling, Paced, Row
from benchmarks.bench.spread import NOISY_SPREAD, percentiles, spread


def ceilings(measured: Measured) -> dict[int, Ceiling]:
    """By number of threads."""
    return {threads: ceiling(rates) for threads, rates in measured.rates.items() if rates}


def rows(measured: Measured) -> list[Row]:
    """Of every runner that had a turn."""
    reached = ceilings(measured)
    return [_row(r, reached[r.entry.threads]) for r in measured.runners if r.turns]


def _row(runner: Runner, reached: Ceiling) -> Row:
    entry, opened, turns = runner.entry, runner.opened, runner.turns
    stages = {
        name: np.concatenate([turn.stage_ns[name] for turn in turns]) / 1e6
        for name in turns[0].stage_ns
    }
    infer_ms = stages["infer"]
    whole_ms = np.concatenate([turn.whole_ns for turn in turns]) / 1e6
    round_p50_ms = [float(np.median(turn.stage_ns["infer"])) / 1e6 for turn in turns]
    apart = spread(round_p50_ms)
    least_ms = floor_ms(entry.source, entry.precision, reached)
    return Row(
        **percentiles(infer_ms).model_dump(),
        bundle=entry.bundle,
        network=entry.network,
        engine=entry.engine,
        precision=entry.precision,
        graph=entry.graph,
        threads=entry.threads,
        size=entry.size,
        mode=runner.effort.mode,
        streams=streams(runner.effort.mode, entry.threads),
        pinned_to=runner.pinned_to,
        runs=runner.runs,
        short=runner.runs < RUNS or runner.seconds < SECONDS,
        steady=opened.steady,
        noisy=apart > NOISY_SPREAD,
        spread=round(apart, 4),
        round_p50_ms=_rounded(round_p50_ms),
        quantiles_ms=_rounded(np.percentile(infer_ms, range(101)).tolist()),
        whole_path=percentiles(whole_ms),
        round_whole_p50_ms=_rounded([float(np.median(turn.whole_ns)) / 1e6 for turn in turns]),
        stage_p50_ms={name: round(float(np.median(ms)), 4) for name, ms in stages.items()},
        cpu_ms=round(sum(turn.cpu_ns for turn in turns) / runner.runs / 1e6, 4),
        fps=round(runner.runs / runner.seconds, 2),
        paced=_paced(runner),
        load_ms=round(opened.load_ms, 2),
        first_ms=round(opened.first_ms, 2),
        rss_mb=round(opened.rss_mb, 1),
        artefact_bytes=entry.source.file_bytes,
        macs=entry.source.manifest.macs,
        floor_ms=least_ms and round(least_ms, 4),
        roofline_ratio=least_ms and round(float(np.median(infer_ms)) / least_ms, 2),
        accuracy=opened.accuracy,
    )


def _paced(runner: Runner) -> Paced | None:
    if runner.effort.mode != "paced":
        return None
    return Paced(
        period_ms=runner.effort.period_ns(runner.entry) / 1e6,
        frames=runner.runs,
        misses=sum(turn.misses for turn in runner.turns),
    )


def _rounded(values: list[float]) -> list[float]:
    return [round(value, 4) for value in values]
