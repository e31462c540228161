"""A trained network's answer to a whole picture of track: maps stitched of windows, and spots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from edge.files.image_file import read_image
from edge.inspect.following import lay_along
from edge.inspect.rail_head import HEAD_MM, STRIP_MM, head_strip
from edge.line_file import OVERLAP_PX
from edge.types import Image
from reference.datasets import Sample
from reference.datasets.coco import RegionMask
from reference.datasets.rail_defect import HEAD_PX
from reference.evaluation.found import Labelled, Picture, Point, Role, Spot, judge
from reference.networks import class_maps, logit_maps
from reference.recipe import Recipe
from reference.trained.predictor import network_input

LEAST_AREA_PX = 80  # five square millimetres at the native scale

Reals = NDArray[np.float32]
Look = Callable[[Image], tuple[Reals, Reals]]  # window -> H,W probability and C,H,W of classes


class Maps(NamedTuple):
    """What is answered to the columns of a picture that windows were laid over."""

    decided: Reals  # H,W probability
    names: Reals  # C,H,W shares; of no class where none is named
    left: int  # the picture's column that is the maps' first


@dataclass(frozen=True)
class Reading:
    """How spots are read off the maps."""

    names: Sequence[str]
    report_only: frozenset[str]
    unsure_below: float = 0.5
    least_area_px: int = LEAST_AREA_PX

    def spots(self, maps: Maps, threshold: float) -> list[Spot]:
        """Connected pixels that are more surely defect than the threshold.

        What is surely a joint or dirt is none: a pixel is as much defect as it is decided and is
        not one of those, so that a crush beside a joint stays a spot of its own.
        """
        reported = [n for n, name in enumerate(self.names) if name in self.report_only]
        defect = maps.decided * (1 - maps.names[reported].sum(axis=0))
        binary = (defect > threshold).astype(np.uint8)
        count, pieces, stats, _ = cv2.connectedComponentsWithStats(binary)
        return [
            self._spot(piece, stats[piece], pieces, defect, maps)
            for piece in range(1, count)
            if stats[piece, cv2.CC_STAT_AREA] >= self.least_area_px
        ]

    def _spot(
        self, piece: int, stats: NDArray[np.int32], pieces: Image, defect: Reals, maps: Maps
    ) -> Spot:
        left, top, width, height, _ = map(int, stats)
        inside = np.s_[top : top + height, left : left + width]
        own = pieces[inside] == piece
        sides = (maps.left + left, top, maps.left + left + width, top + height)
        score = float(defect[inside][own].max())
        if not self.names:
            return Spot(sides, score)
        shares = maps.names[:, inside[0], inside[1]][:, own].mean(axis=1)
        # Among the defects: what is no joint and no dirt has been decided.
        rejected = [n for n, name in enumerate(self.names) if name not in self.report_only]
        best = max(rejected, key=lambda n: float(shares[n]))
        share = float(shares[best] / shares[rejected].sum())
        named = self.names[best] if share >= self.unsure_below else None
        return Spot(sides, score, named, share)


def maps_of(picture: Image, look: Look, *, rows: int, width_px: int) -> Maps:
    """A picture's maps, put together of windows that follow the head."""
    strip = head_strip(picture, HEAD_PX, round(HEAD_PX * STRIP_MM / HEAD_MM))
    laid = lay_along(strip, (rows, width_px), OVERLAP_PX).tiles
    first = min(tile.left for tile in laid)
    last = max(tile.left for tile in laid) + width_px
    decided = np.zeros((len(picture), last - first), np.float32)
    names = np.zeros((0, *decided.shape), np.float32)
    for tile in laid:
        seen = np.s_[tile.top : tile.top + rows, tile.left : tile.left + width_px]
        answered, named = look(np.ascontiguousarray(picture[seen]))
        if not len(names):
            names = np.zeros((len(named), *decided.shape), np.float32)
        own, across = tile.own
        part = np.s_[
            own.start - tile.top : own.stop - tile.top,
            across.start - tile.left : across.stop - tile.left,
        ]
        place = own, slice(across.start - first, across.stop - first)
        decided[place] = answered[part]
        names[:, place[0], place[1]] = named[:, part[0], part[1]]
    return Maps(decided, names, first)


def look_with(network: nn.Module, recipe: Recipe) -> Look:
    """A network at the images' own scale."""
    device = next(network.parameters()).device

    @torch.inference_mode()
    def look(image: Image) -> tuple[Reals, Reals]:
        output = network(network_input(torch.from_numpy(image)[None].to(device), recipe))
        decided = torch.sigmoid(logit_maps(output)[0])[0, 0]
        named = class_maps(output)[:1]
        shares = decided.new_zeros(0, *decided.shape)
        if named:
            shares = _enlarged(torch.softmax(named[0], dim=1), image)[0]
        return decided.cpu().numpy(), shares.cpu().numpy()

    return look


def _enlarged(shares: Tensor, image: Image) -> Tensor:
    return F.interpolate(shares, size=image.shape[:2], mode="bilinear")


def labelled_of(
    sample: Sample, report_only: frozenset[str], ignored: frozenset[str]
) -> list[Labelled]:
    """The boxes of a picture, and what each is to the count."""
    if not isinstance(sample.mask, RegionMask):
        return []

    def role(name: str) -> Role:
        if name in ignored:
            return "ignored"
        return "sound" if name in report_only else "defect"

    names = sample.mask.classes
    return [
        Labelled(
            (box.left, box.top, box.right, box.bottom),
            names[box.label - 1],
            role(names[box.label - 1]),
        )
        for box in sample.mask.boxes()
    ]


def points_of(
    samples: Sequence[Sample],
    look: Look,
    reading: Reading,
    ignored: frozenset[str],
    thresholds: Sequence[float],
    *,
    rows: int,
    width_px: int,
) -> tuple[list[Point], list[Picture]]:
    """What each threshold makes of the maps, and the pictures as the middle one has them."""
    seen: dict[float, list[Picture]] = {threshold: [] for threshold in thresholds}
    for sample in samples:
        picture = read_image(sample.image, colour=False)
        maps = maps_of(picture, look, rows=rows, width_px=width_px)
        labelled = labelled_of(sample, reading.report_only, ignored)
        for threshold, pictures in seen.items():
            spots = reading.spots(maps, threshold)
            pictures.append(Picture(sample.name, spots, labelled))
    points = [Point(threshold, judge(pictures)) for threshold, pictures in seen.items()]
    return points, seen[min(thresholds, key=lambda threshold: abs(threshold - 0.5))]
