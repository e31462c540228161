"""A recipe's whole loss: on every map, on the finest one, and on what else a network puts out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from edge.errors import ConfigurationError
from reference.datasets.labels import IGNORED, Marks
from reference.losses.maps import MAP_LOSSES, dice_bce
from reference.losses.weak import BOX_LOSSES, Boxed, naming, somewhere
from reference.networks import Output, class_maps, logit_maps
from reference.networks.dms import DMSOutput
from reference.networks.lsanet import LSANetOutput
from reference.recipe import LossSection

SURELY_SOUND = -20.0  # a logit


@dataclass(frozen=True)
class Truth:
    """What a batch should have been answered with."""

    mask: Tensor  # N,1,H,W, 0 or 1
    label: Tensor  # N, the number of each image's class
    images: Tensor | None = None  # N,H,W, 0..1
    marks: Marks | None = None  # None: masks, all known, of defects without a name


def boxes(mask: Tensor) -> Tensor:
    """The smallest upright rectangle around each connected defect, filled."""
    filled = np.zeros(mask.shape, np.float32)
    for image, canvas in zip(mask[:, 0].byte().cpu().numpy(), filled[:, 0], strict=True):
        count, _, found, _ = cv2.connectedComponentsWithStats(image)
        for left, top, width, height, _ in found[1:count]:
            canvas[top : top + height, left : left + width] = 1
    return torch.from_numpy(filled).to(mask.device)


def location(output: Output, truth: Truth) -> Tensor:
    """LSA-Net's, on where the defects' rectangles are."""
    located = output.location if isinstance(output, LSANetOutput) else None
    if located is None:
        raise ConfigurationError("the loss `location` needs network: {name: lsanet} with a lam")
    return dice_bce(located, F.interpolate(boxes(truth.mask), size=located.shape[-2:]))


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
        for group, part in marks.groups():
            shown = [m if len(group) == len(m) else m[list(group)] for m in maps]
            total = total + part * _of_group(shown, truth, marks.of(group), group, section)
        for names in class_maps(output) if section.names else ():
            total = total + section.names * naming(names, maps[0], marks)
    for name, weight in section.output.items():
        total = total + weight * OUTPUT_LOSSES[name](output, truth)
    return total


def _of_group(
    maps: list[Tensor], truth: Truth, marks: Marks, group: Sequence[int], section: LossSection
) -> Tensor:
    """The losses of images whose labels are of one strength."""
    chosen, strength = list(group), marks.strengths[0]
    if strength == "mask":
        # Sure to be sound, and so it costs nothing and teaches nothing. Whether there is any is not
        # asked: a GPU would have to be waited for.
        ignored = torch.as_tensor(marks.labels)[:, None] == IGNORED
        maps = [m.masked_fill(ignored, SURELY_SOUND) for m in maps]
        return _of_masks(maps, truth.mask[chosen], section)
    total = maps[0].sum() * 0
    for logits in maps:
        if strength == "class":
            total = total + section.somewhere * somewhere(logits)
            continue
        assert truth.images is not None
        boxed = Boxed(logits, truth.images[chosen], marks, section.held_share)
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
