"""The published data sets by layout, and how a folder is told to be one of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from reference.datasets.coco import COCO, FILES, SECTIONS
from reference.datasets.exports import CVAT, CVAT_FILES, LABEL_STUDIO, is_label_studio
from reference.datasets.folders import BY_CLASS, PLAIN, SIMULATED
from reference.datasets.masks import Box, DataError, GreyMask, Mask
from reference.datasets.parts import KOLEKTOR, KOLEKTOR_WINDOWS, MAGNETIC_TILE
from reference.datasets.rail import NRSD, RSDDS
from reference.datasets.rail_defect import RAIL_DEFECT
from reference.datasets.sample import (
    FREE,
    Layout,
    Listing,
    Sample,
    Split,
    Strength,
    pictures_below,
)
from reference.datasets.scenes import CRACKFOREST, ORSSD
from reference.datasets.strip import NEU_DET, NEU_SEG, SD900

__all__ = [
    "FREE",
    "LAYOUTS",
    "Box",
    "DataError",
    "Layout",
    "Listing",
    "Mask",
    "Sample",
    "Split",
    "Strength",
    "list_samples",
    "recognise",
]

LAYOUTS: dict[str, Layout] = {
    "sd900": SD900,
    "neu_seg": NEU_SEG,
    "neu_det": NEU_DET,
    "nrsd": NRSD,
    "rsdds": RSDDS,
    "magnetic_tile": MAGNETIC_TILE,
    "kolektor": KOLEKTOR,
    "kolektor_windows": KOLEKTOR_WINDOWS,
    "crackforest": CRACKFOREST,
    "orssd": ORSSD,
    "simulated": SIMULATED,
    "rail_defect": RAIL_DEFECT,
    "by_class": BY_CLASS,
    "coco": COCO,
    "label_studio": LABEL_STUDIO,
    "cvat": CVAT,
    "plain": PLAIN,
}


def list_samples(root: Path, layout: str, *, marked_from: int | None = None) -> Listing:
    """What a folder of the named layout holds; a folder that is none says what it lacks.

    Grey masks mark from `marked_from` on, where it is given, else as the layout has it.
    """
    if layout not in LAYOUTS:
        raise DataError(f"there is no layout {layout!r}: choose one of {', '.join(LAYOUTS)}")
    if not root.is_dir():
        raise DataError(f"{root} is no folder: give the one that holds the data set")
    chosen = LAYOUTS[layout]
    if missing := chosen.missing(root):
        raise DataError(f"{root} is no {chosen.title}: it holds no {', no '.join(missing)}")
    listing = chosen.find(root)
    unseen = pictures_below(root) - listing.known
    samples = tuple(_marked_from(sample, marked_from) for sample in listing.samples)
    return replace(listing, samples=samples, left_out=tuple(sorted(unseen)))


def _marked_from(sample: Sample, level: int | None) -> Sample:
    if level is None or not isinstance(sample.mask, GreyMask):
        return sample
    return replace(sample, mask=replace(sample.mask, at_least=level))


def recognise(root: Path) -> str:
    """The layout whose marks a folder bears; with none it is what its annotations say, or plain."""
    if not root.is_dir():
        raise DataError(f"{root} is no folder: give the one that holds the data set")
    for name, layout in LAYOUTS.items():
        if layout.marks and not layout.missing(root):
            return name
    if any(next(root.glob(file), None) for file in FILES):
        return "coco"
    if any(next(root.glob(file), None) for file in CVAT_FILES):
        return "cvat"
    told = (_annotates(path) for path in sorted(root.glob("*.json")))
    return next((layout for layout in told if layout), "plain")


def _annotates(path: Path) -> str | None:
    """The layout of a JSON file beside its images, if it is an annotation tool's."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None
    if isinstance(document, dict) and set(document) >= SECTIONS:
        return "coco"
    return "label_studio" if is_label_studio(document) else None
