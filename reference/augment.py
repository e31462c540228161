"""Training augmentation of one grey image and its mask: geometry for both, light for the image."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def augment(
    image: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    rng: np.random.Generator,
    *,
    crop: int,
    zoom: tuple[float, float],
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A random `crop` x `crop` view: zoomed, turn, mirror, and change the light."""
    image, mask = _zoom_and_crop(image, mask, rng, crop, zoom)
    turns, mirror = int(rng.integers(4)), bool(rng.integers(2))
    image, mask = np.rot90(image, turns), np.rot90(mask, turns)
    if mirror:
        image, mask = image[:, ::-1], mask[:, ::-1]
    return relight(np.ascontiguousarray(image), rng), np.ascontiguousarray(mask)


def _zoom_and_crop(
    image: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    rng: np.random.Generator,
    crop: int,
    zoom: tuple[float, float],
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    height, width = image.shape
    factor = float(rng.uniform(*zoom))
    size = (max(crop, round(width * factor)), max(crop, round(height * factor)))
    image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    mask = np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST), np.uint8)
    top = int(rng.integers(image.shape[0] - crop + 1))
    left = int(rng.integers(image.shape[1] - crop + 1))
    window = np.s_[top : top + crop, left : left + crop]
    return image[window], mask[window]


def relight(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Gain, offset, gamma, an illumination ramp and sensor noise: what changes beside a line."""
    x = image.astype(np.float32) / 255.0
    if rng.random() < 0.5:
        x = x ** np.float32(rng.uniform(0.7, 1.4))
    gain, offset = rng.uniform(0.7, 1.3), rng.uniform(-0.12, 0.12)
    x = (x - 0.5) * np.float32(gain) + np.float32(0.5 + offset)
    if rng.random() < 0.3:
        x *= _ramp(image.shape, rng)
    if rng.random() < 0.3:
        x += rng.normal(0.0, rng.uniform(0.005, 0.03), image.shape).astype(np.float32)
    return np.asarray(np.clip(x * 255.0 + 0.5, 0, 255), np.uint8)


def _ramp(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    angle, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.4)
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    ramp = 1.0 + depth * 0.5 * (np.cos(angle) * x + np.sin(angle) * y)
    return np.asarray(ramp, np.float32)
