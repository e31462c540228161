"""What specimens that were found or missed say of the size that is found; no I/O.

a50 and a90 are the sizes found five and nine times in ten, a90/95 is the one that a90 lies below at
95% confidence (MIL-HDBK-1823A). What the specimens cannot say is None, and `why` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmarks.qualify.logit import Bools, Floats, Logit, deviate

Scale = Literal["log size", "size"]

LEAST, ADVISED = 10, 60  # specimens: below the first nothing is said, the second is the handbook's
CONFIDENCE = 0.95
FURTHEST = 10  # times the largest specimen: what is said of beyond is no answer
_LEVELS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
# By how much the logarithm of the likelihood must be greater over size for the logarithm of size
# to be given up. On 1, bounds over a curve that is truly one of log size cover only 91%.
_CLEARLY = 2.0
_AXES: dict[Scale, tuple[Callable[[Floats], Floats], Callable[[float], float]]] = {
    "log size": (np.log, lambda x: float(np.exp(min(x, 700.0)))),
    "size": (lambda size: size, lambda x: x),
}


@dataclass(frozen=True, eq=False)
class Specimens:
    """Sizes above 0, all of one measure, and whether each was found."""

    sizes: Floats
    found: Bools

    @classmethod
    def of(cls, sizes: Sequence[float], found: Sequence[bool]) -> Specimens:
        """ValueError where a size is none."""
        specimens = cls(np.asarray(sizes, np.float64), np.asarray(found, np.bool_))
        if specimens.sizes.shape != specimens.found.shape:
            raise ValueError("give one `found` for each size")
        if not (np.isfinite(specimens.sizes) & (specimens.sizes > 0)).all():
            raise ValueError("a size is a number above 0")
        return specimens


@dataclass(frozen=True, slots=True)
class Fit:
    """What one axis makes of the specimens."""

    scale: Scale
    log_likelihood: float
    a50: float | None
    a90: float | None
    a90_95: float | None


@dataclass(frozen=True, slots=True)
class HitMiss:
    """The answer, by the logarithm of size, or by size where that is clearly likelier."""

    n: int
    found: int
    a50: float | None
    a90: float | None
    a90_95: float | None
    separated: bool  # every one found is at least as large as every one missed
    scale: Scale | None
    why: str  # a number is missing; empty where none is
    remarks: tuple[str, ...]  # what to know of those that are there


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A share and the size at which it is found, by the curve, at least and at most."""

    share: float
    size: float | None
    at_least: float | None
    at_most: float | None


def hit_miss(specimens: Specimens) -> HitMiss:
    """Fit the curve, or say why there is none."""
    n, found = len(specimens.sizes), int(specimens.found.sum())
    if why := _no_curve(specimens):
        return HitMiss(n, found, None, None, None, False, None, why, ())
    best = fit(specimens, _best_scale(specimens))
    why = _no_number(specimens, best)
    separated = Logit(specimens.sizes, specimens.found).is_separate
    remarks = tuple(_remarks(specimens, best, separated=separated))
    return HitMiss(n, found, best.a50, best.a90, best.a90_95, separated, best.scale, why, remarks)


def curve(specimens: Specimens, scale: Scale) -> tuple[CurvePoint, ...]:
    """The curve and its band: each side of it holds at 95%, both together at 90%."""
    along, back = _AXES[scale]
    axis, z = Logit(along(specimens.sizes), specimens.found), deviate(CONFIDENCE)
    sizes = [
        _in_order([_a_size(specimens, place(share), back) for share in _LEVELS])
        for place in (
            axis.place,
            lambda share: axis.bound(share, -z),
            lambda share: axis.bound(share, z),
        )
    ]
    return tuple(map(CurvePoint, _LEVELS, *sizes))


def _in_order(sizes: list[float | None]) -> list[float | None]:
    """From the middle out, so that a larger share is never found at a smaller size.

    Each level has a likelihood of its own, and those of a step nearly coincide.
    """
    middle, ordered = _LEVELS.index(0.5), list(sizes)
    for at in range(middle + 1, len(ordered)):
        one, two = ordered[at - 1], ordered[at]
        ordered[at] = two if one is None or two is None else max(one, two)
    for at in reversed(range(middle)):
        one, two = ordered[at], ordered[at + 1]
        ordered[at] = one if one is None or two is None else min(one, two)
    return ordered


def _no_curve(specimens: Specimens) -> str:
    sizes, n = specimens.sizes, len(specimens.sizes)
    if n < LEAST:
        return f"{n} specimens are too few: give {LEAST} at the very least, {ADVISED} for an answer"
    low, high, found = float(sizes.min()), float(sizes.max()), int(specimens.found.sum())
    if found == n:
        return (
            f"all {n} were found, so that nothing shows where finding ends: it is below "
            f"{low:.4g}, the smallest, or near it; add smaller ones"
        )
    if found == 0:
        return (
            f"none of {n} was found, so that nothing shows where finding begins: it is above "
            f"{high:.4g}, the largest, or near it; add larger ones"
        )
    if high <= low * (1 + 1e-6):
        return f"all {n} measure {low:.4g}, so that nothing shows what size does: add other sizes"
    return ""


def _best_scale(specimens: Specimens) -> Scale:
    log, size = (Logit(along(specimens.sizes), specimens.found) for along, _ in _AXES.values())
    return "size" if size.log_likelihood > log.log_likelihood + _CLEARLY else "log size"


def fit(specimens: Specimens, scale: Scale) -> Fit:
    """By one axis, for specimens that a curve can be fitted to."""
    along, back = _AXES[scale]
    axis = Logit(along(specimens.sizes), specimens.found)
    a50 = _a_size(specimens, axis.place(0.5), back)
    a90 = _a_size(specimens, axis.place(0.9), back)
    if a90 is None:
        return Fit(scale, axis.log_likelihood, a50, None, None)
    if a50 is not None:
        a90 = max(a50, a90)
    a90_95 = _a_size(specimens, axis.bound(0.9, deviate(CONFIDENCE)), back)
    return Fit(scale, axis.log_likelihood, a50, a90, a90_95 and max(a90, a90_95))


def _a_size(specimens: Specimens, x: float | None, back: Callable[[float], float]) -> float | None:
    """Of a place on the axis; None where it is none, or out of all reach of the specimens."""
    if x is None:
        return None
    size = back(x)
    return size if 0 < size <= FURTHEST * float(specimens.sizes.max()) else None


def _no_number(specimens: Specimens, fit: Fit) -> str:
    largest = float(specimens.sizes.max())
    if fit.a90 is None:
        return (
            "larger ones were not found more often, or hardly so: add specimens, above all smaller "
            f"and larger ones than {float(specimens.sizes.min()):.4g} to {largest:.4g}"
        )
    if fit.a90_95 is None:
        return (
            f"at {CONFIDENCE:.0%} confidence a90 has no bound below {FURTHEST} times the largest, "
            f"{largest:.4g}: add specimens, above all near {fit.a90:.4g}"
        )
    return ""


def _remarks(specimens: Specimens, fit: Fit, *, separated: bool) -> list[str]:
    n, largest, remarks = len(specimens.sizes), float(specimens.sizes.max()), []
    if n < ADVISED:
        remarks.append(f"{n} specimens: MIL-HDBK-1823A asks for {ADVISED} and more")
    if separated:
        remarks.append("found and missed separate by size: Firth's likelihood, bias corrected")
    if fit.a90_95 is not None and fit.a90_95 > largest:
        remarks.append(f"a90/95 lies beyond the largest specimen, {largest:.4g}: the curve alone")
    return remarks
