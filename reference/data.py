"""Image+mask pairs held in memory, and the training batches cut from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigurationError
from reference.augment import augment

IMAGE_SUFFIXES = {".bmp", ".png", ".jpg", ".jpeg", ".tif", ".tiff"}

# One published layout: where the images and masks lie, and which stems are held out.
SD900_HELD_OUT_IDS = range(241, 261)  # one contiguous block a class: neighbours look alike


class DataError(ConfigurationError):
    """A data set folder that cannot be used; the message says what to change."""


@dataclass(frozen=True)
class Pair:
    """One grey image and its 0/1 mask, equal in size."""

    name: str
    image: NDArray[np.uint8]  # H,W
    mask: NDArray[np.uint8]  # H,W, 0 or 1


def read_sd900(root: Path) -> list[Pair]:
    """SD-saliency-900 as distributed (Song et al.): `Source Images/*.bmp`, `Ground truth/*.png`."""
    return read_pairs(root / "Source Images", root / "Ground truth")


def read_simulated(root: Path) -> list[Pair]:
    """The folders written by `trackside simulate`."""
    return read_pairs(root / "images", root / "masks")


READERS: dict[str, Callable[[Path], list[Pair]]] = {
    "sd900": read_sd900,
    "simulated": read_simulated,
}


def read_pairs(images: Path, masks: Path) -> list[Pair]:
    """Read every image with the mask of the same stem; a missing mask is an error."""
    if not images.is_dir() or not masks.is_dir():
        raise DataError(f"{images} and {masks} must both be folders: check --data-root")
    mask_of = {path.stem: path for path in masks.iterdir()}
    paths = sorted(p for p in images.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        raise DataError(f"{images} holds no image ({', '.join(sorted(IMAGE_SUFFIXES))})")
    missing = [p.name for p in paths if p.stem not in mask_of]
    if missing:
        raise DataError(f"{masks} lacks masks for {len(missing)} images: {', '.join(missing[:5])}")
    return [_read_pair(path, mask_of[path.stem]) for path in paths]


def _read_pair(image_path: Path, mask_path: Path) -> Pair:
    image = cv2.imread(str(image_path), cv2.IMREAD_GRAYSCALE)
    mask = cv2.imread(str(mask_path), cv2.IMREAD_GRAYSCALE)
    if image is None or mask is None:
        raise DataError(f"{image_path if image is None else mask_path} cannot be decoded")
    if image.shape != mask.shape:
        raise DataError(f"{image_path} is {image.shape} but its mask is {mask.shape}")
    # 128, not 0: several published masks carry grey or JPEG-compressed edges.
    return Pair(image_path.stem, image.astype(np.uint8), (mask >= 128).astype(np.uint8))


def split_sd900(pairs: list[Pair]) -> tuple[list[Pair], list[Pair]]:
    """Training and validation sides of the strict split's 540 training images."""
    held_out = [p for p in pairs if int(p.name.split("_")[1]) in SD900_HELD_OUT_IDS]
    names = {p.name for p in held_out}
    return [p for p in pairs if p.name not in names], held_out


@dataclass(frozen=True)
class Source:
    """One data set and its part in every batch."""

    pairs: list[Pair]
    share: int
    zoom: tuple[float, float]  # range of the random scale, in network pixels per source pixel


def batch(
    sources: list[Source], *, seed: int, iteration: int, crop: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The batch of one iteration: N,crop,crop images and masks.

    A function of the seed and the iteration alone, so a resumed run sees the same data.
    """
    images, masks = [], []
    for number, source in enumerate(sources):
        rng = np.random.default_rng((seed, iteration, number))
        epoch_of, size = _epoch_order(seed, number, len(source.pairs)), len(source.pairs)
        for slot in range(share_start := iteration * source.share, share_start + source.share):
            pair = source.pairs[epoch_of(slot // size)[slot % size]]
            image, mask = augment(pair.image, pair.mask, rng, crop=crop, zoom=source.zoom)
            images.append(image)
            masks.append(mask)
    return np.stack(images), np.stack(masks)


def _epoch_order(seed: int, number: int, size: int) -> Callable[[int], NDArray[np.int64]]:
    def order(epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng((seed, number, epoch)).permutation(size)

    return order
