"""Image+mask pairs held in memory, and the training batches cut from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edge.errors import FrameError
from edge.files.image_file import read_image
from edge.inspect.tiling import spans
from edge.line_file.view import OVERLAP_PX
from edge.types import Image
from reference.data.augment import (
    AS_ON_THE_LINE,
    Augmentation,
    Variation,
    draw,
    moved,
    placed,
    varied,
)
from reference.datasets import FREE, Box, DataError, Sample, Split, Strength, list_samples
from reference.datasets.labels import (
    IGNORED,
    MOST_CLASSES,
    NAMELESS,
    Boxes,
    Labels,
    Marks,
    Plane,
    no_boxes,
)
from reference.datasets.masks import GreyMask


@dataclass(frozen=True)
class Pair:
    """One image and its 0/1 mask, equal in size."""

    name: str
    image: NDArray[np.uint8]  # H,W grey, or H,W,3 BGR where colour was asked for
    mask: NDArray[np.uint8]  # H,W, 0 or 1
    class_name: str = "defect"  # `free` of an image without any
    split: Split = "train"
    strength: Strength = "mask"  # under boxes, the mask is what they cover
    labels: Plane | None = None  # H,W, 0 or a class; None: nothing but the mask is known
    classes: tuple[str, ...] = ()  # the names of the labels, from 1
    boxes: Boxes = field(default_factory=no_boxes)
    class_number: int = IGNORED  # of the class of an image of which no more is known
    levels: NDArray[np.uint8] | None = None  # H,W of the mask's file, where they were asked for
    answer: NDArray[np.uint8] | None = None  # H,W, a teacher's map of it
    weight: float = 1.0  # of its losses
    file: str = ""  # the image, by its path from the data set's folder
    too_dark: int = 0  # the brightest value of a mask of one's own in which nothing counts

    @property
    def plane(self) -> Plane:
        """The labels; where there are none, of defects without a name."""
        return self.mask * np.uint8(NAMELESS) if self.labels is None else self.labels

    @property
    def marked(self) -> float | None:
        """Share of its pixels; None where the label says no pixel."""
        return float(self.mask.mean()) if self.strength == "mask" else None

    @property
    def shown(self) -> set[str]:
        """Every class that is somewhere in the image."""
        if self.strength == "boxes":
            numbers = set(self.boxes[:, 0].astype(int).tolist())
        else:
            numbers = set(np.flatnonzero(np.bincount(self.plane.ravel())).tolist()) - {0}
        if not self.classes or not numbers:
            return {self.class_name}
        return {self.classes[number - 1] for number in numbers}

    def class_of(self, labels: Plane) -> str | None:
        """Of some of the plane's pixels, what most have; None where none has a class."""
        known = labels[(labels > 0) & (labels <= MOST_CLASSES)]
        if not known.size or not self.classes:
            return None
        return self.classes[int(np.bincount(known).argmax()) - 1]


@runtime_checkable
class Boxed(Protocol):
    """A mask that is made of rectangles."""

    def boxes(self) -> tuple[Box, ...]: ...


def read(
    root: Path,
    layout: str,
    *,
    colour: bool = False,
    levels: bool = False,
    marked_from: int | None = None,
) -> list[Pair]:
    """Every image of a data set with its mask; an image without one is an error.

    With the masks' grey `levels` too, where there are such, for who counts them otherwise.
    """
    listing = list_samples(root, layout, marked_from=marked_from)
    if alone := listing.images_alone:
        raise DataError(
            f"{root} lacks masks for {len(alone)} images: "
            f"{', '.join(str(path.relative_to(root)) for path in alone[:5])}"
        )
    pairs = [
        replace(read_pair(one, colour=colour), file=one.image.relative_to(root).as_posix())
        for one in listing.samples
    ]
    if not levels:
        return pairs
    masks = (sample.mask for sample in listing.samples)
    return [
        replace(pair, levels=mask.levels()) if isinstance(mask, GreyMask) else pair
        for pair, mask in zip(pairs, masks, strict=True)
    ]


