"""Defects that come again at one spacing, which is the way round a roll with a scar on it.

Marks of one roll lie at the same place across the strip and are about as large as each other. A
roll is named once five of six turns on end have left one: one may have been missed. By chance as
many fall into place less than once in ten kilometres (`python -m benchmarks.run_to_run --rolls`).
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations
from statistics import median

from edge.store import Fate, Thing

_LEAST_UM, _MOST_UM = 150_000, 7_000_000  # round rolls of 48 mm to 2.2 m
_TURNS, _MISSED = 5, 1
_ACROSS_UM = 3_000  # the strip wanders
_OFF_UM, _OFF_SHARE = 2_000, 0.001  # of a mark's place, and of the way to it: slip
_MOST_RATIO = 2.0  # of two marks' areas
_MOST_BESIDE = 8  # that are remembered of a lane as wide as that, on a strip full of them
_MOST_ROLLS = 32  # that are followed


@dataclass(frozen=True, slots=True)
class Spot:
    """What is known of a defect here: where its middle is, and how large it is."""

    along_um: int
    across_um: int
    area_mm2: float


@dataclass(frozen=True, slots=True)
class RollMark:
    """A scar on a roll, by the marks that it leaves."""

    first_um: int
    last_um: int
    across_um: int
    spacing_um: int

    @property
    def diameter_mm(self) -> float:
        return self.spacing_um / math.pi / 1000

    def __str__(self) -> str:
        return (
            f"again each {self.spacing_um / 1000:.0f} mm from {self.first_um / 1e6:.2f} m on, "
            f"{self.across_um / 1000:.0f} mm across: look at rolls of {self.diameter_mm:.1f} mm"
        )


@dataclass
class RollWatch:
    """Takes defects in their order along the strip; a roll is named once, and then followed."""

    known: list[RollMark] = field(default_factory=list)
    _lanes: dict[int, deque[Spot]] = field(default_factory=dict)  # across the strip

    def see(self, spot: Spot) -> RollMark | None:
        """The roll that shows itself by this one, if it is a new one."""
        alike_um = self._alike_um(spot)
        first = max(0, len(self.known) - _MOST_ROLLS)
        for number, roll in enumerate(self.known[first:], start=first):
            if _goes_on(roll, spot):
                self.known[number] = RollMark(
                    roll.first_um, spot.along_um, roll.across_um, roll.spacing_um
                )
                return None
        found = min(_rolls(alike_um, spot), key=lambda each: each.spacing_um, default=None)
        if found is not None:
            self.known.append(found)
        return found

    def _alike_um(self, spot: Spot) -> list[int]:
        """Where something was like it before, in order; it is remembered itself."""
        lane, reach_um = spot.across_um // _ACROSS_UM, _TURNS * _MOST_UM
        least_um, most_mm2 = spot.along_um - reach_um, spot.area_mm2 * _MOST_RATIO
        least_mm2 = spot.area_mm2 / _MOST_RATIO
        near_um = [
            each.along_um
            for beside in (lane - 1, lane, lane + 1)
            for each in self._lanes.get(beside, ())
            if each.along_um >= least_um
            and least_mm2 <= each.area_mm2 <= most_mm2
            and abs(each.across_um - spot.across_um) <= _ACROSS_UM
        ]
        self._lanes.setdefault(lane, deque(maxlen=_MOST_BESIDE)).append(spot)
        return sorted(near_um)


def roll_marks(spots: Iterable[Spot]) -> list[RollMark]:
    """Of a whole strip, in any order; each as far as it goes."""
    watch = RollWatch()
    for spot in sorted(spots, key=lambda each: each.along_um):
        watch.see(spot)
    return watch.known


def spots_of(things: Iterable[Thing]) -> Iterator[Spot]:
    """What was found, but for what was let by."""
    for thing in things:
        of = thing.defect
        middle_um = (of.stretch.start_um + of.stretch.end_um) // 2
        if thing.fate is not Fate.LET_BY:
            yield Spot(middle_um, (of.left_um + of.right_um) // 2, of.area_mm2)


def _rolls(places_um: list[int], last: Spot) -> Iterator[RollMark]:
    """Each spacing at which enough of the latest turns have left a mark, of which this is one.

    The spacing is taken from the mark before it, or from the one before that, if one was missed.
    """
    if len(places_um) < _TURNS - _MISSED:
        return
    furthest_um = (last.along_um - places_um[0] + _OFF_UM) / (_TURNS - _MISSED)
    for place_um in places_um:
        for turns in (1, 2):
            spacing_um = (last.along_um - place_um) / turns
            if not _LEAST_UM <= spacing_um <= min(_MOST_UM, furthest_um):
                continue
            marks_um = _on_the_beat(places_um, last.along_um, turns, place_um)
            if marks_um:
                fitted_um = _fitted_um(marks_um, spacing_um)
                yield RollMark(marks_um[0], last.along_um, last.across_um, fitted_um)


def _on_the_beat(places_um: list[int], last_um: int, turns: int, mark_um: int) -> list[int]:
    """The marks of the latest turns, the oldest first, of which one is so many turns back, and none
    lies between; none at all where too many are missing.
    """
    spacing_um = (last_um - mark_um) / turns
    marks_um, missed = [last_um, mark_um], turns - 1
    for turn in range(turns + 1, _TURNS + 1):
        due_um = last_um - turn * spacing_um
        off_um = _OFF_UM + _OFF_SHARE * turn * spacing_um
        low = bisect_left(places_um, due_um - off_um)
        near_um = places_um[low : bisect_right(places_um, due_um + off_um, low)]
        if near_um:
            marks_um.append(min(near_um, key=lambda place_um: abs(place_um - due_um)))
            continue
        missed += 1
        if missed > _MISSED:
            return []
    return marks_um[::-1]


def _fitted_um(marks_um: list[int], spacing_um: float) -> int:
    """The spacing that all of them show together."""
    each = []
    for one_um, two_um in combinations(marks_um, 2):
        gone_um = two_um - one_um
        each.append(gone_um / max(1, round(gone_um / spacing_um)))
    return round(median(each))


def _goes_on(known: RollMark, spot: Spot) -> bool:
    """Whether it is a further mark of a roll that was named."""
    if abs(known.across_um - spot.across_um) > _ACROSS_UM:
        return False
    turns = (spot.along_um - known.last_um) / known.spacing_um
    off_um = abs(turns - round(turns)) * known.spacing_um
    return turns <= _TURNS + 0.5 and off_um <= _OFF_UM + _OFF_SHARE * turns * known.spacing_um
