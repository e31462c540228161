"""Image+mask pairs held in memory, and the training batches cut from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.errors import FrameError
from edge.files.image_file import read_image
from reference.data.augment import AS_ON_THE_LINE, Augmentation, augment
from reference.datasets import FREE, LAYOUTS, DataError, Sample, Split, list_samples


@dataclass(frozen=True)
class Pair:
    """One image and its 0/1 mask, equal in size."""

    name: str
    image: NDArray[np.uint8]  # H,W grey, or H,W,3 BGR where colour was asked for
    mask: NDArray[np.uint8]  # H,W, 0 or 1
    class_name: str = "defect"  # `free` of an image without any
    split: Split = "train"


def read(root: Path, layout: str, *, colour: bool = False) -> list[Pair]:
    """Every image of a data set with its mask; an image without one is an error."""
    listing = list_samples(root, layout)
    if alone := listing.images_alone:
        raise DataError(
            f"{root} lacks masks for {len(alone)} images: "
            f"{', '.join(str(path.relative_to(root)) for path in alone[:5])}"
        )
    return [read_pair(sample, colour=colour) for sample in listing.samples]


READERS: dict[str, Callable[[Path], list[Pair]]] = {
    name: partial(read, layout=name) for name in LAYOUTS
}


def read_pair(sample: Sample, *, colour: bool = False) -> Pair:
    """The pixels of a sample, and its class where the mask alone tells it."""
    try:
        image = read_image(sample.image, colour=colour)
        labels = sample.mask.read() if sample.mask else np.zeros(image.shape[:2], np.uint8)
    except (FrameError, OSError) as error:
        raise DataError(str(error)) from error
    if labels.shape != image.shape[:2]:
        raise DataError(
            f"{sample.image} is {image.shape[:2]} but its mask is {labels.shape}: "
            "restore the published files"
        )
    class_name = sample.class_name or _class_of(sample, labels)
    return Pair(sample.name, image, (labels > 0).astype(np.uint8), class_name, sample.split)


def _class_of(sample: Sample, labels: NDArray[np.uint8]) -> str:
    """The class that has most pixels."""
    if sample.mask is None or not labels.any():
        return FREE
    counts = np.bincount(labels.ravel())
    return sample.mask.classes[int(counts[1:].argmax())]


@dataclass(frozen=True)
class Source:
    """One data set and its part in every batch."""

    pairs: list[Pair]
    share: int
    zoom: tuple[float, float]  # range of the random scale, in network pixels per source pixel
    augmentation: Augmentation = AS_ON_THE_LINE


class Batch(NamedTuple):
    """What one optimizer step is made of."""

    images: NDArray[np.uint8]  # N,H,W
    masks: NDArray[np.uint8]  # N,H,W, 0 or 1
    class_names: list[str]


def batch(sources: list[Source], *, seed: int, iteration: int, crop: int) -> Batch:
    """The batch of one iteration, of `crop` x `crop` images.

    A function of the seed and the iteration alone, so a resumed run sees the same data.
    """
    images, masks, class_names = [], [], []
    for number, source in enumerate(sources):
        rng = np.random.default_rng((seed, iteration, number))
        for index in taken(source, number, seed=seed, iteration=iteration):
            pair = source.pairs[index]
            image, mask = augment(
                pair.image, pair.mask, rng, crop=crop, zoom=source.zoom, how=source.augmentation
            )
            images.append(image)
            masks.append(mask)
            class_names.append(pair.class_name)
    return Batch(np.stack(images), np.stack(masks), class_names)


def taken(source: Source, number: int, *, seed: int, iteration: int) -> list[int]:
    """Which images an iteration takes of a source, the recipe's `number`th: each once an epoch."""
    size, start = len(source.pairs), iteration * source.share
    chosen = []
    for slot in range(start, start + source.share):
        epoch, place = divmod(slot, size)
        chosen.append(int(np.random.default_rng((seed, number, epoch)).permutation(size)[place]))
    return chosen
