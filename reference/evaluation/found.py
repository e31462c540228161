"""Defects found against false alarms, box by box: what someone beside the track asks of a network.

A defect is found by a spot whose centre is in its box, or that overlaps it by three tenths of their
union. A spot that touches no box of a defect is a false alarm: one on sound surface, or a joint or
dirt called a defect. A box that neither counts nor harms is none to be found, and no spot that
touches it is false.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

Sides = tuple[float, float, float, float]  # left, top, right, bottom in pixels of the picture
Role = Literal["defect", "sound", "ignored"]

ENOUGH_OVERLAP = 0.3
FALSE_ALARMS = 0.5  # a picture of half a metre, at which networks are compared
THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.9, 0.95)


@dataclass(frozen=True)
class Spot:
    """What a network calls a defect in a picture."""

    sides: Sides
    score: float
    class_name: str | None = None  # None: unsure, or it names none
    class_score: float = 0.0


@dataclass(frozen=True)
class Labelled:
    """A box that someone drew, and what it is to the count."""

    sides: Sides
    class_name: str
    role: Role


@dataclass(frozen=True)
class Picture:
    """A picture's spots beside its labels."""

    name: str
    spots: Sequence[Spot]
    labelled: Sequence[Labelled]


@dataclass
class Tally:
    """What came of some pictures."""

    pictures: int = 0
    defects: Counter[str] = field(default_factory=Counter)  # by class
    found: Counter[str] = field(default_factory=Counter)
    named: Counter[tuple[str, str]] = field(default_factory=Counter)  # found ones: is, called
    on_sound: int = 0  # false alarms that touch no box at all
    on_other: Counter[str] = field(default_factory=Counter)  # by what was called a defect

    @property
    def found_share(self) -> float | None:
        total = self.defects.total()
        return self.found.total() / total if total else None

    @property
    def false_alarms(self) -> float:
        """A picture."""
        return (self.on_sound + self.on_other.total()) / max(1, self.pictures)

    @property
    def named_right(self) -> float | None:
        """Of the found defects."""
        right = sum(count for (own, called), count in self.named.items() if own == called)
        return right / self.named.total() if self.named else None


def judge(pictures: Iterable[Picture]) -> Tally:
    """Count what was found, what it was called, and what was false."""
    tally = Tally()
    for picture in pictures:
        tally.pictures += 1
        for box in picture.labelled:
            if box.role == "defect":
                _look_for(box, picture.spots, tally)
        for spot in picture.spots:
            _doubt(spot, picture.labelled, tally)
    return tally


def _look_for(box: Labelled, spots: Sequence[Spot], tally: Tally) -> None:
    tally.defects[box.class_name] += 1
    hits = [spot for spot in spots if finds(spot.sides, box.sides)]
    if hits:
        largest = max(hits, key=lambda spot: (_area(spot.sides), spot.score))
        tally.found[box.class_name] += 1
        tally.named[box.class_name, largest.class_name or "unsure"] += 1


def _doubt(spot: Spot, labelled: Sequence[Labelled], tally: Tally) -> None:
    touched = [box for box in labelled if shared(spot.sides, box.sides) > 0]
    if not touched:
        tally.on_sound += 1
    elif all(box.role == "sound" for box in touched):
        nearest = max(touched, key=lambda box: shared(spot.sides, box.sides))
        tally.on_other[nearest.class_name] += 1


def finds(spot: Sides, box: Sides) -> bool:
    """Whether a spot's centre is in a box, or they overlap enough."""
    x, y = (spot[0] + spot[2]) / 2, (spot[1] + spot[3]) / 2
    if box[0] <= x <= box[2] and box[1] <= y <= box[3]:
        return True
    common = shared(spot, box)
    return common > 0 and common / (_area(spot) + _area(box) - common) >= ENOUGH_OVERLAP


def shared(one: Sides, other: Sides) -> float:
    """The area that two rectangles have in common."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, width) * max(0.0, height)


def _area(sides: Sides) -> float:
    return (sides[2] - sides[0]) * (sides[3] - sides[1])


@dataclass(frozen=True)
class Point:
    """One operating point."""

    threshold: float
    tally: Tally


def curve(pictures: Sequence[Picture], thresholds: Sequence[float]) -> list[Point]:
    """What is found and what is false if spots count from each score on."""
    points = []
    for threshold in thresholds:
        kept = (
            Picture(p.name, [s for s in p.spots if s.score >= threshold], p.labelled)
            for p in pictures
        )
        points.append(Point(threshold, judge(kept)))
    return points


def best_within(points: Iterable[Point], false_alarms: float) -> Point | None:
    """The point that finds most with no more false alarms a picture than these."""
    within = [point for point in points if point.tally.false_alarms <= false_alarms]
    return max(within, key=lambda point: point.tally.found_share or 0.0, default=None)
