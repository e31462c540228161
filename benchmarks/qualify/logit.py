"""The logit curve of found against size, and what one size's place on it may be: no I/O.

The curve is P(found) = 1 / (1 + exp(-eta)), eta = logit(level) + slope * (x - place): `x` is a
size or its logarithm, and `place` is where so large a share, the level, is found. Any level's
place can thus be a parameter of its own, which is what a profile likelihood needs.

The likelihood is Firth's: half the logarithm of Fisher's information is added, so that there is a
curve even where the found and the missed separate. It pulls slopes down, though: where few sizes
lie on the flank of the curve, a 95% bound by its chi-squared covers 100%, and one by the plain
likelihood 77%. What tells such studies apart is the sum of p (1 - p) over the specimens, the
weight on the flank: at the true place the signed root of the deviance is close to normal, with
mean m / weight and deviation 1 - g / weight. m and g were measured on simulated studies, from
steps with no specimen on the flank to curves with 35 on it, and the bound is taken from the signed
root so adjusted. `python -m benchmarks.pod_coverage` measures what comes of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from edge.types import logit

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# Above the middle of the curve; below it the mean has the other sign.
_LEVELS = (0.5, 0.7, 0.9, 0.95)
_MEAN = (0.0, 0.70, 0.85, 0.83)
_SPREAD = (0.43, 0.42, 0.27, 0.27)
# The mean's factor by the weight.
_WEIGHTS = (0.5, 0.65, 0.9, 1.5, 2.5, 5.0)
_FACTORS = (1.15, 1.19, 1.31, 1.36, 1.18, 1.0)
# The adjustment is good to a percent of coverage, by how sizes were chosen: err on the safe side.
_SAFE = 1.04
_STEEPEST, _FLATTEST = 1e5, 1e-2  # slopes, in deviations of x; beyond them nothing changes
_STEPS, _NEAR = 9, 0.02  # of the search for the best log slope
_FURTHEST = 1e3  # times the reach of x: no bound beyond
_STEP_MAX, _HALVINGS = 60, 30  # of Newton's
_NEIGHBOURS, _HOLE = 5, 12  # on either side of a gap; so many of their usual spaces are a hole
_NOTHING = 1e-300  # whose logarithm is still a number


@dataclass(frozen=True, eq=False)
class Logit:
    """Specimens along one axis, each found or not; several sizes, some found and some not."""

    x: Floats
    found: Bools

    @property
    def is_separate(self) -> bool:
        """Every one found lies at or above every one missed: the steepest curve is likeliest."""
        return bool(self.x[~self.found].max() <= self.x[self.found].min())

    @cached_property
    def likeliest(self) -> tuple[float, float]:
        """Level and slope, eta = level + slope * x, of the greatest plain likelihood."""
        mean, deviation = self.scale
        level, slope = self._climb(penalty=0.0)
        return level - slope / deviation * mean, slope / deviation

    @property
    def log_likelihood(self) -> float:
        """The greatest; 0 where the specimens separate, which a step explains wholly."""
        if self.is_separate:
            return 0.0
        level, slope = self.likeliest
        return _likelihood(level + slope * self.x, self.x, self.found, 0.0)

    def place(self, share: float) -> float | None:
        """Where this share is found, by the greatest likelihood; None where larger is not likelier.

        Where the specimens separate, a place that is as likely too low as too high.
        """
        if self.is_separate:
            return self.bound(share, 0.0)
        level, slope = self.likeliest
        return (logit(share) - level) / slope if slope > 0 else None

    def bound(self, share: float, z: float) -> float | None:
        """Where this share is found at most (z > 0) or at least (z < 0), at normal deviate `z`.

        None where no place can be told: the specimens do not exclude that size makes no difference.
        """
        profile = _Profile(self, share)
        place = None if profile.peak is None else profile.cross(-_SAFE * z)
        if place is None or not self._has_hole:
            return place
        low, high = float(self.x[~self.found].max()), float(self.x[self.found].min())
        if z == 0:
            return (low + high) / 2
        return max(place, high) if z > 0 else min(place, low)

    @cached_property
    def _has_hole(self) -> bool:
        """Found and missed separate by a gap that no specimen was meant to fall in.

        Between specimens that lie at random a bound may end inside the gap, as the curve may; where
        sizes were chosen, nothing was learnt inside of it, and the bound is its end.
        """
        if not self.is_separate:
            return False
        missed, found = np.sort(self.x[~self.found]), np.sort(self.x[self.found])
        below, above = missed[-1 - _NEIGHBOURS :], found[: 1 + _NEIGHBOURS]
        spaces = np.concatenate([np.diff(below), np.diff(above)])
        usual = float(np.median(spaces)) if len(spaces) else 0.0
        return bool(found[0] - missed[-1] > _HOLE * usual)

    @cached_property
    def scale(self) -> tuple[float, float]:
        """Mean and deviation of x."""
        return float(self.x.mean()), float(self.x.std())

    @cached_property
    def firth(self) -> tuple[float, float]:
        """Level and slope of the greatest penalised likelihood, of x in its deviations."""
        return self._climb(penalty=0.5)

    def _climb(self, *, penalty: float) -> tuple[float, float]:
        """Newton's way to the greatest likelihood, Firth's where penalised; x in its deviations."""
        mean, deviation = self.scale
        t = (self.x - mean) / deviation
        design, y = np.stack([np.ones_like(t), t], 1), self.found.astype(np.float64)
        beta, value = np.zeros(2), -np.inf
        for _ in range(_STEP_MAX):
            p = 0.5 + 0.5 * np.tanh(0.5 * (design @ beta))
            weight = p * (1 - p)
            inverse = np.linalg.pinv(design.T @ (weight[:, None] * design))
            hat = weight * np.einsum("ij,jk,ik->i", design, inverse, design)
            step = inverse @ (design.T @ (y - p + 2 * penalty * hat * (0.5 - p)))
            longest = float(np.abs(step).max())
            step *= min(1.0, max(3.0, float(np.abs(beta).max())) / max(longest, _NOTHING))
            for _ in range(_HALVINGS):
                now = _likelihood(design @ (beta + step), t, self.found, penalty)
                if now >= value:
                    break
                step /= 2
            if now - value < 1e-12 * (1 + abs(now)):
                break
            beta, value = beta + step, now
        return float(beta[0]), float(beta[1])


@dataclass(frozen=True, slots=True)
class _Point:
    """A place, and by how much the signed root there is over the target."""

    place: float
    over: float


class _Profile:
    """The penalised likelihood of one level's place, whatever the slope."""

    def __init__(self, logit_: Logit, share: float) -> None:
        mean, deviation = logit_.scale
        self._mean, self._deviation = mean, deviation
        self._t = (logit_.x - mean) / deviation
        self._found = logit_.found
        self._eta = logit(share)
        upper = abs(share - 0.5) + 0.5
        sign = 1.0 if share >= 0.5 else -1.0
        self._m = sign * float(np.interp(upper, _LEVELS, _MEAN))
        self._g = float(np.interp(upper, _LEVELS, _SPREAD))
        level, slope = logit_.firth
        self.peak: float | None = None
        if slope > 0:
            self.peak = (self._eta - level) / slope
            self._top = float(_penalised(level + slope * self._t, self._t, self._found)[0])
            self._slope = math.log(slope)

    def cross(self, target: float) -> float | None:
        """Where the adjusted signed root, which falls along x, comes down to a deviate."""
        assert self.peak is not None
        reach = float(self._t.max() - self._t.min())
        start = _Point(self.peak, self._root(self.peak) - target)
        if start.over == 0:
            return self._mean + self._deviation * start.place
        above = below = start
        width = math.copysign(reach / 16, start.over)
        while above.over <= 0 or below.over > 0:
            if abs(width) > _FURTHEST * reach:
                return None
            last = below if start.over > 0 else above
            place = last.place + width
            reached = _Point(place, self._root(place) - target)
            above, below = (last, reached) if start.over > 0 else (reached, last)
            width *= 2
        return self._mean + self._deviation * self._between(above, below, target, 1e-5 * reach)

    def _between(self, above: _Point, below: _Point, target: float, near: float) -> float:
        """The place between two on either side of the target: by the chord and halved in turns."""
        by_chord = True
        while below.place - above.place > near:
            share = above.over / (above.over - below.over) if by_chord else 0.5
            place = above.place + min(0.9, max(0.1, share)) * (below.place - above.place)
            middle = _Point(place, self._root(place) - target)
            above, below = (middle, below) if middle.over > 0 else (above, middle)
            by_chord = not by_chord
        return (above.place + below.place) / 2

    def _root(self, place: float) -> float:
        """The signed root of the deviance, adjusted to be near normal at the true place."""
        assert self.peak is not None
        best, weight = self._best(place)
        root = math.copysign(math.sqrt(max(0.0, 2 * (self._top - best))), self.peak - place)
        mean = self._m * float(np.interp(weight, _WEIGHTS, _FACTORS)) / weight
        return (root - mean) / max(0.1, 1 - self._g / weight)

    def _best(self, place: float) -> tuple[float, float]:
        """The greatest penalised likelihood with the level at a place, and the weight there."""
        low, high = self._slope - 1, self._slope + 1  # near the one before, or anywhere
        value, weight, at = self._search(place, low, high)
        if at - low < 0.2 or high - at < 0.2:
            value, weight, at = self._search(place, math.log(_FLATTEST), math.log(_STEEPEST))
        self._slope = at
        return value, weight

    def _search(self, place: float, low: float, high: float) -> tuple[float, float, float]:
        """The greatest between two log slopes, the weight there, and where that is."""
        d = (self._t - place)[None, :]
        while True:
            slopes = np.linspace(low, high, _STEPS)
            values, weights = _penalised(
                self._eta + np.exp(slopes)[:, None] * d, self._t[None, :], self._found[None, :]
            )
            at, step = int(values.argmax()), (high - low) / (_STEPS - 1)
            low, high = float(slopes[at] - step), float(slopes[at] + step)
            if step < _NEAR:
                return float(values[at]), float(weights[at]), float(slopes[at])


def _penalised(eta: Floats, t: Floats, found: Bools) -> tuple[Floats, Floats]:
    """Firth's likelihood along the last axis, and the sum of p (1 - p)."""
    odds = np.exp(-np.abs(eta))
    weight = odds / (1 + odds) ** 2
    value = -(np.log1p(odds) + np.maximum(np.where(found, -eta, eta), 0)).sum(-1)
    total = np.maximum(weight.sum(-1), _NOTHING)
    middle = (weight * t).sum(-1) / total
    spread = (weight * (t - middle[..., None]) ** 2).sum(-1)
    value = value + 0.5 * np.log(np.maximum(total * spread, _NOTHING))
    return value, total


def _share(eta: Floats) -> Floats:
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * eta))


def _likelihood(eta: Floats, t: Floats, found: Bools, penalty: float) -> float:
    """The logarithm of one curve's; penalised, with so much of that of the information."""
    if penalty == 0:
        return -float(np.logaddexp(0.0, np.where(found, -eta, eta)).sum())
    return float(_penalised(eta, t, found)[0])


def deviate(confidence: float) -> float:
    """The normal deviate of a one-sided confidence: 1.645 of 0.95."""
    return NormalDist().inv_cdf(confidence)
