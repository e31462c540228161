"""Drift: how far what a line sees now is from what it saw when it was commissioned.

Three figures are kept of each frame: its mean grey, its score, which is the highest logit of its
mask, and how unfamiliar it is to the network. They are counted in fixed bins over the latest
frames, and compared with the counts of the commissioning by the population stability index: 0 is no
drift, and from 0.25 on somebody should look at lamp, lens, rail and bundle.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence

from edge.inspect import BINS, Baseline

DRIFTED = 0.25
WINDOW = 500  # of the latest frames, which are compared with the baseline
ENOUGH = 200  # frames, below which nothing is said of drift

_UNSEEN = 0.5  # added to the count of every bin: the logarithm of an empty one would be infinite


class Distribution:
    """Counts of the latest values, in equal bins between two ends; what is outside is in the last
    bin on its side.
    """

    def __init__(self, low: float, high: float, length: int = WINDOW) -> None:
        self._low = low
        self._bins_per_unit = BINS / (high - low)
        self._latest: deque[int] = deque()
        self._length = length
        self._counts = [0] * BINS

    def add(self, value: float) -> None:
        index = min(max(int((value - self._low) * self._bins_per_unit), 0), BINS - 1)
        self._counts[index] += 1
        self._latest.append(index)
        if len(self._latest) > self._length:
            self._counts[self._latest.popleft()] -= 1

    @property
    def counts(self) -> tuple[int, ...]:
        return tuple(self._counts)


def brightness_distribution(length: int = WINDOW) -> Distribution:
    """Of mean grey levels."""
    return Distribution(0, 256, length)


def score_distribution(length: int = WINDOW) -> Distribution:
    """Of highest logits; beyond 16 either way the probability is 0 or 1."""
    return Distribution(-16, 16, length)


def unfamiliar_distribution(length: int = WINDOW) -> Distribution:
    """Of how unfamiliar frames are to the network; of good rail few reach 1."""
    return Distribution(0, 2, length)


def stability_index(expected: Sequence[int], seen: Sequence[int]) -> float:
    """The population stability index of two counts in the same bins."""
    index = 0.0
    for was, now in zip(_shares(expected), _shares(seen), strict=True):
        index += (now - was) * math.log(now / was)
    return index


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts) + _UNSEEN * len(counts)
    return [(count + _UNSEEN) / total for count in counts]


def drift_from(baseline: Baseline, seen: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """By figure; one of which too little was seen is left out."""
    before = {
        "brightness": baseline.brightness,
        "score": baseline.score,
        "unfamiliar": baseline.unfamiliar,
    }
    return {
        name: stability_index(before[name], now)
        for name, now in seen.items()
        if sum(before[name]) >= ENOUGH and sum(now) >= ENOUGH
    }
