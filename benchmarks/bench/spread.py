"""What many timings say: percentiles that so many can show, spread, ratios with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.bench.schema import Percentiles

NOISY_SPREAD = 0.1  # rounds that differ by more say more of the machine than of the engine
_RESAMPLES = 2000


def percentiles(values_ms: ArrayLike) -> Percentiles:
    """One run in a hundred is no percentile of twenty: what nobody has seen is None."""
    values = np.asarray(values_ms, float)

    def at(percent: float) -> float | None:
        enough = values.size >= round(100 / (100 - percent))
        return round(float(np.percentile(values, percent)), 4) if enough else None

    return Percentiles(
        p50_ms=round(float(np.median(values)), 4),
        p90_ms=at(90),
        p99_ms=at(99),
        p999_ms=at(99.9),
        max_ms=round(float(values.max()), 4),
    )


def spread(round_medians: Sequence[float]) -> float:
    """How far the middle half of the rounds lies apart, by their median."""
    low, middle, high = np.percentile(round_medians, [25, 50, 75])
    return float((high - low) / middle)


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of medians and the interval that holds it in 95 of 100 resamplings."""

    value: float
    low: float
    high: float

    @property
    def is_a_difference(self) -> bool:
        return not self.low <= 1 <= self.high


def ratio(before: Sequence[float], after: Sequence[float]) -> Ratio:
    """`after` by `before`, rounds of two runs. Rounds are resampled, since runs within one are
    neighbours in time and share their disturbance.
    """
    rng = np.random.default_rng(0)
    ratios = _resampled(after, rng) / _resampled(before, rng)
    low, high = np.percentile(ratios, [2.5, 97.5])
    return Ratio(float(np.median(after) / np.median(before)), float(low), float(high))


def ratio_in_one_run(of: Sequence[float], to: Sequence[float]) -> Ratio:
    """`of` by `to`, which took turns: their rounds are compared one by one."""
    each = np.asarray(of) / np.asarray(to)
    low, high = np.percentile(_resampled(each, np.random.default_rng(0)), [2.5, 97.5])
    return Ratio(float(np.median(each)), float(low), float(high))


def _resampled(values: ArrayLike, rng: np.random.Generator) -> NDArray[np.float64]:
    """The median of each resampling."""
    array = np.asarray(values, float)
    drawn = array[rng.integers(array.size, size=(_RESAMPLES, array.size))]
    return np.asarray(np.median(drawn, axis=1))
