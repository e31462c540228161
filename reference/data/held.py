"""Images held on a device, and the batches cut from them there in a few large steps.

What `augment` draws for an image is shown by one sampling instead of a resize, a crop and a
rotation: the same variation to within the interpolation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from reference.data.augment import Light, Variation
from reference.data.pairs import Drawn, Source, draws, marks_of
from reference.datasets.labels import IGNORED, Marks

Matrix = NDArray[np.float32]


# The columns of a plan, in their order.
_LIGHTS = (
    "gamma",
    "gain",
    "offset",
    "contrast",
    "slope_x",
    "slope_y",
    "noise",
    "grains",
)
_COLUMNS = {"image": 1, "to_crop": 6, "to_image": 4, "last": 2, "colour": 3} | dict.fromkeys(
    _LIGHTS, 1
)


@dataclass(frozen=True, eq=False)
class Plan:
    """What a batch shows, before a pixel is touched: all its numbers in one array, sent at once."""

    drawn: list[Drawn]
    numbers: Tensor  # N rows of `_COLUMNS`; in pinned memory where a GPU will fetch them
    noise_seed: int

    def columns(self, device: torch.device) -> dict[str, Tensor]:
        """Each of the columns on the device, N or N,K."""
        sent = self.numbers.to(device, non_blocking=True)
        parts = torch.split(sent, list(_COLUMNS.values()), dim=1)
        return {
            name: part.squeeze(1) if width == 1 else part
            for (name, width), part in zip(_COLUMNS.items(), parts, strict=True)
        }


class DeviceBatch(NamedTuple):
    """A `Batch` whose images and masks are tensors on the device."""

    images: Tensor
    masks: Tensor
    class_names: list[str]
    marks: Marks


class HeldData:
    """All images of a run, padded to one size; sources are numbered as in the recipe."""

    def __init__(self, sources: Sequence[Source], device: torch.device) -> None:
        self._sources = sources
        pairs = [pair for source in sources for pair in source.pairs]
        self._shapes = [pair.mask.shape for pair in pairs]
        count, planes, height, width = _canvas(sources)
        images = torch.zeros(count, planes, height, width, dtype=torch.uint8)
        labels = torch.zeros(count, 1, height, width, dtype=torch.uint8)
        for number, (pair, (rows, columns)) in enumerate(zip(pairs, self._shapes, strict=True)):
            pixels = torch.from_numpy(pair.image).view(rows, columns, planes)
            images[number, :, :rows, :columns] = pixels.permute(2, 0, 1)
            labels[number, 0, :rows, :columns] = torch.from_numpy(pair.plane)
        self._images, self._planes = images.to(device), labels.to(device)
        self._far = torch.tensor([width, height], dtype=torch.float32, device=device) - 1
        self._pinned = device.type == "cuda"

    @staticmethod
    def fits(sources: Sequence[Source], device: torch.device) -> bool:
        """Whether a GPU has room for them beside the network: in a quarter of what is free."""
        if device.type != "cuda":
            return False
        free_bytes, _ = torch.cuda.mem_get_info(device)
        count, planes, height, width = _canvas(sources)
        return count * (planes + 1) * height * width < free_bytes / 4

    def plan(self, iteration: int, *, seed: int, crop: int) -> Plan:
        """Draw the variations of one iteration; nothing is remembered from the one before."""
        drawn = list(draws(self._sources, seed=seed, iteration=iteration, crop=crop))
        variations, shapes = [d.variation for d in drawn], [self._shapes[d.number] for d in drawn]
        numbers = np.column_stack(
            [
                [d.number for d in drawn],
                np.stack([_to_crop(v, crop).ravel() for v in variations]),
                np.stack(
                    [_to_image(v, shape) for v, shape in zip(variations, shapes, strict=True)]
                ),
                np.array(shapes)[:, ::-1] - 1,
                [np.broadcast_to(_or_1(v.light.colour), 3) for v in variations],
                _lights(variations),
            ]
        )
        packed = torch.from_numpy(numbers.astype(np.float32))  # a whole number up to 16 million
        packed = packed.pin_memory() if self._pinned else packed
        return Plan(drawn, packed, int(drawn[-1].rng.integers(2**62)))

    def cut(self, plan: Plan, *, crop: int) -> DeviceBatch:
        """The batch of a plan."""
        device = self._images.device
        of = plan.columns(device)
        y, x = torch.meshgrid(*[torch.arange(crop, device=device).float()] * 2, indexing="ij")
        pixels = torch.stack([x, y, torch.ones_like(x)], dim=-1)  # crop,crop,3
        turned = torch.einsum("hwc,nrc->nhwr", pixels, of["to_crop"].view(-1, 2, 3))
        inside = ((turned > -0.5) & (turned < crop - 0.5)).all(dim=-1)
        scale, shift = of["to_image"][:, None, None].chunk(2, dim=-1)
        places = torch.minimum((turned * scale + shift).clamp(min=0), of["last"][:, None, None])
        grid = places / self._far.clamp(min=1) * 2 - 1  # N,crop,crop,2
        chosen = of["image"].long()
        image = _sample(self._images[chosen], grid, "bilinear") * inside.unsqueeze(1)
        labels = (_sample(self._planes[chosen], grid, "nearest").squeeze(1) * inside).byte()
        image = _lit(image / 255, of, plan.noise_seed, pixels[..., :2] / (crop - 1) * 2 - 1)
        image = image.squeeze(1) if image.shape[1] == 1 else image.permute(0, 2, 3, 1)
        mask = ((labels > 0) & (labels < IGNORED)).byte()
        names = [d.pair.class_name for d in plan.drawn]
        return DeviceBatch(image, mask, names, marks_of(plan.drawn, labels, crop=crop))


def _canvas(sources: Sequence[Source]) -> tuple[int, int, int, int]:
    """How many images there are, their planes, and the height and width that hold each."""
    pairs = [pair for source in sources for pair in source.pairs]
    height, width = np.max([pair.mask.shape for pair in pairs], axis=0)
    return len(pairs), 1 if pairs[0].image.ndim == 2 else 3, int(height), int(width)


def _to_crop(variation: Variation, crop: int) -> Matrix:
    """From a pixel of the batch back to the crop: mirrors, quarter turns and rotation undone."""
    last = crop - 1
    undone = np.eye(3)
    horizontally, vertically = variation.mirrored
    if horizontally:
        undone = np.array([[-1, 0, last], [0, 1, 0], [0, 0, 1]]) @ undone
    if vertically:
        undone = np.array([[1, 0, 0], [0, -1, last], [0, 0, 1]]) @ undone
    for _ in range(variation.turns):
        undone = np.array([[0, -1, last], [1, 0, 0], [0, 0, 1]]) @ undone
    back = cv2.getRotationMatrix2D((last / 2, last / 2), -variation.angle_deg, 1)
    return np.asarray(back @ undone, np.float32)


def _to_image(variation: Variation, shape: tuple[int, ...]) -> Matrix:
    """From the crop to the image as it is held: a pixel's middle stays its middle."""
    scale = np.array(shape[1::-1]) / variation.size
    shift = (np.array([variation.left, variation.top]) + 0.5) * scale - 0.5
    return np.asarray([*scale, *shift], np.float32)


