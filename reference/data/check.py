"""What is wrong with a data set: its files, its masks, and what its sides share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import FrameError
from edge.files.image_file import read_image
from edge.types import Image
from reference.data.duplicates import Fingerprint, find_twins, fingerprint
from reference.data.pairs import Pair, pair_of
from reference.data.worth import LEAST_DEFECTIVE, fault_of
from reference.datasets import FREE, DataError, Listing, Sample, Strength
from reference.datasets.masks import GreyMask

# What can be found and what to do. Only the kinds in `REMARKS` leave a data set usable as it is.
KINDS = {
    "unreadable": "cannot be read: copy it again from its source",
    "no_mask": "an image without its mask: add it, or take the image out",
    "no_image": "a mask without its image: add it, or take the mask out",
    "size_mismatch": "image and mask differ in size: restore both",
    "dark_mask": "a mask too dark to count: save it with 0 and 255, or, if all masks are like it, "
    "say --marked-from 1, or what their brightest value is (`marked_from` in a recipe)",
    "grey_mask": "a mask of more than two levels, taken as defect from its threshold on: save it "
    "with 0 and 255",
    "lossy_mask": "a mask saved as JPEG, which blurs its edge: save it as PNG",
    "empty_mask": "a defect's class and an empty mask: mark the defect, or call it free",
    "marked_free": "called free, and a defect is marked: decide which",
    "no_defect": "nothing to learn from: a mask marks a defect from 128 on, 255 being usual",
    "inverted": "masks that mark the sound surface: exchange 0 and 255",
    "too_few": "too few to learn from: label more, 100 images with a defect being usual",
    "left_out": "pictures that are not read: name their folder as the layout does (`trackside data "
    "layouts`), or move them out",
    "leak": "one surface on two sides, so that no test is one: keep it on one",
    "twin": "one surface twice on one side",
    "odd_size": "not as large as the rest",
}
_AS: dict[Strength, str] = {
    "mask": "with a mask",
    "boxes": "with boxes",
    "class": "with a class alone",
}
REMARKS = ("lossy_mask", "left_out", "twin", "odd_size")
_LOSSY = {".jpg", ".jpeg"}
_RINGING = 32  # levels that compression may add to black or take from white


@dataclass(frozen=True)
class Finding:
    """One thing that was found."""

    kind: str
    files: tuple[Path, ...]
    detail: str
    as_published: bool = False  # what its layout's own reader is made for

    @property
    def is_wrong(self) -> bool:
        return self.kind not in REMARKS and not self.as_published


@dataclass(frozen=True, eq=False)
class Seen:
    """What one look at a sample's files left."""

    sample: Sample
    findings: tuple[Finding, ...]
    shape: tuple[int, ...] | None = None  # of an image that could be read
    print: Fingerprint | None = None
    marked: float | None = None  # share of a mask's pixels; None where it says no pixel
    classes: frozenset[str] = frozenset()  # that it shows, as training has them; none if unknown
    light: tuple[float, float] = (0.0, 0.0)  # mean and deviation of its grey, from 0 to 1
    defects: tuple[tuple[int, int], ...] = ()  # area and greatest extent in pixels, of each
    looked_at: tuple[int, ...] = ()  # rows and columns of what the network is shown of it

    @property
    def shows_defect(self) -> bool:
        return bool(self.classes - {FREE})


@dataclass(frozen=True, eq=False)
class DataReport:
    """A data set and everything found in it."""

    root: Path
    layout: str
    seen: Sequence[Seen]
    findings: Sequence[Finding]

    @property
    def is_wrong(self) -> bool:
        return any(finding.is_wrong for finding in self.findings)

    def record(self) -> dict[str, Any]:
        """What scripts read."""
        samples = [seen.sample for seen in self.seen]
        return {
            "root": str(self.root),
            "layout": self.layout,
            "images": len(samples),
            "taken_for": taken_for(samples),
            "with_a_defect": sum(bool(one.shows_defect) for one in self.seen),
            "splits": Counter(sample.split for sample in samples),
            "classes": Counter(name for seen in self.seen for name in sorted(seen.classes)),
            "sizes": Counter(_size(s.shape) for s in self.seen if s.shape),
            "wrong": self.is_wrong,
            "findings": [
                {
                    "kind": finding.kind,
                    "wrong": finding.is_wrong,
                    "files": [str(file) for file in finding.files],
                    "detail": finding.detail,
                }
                for finding in self.findings
            ],
        }


