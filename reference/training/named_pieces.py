"""Validation by names: of what is found in held-out images, how much has the right one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from reference.data import Pair
from reference.datasets.labels import Plane
from reference.evaluation import Said
from reference.recipe import LineSection, Recipe

_MARKED_FROM, _UNSURE_BELOW = 0.5, 0.5


class NamedPieces:
    """Lets through what a network says of pairs, and counts the connected pieces that it names.

    One that is too small to count on a line does not here; one whose class is unsure is not right.
    """

    def __init__(self, pairs: Sequence[Pair], recipe: Recipe) -> None:
        line = recipe.line or LineSection()
        self._pairs, self._names, self._renamed = pairs, recipe.names, recipe.renamed
        self._least_px = line.min_area_mm2 * 1e6 / line.um_per_px**2
        self.found, self.right = 0, 0

    @property
    def share(self) -> float:
        """Of those found in what has a name, those named right."""
        return self.right / self.found if self.found else 0.0

    def look(self, said: Iterable[Said]) -> Iterator[Said]:
        for pair, one in zip(self._pairs, said, strict=True):
            if one.shares is not None:
                self._count(pair, one, one.shares)
            yield one

    def _count(self, pair: Pair, said: Said, shares: NDArray[np.float32]) -> None:
        binary = (said.probability > _MARKED_FROM).astype(np.uint8)
        size = binary.shape[1], binary.shape[0]
        nearest = cv2.INTER_NEAREST_EXACT
        truth = np.asarray(cv2.resize(pair.plane, size, interpolation=nearest), np.uint8)
        enlarged = np.stack([cv2.resize(plane, size) for plane in shares])
        count, pieces, stats, _ = cv2.connectedComponentsWithStats(binary)
        for piece in range(1, count):
            inside = pieces == piece
            wanted = self._class_of(pair, truth[inside])
            if stats[piece, cv2.CC_STAT_AREA] < self._least_px or wanted is None:
                continue
            means = enlarged[:, inside].mean(axis=1)
            sure = means.max() >= _UNSURE_BELOW
            self.found += 1
            self.right += bool(sure and self._names[int(means.argmax())] == wanted)

    def _class_of(self, pair: Pair, labels: Plane) -> str | None:
        """What the network should call it: the class that most of its pixels have."""
        own = pair.class_of(labels)
        name = own and self._renamed.get(own, own)
        return name if name in self._names else None
