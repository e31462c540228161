"""Which class each pixel is said to be of, against the truth: a matrix, and what is read off it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.network import shares_in
from edge.types import Names
from reference.data import Pair
from reference.datasets.labels import Naming

Counts = NDArray[np.int64]  # 1+C,1+C: rows are the truth, columns what is said; 0 is sound
SOUND = "sound"


@dataclass(frozen=True, eq=False)
class NamedPixels:
    """What each pixel would be called, and what it truly is: 0 if sound, 255 if nobody knows."""

    likeliest: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    classes: tuple[str, ...]  # from 1

    @classmethod
    def of(
        cls, names: Names, pair: Pair, size: tuple[int, ...], renamed: dict[str, str]
    ) -> NamedPixels:
        """A network's names at a map's size beside the classes of the image."""
        shares = shares_in(names, np.s_[:, :], (size[0], size[1]))
        truth = Naming.of(pair.classes, names.classes, renamed, set()).plane(pair.plane)
        if truth.shape != size:
            resized = cv2.resize(truth, size[1::-1], interpolation=cv2.INTER_NEAREST_EXACT)
            truth = np.asarray(resized, np.uint8)
        return cls((1 + shares.argmax(axis=0)).astype(np.uint8), truth, names.classes)

    def counts(self, found: NDArray[np.bool_]) -> Counts:
        """The pixels of which the truth is one of the classes, or sound; not `found` ones are
        called sound.
        """
        size = 1 + len(self.classes)
        known, said = self.truth < size, np.where(found, self.likeliest, 0)
        pairs = self.truth[known].astype(np.int64) * size + said[known]
        return np.bincount(pairs, minlength=size * size).reshape(size, size)


@dataclass(frozen=True, eq=False)
class ClassTable:
    """The pixels of many images."""

    classes: tuple[str, ...]
    counts: Counts

    @property
    def names(self) -> tuple[str, ...]:
        """Of rows and columns."""
        return (SOUND, *self.classes)

    @property
    def shares(self) -> dict[str, list[float]]:
        """What the pixels of each name that is there are said to be, in percent, by name."""
        totals = self.counts.sum(axis=1)
        return {
            name: (100 * row / total).tolist()
            for name, row, total in zip(self.names, self.counts, totals, strict=True)
            if total
        }

    @property
    def ious(self) -> dict[str, float | None]:
        """Of each class; None of one that is neither there nor said to be."""
        right = np.diag(self.counts)
        union = self.counts.sum(axis=0) + self.counts.sum(axis=1) - right
        shares = [int(r) / int(u) if u else None for r, u in zip(right, union, strict=True)]
        return dict(zip(self.classes, shares[1:], strict=True))

    @property
    def miou(self) -> float | None:
        """The mean over the classes that are there; what is sound is none."""
        there = self.counts.sum(axis=1)[1:] > 0
        ious = [iou for iou, some in zip(self.ious.values(), there, strict=True) if some]
        return float(np.mean([iou or 0.0 for iou in ious])) if ious else None

    def record(self) -> dict[str, Any]:
        names = self.names
        rows = zip(names, self.counts.tolist(), strict=True)
        return {
            "miou": self.miou,
            "iou_of_class": self.ious,
            "confusion": {name: dict(zip(names, row, strict=True)) for name, row in rows},
        }


def tabulate(classes: Sequence[str], counts: Iterable[Counts | None]) -> ClassTable | None:
    """Of the images that name their pixels; None where no class is there or said."""
    each = [count for count in counts if count is not None]
    if not each:
        return None
    total = reduce(add, each)
    return ClassTable(tuple(classes), total) if total[1:].any() else None
