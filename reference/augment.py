"""Training augmentation of one image and its mask: geometry for both, light for the image.

What is left out of a recipe is as the line's own recipe has it, and draws the random numbers that
it always drew: a run that is resumed goes on with the images it would have had.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

Picture = NDArray[np.uint8]  # H,W or H,W,3


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Effect(_Section):
    """What happens to some of the images, to an extent drawn from a range."""

    chance: float = Field(default=1.0, gt=0, le=1)
    range: tuple[float, float]

    def happens(self, rng: np.random.Generator) -> bool:
        return self.chance == 1 or bool(rng.random() < self.chance)

    def extent(self, rng: np.random.Generator) -> float:
        return float(rng.uniform(*self.range))


class Augmentation(_Section):
    """What may happen to a training image; `null` is never."""

    stretch: PositiveInt | None = Field(
        default=None, description="First of all to a square of this side, whatever its shape."
    )
    quarter_turns: bool = True
    mirror: tuple[Literal["horizontal", "vertical"], ...] = ("horizontal",)
    rotate_deg: float = Field(
        default=0, ge=0, description="To either side; what comes in is black."
    )
    gamma: Effect | None = Effect(chance=0.5, range=(0.7, 1.4))
    gain: Effect | None = Effect(range=(0.7, 1.3))
    offset: Effect | None = Effect(range=(-0.12, 0.12))
    colour: Effect | None = Field(
        default=None, description="A gain for each channel, as of a lamp."
    )
    low_contrast: Effect | None = Field(default=None, description="What is left of the contrast.")
    illumination: Effect | None = Field(
        default=Effect(chance=0.3, range=(0.1, 0.4)),
        description="A ramp of light across the image.",
    )
    noise: Effect | None = Effect(chance=0.3, range=(0.005, 0.03))
    salt_and_pepper: Effect | None = Field(default=None, description="The share of the pixels.")


AS_ON_THE_LINE = Augmentation()


def augment(
    image: Picture,
    mask: Picture,
    rng: np.random.Generator,
    *,
    crop: int,
    zoom: tuple[float, float],
    how: Augmentation = AS_ON_THE_LINE,
) -> tuple[Picture, Picture]:
    """A random `crop` x `crop` view: zoomed, turned and mirrored, in another light."""
    if how.stretch:
        image, mask = _resized(image, mask, (how.stretch, how.stretch))
    image, mask = _zoom_and_crop(image, mask, rng, crop, zoom)
    if how.rotate_deg:
        angle_deg = float(rng.uniform(-how.rotate_deg, how.rotate_deg))
        image = _rotated(image, angle_deg, cv2.INTER_LINEAR)
        mask = _rotated(mask, angle_deg, cv2.INTER_NEAREST)
    turns = int(rng.integers(4)) if how.quarter_turns else 0
    image, mask = np.rot90(image, turns), np.rot90(mask, turns)
    for axis, direction in ((1, "horizontal"), (0, "vertical")):
        if direction in how.mirror and rng.integers(2):
            image, mask = np.flip(image, axis), np.flip(mask, axis)
    return relight(np.ascontiguousarray(image), rng, how), np.ascontiguousarray(mask)


def _zoom_and_crop(
    image: Picture,
    mask: Picture,
    rng: np.random.Generator,
    crop: int,
    zoom: tuple[float, float],
) -> tuple[Picture, Picture]:
    height, width = mask.shape
    factor = float(rng.uniform(*zoom))
    size = (max(crop, round(width * factor)), max(crop, round(height * factor)))
    image, mask = _resized(image, mask, size)
    top = int(rng.integers(mask.shape[0] - crop + 1))
    left = int(rng.integers(mask.shape[1] - crop + 1))
    window = np.s_[top : top + crop, left : left + crop]
    return image[window], mask[window]


def _resized(image: Picture, mask: Picture, size: tuple[int, int]) -> tuple[Picture, Picture]:
    """To a width and a height."""
    image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    return image, np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST), np.uint8)


def _rotated(picture: Picture, angle_deg: float, interpolation: int) -> Picture:
    height, width = picture.shape[:2]
    about = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle_deg, 1)
    turned = cv2.warpAffine(picture, about, (width, height), flags=interpolation)
    return np.asarray(turned, np.uint8)


def relight(image: Picture, rng: np.random.Generator, how: Augmentation) -> Picture:
    """What changes beside a line: exposure, the lamp, its place, and the sensor's noise."""
    x: NDArray[np.floating] = image.astype(np.float32) / 255
    if how.gamma and how.gamma.happens(rng):
        x = x ** np.float32(how.gamma.extent(rng))
    gain = how.gain.extent(rng) if how.gain and how.gain.happens(rng) else 1.0
    offset = how.offset.extent(rng) if how.offset and how.offset.happens(rng) else 0.0
    x = (x - 0.5) * np.float32(gain) + np.float32(0.5 + offset)
    if how.colour and how.colour.happens(rng):
        x *= rng.uniform(*how.colour.range, image.shape[2:]).astype(np.float32)
    if how.low_contrast and how.low_contrast.happens(rng):
        x = x.mean() + (x - x.mean()) * np.float32(how.low_contrast.extent(rng))
    if how.illumination and how.illumination.happens(rng):
        ramp = _ramp(image.shape[:2], rng, how.illumination)
        x *= ramp if x.ndim == 2 else ramp[..., None]
    if how.noise and how.noise.happens(rng):
        x += rng.normal(0.0, how.noise.extent(rng), image.shape).astype(np.float32)
    if how.salt_and_pepper and how.salt_and_pepper.happens(rng):
        _sprinkle(x, rng, how.salt_and_pepper.extent(rng))
    return np.asarray(np.clip(x * 255.0 + 0.5, 0, 255), np.uint8)


def _ramp(shape: tuple[int, ...], rng: np.random.Generator, how: Effect) -> NDArray[np.float32]:
    angle, depth = rng.uniform(0, 2 * np.pi), how.extent(rng)
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    ramp = 1.0 + depth * 0.5 * (np.cos(angle) * x + np.sin(angle) * y)
    return np.asarray(ramp, np.float32)


def _sprinkle(x: NDArray[np.floating], rng: np.random.Generator, share: float) -> None:
    """Salt and pepper, in place: as many pixels white as black."""
    drawn = rng.random(x.shape[:2])
    x[drawn < share / 2] = 0
    x[drawn > 1 - share / 2] = 1
