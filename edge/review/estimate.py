"""How much a line misses, from the frames that it let by and kept at random, once people saw them.

A frame counts as missed where it was let by and people say that it shows a defect. The interval is
exact (Clopper and Pearson): each of its ends is wrong in one of forty cases at most.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from edge.review.review import Review
from edge.review.side_file import Key
from edge.store import Why
from edge.store.event import Event
from edge.types import State

_TAIL = 0.025  # at each end of the interval
_STEPS = 60  # of a bisection


@dataclass(frozen=True, slots=True)
class MissRate:
    """Of the frames that were let by."""

    sampled: int  # that were kept at random
    reviewed: int  # of these
    missed: int  # of these again
    low: float
    high: float

    @property
    def share(self) -> float | None:
        return self.missed / self.reviewed if self.reviewed else None

    @property
    def said(self) -> str:
        """For people."""
        if not self.reviewed:
            return (
                f"none of {self.sampled} frames that were let by and kept at random is reviewed: "
                "nothing is known of what is missed"
            )
        return (
            f"{self.missed} of {self.reviewed} reviewed frames that were let by show a defect: "
            f"{self.missed / self.reviewed:.2%} of them are missed, between {self.low:.2%} and "
            f"{self.high:.2%} at 95%"
        )


def miss_rate(events: Iterable[Event], reviews: Mapping[Key, Review]) -> MissRate:
    """Of samples alone: what was kept for another reason is no fair share of all."""
    sampled = [each for each in events if each.why is Why.SAMPLE and each.state is State.OK]
    words = [reviews[key].has_defect for e in sampled if (key := (e.id, e.utc)) in reviews]
    said = [word for word in words if word is not None]
    missed, count = sum(said), len(said)
    low, high = interval(missed, count)
    return MissRate(len(sampled), count, missed, low, high)


def interval(missed: int, count: int) -> tuple[float, float]:
    """In which the true share lies, at 95%, where so many of so many were found."""
    if not count:
        return 0.0, 1.0
    low = _root(lambda share: 1 - _below(missed, count, share) - _TAIL) if missed else 0.0
    high = _root(lambda share: _TAIL - _below(missed + 1, count, share)) if missed < count else 1.0
    return low, high


def _below(found: int, count: int, share: float) -> float:
    """How likely fewer than `found` of `count` are, each of this share."""
    logs = (
        math.lgamma(count + 1)
        - math.lgamma(each + 1)
        - math.lgamma(count - each + 1)
        + each * math.log(share)
        + (count - each) * math.log1p(-share)
        for each in range(found)
    )
    return min(1.0, math.fsum(math.exp(log) for log in logs))


def _root(rising: Callable[[float], float]) -> float:
    """Where a rising function is 0, between 0 and 1."""
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
    return (low + high) / 2