def taken_for(samples: Iterable[Sample]) -> Counter[str]:
    """How many images are taken for what, by their labels."""
    return Counter("sound, without a mask" if s.mask is None else _AS[s.strength] for s in samples)


def left_out(listing: Listing) -> Counter[Path]:
    """How many pictures are not read, by their folder."""
    return Counter(path.parent for path in listing.left_out)


def _size(shape: Sequence[float]) -> str:
    """Width first, as a line's `check` says it."""
    rows, columns = shape[:2]
    return f"{columns:g}x{rows:g}"


def look(samples: Iterable[Sample]) -> Iterator[Seen]:
    """Read every file once."""
    for sample in samples:
        try:
            image = read_image(sample.image, colour=False)
        except FrameError as error:
            yield Seen(sample, (Finding("unreadable", (sample.image,), str(error)),))
            continue
        findings, classes, marked = list[Finding](), frozenset[str](), None
        defects: tuple[tuple[int, int], ...] = ()
        looked_at: tuple[int, ...] = image.shape
        try:
            levels, labels = _read_mask(sample, image)
        except (FrameError, DataError, OSError) as error:
            assert sample.mask is not None
            findings = [Finding("unreadable", (sample.mask.path,), str(error))]
        else:
            findings = list(_look_at_mask(sample, image, levels, labels))
            if labels.shape == image.shape:
                pair = pair_of(sample, image, labels)
                classes, marked, defects = frozenset(pair.shown), pair.marked, _defects(pair)
                looked_at = pair.mask.shape
        light = float(image.mean()) / 255, float(image.std()) / 255
        told = image.shape, fingerprint(image), marked, classes, light, defects, looked_at
        yield Seen(sample, tuple(findings), *told)


def _defects(pair: Pair) -> tuple[tuple[int, int], ...]:
    """What is marked in one piece, or a box."""
    if pair.strength == "boxes":
        sides = [(right - left, bottom - top) for _, left, top, right, bottom in pair.boxes]
        return tuple((int(across * along), int(max(across, along))) for across, along in sides)
    count, _, found, _ = cv2.connectedComponentsWithStats(pair.mask, connectivity=8)
    return tuple((int(area), int(max(w, h))) for _, _, w, h, area in found[1:count])


def _read_mask(sample: Sample, image: Image) -> tuple[Image | None, Image]:
    """The grey levels, where there are such, and the labels."""
    if sample.mask is None:
        return None, np.zeros(image.shape, np.uint8)
    if not isinstance(sample.mask, GreyMask):
        return None, sample.mask.read()
    levels = sample.mask.levels()
    return levels, sample.mask.marked(levels)


def _look_at_mask(
    sample: Sample, image: Image, levels: Image | None, labels: Image
) -> Iterator[Finding]:
    if sample.mask is None:
        return
    if labels.shape != image.shape:
        files = (sample.image, sample.mask.path)
        yield Finding(
            "size_mismatch", files, f"{_size(image.shape)}, and its mask {_size(labels.shape)}"
        )
    if sample.strength == "class":  # nothing is marked in it, as it should be
        return
    if sample.class_name == FREE and labels.any():
        yield Finding("marked_free", (sample.image,), f"{np.count_nonzero(labels)} px")
    if levels is not None and levels.any() and not labels.any():
        brightest = f"its brightest value is {levels.max()}"
        yield Finding("dark_mask", (sample.mask.path,), brightest)
    elif sample.class_name not in {FREE, None} and not labels.any():
        yield Finding("empty_mask", (sample.image,), f"class {sample.class_name}")
    elif levels is not None and (undecided := _undecided(levels, sample.mask.path)):
        as_published = isinstance(sample.mask, GreyMask) and not sample.mask.own
        yield Finding("grey_mask", (sample.mask.path,), undecided, as_published)
    own = isinstance(sample.mask, GreyMask) and sample.mask.own
    if own and sample.mask.path.suffix.lower() in _LOSSY:
        yield Finding("lossy_mask", (sample.mask.path,), "")


