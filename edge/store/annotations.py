"""Events as images to be labelled again, with what the network saw as a start: COCO and CVAT.

Masks go out exactly, as run lengths; a polygon would lose the pixels at its rim.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import FrameError
from edge.files.image_file import read_image
from edge.store.event import Event
from edge.store.pictures import FRAME, MASK, picture_path
from edge.types import UNNAMED, Defect

Box = tuple[int, int, int, int]  # x, y, width, height


@dataclass(frozen=True, eq=False)
class Piece:
    """One connected piece of a mask, as far as it has one class."""

    label: str
    box_px: Box
    mask: NDArray[np.bool_]  # H,W of the whole image


Pieces = tuple[Piece, ...]


@dataclass(frozen=True)
class Labelled:
    """One image that was exported, and what is marked in it."""

    event: Event
    file_name: str  # in images/
    width: int
    height: int
    pieces: Pieces


@dataclass(frozen=True)
class Seen:
    """An image and what the network saw in it, before anybody corrects that."""

    event: Event
    width: int
    height: int
    pieces: Pieces

    def piece(self, label: str, mask: NDArray[np.bool_]) -> Piece:
        """Of such a mask, in this image."""
        return Piece(label, _box(cv2.boundingRect(mask.view(np.uint8))), mask)


def write_annotated(
    events: Sequence[Event],
    root: Path,
    out: Path,
    write: Callable[[list[Labelled], Path], None],
    correct: Callable[[Seen], Pieces] = lambda seen: seen.pieces,
) -> tuple[int, int]:
    """Copy the images and annotate them; how many there are, and how many had no whole picture."""
    folder = out / "images"
    folder.mkdir(parents=True, exist_ok=True)
    labelled = []
    for event in events:
        if FRAME not in event.pictures:
            continue
        file_name = f"{event.id:09d}.png"
        try:
            seen = read_seen(event, root)
            shutil.copyfile(picture_path(root, event.id, FRAME), folder / file_name)
        # A power cut may leave half a picture, and a line that runs removes the oldest meanwhile.
        except (FrameError, FileNotFoundError):
            continue
        labelled.append(Labelled(event, file_name, seen.width, seen.height, correct(seen)))
    write(labelled, out)
    return len(labelled), len(events) - len(labelled)


def write_coco(labelled: list[Labelled], out: Path) -> None:
    """`annotations/events.json`: COCO instances, masks as uncompressed run lengths.

    It lies where training looks for a data set of one's own.
    """
    names = labels_in(labelled)
    ids = {name: number for number, name in enumerate(names, start=1)}
    annotations = [
        _coco_annotation(number, image_id, ids[piece.label], piece)
        for number, (image_id, piece) in enumerate(
            ((each.event.id, piece) for each in labelled for piece in each.pieces), start=1
        )
    ]
    images = [
        {"id": each.event.id, "file_name": each.file_name, "date_captured": each.event.utc}
        | {"width": each.width, "height": each.height}
        for each in labelled
    ]
    categories = [
        {"id": ids[name], "name": name} | ({} if code is None else {"code": code})
        for name, code in names.items()
    ]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (out / "annotations").mkdir(exist_ok=True)
    (out / "annotations" / "events.json").write_text(json.dumps(content), encoding="utf-8")


def write_cvat(labelled: list[Labelled], out: Path) -> None:
    """`annotations.xml`: CVAT for images 1.1, masks as run lengths inside their boxes."""
    root, codes = ElementTree.Element("annotations"), labels_in(labelled)
    ElementTree.SubElement(root, "version").text = "1.1"
    for number, each in enumerate(labelled):
        size = {"width": str(each.width), "height": str(each.height)}
        image = ElementTree.SubElement(
            root, "image", {"id": str(number), "name": each.file_name, **size}
        )
        for piece in each.pieces:
            mask = ElementTree.SubElement(image, "mask", _cvat_mask(piece))
            if (code := codes[piece.label]) is not None:
                ElementTree.SubElement(mask, "attribute", {"name": "code"}).text = code
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(
        out / "annotations.xml", encoding="utf-8", xml_declaration=True
    )


def run_lengths(flat: NDArray[np.bool_]) -> list[int]:
    """How many are False, then True, then False, and so on."""
    runs = [(value, sum(1 for _ in group)) for value, group in groupby(flat.tolist())]
    lengths = [length for _, length in runs]
    return [0, *lengths] if runs and runs[0][0] else lengths


def read_seen(event: Event, root: Path) -> Seen:
    """FrameError where its pictures are not whole."""
    image = read_image(picture_path(root, event.id, FRAME), colour=False)
    height, width = image.shape[:2]
    pieces: tuple[Piece, ...] = ()
    if MASK in event.pictures:
        path = picture_path(root, event.id, MASK)
        mask = read_image(path, colour=False) > 0
        if mask.shape != (height, width):
            raise FrameError(f"{path} is not of its frame's size: bring back the store's own")
        pieces = _pieces(event, mask)
    return Seen(event, width, height, pieces)


def _pieces(event: Event, mask: NDArray[np.bool_]) -> tuple[Piece, ...]:
    """Each connected piece of the mask, parted where things of several classes lie in it."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    things_in: dict[int, list[Defect]] = {number: [] for number in range(1, count)}
    for thing in event.found:
        if (number := _mostly(labels[_inside(thing.box_px)])) is not None:
            things_in[number].append(thing)
    found = list[Piece]()
    for number, things in things_in.items():  # 0 is the background
        box = _box(stats[number])
        named = sorted(things or _over(box, event), key=_area_px, reverse=True)
        # What reaches beyond the frame's own rows belongs to the largest thing of the piece.
        owner = np.where(labels == number, 0, -1)
        for at, thing in enumerate(named[1:], start=1):
            part = owner[_inside(thing.box_px)]
            part[part >= 0] = at
        for at, label in enumerate([thing.label for thing in named] or [UNNAMED]):
            if (own := owner == at).any():
                found.append(Piece(label, _box(cv2.boundingRect(own.view(np.uint8))), own))
    return tuple(found)


