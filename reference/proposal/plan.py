"""From a data set's numbers to the settings of a recipe and a line."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt

from reference.data.worth import LEAST_DEFECTIVE
from reference.proposal.sides import Sides
from reference.proposal.survey import Survey

_STEP = 32  # what a bundle's network takes a multiple of
_SMALLEST, _LARGEST = 192, 352  # pixels a side that a network is shown, usually
_TELLING_PX = 5.0  # a square of fewer pixels a side is hardly seen in what the network is shown
_CLEAR_PX = 8.0  # what is aimed at where pictures are cut to tiles
_LONGEST = 3.0  # a picture longer than this times its width is cut, not stretched
_LEAST_STD = 0.1  # a surface of less contrast is not blown up to its noise
_OF_SMALLEST = 0.5  # of the smallest defect that was labelled, what still counts


@dataclass(frozen=True)
class Plan:
    """What a recipe and a line file say."""

    size: int  # the network's
    tiles: int | None  # the side of the squares that pictures are cut to; None: whole, stretched
    crop: int
    zoom: tuple[float, float]
    mean: float
    std: float
    names: tuple[str, ...]
    split_sound: bool  # whether sound ones have a part of each batch of their own
    iterations: int
    along_um: float  # that a pixel of the network shows of the picture's height
    across_um: float
    um_per_px: float  # of the network
    min_area_mm2: float
    min_extent_mm: float
    least: int = LEAST_DEFECTIVE
    marked_from: int | None = None


def plan(
    found: Survey, sides: Sides, um_per_px: float, *, least: int, marked_from: int | None
) -> Plan:
    """Size, crop, zoom, mean and limits follow from the pictures and what is marked in them."""
    size, tiles = _shown(found)
    rows, columns = (tiles, tiles) if tiles else (found.rows, found.columns)
    along_um, across_um = (um_per_px * side / size for side in (rows, columns))
    scale = size / tiles if tiles else 1.0  # a picture that is stretched is of the size already
    held = set(sides.held_out)
    training = sum(one.shows_defect for one in found.seen if one not in held)
    area_mm2 = _OF_SMALLEST * found.area_px * (um_per_px / 1000) ** 2
    return Plan(
        size=size,
        tiles=tiles,
        crop=_multiple(0.8 * size),
        zoom=(round(0.8 * scale, 3), round(1.25 * scale, 3)),
        mean=round(found.mean, 3),
        std=round(max(found.std, _LEAST_STD), 3),
        names=found.classes if len(found.classes) > 1 else (),
        split_sound=found.sound >= 10 or bool(tiles and _mostly_sound(found, tiles)),
        iterations=100 * ceil(min(3000, max(1000, 10 * training)) / 100),
        along_um=along_um,
        across_um=across_um,
        um_per_px=_rounded(sqrt(along_um * across_um)),
        min_area_mm2=_rounded(area_mm2),
        min_extent_mm=_rounded(_OF_SMALLEST * found.extent_px * um_per_px / 1000),
        least=least,
        marked_from=marked_from,
    )


def _shown(found: Survey) -> tuple[int, int | None]:
    """The network's size and, where whole pictures would be too small in it, the tiles' side."""
    shorter, longer = sorted((found.rows, found.columns))
    size = min(max(_multiple(sqrt(shorter * longer)), _SMALLEST), _LARGEST)
    seen_px = found.small_px * size / sqrt(shorter * longer)
    if longer <= _LONGEST * shorter and (seen_px >= _TELLING_PX or seen_px >= found.small_px):
        return size, None
    scale = max(min(1.0, _CLEAR_PX / found.small_px), _LARGEST / shorter)
    if scale <= 1:
        return _LARGEST, round(_LARGEST / scale)
    return max(_multiple(shorter), _SMALLEST), shorter  # as high as it is


def _mostly_sound(found: Survey, tiles: int) -> bool:
    """Whether some tiles of a picture show no defect, so that they are sound ones."""
    return 2.5 * tiles * tiles < found.rows * found.columns


def _multiple(pixels: float) -> int:
    return _STEP * round(pixels / _STEP)


def _rounded(value: float) -> float:
    """Two digits, as a person writes it."""
    return float(f"{value:.2g}")
