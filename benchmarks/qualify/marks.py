"""The defects that somebody has marked in pictures: where each is, and how large."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.qualify.looking import Box
from edge.errors import ConfigurationError
from edge.line_file import LineSettings, ScaledSettings, SyntheticSettings
from edge.types import Image, Stretch
from reference.datasets import Sample
from reference.datasets.coco import RegionMask

_LEAST_PX = 2  # less is a slip of the brush
Scale = tuple[float, float]  # micrometres of a row, of a column


@dataclass(frozen=True, slots=True)
class Marked:
    """One defect, as it is marked."""

    kind: str
    box_px: tuple[int, int, int, int]  # left, top, width, height
    area_px: int

    def box(self, scale_um: Scale) -> Box:
        """Its place in the picture."""
        (left, top, width, height), (along_um, across_um) = self.box_px, scale_um
        stretch = Stretch(round(top * along_um), round((top + height) * along_um))
        return Box(stretch, round(left * across_um), round((left + width) * across_um))

    def sizes(self, scale_um: Scale) -> dict[str, float]:
        """By measure."""
        (_, _, width, height), (along_um, across_um) = self.box_px, scale_um
        length_mm, width_mm = height * along_um / 1000, width * across_um / 1000
        return {
            "extent_mm": max(length_mm, width_mm),
            "length_mm": length_mm,
            "width_mm": width_mm,
            "area_mm2": self.area_px * along_um * across_um / 1e6,
        }


def scale_of(config: LineSettings) -> Scale:
    """Of marked pictures, by the line's camera."""
    camera = config.lookout().camera
    if isinstance(camera, SyntheticSettings):
        return camera.um_per_px, camera.um_per_px
    assert isinstance(camera, ScaledSettings)
    if camera.along_um is None or camera.across_um is None:
        raise ConfigurationError(
            "a calibration rectifies the camera's own pictures: for marked images give its "
            "along_um and across_um"
        )
    return camera.along_um, camera.across_um


def marks_of(sample: Sample, image: Image, *, joined_px: int = 0) -> Iterator[Marked]:
    """Each connected piece of a mask, or each box or polygon by itself.

    Pieces of one class that lie no further apart than `joined_px` are one.
    """
    if sample.mask is None:
        return
    if isinstance(sample.mask, RegionMask):
        for label, segmentation, box in sample.mask.regions:
            if not segmentation:
                left, top, width, height = (round(side) for side in box)
                kind = sample.mask.classes[label - 1]
                if min(width, height) >= _LEAST_PX:
                    yield Marked(kind, (left, top, width, height), width * height)
        if not any(segmentation for _, segmentation, _ in sample.mask.regions):
            return
    labels = sample.mask.read()
    if labels.shape != image.shape[:2]:
        raise ConfigurationError(
            f"{sample.mask.path} is {labels.shape[1]} x {labels.shape[0]} and its image "
            f"{image.shape[1]} x {image.shape[0]}: export one of them again"
        )
    for label in np.unique(labels[labels > 0]):
        own = sample.mask.classes
        kind = own[int(label) - 1] if len(own) > 1 else sample.class_name or own[0]
        yield from _pieces(kind, labels == label, joined_px)


def _pieces(kind: str, marked: NDArray[np.bool_], joined_px: int) -> Iterator[Marked]:
    drawn = marked.astype(np.uint8)
    grown = drawn
    if joined_px:
        grown = np.asarray(cv2.dilate(drawn, np.ones((joined_px + 1,) * 2, np.uint8)), np.uint8)
    count, numbers = cv2.connectedComponents(grown, connectivity=8)
    numbers = numbers * drawn
    for number in range(1, count):
        piece = np.asarray(numbers == number, np.uint8)
        left, top, width, height = (int(side) for side in cv2.boundingRect(piece))
        area = int(np.count_nonzero(piece))
        if area >= _LEAST_PX:
            yield Marked(kind, (left, top, width, height), area)
