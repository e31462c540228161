"""The forms a published mask takes on disk, each read as H,W labels: 0 is sound, n is class n."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar
from xml.etree.ElementTree import Element, ParseError, parse

import numpy as np

from edge.errors import ConfigurationError
from edge.files.image_file import read_image
from edge.types import Image

Answer = TypeVar("Answer")

_VOC_CORNERS = ("xmin", "ymin", "xmax", "ymax")


class DataError(ConfigurationError):
    """A data set that cannot be used; the message says what to change."""


@dataclass(frozen=True)
class Box:
    """An upright rectangle with a defect in it: every row and column of it holds some."""

    label: int  # the class `classes[label - 1]` of its mask
    left: float
    top: float
    right: float
    bottom: float


class Mask(Protocol):
    """Where an image's truth is written."""

    @property
    def path(self) -> Path: ...

    @property
    def classes(self) -> Sequence[str]:
        """The name of label n is `classes[n - 1]`."""

    def read(self) -> Image: ...


@dataclass(frozen=True)
class GreyMask:
    """A grey image: defect where it is bright.

    128 by default, not 1: many published masks carry grey or JPEG-compressed edges.
    """

    path: Path
    at_least: int = 128
    classes: tuple[str, ...] = ("defect",)
    own: bool = False  # somebody's own, who can save it otherwise, and none as it was published

    def levels(self) -> Image:
        """The grey values as they are on disk."""
        return read_image(self.path, colour=False)

    def marked(self, levels: Image) -> Image:
        return (levels >= self.at_least).astype(np.uint8)

    def read(self) -> Image:
        return self.marked(self.levels())


@dataclass(frozen=True)
class LabelMask:
    """An image whose pixel values are class numbers."""

    path: Path
    classes: tuple[str, ...]

    def read(self) -> Image:
        labels = read_image(self.path, colour=False)
        if labels.max(initial=0) > len(self.classes):
            raise DataError(
                f"{self.path} holds label {labels.max()}, and the classes are "
                f"{', '.join(self.classes)}: restore the published file"
            )
        return labels


@dataclass(frozen=True)
class MatlabMask:
    """CrackForest's truth: `groundTruth.Segmentation`, in which 2 is crack and 1, 3, 4 are not."""

    path: Path
    classes: tuple[str, ...] = ("crack",)

    def read(self) -> Image:
        from scipy.io import loadmat  # noqa: PLC0415 (only this data set wants it)

        try:
            truth = loadmat(self.path)["groundTruth"]["Segmentation"][0, 0]
        except Exception as error:  # scipy raises nearly anything at a broken file
            raise DataError(f"{self.path}, {error}: restore the published file") from error
        return np.asarray(truth == 2, np.uint8)


@dataclass(frozen=True)
class BoxMask:
    """Pascal VOC boxes, filled: where the defect is to within its rectangle, no pixel truth."""

    path: Path
    classes: tuple[str, ...]

    def read(self) -> Image:
        return self._parsed(self._filled)

    def boxes(self) -> tuple[Box, ...]:
        """The rectangles themselves."""
        return self._parsed(lambda tree: tuple(self._boxes(tree)))

    def _parsed(self, answer: Callable[[Element], Answer]) -> Answer:
        try:
            return answer(parse(self.path).getroot())
        except DataError:
            raise
        except (ParseError, ValueError, LookupError, ArithmeticError, MemoryError) as error:
            raise DataError(f"{self.path}, {error}: restore the published file") from error

    def _boxes(self, tree: Element) -> Iterator[Box]:
        for item in tree.iter("object"):
            corners = (int(float(item.findtext(f"bndbox/{k}", "0"))) for k in _VOC_CORNERS)
            left, top, right, bottom = corners  # counted from 1, the last pixel included
            label = self._label(item.findtext("name", ""))
            yield Box(label, max(0, left - 1), max(0, top - 1), max(0, right), max(0, bottom))

    def _filled(self, tree: Element) -> Image:
        height, width = (int(tree.findtext(f"size/{side}", "0")) for side in ("height", "width"))
        labels = np.zeros((height, width), np.uint8)
        for box in self._boxes(tree):
            rows = slice(int(box.top), int(box.bottom))
            labels[rows, int(box.left) : int(box.right)] = box.label
        return labels

    def _label(self, name: str) -> int:
        if name not in self.classes:
            known = ", ".join(self.classes)
            raise DataError(f"{self.path} names {name!r}: the classes are {known}")
        return self.classes.index(name) + 1
