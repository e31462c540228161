"""Losses of images whose label says less than a mask: rectangles, or a class that is somewhere.

A rectangle says that outside all of them there is nothing, and that each of its rows and columns
holds some defect. It does not say which pixels, so none is asked for: of a row, the surest pixels.
Where a row or a column goes on beyond the crop, what it holds may lie there, and nothing is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from reference.datasets.labels import IGNORED, MOST_CLASSES, Marks

_WORST = 0.005  # of an image's sound pixels, those that a false alarm is made of
_LEAST_SEEN_PX = 8  # a box of which the crop shows less asks for nothing
_ALIKE = 0.3  # a colour affinity above which neighbours should be answered alike
_CONTRAST = 0.05  # the difference in grey (0..1) at which affinity has fallen to 1/e
_ROUND_PX = 8  # of a box, which takes part in what is alike
_LEAST = 1e-6  # a weight that is none
_SOMEWHERE = 0.01  # of an image's pixels, those that a defect of unknown place is made of

Sides = tuple[int, int, int, int]  # left, top, right, bottom


class Boxed:
    """The images of a batch whose labels are boxes, beside one logit map of theirs."""

    def __init__(self, logits: Tensor, images: Tensor, marks: Marks, share: float) -> None:
        self.logits = logits[:, 0]  # N,H,W
        self.images = images  # N,H,W, 0..1
        self.marks = marks
        self.share = share
        self.outside = (torch.as_tensor(marks.labels) == 0).float()

    def boxes(self) -> Iterator[tuple[int, Sides, bool, bool]]:
        """Image, sides in whole pixels, and whether its rows and its columns are seen whole."""
        for image, (boxes, cut) in enumerate(zip(self.marks.boxes, self.marks.cut, strict=True)):
            for (label, *sides), (across, along) in zip(boxes.tolist(), cut.tolist(), strict=True):
                left, top, right, bottom = (round(side) for side in sides)
                if label != IGNORED and min(right - left, bottom - top) >= _LEAST_SEEN_PX:
                    yield image, (left, top, right, bottom), not across, not along


def outside(batch: Boxed) -> Tensor:
    """Cross-entropy outside all boxes, mean over the image."""
    return (F.softplus(batch.logits) * batch.outside).mean()


def hardest(batch: Boxed) -> Tensor:
    """The same of the few worst pixels of each image: a false alarm is small and must cost."""
    cost = (F.softplus(batch.logits) * batch.outside).flatten(1)
    return cost.topk(max(1, int(_WORST * cost.shape[1])), dim=1).values.mean()


def holds(batch: Boxed) -> Tensor:
    """Each row and column of a box holds some defect: its surest pixels should be sure.

    As many of them as `share` says; every box counts as much, whatever its size.
    """
    maps, costs = batch.logits.unbind(), [batch.logits.sum() * 0]
    for image, (left, top, right, bottom), rows, columns in batch.boxes():
        inside = maps[image][top:bottom, left:right]
        for dim, whole in ((1, rows), (0, columns)):
            if whole:
                count = max(1, int(batch.share * inside.shape[dim]))
                surest = inside.topk(count, dim=dim).values.mean(dim=dim)
                costs.append(F.softplus(-surest).mean())
    return torch.stack(costs).sum() / len(batch.logits)


def alike(batch: Boxed) -> Tensor:
    """In and round a box, neighbours of one grey are both defect or both not (Tian et al. 2021).

    Round it, since there all is known to be sound: what is like that is sound in the box too.
    """
    costs = [batch.logits.sum() * 0]
    maps = batch.logits.unbind()
    for image, (left, top, right, bottom), _, _ in batch.boxes():
        near = slice(max(0, top - _ROUND_PX), bottom + _ROUND_PX)
        near_x = slice(max(0, left - _ROUND_PX), right + _ROUND_PX)
        logits, grey = maps[image][near, near_x], batch.images[image][near, near_x]
        for dim in (0, 1):
            length = logits.shape[dim] - 2
            one, other = logits.narrow(dim, 0, length), logits.narrow(dim, 2, length)
            step = grey.narrow(dim, 0, length) - grey.narrow(dim, 2, length)
            affine = (torch.exp(-step.abs() / _CONTRAST) > _ALIKE).float()
            # log of p q + (1 - p)(1 - q), by their logs
            both = F.logsigmoid(one) + F.logsigmoid(other)
            neither = F.logsigmoid(-one) + F.logsigmoid(-other)
            cost = -torch.logaddexp(both, neither) * affine
            costs.append(cost.sum() / affine.sum().clamp(min=1))
    return torch.stack(costs).sum() / (2 * len(batch.logits))


BOX_LOSSES: dict[str, Callable[[Boxed], Tensor]] = {
    "outside": outside,
    "hardest": hardest,
    "holds": holds,
    "alike": alike,
}


def somewhere(logits: Tensor) -> Tensor:
    """Of an image in which a defect lies somewhere, the surest few pixels should be sure."""
    flat = logits.flatten(1)
    surest = flat.topk(max(1, int(_SOMEWHERE * flat.shape[1])), dim=1).values.mean(dim=1)
    return F.softplus(-surest).mean()


def naming(names: Tensor, decided: Tensor, marks: Marks) -> Tensor:
    """Cross-entropy of the classes on the pixels of what has a name, each thing counting as much.

    A thing is a box, or all of one class in a mask. Its pixels count by how surely they are decided
    to be defect, so that a box names what is in it and not what surrounds that.

    Args:
        names: N,C,h,w logits of the classes.
        decided: N,1,H,W logits of the map that decides.
    """
    step = decided.shape[-1] // names.shape[-1]
    labels = _thinned(torch.as_tensor(marks.labels), step, names).long()
    sure = torch.sigmoid(_thinned(decided.detach()[:, 0], step, names)).clamp(min=0.05)
    named = (labels > 0) & (labels <= MOST_CLASSES)
    costs = F.cross_entropy(
        names, labels.sub(1).masked_fill(~named, -1), ignore_index=-1, reduction="none"
    )
    things = [names.sum() * 0]
    for image, (cost, weight) in enumerate(zip(costs.unbind(), sure.unbind(), strict=True)):
        if marks.strengths[image] == "class":
            things += _named_somewhere(names[image], weight, marks.class_numbers[image])
            continue
        for area in _things(labels[image], marks, image, step, classes=names.shape[1]):
            inside = weight * area
            # Nothing is asked of a GPU, which would have to be waited for: what is not there is 0.
            things.append((cost * inside).sum() / inside.sum().clamp(min=_LEAST))
    return torch.stack(things).sum() / len(names)


def _thinned(plane: Tensor, step: int, like: Tensor) -> Tensor:
    """Every `step`th pixel of N,H,W, as many as a coarser map has."""
    height, width = like.shape[-2:]
    return plane[:, step // 2 :: step, step // 2 :: step][:, :height, :width]


def _things(
    labels: Tensor, marks: Marks, image: int, step: int, *, classes: int
) -> Iterator[Tensor]:
    """Where each thing of an image is that has a name, h,w, or would be if it were there."""
    if marks.strengths[image] == "mask":
        for number in range(1, classes + 1):
            yield labels == number
        return
    for label, *sides in marks.boxes[image].tolist():
        if label <= MOST_CLASSES:
            left, top, right, bottom = (round(side / step) for side in sides)
            area = torch.zeros_like(labels, dtype=torch.bool)
            area[top:bottom, left:right].fill_(True)
            yield area & (labels == int(label))  # a smaller box over it is another thing


def _named_somewhere(names: Tensor, weight: Tensor, number: int) -> Sequence[Tensor]:
    if not 0 < number <= MOST_CLASSES:
        return []
    mean = (names * weight).sum(dim=(1, 2)) / weight.sum()
    return [-F.log_softmax(mean, dim=0)[number - 1]]
