"""Times, counted between bounds."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field

_MS = 1_000_000
BOUNDS_NS = tuple(
    round(ms * _MS) for ms in (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500)
)


@dataclass(frozen=True, slots=True)
class Counted:
    """A histogram at one moment: how many values lie above each bound and not above the next."""

    counts: tuple[int, ...]  # one more than there are bounds
    total_ns: int

    @property
    def count(self) -> int:
        return sum(self.counts)

    @property
    def mean_ms(self) -> float:
        return self.total_ns / self.count / _MS if self.count else 0.0


@dataclass
class Histogram:
    """Times, counted between `BOUNDS_NS`."""

    _counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_NS) + 1))
    _total_ns: int = 0

    def add(self, ns: int) -> None:
        self._counts[bisect_left(BOUNDS_NS, ns)] += 1
        self._total_ns += ns

    def counted(self) -> Counted:
        return Counted(tuple(self._counts), self._total_ns)


def added(some: Iterable[Counted]) -> Counted:
    """Those of several together."""
    several = list(some)
    counts = tuple(map(sum, zip(*(each.counts for each in several), strict=True)))
    return Counted(counts, sum(each.total_ns for each in several))
