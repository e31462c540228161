"""Pictures that did not come through a line's store: marked ones, and rail that is known good."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.adapt.written import Drawn, Picture, as_shown
from edge.assembly.camera import rail_plane
from edge.backtest.recorded import RECORDING
from edge.bundle import InputSpec
from edge.cameras.folder_camera import images_in
from edge.errors import UsageError
from edge.files.image_file import read_image
from edge.line_file import Lookout
from edge.recordings import open_recording
from edge.recordings.recording import picture_path
from reference.data import Pair, read
from reference.datasets import recognise
from reference.datasets.labels import IGNORED

MOST_GOOD = 300  # frames of each place, evenly along it
_HELD_OUT = 4  # one in so many


def marked_pictures(
    folder: Path, lookout: Lookout, spec: InputSpec, *, prefix: str
) -> Iterator[Picture]:
    """A data set of any layout of `train`, taken by the line's camera; its test side is left."""
    plane = rail_plane(lookout.camera)
    pairs = [
        each
        for each in read(folder, recognise(folder), colour=spec.channels == 3)
        if each.split != "test"
    ]
    split = any(each.split == "validation" for each in pairs)
    for number, pair in enumerate(pairs):
        held = pair.split == "validation" if split else number % _HELD_OUT == _HELD_OUT - 1
        yield as_shown(
            f"{prefix}-{number:06d}",
            pair.image,
            things_of(pair),
            "val" if held else "train",
            lookout=lookout,
            scale_um=(plane.along_um, plane.across_um),
            spec=spec,
        )


def good_rail(place: Path, lookout: Lookout, spec: InputSpec, *, prefix: str) -> Iterator[Picture]:
    """A recording or a folder of pictures in which nothing is a defect; its end is held out."""
    frames = _recorded(place) if (place / RECORDING).exists() else _listed(place, lookout)
    if len(frames) < _HELD_OUT:
        raise UsageError(
            f"{place} holds {len(frames)} pictures of good rail, of which one in {_HELD_OUT} is "
            f"held out: give {_HELD_OUT} or more"
        )
    plane, chosen = rail_plane(lookout.camera), frames[:: -(-len(frames) // MOST_GOOD)]
    first_held = len(chosen) - max(1, len(chosen) // _HELD_OUT)
    for number, (path, length_um, across_um) in enumerate(chosen):
        image = read_image(path, colour=spec.channels == 3)
        along_um = plane.along_um if length_um is None else length_um / len(image)
        yield as_shown(
            f"{prefix}-{number:06d}",
            image,
            (),
            "val" if number >= first_held else "train",
            lookout=lookout,
            scale_um=(along_um, across_um),
            spec=spec,
        )


_Placed = tuple[Path, float | None, float]  # how much of the rail it shows along, where known


def _recorded(place: Path) -> list[_Placed]:
    return [
        (picture_path(place, row.camera, row.index), row.end_um - row.start_um, row.across_um)
        for row in open_recording(place).frames
        if row.across_um is not None
    ]


def _listed(place: Path, lookout: Lookout) -> list[_Placed]:
    if not place.is_dir():
        raise UsageError(f"{place} is no folder: give pictures of good rail, or a recording")
    across_um = rail_plane(lookout.camera).across_um
    return [(path, None, across_um) for path in images_in(place)]


def things_of(pair: Pair) -> Iterator[Drawn]:
    """What is marked in a picture of a data set."""
    if pair.strength == "boxes":
        for label, left, top, right, bottom in pair.boxes:
            mask = np.zeros(pair.mask.shape, np.uint8)
            mask[round(top) : round(bottom), round(left) : round(right)] = 1
            yield Drawn(pair.classes[int(label) - 1], mask, is_box=True)
        return
    plane = pair.plane
    for number in np.unique(plane[(plane > 0) & (plane < IGNORED)]).tolist():
        known = pair.classes[number - 1] if 0 < number <= len(pair.classes) else pair.class_name
        yield Drawn(known, np.asarray(plane == number, np.uint8))
