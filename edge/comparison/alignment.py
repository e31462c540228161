"""Two passes over the same rail laid on each other by their defects, whatever wheel and slip did.

A chain of pairs, in order along both, is found by dynamic programming: each pair that is alike in
class, size and place across counts, and each change of the offset between the passes costs, less
where there is more rail for it. The largest defects are chained first, wherever they may lie; then
all, near to where that chain has them. What lies between two pairs is then matched by place.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_ACROSS_MM = 8.0  # that the two may lie apart across, alike as they are
_LOOK_BACK = 40  # defects that a chain may leave out
_FREE_MM = 4.0  # a change of the offset that says nothing
_DRIFT = 0.01  # of the rail between two pairs, that wheels explain
_SLIP_COST = 0.5  # of a slip, beyond what wheels explain: it grows with its logarithm
_NEAR_MM = 20.0
_LARGEST = 1500  # that are chained first
_REACH_MM, _REACH_SHARE = 5_000.0, 0.01  # from where the first pass has it, at first
_FINE_REACH_MM = 1_500.0  # and then from where the first chain has it


@dataclass(frozen=True, slots=True)
class Seen:
    """A defect, as one pass saw it, in millimetres."""

    along_mm: float  # its middle
    across_mm: float
    length_mm: float
    width_mm: float
    area_mm2: float
    class_name: str | None  # None: unsure


Pairs = list[tuple[int, int]]
_Expected = Callable[[float], float]


def align(one: Sequence[Seen], two: Sequence[Seen], shift_mm: float = 0) -> Pairs:
    """Which of the first is which of the second, both in order along the rail, whose second pass
    has places that are so much greater.
    """
    if not one or not two:
        return []
    length_mm = max(one[-1].along_mm - one[0].along_mm, two[-1].along_mm - two[0].along_mm)
    reach_mm = _REACH_MM + _REACH_SHARE * length_mm
    few, few_too = _largest(one), _largest(two)
    first = _chain(
        [one[i] for i in few], [two[j] for j in few_too], lambda mm: mm + shift_mm, reach_mm
    )
    coarse = [(few[i], few_too[j]) for i, j in first]
    if not coarse:
        return []
    expected = Laid(one, two, coarse)
    chain = _chain(one, two, expected, _FINE_REACH_MM)
    return _filled(one, two, chain) if chain else []


class Laid:
    """From a place of the first pass to the second's: linear between pairs, and with their mean
    wheel beyond them.
    """

    def __init__(self, one: Sequence[Seen], two: Sequence[Seen], pairs: Pairs) -> None:
        self._from = np.asarray([one[i].along_mm for i, _ in pairs])
        self._to = np.asarray([two[j].along_mm for _, j in pairs])
        went = self._from[-1] - self._from[0]
        self.slope = float((self._to[-1] - self._to[0]) / went) if went > 0 else 1.0

    def __call__(self, along_mm: float) -> float:
        if along_mm <= self._from[0] or along_mm >= self._from[-1]:
            end = 0 if along_mm <= self._from[0] else -1
            return float(self._to[end] + self.slope * (along_mm - self._from[end]))
        return float(np.interp(along_mm, self._from, self._to))


def _largest(seen: Sequence[Seen]) -> list[int]:
    by_area = sorted(range(len(seen)), key=lambda i: -seen[i].area_mm2)
    return sorted(by_area[:_LARGEST])


def _chain(one: Sequence[Seen], two: Sequence[Seen], expected: _Expected, reach_mm: float) -> Pairs:
    pairs = _pairs(one, two, expected, reach_mm)
    if not pairs:
        return []
    first = np.asarray([one[i].along_mm for i, _, _ in pairs])
    second = np.asarray([two[j].along_mm for _, j, _ in pairs])
    rows = np.asarray([i for i, _, _ in pairs])
    columns = np.asarray([j for _, j, _ in pairs])
    best = np.asarray([likeness for _, _, likeness in pairs])
    before = np.full(len(pairs), -1)
    starts = np.searchsorted(rows, rows - _LOOK_BACK)
    ends = np.searchsorted(rows, rows)  # a pair of the same defect cannot follow
    for at in range(len(pairs)):
        back = slice(int(starts[at]), int(ends[at]))
        may = columns[back] < columns[at]
        if not may.any():
            continue
        cost = _cost(first[at] - first[back], second[at] - second[back])
        total = np.where(may, best[back] - cost, -math.inf)
        top = int(total.argmax())
        if total[top] > 0:
            best[at] += total[top]
            before[at] = back.start + top
    found, at = Pairs(), int(best.argmax())
    while at >= 0:
        found.append((int(rows[at]), int(columns[at])))
        at = int(before[at])
    return found[::-1]


def _pairs(
    one: Sequence[Seen], two: Sequence[Seen], expected: _Expected, reach_mm: float
) -> list[tuple[int, int, float]]:
    """All that may be one defect, and how much they look like one."""
    places = [seen.along_mm for seen in two]
    found = []
    for i, seen in enumerate(one):
        due_mm = expected(seen.along_mm)
        low = bisect_left(places, due_mm - reach_mm)
        for j in range(low, bisect_right(places, due_mm + reach_mm, low)):
            if (likeness := _likeness(seen, two[j])) > 0:
                found.append((i, j, likeness))
    return found


def _cost(gone: NDArray[np.float64], came: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the change that the offset takes from one pair to the next."""
    off = np.abs(gone - came)
    beyond = np.maximum(0, off - _FREE_MM - _DRIFT * gone)
    return np.asarray(_SLIP_COST * np.log1p(beyond / _FREE_MM) + 0.02 * off / _FREE_MM)


def _likeness(one: Seen, two: Seen) -> float:
    """How much two defects look like one; 0 and less: not at all."""
    across = abs(one.across_mm - two.across_mm) / _ACROSS_MM
    if across > 1:
        return 0.0
    size = abs(math.log(max(one.area_mm2, 0.1) / max(two.area_mm2, 0.1)))
    extent = abs(math.log((one.length_mm + 1) / (two.length_mm + 1)))
    named = one.class_name is not None and two.class_name is not None
    other = 0.5 if named and one.class_name != two.class_name else 0.0
    return 1.5 - across - 0.5 * size - 0.5 * extent - other


def _filled(one: Sequence[Seen], two: Sequence[Seen], chain: Pairs) -> Pairs:
    """The chain, and what lies in its gaps at the same place: it may have grown past likeness."""
    pairs = list(chain)
    taken_one, taken_two = {i for i, _ in chain}, {j for _, j in chain}
    places = [seen.along_mm for seen in two]
    laid = Laid(one, two, chain)
    near = []
    for i, seen in enumerate(one):
        if i in taken_one:
            continue
        due_mm = laid(seen.along_mm)
        low, high = bisect_left(places, due_mm - _NEAR_MM), bisect_right(places, due_mm + _NEAR_MM)
        for j in range(low, high):
            across_mm = abs(seen.across_mm - two[j].across_mm)
            reach_mm = _ACROSS_MM + (seen.width_mm + two[j].width_mm) / 4
            if j not in taken_two and across_mm <= reach_mm:
                near.append((abs(places[j] - due_mm) + across_mm, i, j))
    for _, i, j in sorted(near):
        if i not in taken_one and j not in taken_two:
            taken_one.add(i)
            taken_two.add(j)
            pairs.append((i, j))
    return sorted(pairs)