def _undecided(levels: NDArray[np.uint8], path: Path) -> str:
    """How a mask with more than two levels depends on the threshold; empty if it has two."""
    counts = np.bincount(levels.ravel(), minlength=256)
    if path.suffix.lower() in _LOSSY:
        brightest = int(levels.max())
        counts[: _RINGING + 1] = 0
        counts[max(0, brightest - _RINGING) :] = 0
        between = np.count_nonzero(counts)
    else:
        between = np.count_nonzero(counts) - 2
    if between <= 0:
        return ""
    above, bright = np.count_nonzero(levels), np.count_nonzero(levels >= 128)
    return f"{between} levels between; {above} px above 0, {bright} px from 128 on"


def judge(listing: Listing, seen: Sequence[Seen], *, least: int = LEAST_DEFECTIVE) -> list[Finding]:
    """Everything found, in the order of `KINDS`; `least` images with a defect are to be there."""
    findings = [finding for one in seen for finding in one.findings]
    findings += [Finding("no_mask", (path,), "") for path in listing.images_alone]
    findings += [Finding("no_image", (path,), "") for path in listing.masks_alone]
    readable = [one for one in seen if one.print is not None]
    findings += _left_out(listing)
    findings += _worthless(seen, least)
    findings += _odd_sizes(readable)
    findings += _twins(readable)
    order = list(KINDS)
    return sorted(findings, key=lambda finding: order.index(finding.kind))


def _left_out(listing: Listing) -> Iterator[Finding]:
    """A folder for a finding: what vanishes without a word is missed when it is too late."""
    for folder, count in left_out(listing).items():
        yield Finding("left_out", (folder,), f"{count} pictures")


def _worthless(seen: Sequence[Seen], least: int) -> Iterator[Finding]:
    """What keeps the side to train on from teaching anything, where all of it could be read."""
    side = [one for one in seen if one.sample.split == "train"]
    shares = [one.marked for one in side if one.marked is not None]
    if len(shares) == len(side) > 0 and (fault := fault_of(shares)) is not None:
        elsewhere = sum(one.shows_defect for one in seen if one.sample.split != "train")
        said = f"; {elsewhere} of other sides have: `trackside new` splits them anew"
        yield Finding(fault[0], (side[0].sample.image,), fault[1] + (said if elsewhere else ""))
        return
    if side and all(one.classes for one in side):
        showing = sum(one.shows_defect for one in side)
        if showing < least:
            said = f"{showing} of {len(side)} images to train on show a defect"
            yield Finding("too_few", (side[0].sample.image.parent,), said)


def _odd_sizes(seen: Sequence[Seen]) -> Iterator[Finding]:
    """Images unlike a size that nine in ten have; or, with many sizes, twice or half the usual."""
    shapes = [one.shape for one in seen if one.shape]
    if not shapes:
        return
    usual, count = Counter(shapes).most_common(1)[0]
    has_one_size = count >= 0.9 * len(shapes)
    middle = usual if has_one_size else tuple(median(sides) for sides in zip(*shapes, strict=True))
    for one in seen:
        assert one.shape is not None
        ratios = [side / usually for side, usually in zip(one.shape, middle, strict=True)]
        if one.shape != middle if has_one_size else any(not 0.5 <= r <= 2 for r in ratios):
            detail = f"{_size(one.shape)}, most are {_size(middle)}"
            yield Finding("odd_size", (one.sample.image,), detail)


def _twins(seen: Sequence[Seen]) -> Iterator[Finding]:
    prints = [one.print for one in seen if one.print is not None]
    for twins in find_twins(prints, [one.sample.split for one in seen]):
        first, second = seen[twins.first].sample, seen[twins.second].sample
        kind = "twin" if first.split == second.split else "leak"
        sides = " and ".join(dict.fromkeys((first.split, second.split)))
        is_copy = prints[twins.first].digest == prints[twins.second].digest
        alike = "the same pixels" if is_copy else f"{twins.alike:.3f} alike"
        yield Finding(kind, (first.image, second.image), f"{alike}, {sides}")
