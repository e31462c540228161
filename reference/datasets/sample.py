"""A data set as files: each image with its mask, class and split, before a pixel is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from edge.files.image_file import IMAGE_SUFFIXES
from edge.types import Image
from reference.datasets.masks import DataError, Mask

Split = Literal["train", "validation", "test"]
# What an image's label says: where each pixel belongs, a rectangle round each defect, or only that
# a defect of a class is somewhere. Known to be sound is a mask in which there is nothing.
Strength = Literal["mask", "boxes", "class"]
FREE = "free"  # the class of an image without a defect


class Region(NamedTuple):
    """What of an image the network looks at."""

    rows: slice
    columns: slice
    body: slice  # the columns of the thing itself: a box drawn wider holds nothing beside it


@dataclass(frozen=True)
class Sample:
    """One image on disk and what its data set says of it."""

    name: str  # unique in the data set
    image: Path
    mask: Mask | None  # None: published as free of defects
    class_name: str | None  # None: told by the mask
    split: Split = "train"
    strength: Strength = "mask"
    weight: float = 1.0  # of its losses, where a data set says one
    # What of the image the network looks at, found in its pixels; None: all of it.
    region: Callable[[Image], Region] | None = None


@dataclass(frozen=True)
class Listing:
    """What a folder holds, in the order of its paths."""

    samples: tuple[Sample, ...]
    images_alone: tuple[Path, ...] = ()  # that should have a mask
    masks_alone: tuple[Path, ...] = ()
    set_aside: tuple[Path, ...] = ()  # that were published, and not to learn from
    left_out: tuple[Path, ...] = ()  # pictures below the folder in which the layout sees nothing

    def __add__(self, other: Listing) -> Listing:
        return Listing(
            self.samples + other.samples,
            self.images_alone + other.images_alone,
            self.masks_alone + other.masks_alone,
            self.set_aside + other.set_aside,
            self.left_out + other.left_out,
        )

    @property
    def known(self) -> set[Path]:
        """Every file that the layout has seen something in."""
        files = {*self.images_alone, *self.masks_alone, *self.set_aside}
        for sample in self.samples:
            files.add(sample.image)
            if sample.mask is not None:
                files.add(sample.mask.path)
        return files


@dataclass(frozen=True)
class Layout:
    """One way a data set lies in its folder."""

    title: str  # what it is, and by whom
    marks: tuple[str, ...]  # glob patterns: the folder is one of these if each finds something
    find: Callable[[Path], Listing]

    def missing(self, root: Path) -> list[str]:
        """The marks that a folder lacks."""
        return [mark for mark in self.marks if next(root.glob(mark), None) is None]


def pair_up(
    images: Iterable[Path], masks: Iterable[Path], describe: Callable[[Path, Path], Sample]
) -> Listing:
    """Each image with the mask of the same stem; `x_label` or `x_mask` is the mask of `x`."""
    mask_of = {mask.stem.removesuffix("_label").removesuffix("_mask"): mask for mask in masks}
    samples, alone = [], []
    for image in images:
        if mask := mask_of.pop(image.stem, None):
            samples.append(describe(image, mask))
        else:
            alone.append(image)
    return Listing(tuple(samples), tuple(alone), tuple(mask_of.values()))


def pictures(folder: Path, *suffixes: str) -> list[Path]:
    """The image files of a folder, in order; of the given suffixes only, where there are some."""
    wanted = set(suffixes) or IMAGE_SUFFIXES
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if path.suffix.lower() in wanted)
    return sorted(path for path in found if not path.name.startswith("."))


def pictures_below(root: Path) -> set[Path]:
    """All image files of a folder and its folders, but for hidden ones."""
    found = (path for path in root.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    return {p for p in found if not any(part[0] == "." for part in p.relative_to(root).parts)}


def number_in(name: str) -> int:
    """The last number in a name: 17 of `In_17`."""
    numbers = re.findall(r"\d+", name)
    if not numbers:
        raise DataError(f"{name} should carry its number: restore the published file name")
    return int(numbers[-1])
