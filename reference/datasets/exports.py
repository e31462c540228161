"""What annotation tools export in a form of their own: Label Studio's JSON, CVAT's XML."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse
from xml.etree.ElementTree import Element, ParseError, parse

import numpy as np

from edge.errors import FrameError
from edge.files.image_file import read_image
from reference.datasets.coco import NOWHERE, RegionMask, most_frequent
from reference.datasets.folders import FREE_FOLDERS, SPLIT_FOLDERS
from reference.datasets.masks import DataError
from reference.datasets.run_lengths import brushed, run_lengths
from reference.datasets.sample import FREE, Layout, Listing, Sample, Split, pictures_below

CVAT_FILES = ("annotations.xml", "*/annotations.xml")
_UPLOADED = re.compile(r"^[0-9a-f]{8}-")  # what Label Studio puts before an uploaded file's name
SOUND = (*FREE_FOLDERS, "sound")  # what people call a picture without a defect
_PLACELESS = ("tag", "points", "polyline")  # of CVAT, what has a label and covers no pixels
_ROUND = 32  # corners that an ellipse is drawn with

Region = tuple[str, Any, Any]  # its class; then a segmentation and a box as COCO has them


def is_label_studio(document: Any) -> bool:
    """Whether it is a list of tasks, as Label Studio's `JSON` export is."""
    return (
        isinstance(document, list)
        and bool(document)
        and all(
            isinstance(task, dict) and {"data", "annotations"} <= set(task) for task in document
        )
    )


def _label_studio(root: Path) -> Listing:
    listing = Listing(())
    images = {path.name: path for path in sorted(pictures_below(root))}
    for path in sorted(root.glob("*.json")):
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            if is_label_studio(document):
                listing += _tasks(path, document, images)
        except DataError:
            raise
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise DataError(
                f"{path} is not as Label Studio's `JSON` export is, at {error}: export it again"
            ) from error
    return listing


def _tasks(path: Path, document: list[dict[str, Any]], images: dict[str, Path]) -> Listing:
    """A task that nobody annotated, or skipped, is an image without its mask."""
    found: list[tuple[Path, tuple[int, int], list[Region], Split]] = []
    alone = []
    for task in document:
        image = _task_image(path, task["data"], images)
        done = [a for a in task["annotations"] if not a.get("was_cancelled")]
        if not done:
            alone.append(image)
            continue
        results = [r for r in done[-1]["result"] if "value" in r]
        drawn = [r for r in results if "original_width" in r and r["type"] != "choices"]
        sizes = {(int(r["original_height"]), int(r["original_width"])) for r in drawn}
        regions = [region for result in drawn for region in _result(result)]
        chosen = [c for r in results for c in r["value"].get("choices", ())]
        regions = regions or _somewhere(chosen)
        found.append((image, next(iter(sizes), (0, 0)), regions, "train"))
    listing = _listed(path, found)
    return listing + Listing((), images_alone=tuple(alone))


def _task_image(path: Path, data: dict[str, Any], images: dict[str, Path]) -> Path:
    """By its file's name, as it was uploaded or as it lay in the folder that was imported."""
    urls = [str(value) for value in data.values()]
    for url in urls:
        parts = urlparse(url)
        place = parse_qs(parts.query).get("d", [unquote(parts.path)])[0]
        name = Path(place).name
        for tried in (name, _UPLOADED.sub("", name)):
            if tried in images:
                return images[tried]
    raise DataError(f"{path} names {', '.join(urls)}, and no image is called so: put it beside it")


def _result(result: dict[str, Any]) -> Iterator[Region]:
    """One drawn thing; its places are in percent of the picture."""
    value, kind = result["value"], result["type"]
    height, width = int(result["original_height"]), int(result["original_width"])
    label = value[kind][0] if value.get(kind) else None
    if label is None:  # a shape that nobody named
        return
    if kind == "polygonlabels":
        corners = [
            c * s / 100 for xy in value["points"] for c, s in zip(xy, (width, height), strict=True)
        ]
        yield label, [corners], ()
    elif kind == "ellipselabels":
        yield (
            label,
            [_ellipse(*_percent(value, ("x", "y", "radiusX", "radiusY"), height, width))],
            (),
        )
    elif kind == "brushlabels":
        yield label, run_lengths(brushed(value["rle"], height, width)), ()
    elif kind == "rectanglelabels":
        box = _percent(value, ("x", "y", "width", "height"), height, width)
        if angle := float(value.get("rotation", 0)):
            yield label, [_turned(box, angle)], ()
        else:
            yield label, None, box
    else:
        raise DataError(
            f"{kind} marks no pixels: label with rectangles, polygons, ellipses or brushes"
        )


def _percent(
    value: dict[str, Any], keys: tuple[str, ...], height: int, width: int
) -> tuple[float, float, float, float]:
    x, y, across, along = (float(value[key]) / 100 for key in keys)
    return x * width, y * height, across * width, along * height


