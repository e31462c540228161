"""Pictures as the network is shown them, with what is truly in them: a data set as COCO has it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge.bundle import InputSpec
from edge.errors import FrameError
from edge.files import write_whole
from edge.files.image_file import write_image
from edge.inspect import region_of
from edge.line_file import Lookout
from edge.types import Image
from reference.datasets.run_lengths import run_lengths

_BESIDE_PX = 32  # of a region's bounds, so that it is seen with what is round it


@dataclass(frozen=True, eq=False)
class Drawn:
    """One thing in a picture."""

    label: str
    mask: Image  # H,W, 0 or 1
    is_box: bool = False  # it is somewhere in there, and nobody said where


@dataclass(frozen=True, eq=False)
class Picture:
    """At the network's scale."""

    name: str
    image: Image
    things: tuple[Drawn, ...]
    side: str  # "train" or "val"


def as_shown(
    name: str,
    image: Image,
    things: Iterable[Drawn],
    side: str,
    *,
    lookout: Lookout,
    scale_um: tuple[float, float],
    spec: InputSpec,
) -> Picture:
    """What of a frame the line shows its network, as large as it is shown that."""
    camera = lookout.camera
    along_um, across_um = scale_um
    try:
        inside = region_of(camera.region).inside(image, across_um)
    except FrameError:  # a rail that is not to be found is UNKNOWN to the line: all of it is shown
        inside = None
    window = _bounds(inside)
    image = image[window]
    rows, columns = image.shape[:2]
    if camera.cut_to is None:
        size = (spec.width, spec.height)
    else:
        um = camera.cut_to.um_per_px or spec.um_per_px
        size = max(1, round(columns * across_um / um)), max(1, round(rows * along_um / um))
    scaled = tuple(
        Drawn(each.label, resized(each.mask[window], size, smooth=False), each.is_box)
        for each in things
    )
    seen = tuple(each for each in scaled if each.mask.any())
    return Picture(name, resized(image, size, smooth=True), seen, side)


def write_pictures(pictures: Iterable[Picture], out: Path) -> tuple[int, bool]:
    """How many there are, and whether some have boxes alone."""
    documents: dict[str, dict[str, list[Any]]] = {
        side: {"images": [], "annotations": []} for side in ("train", "val")
    }
    labels: dict[str, int] = {}
    count, weak = 0, False
    for number, picture in enumerate(pictures, start=1):
        file_name = f"{picture.name}.png"
        path = out / "images" / file_name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, picture.image)
        height, width = picture.image.shape[:2]
        document = documents[picture.side]
        document["images"].append(
            {"id": number, "file_name": file_name, "width": width, "height": height}
        )
        for thing in picture.things:
            label = labels.setdefault(thing.label, len(labels) + 1)
            document["annotations"].append(_annotation(number, label, thing))
            weak |= thing.is_box
        count += 1
    # Both have all classes, so that a number is the same class in each.
    categories = [{"id": number, "name": label} for label, number in labels.items()]
    for side, document in documents.items():
        if document["images"]:
            for at, each in enumerate(document["annotations"], start=1):
                each["id"] = at
            (out / "annotations").mkdir(exist_ok=True)
            whole = document | {"categories": categories or [{"id": 1, "name": "defect"}]}
            write_whole(out / "annotations" / f"{side}.json", json.dumps(whole))
    return count, weak


def _annotation(image: int, label: int, thing: Drawn) -> dict[str, Any]:
    x, y, columns, rows = (int(side) for side in cv2.boundingRect(thing.mask))
    row: dict[str, Any] = {
        "image_id": image,
        "category_id": label,
        "bbox": [x, y, columns, rows],
        "area": int(np.count_nonzero(thing.mask)),
        "iscrowd": 0,
    }
    if not thing.is_box:
        row["segmentation"] = run_lengths(thing.mask)
    return row


def _bounds(inside: Image | None) -> tuple[slice, slice]:
    if inside is None:
        return np.s_[:, :]
    left, top, columns, rows = cv2.boundingRect(inside)
    return np.s_[
        max(0, top - _BESIDE_PX) : top + rows + _BESIDE_PX,
        max(0, left - _BESIDE_PX) : left + columns + _BESIDE_PX,
    ]


def resized(picture: Image, size: tuple[int, int], *, smooth: bool) -> Image:
    """To a width and a height."""
    if picture.shape[1::-1] == size:
        return np.ascontiguousarray(picture)
    how = cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST_EXACT
    return np.asarray(cv2.resize(picture, size, interpolation=how), np.uint8)
