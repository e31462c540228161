"""What a training image's label says, as planes and boxes that go through the augmentation with it.

A plane of labels is bytes: 0 is sound, n is the recipe's class n, and two numbers more. A box is a
row of five: its label, and left, top, right, bottom in pixels, where pixel 0 reaches from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from reference.datasets import Strength

if TYPE_CHECKING:  # maps alone are scored without torch
    from torch import Tensor

NAMELESS = 254  # a defect whose class the network does not name
IGNORED = 255  # neither sound nor defect: nobody knows, or nobody minds
MOST_CLASSES = NAMELESS - 1

Plane = NDArray[np.uint8]
Boxes = NDArray[np.float32]  # K,5
Labels: TypeAlias = "Plane | Tensor"  # of a batch, on a device or not


class Marks(NamedTuple):
    """The labels of a batch."""

    labels: Labels  # N,H,W; under boxes, the smallest box that lies over each pixel
    strengths: Sequence[Strength]
    boxes: Sequence[Boxes]  # of each image, what the crop shows of them
    cut: Sequence[NDArray[np.bool_]]  # K,2: whether a box goes on beyond the crop: across, along
    class_numbers: Sequence[int]  # of images of which no more than a class is known
    weights: Sequence[float]

    def groups(self) -> Iterator[tuple[Sequence[int], float]]:
        """Images whose labels say as much and weigh as much, and their part of the batch's loss."""
        kinds = list(zip(self.strengths, self.weights, strict=True))
        for kind in dict.fromkeys(kinds):
            group = [image for image, own in enumerate(kinds) if own == kind]
            yield group, kind[1] * len(group) / len(kinds)

    def order(self) -> list[int]:
        """All images, group after group."""
        return [image for group, _ in self.groups() for image in group]

    def of(self, group: Sequence[int], labels: Labels) -> Marks:
        """The marks of some of the images, whose planes are these."""
        return Marks(
            labels,
            [self.strengths[image] for image in group],
            [self.boxes[image] for image in group],
            [self.cut[image] for image in group],
            [self.class_numbers[image] for image in group],
            [self.weights[image] for image in group],
        )


@dataclass(frozen=True)
class Naming:
    """A data set's classes as the recipe's: by number, the data set's first class being 1."""

    number_of: tuple[int, ...]  # of each, from 1; or NAMELESS, or IGNORED

    @classmethod
    def of(
        cls, found: Sequence[str], names: Sequence[str], renamed: dict[str, str], ignored: set[str]
    ) -> Naming:
        def number(name: str) -> int:
            if name in ignored:
                return IGNORED
            name = renamed.get(name, name)
            return names.index(name) + 1 if name in names else NAMELESS

        return cls(tuple(map(number, found)))

    def plane(self, labels: Plane) -> Plane:
        table = np.zeros(256, np.uint8)
        table[1 : len(self.number_of) + 1] = self.number_of
        return table[labels]

    def boxes(self, boxes: Boxes) -> Boxes:
        renumbered = boxes.copy()
        renumbered[:, 0] = [self.number_of[int(label) - 1] for label in boxes[:, 0]]
        return renumbered


def no_boxes() -> Boxes:
    return np.zeros((0, 5), np.float32)
