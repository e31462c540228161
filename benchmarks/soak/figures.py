"""Figures of a soak: percentiles by stage, deadlines, the slopes of what is held."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import numpy as np
from scipy.stats import theilslopes

from benchmarks.soak.evidence import Evidence, JudgedFrame
from edge.health import deadline_of
from edge.line_file import LineSettings

_STAGES = ("capture", "preprocess", "quality", "infer", "mask", "decide", "actuate")
_LEAST_MINUTES = 12  # for a slope
_NS = 1_000_000_000

Quantiles = dict[str, float]


@dataclass(frozen=True, slots=True)
class Slope:
    """Of what is held over time, with the interval that holds it in 95 of 100 cases."""

    an_hour: float
    low: float
    high: float


def memory_slope(evidence: Evidence) -> Slope | None:
    """Of resident megabytes."""
    return _slope(evidence, [(s.at_ns, s.resident_bytes / 1e6) for s in evidence.samples])


def blocks_slope(evidence: Evidence) -> Slope | None:
    """Of Python's blocks in use, which no allocator, page cache or trim hides anything in."""
    return _slope(evidence, evidence.blocks)


def _slope(evidence: Evidence, held: Iterable[tuple[int, float]]) -> Slope | None:
    """The median slope between the least of each minute; None where there are too few.

    The least is what was still held when the line had given back all that was free.
    """
    minutes: dict[int, list[float]] = {}
    for at_ns, value in held:
        if evidence.steady_ns <= at_ns <= evidence.ended_ns:
            minutes.setdefault((at_ns - evidence.steady_ns) // (60 * _NS), []).append(value)
    whole = {minute: min(values) for minute, values in minutes.items() if len(values) >= 30}
    if len(whole) < _LEAST_MINUTES:
        return None
    slope, _, low, high = theilslopes(list(whole.values()), np.asarray(list(whole)) / 60)
    return Slope(float(slope), float(low), float(high))


def latencies(evidence: Evidence) -> dict[str, dict[str, Quantiles]]:
    """Milliseconds by stage: of all frames after the warm-up, and of those outside all faults."""
    rows = [
        row
        for camera in evidence.cameras
        for row in _rows(evidence, camera)
        if row[0].decided_ns >= evidence.settled_ns
    ]
    calm = [row for row in rows if not evidence.during(row[0].decided_ns)]
    return {"all": _quantiles(rows), "outside faults": _quantiles(calm)}


def deadlines(config: LineSettings, evidence: Evidence) -> dict[str, int]:
    """Frames that were judged too late for their first row to be rejected."""
    deadline_ns = deadline_of(config)
    late = [
        seen
        for seen in evidence.judged
        if seen.decided_ns - seen.captured_ns > deadline_ns(seen.camera, seen.stretch)
    ]
    during = sum(evidence.during(seen.decided_ns) for seen in late)
    return {"during faults": during, "outside faults": len(late) - during}


def takeovers(evidence: Evidence) -> int:
    """How often a frame was judged by another bundle than its camera's before it; the most of all
    cameras.
    """
    each = (
        [seen.bundle for seen in evidence.judged if seen.camera == camera]
        for camera in evidence.cameras
    )
    return max((sum(a != b for a, b in pairwise(bundles)) for bundles in each), default=0)


def processor_share(evidence: Evidence) -> float:
    """Of one core, after the warm-up."""
    samples = [s for s in evidence.samples if s.at_ns >= evidence.settled_ns]
    if len(samples) < 2:
        return 0.0
    first, last = samples[0], samples[-1]
    return (last.cpu_s - first.cpu_s) / ((last.at_ns - first.at_ns) / 1e9)


def recoveries(evidence: Evidence) -> dict[str, Quantiles]:
    """Seconds from the end of a fault until all was well again, by fault."""
    found: dict[str, list[float]] = {}
    for episode in evidence.episodes:
        if episode.recovery_s is not None:
            found.setdefault(episode.fault, []).append(episode.recovery_s)
    return {
        fault: {"times": len(waits), "median": round(median(waits), 1), "max": round(max(waits), 1)}
        for fault, waits in sorted(found.items())
    }


def _rows(evidence: Evidence, camera: str) -> Iterator[tuple[JudgedFrame, Mapping[str, float]]]:
    """Each frame of a camera that the network saw, with its times in ms."""
    # The heartbeat's first edge is its claim; then it toggles once for each frame.
    judged = [seen for seen in evidence.judged if seen.camera == camera]
    beats_ns = [at_ns for whose, at_ns in evidence.beats if whose == camera][1:]
    for seen, beat_ns in zip(judged, beats_ns, strict=False):
        if "infer" not in seen.stage_ns:
            continue
        times = {
            "capture": seen.begun_ns - seen.captured_ns,
            **seen.stage_ns,
            "actuate": beat_ns - seen.decided_ns,
            "latency": seen.decided_ns - seen.captured_ns,
            "overhead": beat_ns - seen.begun_ns - seen.stage_ns["infer"],
        }
        yield seen, {name: ns / 1e6 for name, ns in times.items()}


def _quantiles(rows: Sequence[tuple[JudgedFrame, Mapping[str, float]]]) -> dict[str, Quantiles]:
    if not rows:
        return {}
    names = ("p50", "p99", "p99.9", "max")
    return {
        stage: dict(
            zip(
                names,
                (
                    round(float(value), 3)
                    for value in np.quantile([ms[stage] for _, ms in rows], [0.5, 0.99, 0.999, 1])
                ),
                strict=True,
            )
        )
        for stage in (*_STAGES, "latency", "overhead")
    }