def read_pair(sample: Sample, *, colour: bool = False) -> Pair:
    """The pixels of a sample, its class where the mask alone tells it, and of these its region."""
    try:
        image = read_image(sample.image, colour=colour)
        labels, too_dark = _labels_of(sample, image)
    except (FrameError, OSError) as error:
        raise DataError(str(error)) from error
    if labels.shape != image.shape[:2]:
        raise DataError(
            f"{sample.image} is {image.shape[:2]} but its mask is {labels.shape}: "
            "restore the published files"
        )
    return replace(pair_of(sample, image, labels), too_dark=too_dark)


def _labels_of(sample: Sample, image: Image) -> tuple[Image, int]:
    """A sample's labels, and the brightest value of its mask where that is too dark to count."""
    if sample.mask is None:
        return np.zeros(image.shape[:2], np.uint8), 0
    if not isinstance(sample.mask, GreyMask):
        return sample.mask.read(), 0
    levels = sample.mask.levels()
    labels = sample.mask.marked(levels)
    return labels, 0 if labels.any() or not sample.mask.own else int(levels.max(initial=0))


def pair_of(sample: Sample, image: Image, labels: Image) -> Pair:
    """What is learned of a sample whose files were read."""
    class_name = sample.class_name or _class_of(sample, labels)
    classes = tuple(sample.mask.classes) if sample.mask else ()
    pair = Pair(
        sample.name,
        image,
        (labels > 0).astype(np.uint8),
        class_name,
        sample.split,
        sample.strength,
        labels,
        # A mask of one class is of the image's.
        (class_name,) if len(classes) == 1 else classes,
        _boxes_of(sample),
        weight=sample.weight,
    )
    if sample.region is None:
        return pair
    region = sample.region(image)
    pair.boxes[:, [1, 3]] = pair.boxes[:, [1, 3]].clip(region.body.start, region.body.stop)
    part = cut(pair, region.rows, region.columns)
    if sample.class_name is None and sample.strength == "mask" and not part.mask.any():
        return replace(part, class_name=FREE)
    return part


def _class_of(sample: Sample, labels: NDArray[np.uint8]) -> str:
    """The class that has most pixels."""
    if sample.mask is None or not labels.any():
        return FREE
    counts = np.bincount(labels.ravel())
    return sample.mask.classes[int(counts[1:].argmax())]


def _boxes_of(sample: Sample) -> Boxes:
    if sample.strength != "boxes" or not isinstance(sample.mask, Boxed):
        return no_boxes()
    rows = [(b.label, b.left, b.top, b.right, b.bottom) for b in sample.mask.boxes()]
    return np.array(rows, np.float32).reshape(-1, 5)


def cut(pair: Pair, rows: slice, columns: slice) -> Pair:
    """A part of an image, and what lies in it."""
    image, mask, labels = (
        np.ascontiguousarray(plane[rows, columns]) for plane in (pair.image, pair.mask, pair.plane)
    )
    boxes = pair.boxes.copy()
    boxes[:, [1, 3]] -= columns.start or 0
    boxes[:, [2, 4]] -= rows.start or 0
    height, width = mask.shape
    left, top, right, bottom = boxes[:, 1:].T
    seen = (left < width) & (top < height) & (right > 0) & (bottom > 0)
    return replace(pair, image=image, mask=mask, labels=labels, boxes=boxes[seen])


