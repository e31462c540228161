"""The size that is found, by how strong each signal was: a-hat against a; no I/O.

The signal rises in a line with the size, or its logarithm, and scatters about it evenly; what is
above the decision is found. The least signals may be censored: known to be below, and no more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_ndtr, nctdtrit, ndtri

from benchmarks.qualify.hit_miss import CONFIDENCE, FURTHEST, LEAST, Scale
from benchmarks.qualify.logit import Bools, Floats

_FURTHEST = 4  # times the reach of the specimens: no bound beyond
_SURELY = 3.3  # standard errors: chance bends a straight line so in one study of a thousand


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
    why = ""
    if slope <= 0:
        why = "the signal does not rise with size: it tells nothing of what is found"
        return SignalResponse(n, censored, scale, slope, scatter, None, None, None, why)
    clear = seen & (level + slope * x - 3 * scatter > floor)  # of which none were censored
    if uneven := _uneven(x[clear], y[clear]):
        return SignalResponse(n, censored, scale, slope, scatter, None, None, None, uneven)
    scatter *= math.sqrt(n / (n - 2))  # free of the bias that two fitted parameters bring
    middle = (decision - level) / slope
    x90 = middle + scatter * float(ndtri(0.9)) / slope
    line = _Line(level, slope, scatter, covariance * n / (n - 2), n - censored - 2)
    x90_95 = _bound(line, decision, x90, float(np.ptp(x)))
    if x90_95 is None:
        why = "at 95% confidence a90 has no bound: add specimens, above all larger ones"
    most = FURTHEST * float(np.max(sizes))
    a50, a90, a90_95 = (
        None if at is None or not 0 < (size := _a_size(at, scale)) <= most else size
        for at in (middle, x90, x90_95)
    )
    if a90_95 is None and not why:
        why = f"a90 has no bound within {FURTHEST} times the largest: add larger specimens"
    return SignalResponse(n, censored, scale, slope, scatter, a50, a90, a90_95, why)


def _a_size(x: float, scale: Scale) -> float:
    return math.exp(min(x, 700.0)) if scale == "log size" else x


def _uneven(x: Floats, y: Floats) -> str:
    """Why no line with an even scatter fits: it bends, or scatters more at one end."""
    if len(x) < LEAST or float(np.ptp(x)) == 0:
        return ""
    t = (x - x.mean()) / x.std()
    bent = np.stack([np.ones_like(t), t, t**2 - 1], 1)
    theta, *_ = np.linalg.lstsq(bent, y, rcond=None)
    rest = y - bent @ theta
    error = math.sqrt(float(rest @ rest) / max(1, len(t) - 3) * np.linalg.inv(bent.T @ bent)[2, 2])
    if abs(float(theta[2])) > _SURELY * error:
        return "the signal bends with size: only what was found and missed holds"
    if abs(float(np.corrcoef(rest**2, t)[0, 1])) * math.sqrt(len(t)) > _SURELY:
        return "the signal scatters unevenly by size: only what was found and missed holds"
    return ""


@dataclass(frozen=True, slots=True)
class _Line:
    level: float
    slope: float
    scatter: float
    covariance: Floats  # of level and slope
    freedom: int

    def over(self, x: float, decision: float) -> float:
        """By how much the line there clears the bound that 95% confidence in 90% asks for.

        Exact where nothing is censored: what the line clears the decision by, in its own standard
        errors, is noncentral t.
        """
        there = np.array([1.0, x])
        error = math.sqrt(float(there @ self.covariance @ there))
        asked = nctdtrit(self.freedom, float(ndtri(0.9)) * self.scatter / error, CONFIDENCE)
        return (self.level + self.slope * x - decision) / error - float(asked)


def _bound(line: _Line, decision: float, x90: float, reach: float) -> float | None:
    """Where the line first clears it, beyond a90."""
    low, width = x90, reach / 16
    while line.over(low + width, decision) < 0:
        width *= 2
        if width > _FURTHEST * reach:
            return None
    high = low + width
    while high - low > 1e-6 * reach:
        middle = (low + high) / 2
        low, high = (low, middle) if line.over(middle, decision) >= 0 else (middle, high)
    return high


def _line(x: Floats, y: Floats, seen: Bools, floor: float) -> tuple[float, float, float, Floats]:
    """Level, slope, scatter, and the covariance of level and slope."""
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
    back = np.array([[1, -mean / deviation], [0, 1 / deviation]])
    level, slope = back @ theta[:2]
    return float(level), float(slope), float(np.exp(theta[2])), back @ covariance[:2, :2] @ back.T


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