def _turned(box: tuple[float, ...], angle_deg: float) -> list[float]:
    """A rectangle turned about its left upper corner, as Label Studio turns it."""
    left, top, width, height = box
    angle = np.deg2rad(angle_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]]) @ turn.T
    return list((corners + np.array([left, top])).ravel())


def _ellipse(x: float, y: float, radius_x: float, radius_y: float) -> list[float]:
    angle = np.linspace(0, 2 * np.pi, _ROUND, endpoint=False)
    corners = np.stack([x + radius_x * np.cos(angle), y + radius_y * np.sin(angle)], axis=1)
    return list(corners.ravel())


def _cvat(root: Path) -> Listing:
    listing = Listing(())
    images = {path.name: path for path in sorted(pictures_below(root))}
    for path in sorted(found for mark in CVAT_FILES for found in root.glob(mark)):
        try:
            tree = parse(path).getroot()
            if tree.find("track") is not None:
                raise DataError(f"{path} is CVAT's for video: export `CVAT for images 1.1`")
            found = [_cvat_image(path, item, images) for item in tree.iter("image")]
        except DataError:
            raise
        except (ParseError, ValueError, LookupError, TypeError) as error:
            raise DataError(
                f"{path} is not as CVAT's `for images 1.1` is, at {error}: export it again"
            ) from error
        listing += _listed(path, found)
    return listing


def _cvat_image(
    path: Path, item: Element, images: dict[str, Path]
) -> tuple[Path, tuple[int, int], list[Region], Split]:
    size = int(item.attrib["height"]), int(item.attrib["width"])
    name = item.attrib["name"]
    beside = next(
        (p for p in (path.parent / name, path.parent / "images" / name) if p.is_file()), None
    )
    image = beside or images.get(Path(name).name)
    if image is None:
        raise DataError(f"{path} names {name}, and no image is called so: put it beside it")
    split = SPLIT_FOLDERS.get(item.attrib.get("subset", "").lower(), "train")
    regions = [_cvat_shape(shape, size) for shape in item if shape.tag not in _PLACELESS]
    labels = [each.attrib["label"] for each in item if each.tag in _PLACELESS]
    return image, size, regions or _somewhere(labels), split


def _cvat_shape(shape: Element, size: tuple[int, int]) -> Region:
    at, label = shape.attrib, shape.attrib["label"]
    if shape.tag == "box":
        left, top, right, bottom = (float(at[key]) for key in ("xtl", "ytl", "xbr", "ybr"))
        return label, None, (left, top, right - left, bottom - top)
    if shape.tag == "polygon":
        return label, [[float(n) for n in re.split("[,;]", at["points"])]], ()
    if shape.tag == "ellipse":
        return label, [_ellipse(*(float(at[key]) for key in ("cx", "cy", "rx", "ry")))], ()
    if shape.tag != "mask":
        raise DataError(f"{shape.tag} marks no pixels: label with boxes, polygons or masks")
    counts = [int(count) for count in at["rle"].split(",")]
    left, top, width, height = (int(at[key]) for key in ("left", "top", "width", "height"))
    levels = np.arange(len(counts)) % 2  # rows after each other, sound first
    plane = np.zeros(size, np.uint8)
    plane[top : top + height, left : left + width] = np.repeat(levels, counts).reshape(
        height, width
    )
    return label, run_lengths(plane), ()


def _somewhere(labels: list[str]) -> list[Region]:
    """Labels of a whole picture in which nothing is drawn: each is somewhere, unless it is sound.

    Where something is drawn, that says more than they do.
    """
    return [(label, None, NOWHERE) for label in labels if label.lower() not in SOUND]


def _listed(path: Path, found: list[tuple[Path, tuple[int, int], list[Region], Split]]) -> Listing:
    classes = tuple(sorted({label for _, _, regions, _ in found for label, *_ in regions}))
    samples = []
    for image, (height, width), regions, split in found:
        shown = tuple((classes.index(label) + 1, *rest) for label, *rest in regions)
        if not shown:
            samples.append(Sample(image.stem, image, None, FREE, split))
            continue
        size = (height, width) if height and width else _size_of(image)
        mask = RegionMask(path, image.name, classes, *size, shown)
        only_class = most_frequent(shown, classes) if mask.strength == "class" else None
        samples.append(Sample(image.stem, image, mask, only_class, split, mask.strength))
    return Listing(tuple(samples))


def _size_of(image: Path) -> tuple[int, int]:
    """Height and width: Label Studio tells them of what is drawn alone."""
    try:
        height, width = read_image(image, colour=False).shape
    except (FrameError, OSError) as error:
        raise DataError(str(error)) from error
    return height, width


LABEL_STUDIO = Layout(
    "your own, as Label Studio's `JSON`: *.json beside the images", (), _label_studio
)
CVAT = Layout("your own, as CVAT's `for images 1.1`: annotations.xml", (), _cvat)