def tiles(pair: Pair, side: int) -> list[Pair]:
    """A picture's parts, squares that cover it as a line's tiles do; a small one is its own."""
    rows, columns = pair.mask.shape
    if max(rows, columns) <= side:
        return [pair]
    parts = []
    overlap = min(side // 4, OVERLAP_PX)
    for top, _ in spans(rows, side, overlap):
        for left, _ in spans(columns, side, overlap):
            part = cut(pair, slice(top, top + side), slice(left, left + side))
            parts.append(replace(part, name=f"{pair.name}/{top}-{left}", class_name=_shows(part)))
    return parts


def _shows(part: Pair) -> str:
    """The class of a part: what most of its own pixels, or its boxes, are."""
    if part.strength == "boxes":
        numbers = part.boxes[:, 0].astype(int)
    else:
        numbers = part.plane[part.plane > 0].astype(int)
    if part.strength != "class" and not len(numbers):
        return FREE
    if not part.classes or not len(numbers):
        return part.class_name
    return part.classes[int(np.bincount(numbers).argmax()) - 1]


@dataclass(frozen=True)
class Source:
    """One data set and its part in every batch."""

    pairs: list[Pair]
    share: int
    zoom: tuple[float, float]  # range of the random scale, in network pixels per source pixel
    augmentation: Augmentation = AS_ON_THE_LINE
    weight: float = 1.0  # of its images' losses
    aims: frozenset[int] = frozenset()  # the labels that a crop may be aimed at


class Batch(NamedTuple):
    """What one optimizer step is made of."""

    images: NDArray[np.uint8]  # N,H,W grey, or N,H,W,3 BGR
    masks: NDArray[np.uint8]  # N,H,W, 0 or 1
    class_names: list[str]
    marks: Marks | None = None  # None: masks, all known, of defects without a name
    answers: NDArray[np.uint8] | None = None  # N,H,W, a teacher's maps, or else the mask


class Drawn(NamedTuple):
    """One image of a batch, before a pixel is touched."""

    source: Source
    pair: Pair
    number: int  # among all pairs of all sources
    variation: Variation
    rng: np.random.Generator  # of its source, for the noise


def draws(sources: Sequence[Source], *, seed: int, iteration: int, crop: int) -> Iterator[Drawn]:
    """The images of an iteration, each with its variation.

    Vary one before asking for the next: they draw from the same generator.
    """
    first = 0
    for number, source in enumerate(sources):
        rng = np.random.default_rng((seed, iteration, number))
        for index in taken(source, number, seed=seed, iteration=iteration):
            pair, how = source.pairs[index], source.augmentation
            aims = pair.boxes[[int(label) in source.aims for label in pair.boxes[:, 0]]]
            shape = pair.image.shape
            variation = draw(shape, rng, crop=crop, zoom=source.zoom, how=how, aims=aims)
            yield Drawn(source, pair, first + index, variation, rng)
        first += len(source.pairs)


def batch(sources: list[Source], *, seed: int, iteration: int, crop: int) -> Batch:
    """The batch of one iteration, of `crop` x `crop` images.

    A function of the seed and the iteration alone, so a resumed run sees the same data.
    """
    drawn, images, planes = [], [], []
    for one in draws(sources, seed=seed, iteration=iteration, crop=crop):
        pair, how = one.pair, one.source.augmentation
        image, plane = varied(
            pair.image, pair.plane, one.rng, variation=one.variation, crop=crop, how=how
        )
        drawn.append(one)
        images.append(image)
        planes.append(plane)
    labels = np.stack(planes)
    masks = ((labels > 0) & (labels < IGNORED)).astype(np.uint8)
    marks = marks_of(drawn, labels, crop=crop)
    names, answers = [one.pair.class_name for one in drawn], _answers(drawn, masks, crop=crop)
    return Batch(np.stack(images), masks, names, marks, answers)


def _answers(
    drawn: Sequence[Drawn], masks: NDArray[np.uint8], *, crop: int
) -> NDArray[np.uint8] | None:
    """What a teacher says of each image, varied as that is; the mask where it said nothing."""
    if all(one.pair.answer is None for one in drawn):
        return None
    answers = masks * np.uint8(255)
    for one, shown in zip(drawn, answers, strict=True):
        if one.pair.answer is not None:
            how = one.source.augmentation
            shown[:] = placed(one.pair.answer, variation=one.variation, crop=crop, how=how)
    return answers


def marks_of(drawn: Sequence[Drawn], labels: Labels, *, crop: int) -> Marks:
    """What a batch's labels say, its planes aside."""
    shown = [moved(d.pair.boxes, d.variation, d.pair.image.shape, crop=crop) for d in drawn]
    return Marks(
        labels,
        [d.pair.strength for d in drawn],
        [boxes for boxes, _ in shown],
        [cut for _, cut in shown],
        [d.pair.class_number for d in drawn],
        [d.source.weight * d.pair.weight for d in drawn],
    )


def taken(source: Source, number: int, *, seed: int, iteration: int) -> list[int]:
    """Which images an iteration takes of a source, the recipe's `number`th: each once an epoch."""
    size, start = len(source.pairs), iteration * source.share
    chosen = []
    for slot in range(start, start + source.share):
        epoch, place = divmod(slot, size)
        chosen.append(int(np.random.default_rng((seed, number, epoch)).permutation(size)[place]))
    return chosen