def _or_1(gain: float | NDArray[np.float32] | None) -> float | NDArray[np.float32]:
    return 1.0 if gain is None else gain


def _lights(variations: Sequence[Variation]) -> Matrix:
    """N rows of `_LIGHTS`."""
    return np.array([_light(variation.light) for variation in variations], np.float32)


def _light(light: Light) -> tuple[float, ...]:
    angle, depth = light.ramp or (0.0, 0.0)
    return (
        1.0 if light.gamma is None else light.gamma,
        light.gain,
        light.offset,
        1.0 if light.contrast is None else light.contrast,
        depth / 2 * math.cos(angle),
        depth / 2 * math.sin(angle),
        light.noise or 0.0,
        light.grains or 0.0,
    )


def _sample(held: Tensor, grid: Tensor, mode: str) -> Tensor:
    """N,C,H,W bytes at the places of a grid, as numbers."""
    return F.grid_sample(held.float(), grid, mode, "border", align_corners=True)


def _lit(x: Tensor, columns: Mapping[str, Tensor], noise_seed: int, places: Tensor) -> Tensor:
    """N,C,H,W from 0 to 1, blue first if in colour, in the light of their variations, as bytes."""
    of = {name: columns[name][:, None, None, None] for name in _LIGHTS}
    generator = torch.Generator(x.device).manual_seed(noise_seed)
    x = (x ** of["gamma"] - 0.5) * of["gain"] + 0.5 + of["offset"]
    x = x * columns["colour"][:, : x.shape[1], None, None]
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    x = mean + (x - mean) * of["contrast"]
    x = x * (1 + of["slope_x"] * places[..., 0] + of["slope_y"] * places[..., 1])
    x = x + of["noise"] * torch.randn(x.shape, generator=generator, device=x.device)
    drawn = torch.rand(x[:, :1].shape, generator=generator, device=x.device)
    x = x.masked_fill(drawn < of["grains"] / 2, 0).masked_fill(drawn > 1 - of["grains"] / 2, 1)
    return (x * 255 + 0.5).clamp(0, 255).byte()