def _mostly(labels: NDArray[Any]) -> int | None:
    """Which piece of the mask fills most of a box."""
    counts = np.bincount(labels[labels > 0])
    return int(counts.argmax()) if counts.size else None


def _over(box: Box, event: Event) -> list[Defect]:
    """What a piece belongs to that is one with another beyond the frame: what lies over most."""
    left, top, width, height = box
    shared = {
        max(0, min(left + width, x + across) - max(left, x))
        * max(0, min(top + height, y + along) - max(top, y)): each
        for each in event.found
        for x, y, across, along in (each.box_px,)
    }
    most = max(shared, default=0)
    return [shared[most]] if most else []


def _area_px(thing: Defect) -> int:
    return thing.box_px[2] * thing.box_px[3]


def _inside(box: Box) -> tuple[slice, slice]:
    left, top, width, height = box
    return np.s_[top : top + height, left : left + width]


def _box(sides: Sequence[int]) -> Box:
    x, y, width, height = (int(value) for value in sides[:4])
    return x, y, width, height


def labels_in(labelled: list[Labelled]) -> dict[str, str | None]:
    """In order, each with its code; a person gives a class alone, and its code is the line's."""
    names = {UNNAMED, *(piece.label for each in labelled for piece in each.pieces)}
    codes = {
        thing.label: thing.code
        for each in labelled
        for thing in each.event.found
        if thing.code is not None
    }
    return {name: codes.get(name) for name in sorted(names)}


def _coco_annotation(number: int, image_id: int, category_id: int, piece: Piece) -> dict[str, Any]:
    counts = run_lengths(piece.mask.ravel(order="F"))  # COCO counts down the columns
    return {
        "id": number,
        "image_id": image_id,
        "category_id": category_id,
        "bbox": piece.box_px,
        "area": int(piece.mask.sum()),
        "segmentation": {"counts": counts, "size": piece.mask.shape},
        "iscrowd": 0,
    }


def _cvat_mask(piece: Piece) -> dict[str, str]:
    x, y, width, height = piece.box_px
    counts = run_lengths(piece.mask[y : y + height, x : x + width].ravel())
    return {
        "label": piece.label,
        "source": "auto",
        "occluded": "0",
        "rle": ", ".join(map(str, counts)),
        "left": str(x),
        "top": str(y),
        "width": str(width),
        "height": str(height),
        "z_order": "0",
    }
