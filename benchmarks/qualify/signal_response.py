"""The size that is found, by how strong each signal was: a-hat against a; no I/O.

The signal rises in a line with the size, or its logarithm, and scatters about it evenly; what is
above the decision is found. The least signals may be censored: known to be below, and no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_ndtr, ndtri

from benchmarks.qualify.hit_miss import CONFIDENCE, LEAST, Scale
from benchmarks.qualify.logit import Floats, deviate


@dataclass(frozen=True, slots=True)
class SignalResponse:
    """The answer; what cannot be said is None, and `why` says so."""

    n: int
    censored: int
    scale: Scale
    slope: float | None  # signal for each unit of the axis
    scatter: float | None  # deviation of the signal about the line
    a50: float | None
    a90: float | None
    a90_95: float | None
    why: str


def signal_response(
    sizes: Sequence[float],
    signals: Sequence[float],
    decision: float,
    *,
    floor: float = -np.inf,
    scale: Scale = "log size",
) -> SignalResponse:
    """By the greatest likelihood; a signal at or below `floor` counts as censored there."""
    x, y = np.asarray(sizes, np.float64), np.asarray(signals, np.float64)
    x = np.log(x) if scale == "log size" else x
    seen = y > floor
    n, censored = len(y), int((~seen).sum())
    if n < LEAST or n - censored < LEAST or float(np.ptp(x[seen])) == 0:
        why = f"{n - censored} signals above the floor: give {LEAST} or more, of several sizes"
        return SignalResponse(n, censored, scale, None, None, None, None, None, why)
    level, slope, scatter, covariance = _line(x, y, seen, floor)
    if slope <= 0:
        why = "the signal does not rise with size: it tells nothing of what is found"
        return SignalResponse(n, censored, scale, slope, scatter, None, None, None, why)
    # x found with share p: (decision - level + scatter * z_p) / slope.
    z90 = float(ndtri(0.9))
    middle = (decision - level) / slope
    x90 = middle + scatter * z90 / slope
    gradient = np.array([-1 / slope, -x90 / slope, scatter * z90 / slope])
    spread = float(np.sqrt(gradient @ covariance @ gradient))
    x90_95 = x90 + deviate(CONFIDENCE) * spread
    a50, a90, a90_95 = (
        float(np.exp(at)) if scale == "log size" else at for at in (middle, x90, x90_95)
    )
    return SignalResponse(n, censored, scale, slope, scatter, a50, a90, a90_95, "")


def _line(x: Floats, y: Floats, seen: Floats, floor: float) -> tuple[float, float, float, Floats]:
    """Level, slope, scatter, and the covariance of level, slope and log scatter."""
    mean, deviation = float(x.mean()), float(x.std())
    t = (x - mean) / deviation

    def against(theta: Floats) -> float:
        level, slope, log_scatter = theta
        scatter = float(np.exp(log_scatter))
        z = (y[seen] - level - slope * t[seen]) / scatter
        below = log_ndtr((floor - level - slope * t[~seen]) / scatter).sum()
        return float((z**2 / 2 + log_scatter).sum() - below)

    slope, level = np.polyfit(t[seen], y[seen], 1)
    rest = y[seen] - level - slope * t[seen]
    start = np.array([level, slope, np.log(max(1e-9, float(rest.std())))])
    theta = minimize(against, start, method="BFGS", options={"gtol": 1e-7}).x
    covariance = np.linalg.inv(_curvature(against, theta))
    back = np.array([[1, -mean / deviation, 0], [0, 1 / deviation, 0], [0, 0, 1]])
    level, slope, log_scatter = back @ theta
    return float(level), float(slope), float(np.exp(log_scatter)), back @ covariance @ back.T


def _curvature(function: object, at: Floats, step: float = 1e-4) -> Floats:
    """The second derivatives, by differences."""
    assert callable(function)
    moves = np.eye(len(at)) * step
    return np.array(
        [
            [
                (
                    function(at + one + two)
                    - function(at + one - two)
                    - function(at - one + two)
                    + function(at - one - two)
                )
                / (4 * step * step)
                for two in moves
            ]
            for one in moves
        ]
    )
