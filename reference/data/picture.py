"""A contact sheet of what a check of a data set found, or of the set where it found nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edge.errors import FrameError
from edge.files.image_file import read_image
from edge.types import Image
from reference.data.check import DataReport, Finding
from reference.data.contact_sheet import SIDE, Tile, outlined, sheet
from reference.data.pairs import read_pair
from reference.datasets import DataError, Sample
from reference.datasets.masks import GreyMask

COLUMNS, MOST = 6, 60  # tiles
_OF_A_KIND = 8  # findings of one kind, so that all kinds are to be seen


def picture_of(report: DataReport) -> Image:
    """Findings of every kind, with their images and masks; else images, evenly taken."""
    samples = _by_file(report)
    shown: Counter[str] = Counter()
    tiles: list[Tile] = []
    for finding in report.findings:
        shown[finding.kind] += 1
        if shown[finding.kind] <= _OF_A_KIND:
            tiles += _tiles(finding, samples)
    if not tiles:
        step = -(-len(report.seen) // MOST)
        tiles = [_tile(seen.sample.image, samples, "") for seen in report.seen[::step]]
    return sheet(tiles[:MOST], columns=COLUMNS)


def _by_file(report: DataReport) -> dict[Path, Sample]:
    """A sample by its image, and by its mask where no other has it too."""
    samples = [seen.sample for seen in report.seen]
    masks = {s.mask.path: s for s in samples if isinstance(s.mask, GreyMask)}
    return masks | {s.image: s for s in samples}


def _tiles(finding: Finding, samples: Mapping[Path, Sample]) -> list[Tile]:
    """The images of a finding, or its file where it has none."""
    images = [file for file in finding.files if file in samples] or list(finding.files[:1])
    return [_tile(path, samples, finding.kind.replace("_", " ")) for path in images]


def _tile(path: Path, samples: Mapping[Path, Sample], kind: str) -> Tile:
    try:
        if path in samples:
            pair = read_pair(samples[path])
            picture = outlined(pair.image, pair.mask)
        else:
            picture = read_image(path, colour=True)
    except (DataError, FrameError):  # which is what was found
        picture = _as_it_is(path)
    return Tile(picture, (path.name, kind))


def _as_it_is(path: Path) -> Image:
    """The image without its mask, or grey paper where there is none to see."""
    try:
        return read_image(path, colour=True)
    except FrameError:
        return np.full((SIDE, SIDE), 200, np.uint8)
