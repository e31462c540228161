"""How often the bound of `trackside qualify` covers the true a90, in simulated studies.

`python -m benchmarks.pod_coverage` prints a row for each way to choose sizes, number of specimens
and slope. The true curve is a logit over the logarithm of size, or over size (--over size), with
its middle at 2 mm. A study without a bound claims nothing that could be wrong: it covers, and is
counted beside.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.random import Generator

from benchmarks.qualify.hit_miss import Specimens, hit_miss
from benchmarks.qualify.logit import Floats
from edge.box import end_with_parent
from edge.types import logit

LEAST, MOST = 0.93, 0.985
_MIDDLE_MM = 2.0
SIZES: dict[str, Callable[[Generator, int], Floats]] = {
    "even, 0.5 to 6 mm": lambda rng, n: rng.uniform(0.5, 6, n),
    "log-normal round 2 mm": lambda rng, n: rng.lognormal(math.log(2), 0.6, n),
    "exponential, mean 2 mm": lambda rng, n: 0.05 + rng.exponential(2, n),
    "few large": lambda rng, n: rng.lognormal(math.log(1.3), 0.45, n),
    "few small": lambda rng, n: rng.lognormal(math.log(3.5), 0.5, n),
}
SLOPES = (3.0, 8.0, 25.0, 80.0)  # a90/a50 of 2.08, 1.32, 1.09, 1.03: the last two separate often
NUMBERS = (60, 120, 300)


@dataclass(frozen=True, slots=True)
class Cell:
    """One truth, studied many times."""

    sizes: str
    n: int
    slope: float
    over: str
    studies: int
    seed: int


@dataclass(frozen=True, slots=True)
class Covered:
    """What came of it."""

    cell: Cell
    covered: int
    unbounded: int  # studies that gave no bound
    separated: int

    @property
    def share(self) -> float:
        return self.covered / self.cell.studies


def study(cell: Cell) -> Covered:
    """Simulate and fit; a study in which all or none are found gives no bound."""
    rng = np.random.default_rng((cell.seed, cell.n, round(cell.slope * 1000)))
    covered = unbounded = separated = 0
    for _ in range(cell.studies):
        sizes = SIZES[cell.sizes](rng, cell.n)
        a90, eta = _truth(cell, sizes)
        found = rng.random(cell.n) < 1 / (1 + np.exp(-np.clip(eta, -700, 700)))
        answer = hit_miss(Specimens(sizes, found))
        separated += answer.separated
        unbounded += answer.a90_95 is None
        covered += answer.a90_95 is None or answer.a90_95 >= a90
    return Covered(cell, covered, unbounded, separated)


def _truth(cell: Cell, sizes: Floats) -> tuple[float, Floats]:
    """The true a90 and the logit of each size."""
    if cell.over == "size":
        slope = cell.slope / _MIDDLE_MM  # as steep at the middle
        return _MIDDLE_MM + logit(0.9) / slope, slope * (sizes - _MIDDLE_MM)
    a90 = _MIDDLE_MM * math.exp(logit(0.9) / cell.slope)
    return a90, cell.slope * np.log(sizes / _MIDDLE_MM)


def main() -> int:
    """Print the table; 1 if a share lies outside what is promised."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=500)
    parser.add_argument("--over", choices=("log size", "size"), default="log size")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    cells = [
        Cell(sizes, n, slope, asked.over, asked.studies, asked.seed)
        for sizes, n, slope in product(SIZES, NUMBERS, SLOPES)
    ]
    print(f"{'sizes':24} {'n':>4} {'slope':>5} {'covered':>8} {'separated':>10} {'no bound':>9}")
    outside = 0
    with ProcessPoolExecutor(asked.processes, initializer=end_with_parent) as pool:
        for result in pool.map(study, cells):
            cell, studies = result.cell, result.cell.studies
            strays = not LEAST <= result.share <= MOST
            outside += strays
            print(
                f"{cell.sizes:24} {cell.n:>4} {cell.slope:>5g} {result.share:>8.1%} "
                f"{result.separated / studies:>10.0%} {result.unbounded / studies:>9.1%}"
                f"{' *' if strays else ''}",
                flush=True,
            )
    print(f"{outside} of {len(cells)} outside {LEAST:.1%} to {MOST:.1%}")
    return 1 if outside else 0


if __name__ == "__main__":
    sys.exit(main())
