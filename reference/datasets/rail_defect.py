"""RailDefect: line-scan pictures of track in service, their defects in boxes, split by runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from statistics import median

from edge.inspect.rail_head import head_centres
from edge.types import Image
from reference.datasets.coco import RegionMask, read_document
from reference.datasets.masks import DataError
from reference.datasets.sample import Layout, Listing, Region, Sample, Split

LAYOUT = "rail_defect"
HEAD_PX = 280  # for 70 mm: a quarter of a millimetre a pixel, as the strip's
STRIP_PX = 384  # round the head: what the network's 352 columns sway in
_FILE = "annotations/boxes.json"
# A run is the first six digits of a name, a time of day; what one run shows looks alike, so whole
# runs are held out. These are one in seven pictures; every class is among them.
HELD_OUT_RUNS = frozenset(
    {
        "103435",
        "103634",
        "103721",
        "142157",
        "142257",
        "142426",
        "150120",
        "151640",
        "151750",
        "151751",
    }
)


def run_of(name: str) -> str:
    """The run that a picture was taken in."""
    return Path(name).name[:6]


def _rail_defect(root: Path) -> Listing:
    path = root / _FILE
    try:
        listing = read_document(root, path, json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataError(f"{path}, {error}: restore the published file") from error
    return Listing(tuple(map(_described, listing.samples)))


def _described(sample: Sample) -> Sample:
    name = sample.image.stem
    split: Split = "validation" if run_of(name) in HELD_OUT_RUNS else "train"
    mask = sample.mask
    if isinstance(mask, RegionMask):  # the smaller boxes last: they lie over the larger
        by_area = sorted(mask.regions, key=lambda region: -region[2][2] * region[2][3])
        mask = replace(mask, regions=tuple(by_area))
    return replace(sample, name=name, mask=mask, split=split, region=head_strip)


def head_strip(picture: Image) -> Region:
    """The columns round the head, from the picture's first row to its last."""
    middle = round(median(head_centres(picture, HEAD_PX)))
    left = min(max(middle - STRIP_PX // 2, 0), picture.shape[1] - STRIP_PX)
    body = slice(middle - HEAD_PX // 2, middle + HEAD_PX // 2)
    return Region(slice(None), slice(left, left + STRIP_PX), body)


RAIL_DEFECT = Layout(
    "RailDefect, track in service by a line-scan camera (sirlis/RailDefect)",
    (_FILE, "images/*.jpg"),
    _rail_defect,
)
