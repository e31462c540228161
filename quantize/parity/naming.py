"""Whether what an engine finds has the right name, and the one that the FP32 network gives it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edge.types import Defect, Mask, Verdict
from quantize.parity.subjects import Subject

Box = tuple[int, int, int, int]  # x, y, width, height


@dataclass(frozen=True, slots=True)
class NameFlip:
    """Something that has another class than the FP32 network gives it; None is unsure."""

    subject: Subject
    box_px: Box
    wanted: str | None
    got: str | None


@dataclass(frozen=True, slots=True, eq=False)
class NamesParity:
    """Of all that is found, be it a defect or only reported."""

    found: int  # in the validation pairs, of what has a class there
    right: int  # of it, what has the right one
    found_simulated: int
    right_simulated: int
    matched: int  # what FP32 finds too
    flips: tuple[NameFlip, ...]  # of it, what has another class here

    @property
    def right_share(self) -> float:
        return self.right / self.found if self.found else 1.0

    @property
    def right_share_of_all(self) -> float:
        """With the simulated frames: of a few dozen defects one alone is two percent."""
        found = self.found + self.found_simulated
        return (self.right + self.right_simulated) / found if found else 1.0

    @property
    def same_share(self) -> float:
        return 1 - len(self.flips) / self.matched if self.matched else 1.0


Inspected = Sequence[tuple[Mask, Verdict]]


def compare_names(subjects: Sequence[Subject], wanted: Inspected, got: Inspected) -> NamesParity:
    """What an engine calls what it finds, against the truth and the FP32 network."""
    right: dict[str, list[bool]] = {"validation": [], "simulated": []}
    matched, flips = 0, list[NameFlip]()
    for subject, (_, was), (mask, now) in zip(subjects, wanted, got, strict=True):
        for defect in found_in(now):
            if (truth := truth_of(subject, mask, defect)) is not None:
                right[subject.origin].append(defect.class_name == truth)
        for one, two in _matched(was, now):
            matched += 1
            if one.class_name != two.class_name:
                flips.append(NameFlip(subject, two.box_px, one.class_name, two.class_name))
    return NamesParity(
        found=len(right["validation"]),
        right=sum(right["validation"]),
        found_simulated=len(right["simulated"]),
        right_simulated=sum(right["simulated"]),
        matched=matched,
        flips=tuple(flips),
    )


def found_in(verdict: Verdict) -> tuple[Defect, ...]:
    """Whatever becomes of it."""
    return (*verdict.defects, *verdict.reported)


def truth_of(subject: Subject, mask: Mask, defect: Defect) -> str | None:
    """The class that most of its pixels truly have; None where it lies on no class."""
    pair = subject.pair
    left, top, width, height = defect.box_px
    inside = np.s_[top : top + height, left : left + width]
    return pair.class_of(pair.plane[inside][mask.binary[inside]])


def _matched(was: Verdict, now: Verdict) -> Iterator[tuple[Defect, Defect]]:
    """Each thing found before with what lies over most of it now."""
    for one in found_in(was):
        near = [two for two in found_in(now) if _overlap(one.box_px, two.box_px)]
        if near:
            yield one, max(near, key=lambda two: _overlap(one.box_px, two.box_px))


def _overlap(one: Box, two: Box) -> int:
    """Pixels that lie in both."""
    sides = [
        min(one[at] + one[at + 2], two[at] + two[at + 2]) - max(one[at], two[at]) for at in (0, 1)
    ]
    return max(0, sides[0]) * max(0, sides[1])
