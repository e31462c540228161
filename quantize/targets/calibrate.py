"""Which images the INT8 ranges are measured on: few, and as unlike each other as possible."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.bundle import InputSpec
from edge.errors import FrameError, TracksideError
from edge.files.image_file import IMAGE_SUFFIXES, read_image
from edge.types import Image
from reference.data import Pair

GRID = 4  # cells a side, each with its brightness, contrast and gradient energy
CELL = 16  # thumbnail pixels a side of a cell
LEAST_SIDE = 32  # pixels; less is a thumbnail
MOST_STRETCH = 2  # from an image's proportions to the network's


class CalibrationError(TracksideError, ValueError):
    """Images that ranges cannot be measured on; the message says which and what to do."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """An image that ranges could be measured on."""

    name: str
    image: Image
    defect_share: float | None  # of its pixels, where a mask tells


@dataclass(frozen=True)
class Calibration:
    """The chosen images, in the order of their source."""

    images: tuple[Image, ...]

    @cached_property
    def sha256(self) -> str:
        """Of the pixels and their shapes: the ranges follow from these alone."""
        digest = hashlib.sha256()
        for image in self.images:
            digest.update(repr(image.shape).encode())
            digest.update(image.tobytes())
        return digest.hexdigest()


def of_pairs(pairs: Iterable[Pair]) -> list[Candidate]:
    """Images whose masks tell how much of them is defect."""
    return [Candidate(pair.name, pair.image, float(pair.mask.mean())) for pair in pairs]


def read_folder(folder: Path, *, colour: bool = False) -> list[Candidate]:
    """The images of a folder, or of `images/` in it; masks are not asked for."""
    if not folder.is_dir():
        raise CalibrationError(f"{folder} is no folder: name one that holds images")
    for place in (folder, folder / "images"):
        found = sorted(place.iterdir()) if place.is_dir() else []
        if paths := [path for path in found if path.suffix.lower() in IMAGE_SUFFIXES]:
            return _read_all(paths, colour)
    raise CalibrationError(
        f"{folder} holds no image ({', '.join(sorted(IMAGE_SUFFIXES))}), nor does images/ in it: "
        "name the folder that does"
    )


def _read_all(paths: Sequence[Path], colour: bool) -> list[Candidate]:
    """Every file, or one error that names all those that cannot be read."""
    candidates, broken = [], []
    for path in paths:
        try:
            candidates.append(Candidate(path.name, read_image(path, colour=colour), None))
        except FrameError as error:
            broken.append(str(error))
    if broken:
        raise CalibrationError(f"{len(broken)} of {len(paths)} files: {'; '.join(broken[:5])}")
    return candidates


def choose(
    candidates: Sequence[Candidate], spec: InputSpec, *, count: int, seed: int
) -> Calibration:
    """Farthest-first choice: each next image is the one least like all those chosen before."""
    _refuse_unfit(candidates, spec)
    known = [c.defect_share for c in candidates if c.defect_share is not None]
    usual = fmean(known) if known else 0.0
    look = np.stack([_look(candidate, usual) for candidate in candidates])
    look = (look - look.mean(axis=0)) / (look.std(axis=0) + 1e-6)
    start = int(np.random.default_rng(seed).integers(len(candidates)))
    chosen = sorted(_farthest_first(look, count, start))
    return Calibration(tuple(candidates[i].image for i in chosen))


def fitting(candidates: Sequence[Candidate], spec: InputSpec) -> list[Candidate]:
    """Those that teach ranges: what a network was trained on may hold others; all, if none does."""
    unfit = {name for names, _, _ in _unfit(candidates, spec) for name in names}
    return [each for each in candidates if each.name not in unfit] or list(candidates)


def _refuse_unfit(candidates: Sequence[Candidate], spec: InputSpec) -> None:
    if not candidates:
        raise CalibrationError("there is no image to calibrate on: name a folder that holds some")
    for names, what, remedy in _unfit(candidates, spec):
        if names:
            raise CalibrationError(
                f"{len(names)} of {len(candidates)} images are {what}: "
                f"{', '.join(names[:5])}: {remedy}"
            )


def _unfit(
    candidates: Sequence[Candidate], spec: InputSpec
) -> Iterator[tuple[list[str], str, str]]:
    """Names by what is wrong with them, and the remedy."""
    constant = [c.name for c in candidates if c.image.min() == c.image.max()]
    yield constant, "of one single grey", "remove them, a covered lens teaches no range"
    small = [c.name for c in candidates if min(c.image.shape[:2]) < LEAST_SIDE]
    yield small, f"below {LEAST_SIDE} pixels a side", "give them as the camera takes them"
    yield (
        [c.name for c in candidates if _stretch(c.image, spec) > MOST_STRETCH],
        f"not of the network's proportions {spec.width}x{spec.height}",
        "crop them as the camera's frames are cropped",
    )


def _stretch(image: Image, spec: InputSpec) -> float:
    across: float = spec.width / image.shape[1]
    along: float = spec.height / image.shape[0]
    return max(across / along, along / across)


def _look(candidate: Candidate, usual_share: float) -> NDArray[np.float32]:
    """Brightness, contrast and gradient energy over a grid of cells, and the defects' share."""
    side = GRID * CELL
    size = (side, side)
    x = cv2.resize(candidate.image, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    gradient = np.hypot(cv2.Sobel(x, cv2.CV_32F, 1, 0), cv2.Sobel(x, cv2.CV_32F, 0, 1))
    cells = x.reshape(GRID, CELL, GRID, CELL)
    energy = gradient.reshape(GRID, CELL, GRID, CELL).mean(axis=(1, 3))
    features = (cells.mean(axis=(1, 3)), cells.std(axis=(1, 3)), energy)
    # As much weight as all cells of one of the others together.
    known = candidate.defect_share
    share = np.full(GRID * GRID, usual_share if known is None else known, np.float32)
    return np.concatenate([*(feature.ravel() for feature in features), share])


def _farthest_first(points: NDArray[np.float32], count: int, start: int) -> list[int]:
    """Greedy k-centre; ends early when all that is left equals something chosen."""
    chosen, distance = [start], np.linalg.norm(points - points[start], axis=1)
    while len(chosen) < count and distance.max() > 0:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return chosen
