"""Training augmentation of one image and its mask: geometry for both, light for the image.

What is left out of a recipe is as the line's own recipe has it, and draws the random numbers that
it always drew: a run that is resumed goes on with the images it would have had.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, field_validator

from reference.datasets.labels import Boxes, no_boxes

Picture = NDArray[np.uint8]  # H,W or H,W,3
_NEARLY_WHOLE = 0.8  # of a box: a row that shows as much of it shows what it holds


def ordered(ends: tuple[float, float]) -> tuple[float, float]:
    """Both ends of a range, the smaller first."""
    if ends[0] > ends[1]:
        raise ValueError(f"{ends[0]:g} is above {ends[1]:g}: write the smaller first")
    return ends


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Effect(_Section):
    """What happens to some of the images, to an extent drawn from a range."""

    chance: float = Field(default=1.0, gt=0, le=1, description="Of how many images.")
    range: Annotated[tuple[float, float], AfterValidator(ordered)] = Field(
        description="The least and the most of it."
    )

    def happens(self, rng: np.random.Generator) -> bool:
        return self.chance == 1 or bool(rng.random() < self.chance)

    def extent(self, rng: np.random.Generator) -> float:
        return float(rng.uniform(*self.range))


class Augmentation(_Section):
    """What may happen to a training image; `null` is never."""

    stretch: PositiveInt | None = Field(
        default=None, description="First of all to a square of this side, whatever its shape."
    )
    aim: float = Field(
        default=0, ge=0, le=1, description="The chance that a crop is aimed at a box."
    )
    quarter_turns: bool = Field(default=True, description="By none to three quarters.")
    mirror: tuple[Literal["horizontal", "vertical"], ...] = Field(
        default=("horizontal",), description="Half of the images, in each direction that is named."
    )
    rotate_deg: float = Field(
        default=0, ge=0, description="To either side; what comes in is black."
    )
    gamma: Effect | None = Field(
        default=Effect(chance=0.5, range=(0.7, 1.4)), description="The power of its grey."
    )
    gain: Effect | None = Field(
        default=Effect(range=(0.7, 1.3)), description="Of its contrast about the middle grey."
    )
    offset: Effect | None = Field(
        default=Effect(range=(-0.12, 0.12)), description="Added to its grey, of 0 to 1."
    )
    colour: Effect | None = Field(
        default=None, description="A gain for each channel, as of a lamp."
    )
    low_contrast: Effect | None = Field(default=None, description="What is left of the contrast.")
    illumination: Effect | None = Field(
        default=Effect(chance=0.3, range=(0.1, 0.4)),
        description="A ramp of light across the image.",
    )
    noise: Effect | None = Field(
        default=Effect(chance=0.3, range=(0.005, 0.03)), description="Deviation of each pixel's."
    )
    salt_and_pepper: Effect | None = Field(default=None, description="The share of the pixels.")

    @field_validator("gamma", "noise", "salt_and_pepper")
    @classmethod
    def _not_below_nothing(cls, effect: Effect | None) -> Effect | None:
        if effect is not None and effect.range[0] < 0:
            raise ValueError(f"its range begins at {effect.range[0]:g}: begin at 0 or above")
        return effect


AS_ON_THE_LINE = Augmentation()


@dataclass(frozen=True)
class Light:
    """The light of one variation; None is as it was."""

    gamma: float | None
    gain: float
    offset: float
    colour: NDArray[np.float32] | None  # a gain, or one for each channel
    contrast: float | None
    ramp: tuple[float, float] | None  # its direction in radians, its depth
    noise: float | None  # standard deviation
    grains: float | None  # the share of the pixels that turn black or white


@dataclass(frozen=True)
class Variation:
    """What is drawn for one image: all that happens to it but the noise of each pixel."""

    size: tuple[int, int]  # the whole image's width and height, before the crop
    left: int
    top: int
    angle_deg: float
    turns: int  # quarters, counter-clockwise
    mirrored: tuple[bool, bool]  # horizontally, vertically
    light: Light


def draw(
    shape: tuple[int, ...],
    rng: np.random.Generator,
    *,
    crop: int,
    zoom: tuple[float, float],
    how: Augmentation,
    aims: Boxes | None = None,
) -> Variation:
    """How an image of this shape is varied; perhaps about one of its boxes, if it has such."""
    height, width = (how.stretch, how.stretch) if how.stretch else shape[:2]
    factor = float(rng.uniform(*zoom))
    size = (max(crop, round(width * factor)), max(crop, round(height * factor)))
    if how.aim and aims is not None and len(aims) and rng.random() < how.aim:
        left, top = _aimed(aims[rng.integers(len(aims))], (width, height), size, crop, rng)
    else:
        top, left = int(rng.integers(size[1] - crop + 1)), int(rng.integers(size[0] - crop + 1))
    angle_deg = float(rng.uniform(-how.rotate_deg, how.rotate_deg)) if how.rotate_deg else 0.0
    turns = int(rng.integers(4)) if how.quarter_turns else 0
    horizontally = "horizontal" in how.mirror and bool(rng.integers(2))
    vertically = "vertical" in how.mirror and bool(rng.integers(2))
    light = _draw_light(shape, rng, how)
    return Variation(size, left, top, angle_deg, turns, (horizontally, vertically), light)


def _aimed(
    box: NDArray[np.float32],
    shape: tuple[int, int],
    size: tuple[int, int],
    crop: int,
    rng: np.random.Generator,
) -> tuple[int, int]:
    """Left and top of a crop that has a point of a box in it, anywhere but near its rim."""
    corner = []
    for low, high, length, resized in zip(box[1:3], box[3:5], shape, size, strict=True):
        point = rng.uniform(low, high) * resized / length
        wanted = round(point - rng.uniform(0.15, 0.85) * crop)
        corner.append(min(max(wanted, 0), resized - crop))
    return corner[0], corner[1]


def _draw_light(shape: tuple[int, ...], rng: np.random.Generator, how: Augmentation) -> Light:
    def extent(effect: Effect | None) -> float | None:
        return effect.extent(rng) if effect and effect.happens(rng) else None

    gamma, gain, offset = extent(how.gamma), extent(how.gain), extent(how.offset)
    colour = ramp = None
    if how.colour and how.colour.happens(rng):
        colour = np.asarray(rng.uniform(*how.colour.range, shape[2:]), np.float32)
    contrast = extent(how.low_contrast)
    if how.illumination and how.illumination.happens(rng):
        ramp = (float(rng.uniform(0, 2 * np.pi)), how.illumination.extent(rng))
    noise, grains = extent(how.noise), extent(how.salt_and_pepper)
    gain, offset = 1.0 if gain is None else gain, 0.0 if offset is None else offset
    return Light(gamma, gain, offset, colour, contrast, ramp, noise, grains)


def augment(
    image: Picture,
    mask: Picture,
    rng: np.random.Generator,
    *,
    crop: int,
    zoom: tuple[float, float],
    how: Augmentation = AS_ON_THE_LINE,
) -> tuple[Picture, Picture]:
    """A random `crop` x `crop` cut: zoomed, turned and mirrored, in another light."""
    variation = draw(image.shape, rng, crop=crop, zoom=zoom, how=how)
    return varied(image, mask, rng, variation=variation, crop=crop, how=how)


def varied(
    image: Picture,
    mask: Picture,
    rng: np.random.Generator,
    *,
    variation: Variation,
    crop: int,
    how: Augmentation,
) -> tuple[Picture, Picture]:
    """An image, and the plane that belongs to it, so varied."""
    shown = placed(image, variation=variation, crop=crop, how=how)
    plane = placed(mask, variation=variation, crop=crop, how=how, between=False)
    return _lit(shown, variation.light, rng), plane


def placed(
    picture: Picture,
    *,
    variation: Variation,
    crop: int,
    how: Augmentation,
    between: bool = True,
) -> Picture:
    """What a variation shows of a picture, in its own light; numbers have nothing in between."""
    # Plain nearest would shift a mask by up to half a pixel.
    resized = cv2.INTER_LINEAR if between else cv2.INTER_NEAREST_EXACT
    if how.stretch:
        picture = _resized(picture, (how.stretch, how.stretch), resized)
    picture = _resized(picture, variation.size, resized)
    picture = picture[variation.top : variation.top + crop, variation.left : variation.left + crop]
    if variation.angle_deg:
        rotated = cv2.INTER_LINEAR if between else cv2.INTER_NEAREST
        picture = _rotated(picture, variation.angle_deg, rotated)
    picture = np.rot90(picture, variation.turns)
    axes = [axis for axis, mirrored in zip((1, 0), variation.mirrored, strict=True) if mirrored]
    return np.ascontiguousarray(np.flip(picture, axes))


def moved(
    boxes: Boxes, variation: Variation, shape: tuple[int, ...], *, crop: int
) -> tuple[Boxes, NDArray[np.bool_]]:
    """Where an image's boxes come to lie, and whether much of each lies beyond: across, along.

    A rotation turns a box into what is none: recipes that take boxes as such do not rotate.
    """
    if not len(boxes):
        return no_boxes(), np.zeros((0, 2), np.bool_)
    scale = np.array(variation.size) / shape[1::-1]
    x = boxes[:, [1, 3]] * scale[0] - variation.left
    y = boxes[:, [2, 4]] * scale[1] - variation.top
    for _ in range(variation.turns):  # counter-clockwise
        x, y = y, crop - x
    horizontally, vertically = variation.mirrored
    x, y = crop - x if horizontally else x, crop - y if vertically else y
    x, y = np.sort(x, axis=1), np.sort(y, axis=1)
    inside_x, inside_y = x.clip(0, crop), y.clip(0, crop)
    seen_px = np.stack([np.ptp(inside_x, axis=1), np.ptp(inside_y, axis=1)], axis=1)
    whole_px = np.stack([np.ptp(x, axis=1), np.ptp(y, axis=1)], axis=1)
    goes_on = seen_px < _NEARLY_WHOLE * whole_px
    shown = (seen_px > 0).all(axis=1)
    rows = [boxes[:, 0], inside_x[:, 0], inside_y[:, 0], inside_x[:, 1], inside_y[:, 1]]
    return np.stack(rows, axis=1).astype(np.float32)[shown], goes_on[shown]


def _resized(picture: Picture, size: tuple[int, int], interpolation: int) -> Picture:
    return np.asarray(cv2.resize(picture, size, interpolation=interpolation), np.uint8)


def _rotated(picture: Picture, angle_deg: float, interpolation: int) -> Picture:
    height, width = picture.shape[:2]
    about = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle_deg, 1)
    turned = cv2.warpAffine(picture, about, (width, height), flags=interpolation)
    return np.asarray(turned, np.uint8)


def _lit(image: Picture, light: Light, rng: np.random.Generator) -> Picture:
    """What changes beside a line: exposure, the lamp, its place, and the sensor's noise."""
    x: NDArray[np.floating] = image.astype(np.float32) / 255
    if light.gamma is not None:
        x = x ** np.float32(light.gamma)
    x = (x - 0.5) * np.float32(light.gain) + np.float32(0.5 + light.offset)
    if light.colour is not None:
        x *= light.colour
    if light.contrast is not None:
        x = x.mean() + (x - x.mean()) * np.float32(light.contrast)
    if light.ramp is not None:
        ramp = _ramp(image.shape[:2], *light.ramp)
        x *= ramp if x.ndim == 2 else ramp[..., None]
    if light.noise is not None:
        x += rng.normal(0.0, light.noise, image.shape).astype(np.float32)
    if light.grains is not None:
        drawn = rng.random(x.shape[:2])  # as many pixels white as black
        x[drawn < light.grains / 2] = 0
        x[drawn > 1 - light.grains / 2] = 1
    return np.asarray(np.clip(x * 255.0 + 0.5, 0, 255), np.uint8)


def _ramp(shape: tuple[int, ...], angle: float, depth: float) -> NDArray[np.float32]:
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    ramp = 1.0 + depth * 0.5 * (np.cos(angle) * x + np.sin(angle) * y)
    return np.asarray(ramp, np.float32)
