"""How many more specimens, and of which size, a wished a90/95 takes; no I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchmarks.qualify.hit_miss import HitMiss

_MOST = 100_000


@dataclass(frozen=True, slots=True)
class Needed:
    """`specimens` in all, of sizes like those there are; None where no number would do."""

    wished: float
    specimens: int | None
    more: int | None
    best_sizes: tuple[float, float] | None  # where a further one tells most
    why: str


def specimens_needed(answer: HitMiss, wished: float) -> Needed:
    """The bound's distance from a90 shrinks as the root of their number: an estimate by that."""
    if answer.a90 is None or answer.a90_95 is None or answer.a50 is None:
        return Needed(wished, None, None, None, answer.why)
    best = answer.a50, max(answer.a90_95, answer.a90 * (answer.a90 / answer.a50))
    if answer.a90_95 <= wished:
        return Needed(wished, answer.n, 0, best, "")
    if wished <= answer.a90:
        why = (
            f"a90 itself is {answer.a90:.3g}: no number of specimens shows {wished:.3g}, "
            "only finding better would"
        )
        return Needed(wished, None, None, None, why)
    ratio = math.log(answer.a90_95 / answer.a90) / math.log(wished / answer.a90)
    total = math.ceil(answer.n * ratio**2)
    if total > _MOST:
        why = f"more than {_MOST}: {wished:.3g} lies too near to a90, {answer.a90:.3g}"
        return Needed(wished, None, None, best, why)
    return Needed(wished, total, total - answer.n, best, "")
