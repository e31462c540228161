"""A recipe's whole loss: on every map, on the finest one, and on what else a network puts out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from edge.errors import ConfigurationError
from reference.datasets.labels import IGNORED, Marks
from reference.losses.maps import MAP_LOSSES, bce, dice_bce
from reference.losses.weak import BOX_LOSSES, Boxed, naming, somewhere
from reference.networks import Output, class_maps, logit_maps
from reference.networks.dms import DMSOutput
from reference.networks.lsanet import LSANetOutput
from reference.recipe import LossSection

SURELY_SOUND = -20.0  # a logit


@dataclass(frozen=True)
class Truth:
    """What a batch should have been answered with, all of it on the device already."""

    mask: Tensor  # N,1,H,W, 0 or 1
    label: Tensor  # N, the number of each image's class
    images: Tensor | None = None  # N,H,W, 0..1
    marks: Marks | None = None  # None: masks, all known, of defects without a name
    order: Tensor | None = None  # `marks.order()`; None where all images are of one group
    boxes: Tensor | None = None  # N,1,H,W, `boxes` of the masks; None where no loss is on them
    answers: Tensor | None = None  # N,1,H,W, a teacher's; None where no loss is on them


def boxes(masks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """N,1,H,W of N,H,W: the smallest upright rectangle around each connected defect, filled."""
    filled = np.zeros(masks.shape, np.float32)
    for mask, canvas in zip(masks, filled, strict=True):
        count, _, found, _ = cv2.connectedComponentsWithStats(mask)
        for left, top, width, height, _ in found[1:count]:
            canvas[top : top + height, left : left + width] = 1
    return filled[:, None]


def location(output: Output, truth: Truth) -> Tensor:
    """LSA-Net's, on where the defects' rectangles are."""
    located = output.location if isinstance(output, LSANetOutput) else None
    if located is None:
        raise ConfigurationError("the loss `location` needs network: {name: lsanet} with a lam")
    assert truth.boxes is not None
    return dice_bce(located, F.interpolate(truth.boxes, size=located.shape[-2:]))


def difference(output: Output, truth: Truth) -> Tensor:
    """LSA-Net's feature difference: what square and strip pooling see should be far apart."""
    square, strip = _shapes(output, "difference").shapes
    return (1 / ((square - strip).square().mean(dim=(1, 2, 3)) + 1e-6)).mean()


def shape(output: Output, truth: Truth) -> Tensor:
    """LSA-Net's variant without the difference: each pooling's own map of the defects."""
    maps = _shapes(output, "shape").shape_maps
    target = F.interpolate(truth.mask, size=maps[0].shape[-2:])
    return torch.stack([dice_bce(logits, target) for logits in maps]).sum()


def _shapes(output: Output, loss: str) -> LSANetOutput:
    if not isinstance(output, LSANetOutput) or not output.shapes:
        raise ConfigurationError(f"the loss `{loss}` needs network: {{name: lsanet}} with sdm")
    return output


def classification(output: Output, truth: Truth) -> Tensor:
    """DMS's half of its mixed supervision: cross-entropy of the class, summed over its outputs."""
    if not isinstance(output, DMSOutput) or not output.classes:
        raise ConfigurationError("the loss `classification` needs network: {name: dms, classes: N}")
    return torch.stack([F.cross_entropy(named, truth.label) for named in output.classes]).sum()


def distillation(output: Output, answer: Tensor, temperature: float) -> Tensor:
    """Every map towards a teacher's logits, softened, summed; a temperature keeps the gradient."""
    soft = torch.sigmoid(answer / temperature)
    maps = (F.binary_cross_entropy_with_logits(m / temperature, soft) for m in logit_maps(output))
    return torch.stack([*maps]).sum() * temperature**2


OUTPUT_LOSSES: dict[str, Callable[[Output, Truth], Tensor]] = {
    "location": location,
    "difference": difference,
    "shape": shape,
    "classification": classification,
}


def supervise(output: Output, truth: Truth, section: LossSection) -> Tensor:
    """The weighted sum of a recipe's losses, of each image what its label allows."""
    maps, marks = logit_maps(output), truth.marks
    total = torch.zeros((), device=truth.mask.device)
    if marks is None:
        total = total + _of_masks(maps, truth.mask, section)
    else:
        for part, group in _groups(maps, truth, marks):
            total = total + part * _of_group(group, section)
        for names in class_maps(output) if section.names else ():
            total = total + section.names * naming(names, maps[0], marks)
    if truth.answers is not None:
        towards = [bce(logits, truth.answers) for logits in maps]
        total = total + section.answers * torch.stack(towards).sum()
    for name, weight in section.output.items():
        total = total + weight * OUTPUT_LOSSES[name](output, truth)
    return total


class _Group(NamedTuple):
    """Images whose labels say as much, and what is answered of them."""

    maps: list[Tensor]
    mask: Tensor
    images: Tensor | None
    marks: Marks


def _groups(maps: list[Tensor], truth: Truth, marks: Marks) -> Iterator[tuple[float, _Group]]:
    """Each group of a batch with its part of the loss."""
    groups = list(marks.groups())
    if len(groups) == 1:
        yield groups[0][1], _Group(maps, truth.mask, truth.images, marks)
        return
    assert truth.order is not None
    labels, sizes = torch.as_tensor(marks.labels), [len(group) for group, _ in groups]
    for (group, part), places in zip(groups, torch.split(truth.order, sizes), strict=True):
        own = marks.of(group, labels[places])
        images = None if truth.images is None else truth.images[places]
        yield part, _Group([m[places] for m in maps], truth.mask[places], images, own)


def _of_group(group: _Group, section: LossSection) -> Tensor:
    """The losses of images whose labels are of one strength."""
    maps, mask, images, marks = group
    strength = marks.strengths[0]
    if strength == "mask":
        # Sure to be sound, and so it costs nothing and teaches nothing. Whether there is any is not
        # asked: a GPU would have to be waited for.
        ignored = torch.as_tensor(marks.labels)[:, None] == IGNORED
        return _of_masks([m.masked_fill(ignored, SURELY_SOUND) for m in maps], mask, section)
    total = maps[0].sum() * 0
    for logits in maps:
        if strength == "class":
            total = total + section.somewhere * somewhere(logits)
            continue
        assert images is not None
        boxed = Boxed(logits, images, marks, section.held_share)
        for name, weight in section.boxes.items():
            total = total + weight * BOX_LOSSES[name](boxed)
    return total


def _of_masks(maps: list[Tensor], mask: Tensor, section: LossSection) -> Tensor:
    total = torch.zeros((), device=mask.device)
    for name, weight in section.first_map.items():
        total = total + weight * MAP_LOSSES[name](maps[0], mask)
    for logits in maps:
        for name, weight in section.each_map.items():
            total = total + weight * MAP_LOSSES[name](logits, mask)
    return total
