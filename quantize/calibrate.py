"""Which images the INT8 ranges are measured on: few, and as unlike each other as possible."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import TracksideError
from edge.types import Image
from reference.data import Pair

GRID = 4  # cells a side, each with its brightness, contrast and gradient energy
CELL = 16  # thumbnail pixels a side of a cell


class CalibrationError(TracksideError, ValueError):
    """Images that ranges cannot be measured on; the message says which and what to do."""


@dataclass(frozen=True)
class Calibration:
    """The chosen images, in the order of their source."""

    images: tuple[Image, ...]

    @cached_property
    def sha256(self) -> str:
        """Of the pixels and their shapes: the ranges follow from these alone."""
        digest = hashlib.sha256()
        for image in self.images:
            digest.update(repr(image.shape).encode())
            digest.update(image.tobytes())
        return digest.hexdigest()


def choose(pairs: Sequence[Pair], *, count: int, seed: int) -> Calibration:
    """Farthest-first choice: each next image is the one least like all those chosen before."""
    if not pairs:
        raise CalibrationError("there is no image to calibrate on: name a folder that holds some")
    if constant := [pair.name for pair in pairs if pair.image.min() == pair.image.max()]:
        raise CalibrationError(
            f"{len(constant)} of {len(pairs)} images are of one single grey: "
            f"{', '.join(constant[:5])}: remove them, a covered lens teaches no range"
        )
    look = np.stack([_look(pair.image) for pair in pairs])
    look = (look - look.mean(axis=0)) / (look.std(axis=0) + 1e-6)
    start = int(np.random.default_rng(seed).integers(len(pairs)))
    chosen = sorted(_farthest_first(look, count, start))
    return Calibration(tuple(pairs[i].image for i in chosen))


def _look(image: Image) -> NDArray[np.float32]:
    """Brightness, contrast and gradient energy over a grid of cells."""
    side = GRID * CELL
    x = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
    gradient = np.hypot(cv2.Sobel(x, cv2.CV_32F, 1, 0), cv2.Sobel(x, cv2.CV_32F, 0, 1))
    cells = x.reshape(GRID, CELL, GRID, CELL)
    energy = gradient.reshape(GRID, CELL, GRID, CELL).mean(axis=(1, 3))
    features = (cells.mean(axis=(1, 3)), cells.std(axis=(1, 3)), energy)
    return np.concatenate([feature.ravel() for feature in features])


def _farthest_first(points: NDArray[np.float32], count: int, start: int) -> list[int]:
    """Greedy k-centre; ends early when all that is left equals something chosen."""
    chosen, distance = [start], np.linalg.norm(points - points[start], axis=1)
    while len(chosen) < count and distance.max() > 0:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return chosen
