"""How a picture looks, apart from what it shows: whether it can be of this surface at all.

A surface varies from patch to patch, noise from pixel to pixel. How much it does either, how sharp
it is and how bright each of its columns, hardly change along a rail, while lamp, lens and camera
stay as they are. So they are compared with what the line looked like when it was commissioned.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat

from edge.types import Image

COLUMNS = 32  # bands across, whatever the picture's width
_PATCH = 8  # pixels; a codec's own blocks are of this size, and vary no more than noise does
_LEVEL = 0.002  # of a band's brightness, below which a change is none
_LATEST = 8  # pictures, over whose mean a defect in one of them hardly shows
# Bands apart from the mean of the commissioning by more than so many usual deviations are astray.
# On simulated rail and strip, of 9,600 pictures none had as many astray as its line may have, and a
# rail that was shifted by 5% of its picture's width had them in each.
_APART = 3
_MORE_ASTRAY, _LEAST_ASTRAY = 0.1, 0.2  # of the bands, beyond those of the commissioning

_Bands = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Look:
    """Of one picture, in grey levels but for the bands."""

    texture: float  # standard deviation of patches
    noise: float  # and of pixels within them
    edges: float  # and of the Laplacian: the root of what the line file calls sharpness
    _patches: NDArray[np.float32]
    _whole: NDArray[np.bool_] | None  # which of them are looked at; all where None

    @cached_property
    def bands(self) -> _Bands:
        """How much brighter each band of columns is than their mean; only a baseline asks."""
        return _bands(self._patches, self._whole)

    @property
    def texture_share(self) -> float:
        """Of all that varies: 1 of a soft picture, 1/64 of white noise."""
        varies = self.texture**2 + self.noise**2
        return self.texture**2 / varies if varies else 1.0


def look_at(image: Image, inside: Image | None = None) -> Look:
    """Of H,W grey; only of what is `inside`: H,W, and not 0 there."""
    image, inside = bounded(image, inside)
    # The region's own edge may be one in the image, and as sharp in a blurred one.
    within = None if inside is None else np.asarray(cv2.erode(inside, _AROUND), np.uint8)
    edges = cv2.meanStdDev(cv2.Laplacian(image, cv2.CV_16S), mask=within)[1][0, 0]
    varies = float(cv2.meanStdDev(image, mask=inside)[1][0, 0]) ** 2
    patches, whole = _patches(image), None if inside is None else _patches(inside) == 255
    if whole is not None and not whole.any():  # a region that is narrower than a patch
        whole = None
    texture = float(cv2.meanStdDev(patches if whole is None else patches[whole])[1][0, 0]) ** 2
    noise = float(np.sqrt(max(0.0, varies - texture)))
    return Look(float(np.sqrt(texture)), noise, float(edges), patches, whole)


def bounded(image: Image, inside: Image | None) -> tuple[Image, Image | None]:
    """The least rectangle that holds all that is inside: a rail fills a seventh of its picture."""
    if inside is None:
        return image, None
    left, top, columns, rows = cv2.boundingRect(inside)
    window = np.s_[top : top + rows, left : left + columns]
    return image[window], inside[window]


_AROUND = np.ones((3, 3), np.uint8)  # the pixels that an edge is told by


def _patches(image: Image) -> NDArray[np.float32]:
    rows, columns = (max(1, length // _PATCH) for length in image.shape)
    # By way of half the size, which is the quickest of all, to a fourth of that.
    halved = cv2.resize(image, (4 * columns, 4 * rows), interpolation=cv2.INTER_AREA)
    return cv2.resize(halved, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.float32)


def _bands(patches: NDArray[np.float32], whole: NDArray[np.bool_] | None) -> _Bands:
    """Of the middle half of each column's patches, in which most defects are not."""
    if whole is None:
        quarter = len(patches) // 4
        ranked = np.sort(patches, axis=0)
        columns = ranked[quarter : len(ranked) - quarter].mean(axis=0)
    else:
        counts = whole.sum(axis=0)
        mean = patches[whole].mean()
        columns = (patches * whole).sum(axis=0) / np.maximum(counts, 1)
        columns[counts == 0] = mean  # what is not inspected is as it always is
    columns = cv2.resize(columns[None], (COLUMNS, 1), interpolation=cv2.INTER_AREA)[0]
    return np.asarray(columns / max(1.0, float(columns.mean())) - 1, np.float32)


class Usual(BaseModel):
    """What the pictures of a line in good order looked like."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    texture: tuple[NonNegativeFloat, NonNegativeFloat] = Field(strict=False)  # least and greatest
    noise: tuple[NonNegativeFloat, NonNegativeFloat] = Field(strict=False)
    edges: tuple[NonNegativeFloat, NonNegativeFloat] = Field(strict=False)
    bands: tuple[float, ...] = Field(min_length=COLUMNS, max_length=COLUMNS, strict=False)
    spread: tuple[NonNegativeFloat, ...] = Field(
        min_length=COLUMNS, max_length=COLUMNS, strict=False
    )
    astray: float = Field(ge=0, le=1)  # the greatest share of bands that were


def usual_of(looks: Sequence[Look]) -> Usual:
    """What pictures in order have in common."""
    bands = np.array([look.bands for look in looks])
    middle = np.median(bands, axis=0)
    spread = 1.48 * np.median(np.abs(bands - middle), axis=0)  # what normal values deviate by
    usual = Usual(
        texture=_extremes([look.texture for look in looks]),
        noise=_extremes([look.noise for look in looks]),
        edges=_extremes([look.edges for look in looks]),
        bands=tuple(middle.tolist()),
        spread=tuple(spread.tolist()),
        astray=0,
    )
    known = Familiar(usual, max_change=1)
    astray = max(known.astray(look) for look in looks)
    return usual.model_copy(update={"astray": astray})


def _extremes(values: Sequence[float]) -> tuple[float, float]:
    return min(values), max(values)


class Familiar:
    """Holds picture after picture against what is usual."""

    def __init__(self, usual: Usual, max_change: float) -> None:
        self._usual = usual
        self._max_change = max_change
        self._bands = np.array(usual.bands, np.float32)
        self._spread = np.array(usual.spread, np.float32) + np.float32(_LEVEL)
        self._most_astray = max(usual.astray + _MORE_ASTRAY, _LEAST_ASTRAY)
        self._latest: deque[_Bands] = deque(maxlen=_LATEST)

    def faults(self, look: Look) -> tuple[str, ...]:
        """Every reason why a picture cannot be of the surface that was commissioned."""
        found = []
        for name, value, (least, most) in (
            ("texture", look.texture, self._usual.texture),
            ("noise", look.noise, self._usual.noise),
            ("contrast of edges", look.edges, self._usual.edges),
        ):
            if not least / self._max_change <= value <= most * self._max_change:
                usual = f"it was {least:.1f} to {most:.1f} when the line was commissioned"
                found.append(f"unfamiliar: {name} {value:.1f}, and {usual}")
        # What is unfamiliar already is left out of the mean, which pictures in order are held to.
        if not found and self.astray(look) > self._most_astray:
            found.append("unfamiliar: shifted, turned or another camera's, by its columns' grey")
        return tuple(found)

    def astray(self, look: Look) -> float:
        """The share of bands that are, on average over the latest pictures."""
        self._latest.append(look.bands)
        apart = _APART * (_LATEST / len(self._latest)) ** 0.5 * self._spread
        return float(np.mean(np.abs(np.mean(self._latest, axis=0) - self._bands) > apart))
