"""What comes back from a labelling program: the marks of each event, to the pixel.

Whatever is not of an event that the store has, or not of its picture's size, is a fault: it is
named, and all else is taken.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from xml.etree import ElementTree

import cv2
import numpy as np

from edge.errors import TracksideError, UsageError
from edge.review.label_studio import decode
from edge.review.marks import check_marks, from_runs, mark_of, png_size
from edge.review.review import Call, Mark, Review
from edge.review.review_file import add_reviews
from edge.store import picture_path, read_event
from edge.store.pictures import FRAME
from edge.types import Image

_MOST_PIXELS = 1 << 28  # of a picture; no camera's has as many
_NO_SUCH_FILE = (
    OSError,
    KeyError,
    TypeError,
    ValueError,
    OverflowError,
    RecursionError,
    ElementTree.ParseError,
)

Source = Literal["coco", "cvat", "label-studio"]


@dataclass(frozen=True)
class Returned:
    """One picture, and all that is marked in it."""

    name: str  # of its file: the event's number
    utc: str | None  # of the event, where the program kept it
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class TakenIn:
    """How many events were reviewed by it, and what could not be taken."""

    events: int
    faults: tuple[str, ...]


def take_in(root: Path, path: Path, source: Source, *, by: str, at: str) -> TakenIn:
    """Enter all of a file that a program wrote; UsageError where it is no such file at all."""
    reviews, faults = list[Review](), list[str]()
    for returned in _read(path, source, faults):
        try:
            reviews.append(_reviewed(root, returned, by=by, at=at, source=source))
        except TracksideError as error:
            faults.append(f"{path}: {returned.name}: {error}")
    add_reviews(root, reviews)
    return TakenIn(len(reviews), tuple(faults))


def _reviewed(root: Path, returned: Returned, *, by: str, at: str, source: str) -> Review:
    stem = PurePosixPath(returned.name).stem
    if not re.fullmatch(r"[0-9]{1,18}", stem):  # as many as the store counts to
        raise UsageError("its name is no event's number: keep the names that `export` gave")
    event = read_event(root, int(stem))
    if returned.utc is not None and returned.utc != event.utc:
        raise UsageError(
            f"event {event.id} of this store is of {event.utc}, and not of {returned.utc}: it was "
            "exported from another store"
        )
    try:
        with picture_path(root, event.id, FRAME).open("rb") as file:
            size = png_size(file.read(24))
    except OSError as error:
        raise UsageError(f"event {event.id} has no picture any more: {error.strerror}") from error
    check_marks(returned.marks, *size)
    call = Call.MARKED if returned.marks else Call.SOUND
    return Review(event.id, event.utc, at, by, source, call, None, returned.marks)


def _read(path: Path, source: Source, faults: list[str]) -> Iterator[Returned]:
    try:
        yield from _READERS[source](path, faults)
    except _NO_SUCH_FILE as error:
        raise UsageError(
            f"{path} is no {source} file ({error!r}): give what the program exported as such"
        ) from error


def _marks(
    name: str, given: list[Any], one: Callable[[Any], Iterator[Mark]], faults: list[str]
) -> tuple[Mark, ...] | None:
    """None where one of them cannot be: the others alone would not be what was said."""
    try:
        return tuple(mark for each in given for mark in one(each))
    except (ValueError, OverflowError) as error:
        faults.append(f"{name}: {error}")
        return None


def _blank(height: int, width: int) -> Image:
    if not 0 < height * width <= _MOST_PIXELS:
        raise ValueError(f"a picture of {height} x {width} pixels is none that a store has")
    return np.zeros((height, width), np.uint8)


# --- COCO ----------------------------------------------------------------------------------------


def _from_coco(path: Path, faults: list[str]) -> Iterator[Returned]:
    file = path / "annotations" / "events.json" if path.is_dir() else path
    content = json.loads(file.read_text(encoding="utf-8"))
    names = {each["id"]: each["name"] for each in content["categories"]}
    of_image: dict[int, list[Any]] = {}
    for annotation in content["annotations"]:
        of_image.setdefault(annotation["image_id"], []).append(annotation)
    images = {each["id"]: each for each in content["images"]}
    for stray in sorted(set(of_image) - set(images)):
        faults.append(f"{file}: annotations of the image {stray}, which it does not list")
    for number, image in images.items():
        height, width = int(image["height"]), int(image["width"])

        def one(annotation: Any, height: int = height, width: int = width) -> Iterator[Mark]:
            label = names[annotation["category_id"]]
            yield from _coco_marks(annotation, label, height, width)

        marks = _marks(image["file_name"], of_image.get(number, []), one, faults)
        if marks is not None:
            yield Returned(image["file_name"], image.get("date_captured"), marks)


def _coco_marks(annotation: Any, label: str, height: int, width: int) -> Iterator[Mark]:
    shape = annotation.get("segmentation")
    if not shape:
        x, y, columns, rows = (round(side) for side in annotation["bbox"])
        yield Mark(label, (x, y, columns, rows))
        return
    if isinstance(shape, dict):
        if list(shape["size"]) != [height, width]:
            raise ValueError(f"a mask of {shape['size']} in a picture of {[height, width]}")
        counts = shape["counts"]
        flat = from_runs(_uncompressed(counts) if isinstance(counts, str) else counts)
        if flat.size != height * width:
            raise ValueError(f"a mask of {flat.size} pixels in a picture of {height * width}")
        mask = flat.reshape(width, height).T  # COCO counts down the columns
    else:
        drawn = _blank(height, width)
        for outline in shape:
            points = np.array(outline, np.float64).reshape(-1, 2).round().astype(np.int32)
            cv2.fillPoly(drawn, [points], 1)
        mask = drawn == 1
    if (mark := mark_of(label, np.ascontiguousarray(mask))) is not None:
        yield mark


def _uncompressed(text: str) -> list[int]:
    """COCO's short form of run lengths: five bits a character, most as the change to the one before
    the last.
    """
    counts, at = list[int](), 0
    while at < len(text):
        value = shift = 0
        more = True
        while more:
            piece = ord(text[at]) - 48
            value |= (piece & 0x1F) << shift
            more, at, shift = bool(piece & 0x20), at + 1, shift + 5
            if not more and piece & 0x10:
                value |= -1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
    return counts


# --- CVAT ----------------------------------------------------------------------------------------


def _from_cvat(path: Path, faults: list[str]) -> Iterator[Returned]:
    file = path / "annotations.xml" if path.is_dir() else path
    for image in ElementTree.parse(file).getroot().iter("image"):
        height, width = int(image.attrib["height"]), int(image.attrib["width"])

        def one(shape: Any, height: int = height, width: int = width) -> Iterator[Mark]:
            yield from _cvat_marks(shape, height, width)

        name = image.attrib["name"]
        marks = _marks(name, list(image), one, faults)
        if marks is not None:
            yield Returned(name, None, marks)


def _cvat_marks(shape: ElementTree.Element, height: int, width: int) -> Iterator[Mark]:
    label = shape.attrib.get("label", "")
    if shape.tag == "mask":
        x, y, columns, rows = (
            int(shape.attrib[side]) for side in ("left", "top", "width", "height")
        )
        runs = tuple(int(each) for each in shape.attrib["rle"].split(","))
        if sum(runs) != columns * rows:
            raise ValueError(f"a mask of {sum(runs)} pixels in a box of {columns} x {rows}")
        yield Mark(label, (x, y, columns, rows), runs)
    elif shape.tag == "box":
        left, top, right, bottom = (
            round(float(shape.attrib[side])) for side in ("xtl", "ytl", "xbr", "ybr")
        )
        yield Mark(label, (left, top, right - left, bottom - top))
    elif shape.tag == "polygon":
        pairs = [pair.split(",") for pair in shape.attrib["points"].split(";")]
        drawn = _blank(height, width)
        cv2.fillPoly(drawn, [np.array(pairs, np.float64).round().astype(np.int32)], 1)
        if (mark := mark_of(label, drawn == 1)) is not None:
            yield mark
    elif shape.tag != "tag":
        raise ValueError(f"{shape.tag} is no area: mark by mask, polygon or box")


# --- Label Studio --------------------------------------------------------------------------------


def _from_label_studio(path: Path, faults: list[str]) -> Iterator[Returned]:
    for task in json.loads(path.read_text(encoding="utf-8")):
        data = task["data"]
        name = str(data["image"]).rpartition("/")[2]
        annotations = [
            each for each in task.get("annotations", []) if not each.get("was_cancelled")
        ]
        if not annotations:  # nobody has looked at it yet
            continue
        marks = _marks(name, annotations[-1]["result"], _label_studio_marks, faults)
        if marks is not None:
            yield Returned(name, data.get("utc"), marks)


def _label_studio_marks(result: Any) -> Iterator[Mark]:
    if "value" not in result:
        return
    value, height, width = result["value"], result["original_height"], result["original_width"]
    if result["type"] == "brushlabels":
        mask = decode(value["rle"], height, width)
        for label in value["brushlabels"]:
            if (mark := mark_of(label, mask)) is not None:
                yield mark
    elif result["type"] == "rectanglelabels":
        if value.get("rotation"):
            raise ValueError("a box is turned: mark it by the brush, or straight")
        left, top = value["x"] * width / 100, value["y"] * height / 100
        right = left + value["width"] * width / 100
        bottom = top + value["height"] * height / 100
        x, y = round(left), round(top)
        for label in value["rectanglelabels"]:
            yield Mark(label, (x, y, round(right) - x, round(bottom) - y))
    else:
        raise ValueError(f"{result['type']} is no area: mark by brush or rectangle")


_READERS: dict[Source, Callable[[Path, list[str]], Iterator[Returned]]] = {
    "coco": _from_coco,
    "cvat": _from_cvat,
    "label-studio": _from_label_studio,
}
