"""Pixels that are right and wrong at a threshold, and what the papers make of their counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Confusion:
    """Pixels at the threshold: truly or falsely said to be defect, missed, and truly sound."""

    tp: int
    fp: int
    fn: int
    tn: int

    def __add__(self, other: Confusion) -> Confusion:
        pairs = zip(self._counts, other._counts, strict=True)
        return Confusion(*(a + b for a, b in pairs))

    @property
    def _counts(self) -> tuple[int, int, int, int]:
        return self.tp, self.fp, self.fn, self.tn

    @property
    def iou(self) -> float:
        """1 where there is nothing and nothing is said."""
        union = self.tp + self.fp + self.fn
        return self.tp / union if union else 1.0

    @property
    def dice(self) -> float:
        """The F1 of the defect's pixels; 1 where there is nothing and nothing is said."""
        total = 2 * self.tp + self.fp + self.fn
        return 2 * self.tp / total if total else 1.0

    @property
    def pa_recall(self) -> float:
        """Pixel accuracy as NaDiNet has it: the share of the defect that is found."""
        return self.tp / (self.tp + self.fn) if self.tp + self.fn else 1.0

    @property
    def pa_overall(self) -> float:
        """Pixel accuracy as LSA-Net has it: the share of all pixels that are right."""
        return (self.tp + self.tn) / sum(self._counts)

    @property
    def f1_weighted(self) -> float:
        """F1 of defect and of sound pixels, each by its share of the truth; only to compare."""
        sound = Confusion(tp=self.tn, fp=self.fn, fn=self.fp, tn=self.tp)
        share = (self.tp + self.fn) / sum(self._counts)
        return share * self.dice + (1 - share) * sound.dice


def confusion(binary: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Confusion:
    """Count a binary map's pixels against the truth."""
    tp = int(np.count_nonzero(binary & truth))
    said, there = int(np.count_nonzero(binary)), int(np.count_nonzero(truth))
    return Confusion(tp, said - tp, there - tp, truth.size - said - there + tp)
