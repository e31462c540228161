"""Any data set annotated as COCO is: polygons, run lengths, or boxes where there is no more."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.types import Image
from reference.datasets.folders import SPLIT_FOLDERS
from reference.datasets.masks import Box, DataError
from reference.datasets.sample import Layout, Listing, Sample, Split, Strength

# Together in `annotations`, or beside the images of each split; or one beside all of them.
FILES = ("annotations/*.json", "*/_annotations.coco.json")
NOWHERE = (0, 0, 0, 0)  # the box of what has a category alone
SECTIONS = {"images", "annotations", "categories"}


@dataclass(frozen=True)
class RegionMask:
    """The regions annotated in one image, the later over the earlier."""

    path: Path
    image: str
    classes: tuple[str, ...]
    height: int
    width: int
    regions: tuple[tuple[int, Any, Any], ...]  # label, segmentation, box: as they were found

    @property
    def strength(self) -> Strength:
        """Of the weakest region: one that lies nowhere leaves all pixels in doubt but its class."""
        if any(_lies_nowhere(segmentation, box) for _, segmentation, box in self.regions):
            return "class"
        return "mask" if all(segmentation for _, segmentation, _ in self.regions) else "boxes"

    def boxes(self) -> tuple[Box, ...]:
        """The rectangles of an image whose regions have no more."""
        return tuple(
            Box(label, left, top, left + width, top + height)
            for label, _, (left, top, width, height) in self.regions
        )

    def read(self) -> Image:
        try:
            labels = np.zeros((self.height, self.width), np.uint8)
            for label, segmentation, box in self.regions:
                if _lies_nowhere(segmentation, box):
                    continue
                labels[self._region(segmentation, box)] = label
        except ModuleNotFoundError:
            raise
        except Exception as error:  # what people export breaks in any way, and pycocotools too
            raise DataError(
                f"{self.path}, of {self.image}: {error}: export this image's annotations again"
            ) from error
        return labels

    def _region(self, segmentation: Any, box: Any) -> NDArray[np.bool_]:
        if not segmentation:
            if len(box) != 4:
                raise ValueError(f"neither a segmentation nor the four numbers of a bbox, {box}")
            left, top, width, height = (round(side) for side in box)
            region = np.zeros((self.height, self.width), np.bool_)
            region[max(0, top) : max(0, top + height), max(0, left) : max(0, left + width)] = True
            return region
        from pycocotools import mask as coco  # noqa: PLC0415 (no other layout wants it)

        if isinstance(segmentation, list):
            self._check_polygons(segmentation)
            whole = coco.merge(coco.frPyObjects(segmentation, self.height, self.width))
        elif not segmentation["counts"] or segmentation["size"] != [self.height, self.width]:
            raise ValueError(f"run lengths of {segmentation['size']}, which are not the image's")
        elif isinstance(segmentation["counts"], list):
            whole = coco.frPyObjects(segmentation, self.height, self.width)
        else:
            whole = segmentation
        return np.asarray(coco.decode(whole) > 0)

    def _check_polygons(self, polygons: list[Any]) -> None:
        """pycocotools takes four numbers for a box, and memory for every pixel on the way."""
        for polygon in polygons:
            corners = np.asarray(polygon, np.float64)
            if corners.ndim != 1 or len(corners) < 6 or len(corners) % 2:
                raise ValueError(f"a polygon of {polygon}, not x and y of three corners or more")
            if not (np.abs(corners) <= 2 * max(self.height, self.width)).all():
                raise ValueError(f"a polygon far outside the {self.width} x {self.height} pixels")


def _lies_nowhere(segmentation: Any, box: Any) -> bool:
    """Whether an annotation has a category alone, as people export an image's class."""
    return not segmentation and len(box) == 4 and not (box[2] and box[3])


def _coco(root: Path) -> Listing:
    listing = Listing(())
    for path in sorted(found for mark in (*FILES, "*.json") for found in root.glob(mark)):
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(document, dict) and set(document) >= SECTIONS:
                listing += read_document(root, path, document)
        except DataError:
            raise
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise DataError(f"{path} is not as COCO's are, at {error}: export it again") from error
    if not listing.samples:
        raise DataError(
            f"{root} holds no COCO file with images: put it at annotations/<split>.json"
        )
    return listing


def read_document(root: Path, path: Path, document: dict[str, Any]) -> Listing:
    """What one COCO file lists."""
    names = {c["id"]: c["name"] for c in document["categories"]}
    label_of = {category: label for label, category in enumerate(sorted(names), 1)}
    classes = tuple(names[category] for category in sorted(names))
    regions: dict[int, list[tuple[int, Any, Any]]] = defaultdict(list)
    for a in document["annotations"]:
        box = (a["bbox"] or ()) if "bbox" in a else NOWHERE
        region = (label_of[a["category_id"]], a.get("segmentation"), box)
        regions[a["image_id"]].append(region)
    split, samples = _split_of(path), []
    for entry in sorted(document["images"], key=lambda entry: entry["file_name"]):
        image = _find_image(root, path, entry["file_name"])
        shown = tuple(regions[entry["id"]])
        size = entry.get("height"), entry.get("width")
        mask = RegionMask(path, entry["file_name"], classes, *size, shown)
        name = f"{split}/{Path(entry['file_name']).with_suffix('').as_posix()}"
        strength = mask.strength if shown else "mask"
        only_class = most_frequent(shown, classes) if strength == "class" else None
        weight = _weight_of(path, entry)
        samples.append(
            Sample(name, image, mask if shown else None, only_class, split, strength, weight)
        )
    return Listing(tuple(samples))


def _weight_of(path: Path, entry: dict[str, Any]) -> float:
    """Of an image's losses: a key of ours, which COCO leaves room for."""
    weight = entry.get("weight", 1)
    if isinstance(weight, int | float) and 0 < weight < math.inf:
        return float(weight)
    raise DataError(
        f"{path} gives {entry['file_name']} a weight of {weight!r}: write a number above 0, or none"
    )


def most_frequent(shown: tuple[tuple[int, Any, Any], ...], classes: tuple[str, ...]) -> str:
    """The class that most regions are of."""
    labels = [label for label, *_ in shown]
    return classes[max(sorted(set(labels)), key=labels.count) - 1]


def _split_of(path: Path) -> Split:
    """By a word of the file's name, as in `instances_val2017.json`, or its folder's."""
    words = path.stem.lower().replace("_", " ").replace("-", " ").split()
    for word in (*words, path.parent.name.lower()):
        if split := SPLIT_FOLDERS.get(word.rstrip("0123456789")):
            return split
    return "train"


def _find_image(root: Path, path: Path, name: str) -> Path:
    places = list(_places(root, path))
    for place in places:
        if (place / name).is_file():
            return place / name
    tried = ", ".join(str(place) for place in places)
    raise DataError(f"{path} names {name}, which is in none of {tried}: put it there")


def _places(root: Path, path: Path) -> Iterator[Path]:
    """Beside the file, in a folder named for it, or in `images`, by split or not."""
    yield path.parent
    split = path.stem.removeprefix("instances_")
    for base in (root, root / "images"):
        yield base / split
        yield base


COCO = Layout(
    "your own, as COCO: annotations/<split>.json, or <split>/_annotations.coco.json", (), _coco
)
