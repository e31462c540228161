"""The published data sets by layout, and how a folder is told to be one of them."""

from __future__ import annotations

from pathlib import Path

from reference.datasets.coco import COCO, FILES
from reference.datasets.folders import PLAIN, SIMULATED
from reference.datasets.masks import Box, DataError, Mask
from reference.datasets.parts import KOLEKTOR, KOLEKTOR_WINDOWS, MAGNETIC_TILE
from reference.datasets.rail import NRSD, RSDDS
from reference.datasets.rail_defect import RAIL_DEFECT
from reference.datasets.sample import FREE, Layout, Listing, Sample, Split, Strength
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
    "coco": COCO,
    "plain": PLAIN,
}


def list_samples(root: Path, layout: str) -> Listing:
    """What a folder of the named layout holds; a folder that is none says what it lacks."""
    if layout not in LAYOUTS:
        raise DataError(f"there is no layout {layout!r}: choose one of {', '.join(LAYOUTS)}")
    if not root.is_dir():
        raise DataError(f"{root} is no folder: give the one that holds the data set")
    chosen = LAYOUTS[layout]
    if missing := chosen.missing(root):
        raise DataError(f"{root} is no {chosen.title}: it holds no {', no '.join(missing)}")
    return chosen.find(root)


def recognise(root: Path) -> str:
    """The layout whose marks a folder bears; a folder with none is plain, or COCO's by its file."""
    if not root.is_dir():
        raise DataError(f"{root} is no folder: give the one that holds the data set")
    for name, layout in LAYOUTS.items():
        if layout.marks and not layout.missing(root):
            return name
    has_annotations = any(next(root.glob(file), None) for file in FILES)
    return "coco" if has_annotations else "plain"
