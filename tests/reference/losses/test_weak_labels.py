"""Labels of every strength in one batch: each image costs what its own says, and boxes suffice."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edge.simulation import SimulatedLine
from reference.datasets.labels import IGNORED, Boxes, Marks, no_boxes
from reference.losses.supervision import Truth, supervise
from reference.losses.weak import BOX_LOSSES, Boxed
from reference.networks.layers import ConvBNReLU, NamedMaps
from reference.recipe import LossSection

SIDE, STEPS = 64, 140
BOXES = LossSection(boxes={"outside": 4, "holds": 1, "alike": 1}, held_share=0.1)
MASKS = LossSection(each_map={"bce": 1, "iou": 1})

torch.set_num_threads(1)


def frames(count: int, first: int) -> tuple[Tensor, Tensor]:
    """N,1,S,S simulated rail, with patches and spalls, and their exact masks."""
    images, masks = [], []
    seed = first
    while len(images) < count:
        line = SimulatedLine(seed, "strip", SIDE, 500, 30, 0)
        image, labels = line.render(64, SIDE)
        seed += 1
        if (labels > 0).mean() > 0.02:
            images.append(image)
            masks.append(labels > 0)
    pixels = torch.from_numpy(np.stack(images))[:, None].float()
    return (pixels - pixels.mean(dim=(2, 3), keepdim=True)) / 40, torch.from_numpy(np.stack(masks))


def boxes_of(mask: np.ndarray) -> Boxes:
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    rows = [(1, x, y, x + w, y + h) for x, y, w, h, _ in stats[1:]]
    return np.array(rows, np.float32).reshape(-1, 5)


def marks_of(masks: Tensor, strength: str) -> Marks:
    planes, boxes = [], []
    for mask in masks.numpy():
        own = boxes_of(mask) if strength == "boxes" else no_boxes()
        plane = mask.astype(np.uint8)
        for _, left, top, right, bottom in own.astype(int):
            plane[top:bottom, left:right] = 1
        planes.append(plane)
        boxes.append(own)
    count = len(planes)
    cut = [np.zeros((len(b), 2), np.bool_) for b in boxes]
    labels = torch.from_numpy(np.stack(planes))
    return Marks(labels, [strength] * count, boxes, cut, [IGNORED] * count, [1.0] * count)


def learned(section: LossSection, strength: str) -> float:
    """Mean IoU on unseen frames of a small network that has learned from such labels."""
    torch.manual_seed(0)
    network = nn.Sequential(
        ConvBNReLU(1, 12), ConvBNReLU(12, 12, dilation=2), ConvBNReLU(12, 12, dilation=4),
        ConvBNReLU(12, 12, dilation=8), nn.Conv2d(12, 1, 1),
    )  # fmt: skip
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    images, masks = frames(48, 0)
    marks = marks_of(masks, strength)
    for step in range(STEPS):
        chosen = [(8 * step + i) % 48 for i in range(8)]
        own = marks.of(chosen, marks.labels[chosen])
        target = (own.labels > 0).float()[:, None]
        truth = Truth(target, torch.zeros(8), (images[chosen, 0] * 40) / 255, own)
        loss = supervise([network(images[chosen])], truth, section)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    unseen, wanted = frames(24, 500)
    network.eval()
    with torch.no_grad():
        found = network(unseen)[:, 0] > 0
    ious = (found & wanted).sum((1, 2)) / (found | wanted).sum((1, 2))
    return float(ious.mean())


def test_boxes_alone_reach_nearly_the_overlap_that_masks_do() -> None:
    by_masks, by_boxes = learned(MASKS, "mask"), learned(BOXES, "boxes")
    assert by_masks > 0.7
    assert by_boxes >= 0.85 * by_masks


def marks(labels: Tensor, strengths: list[str], **known: object) -> Marks:
    count = len(labels)
    given = {"boxes": [no_boxes()] * count, "class_numbers": [IGNORED] * count}
    given |= {"weights": [1.0] * count, **known}
    cut = given.pop("cut", [np.zeros((len(b), 2), np.bool_) for b in given["boxes"]])
    return Marks(labels, strengths, cut=cut, **given)


def cost(logits: Tensor, own: Marks, section: LossSection, names: Tensor | None = None) -> Tensor:
    """What a network that answers so pays, and its gradient."""
    target = ((own.labels > 0) & (own.labels < IGNORED)).float()[:, None]
    output = [logits] if names is None else NamedMaps([logits], [names])
    images = torch.zeros(len(logits), *logits.shape[2:])
    truth = Truth(target, torch.zeros(len(logits)), images, own, torch.tensor(own.order()))
    loss = supervise(output, truth, section)
    loss.backward()
    return loss.detach()


def test_what_nobody_knows_neither_costs_nor_teaches() -> None:
    labels = torch.zeros(1, 8, 8, dtype=torch.uint8)
    labels[:, :4] = IGNORED
    labels[:, 6, 6] = 1
    logits = torch.full((1, 1, 8, 8), 3.0, requires_grad=True)
    cost(logits, marks(labels, ["mask"]), MASKS)
    assert logits.grad is not None
    assert not logits.grad[..., :4, :].any() and logits.grad[..., 4:, :].all()


def test_each_image_pays_by_what_its_label_says_and_by_its_weight() -> None:
    labels = torch.zeros(3, 32, 32, dtype=torch.uint8)
    labels[1, 8:24, 4:20] = 1
    own = marks(
        labels,
        ["mask", "boxes", "class"],
        boxes=[no_boxes(), np.float32([[1, 4, 8, 20, 24]]), no_boxes()],
        class_numbers=[IGNORED, IGNORED, 2],
        weights=[1.0, 1.0, 3.0],
    )
    section = LossSection(
        each_map={"bce": 1}, boxes={"outside": 1, "holds": 1}, somewhere=1, names=1
    )
    logits = torch.zeros(3, 1, 32, 32, requires_grad=True)
    names = torch.zeros(3, 2, 16, 16, requires_grad=True)
    cost(logits, own, section, names)
    sound, boxed, classed = logits.grad[:, 0]
    assert (sound > 0).all()  # known to be sound, everywhere
    assert (boxed[:8] > 0).all() and (boxed[8:24, 4:20] <= 0).all()
    assert (boxed[8:24, 4:20].min(dim=1).values < 0).all()  # each row is asked for some
    assert (classed <= 0).all() and (classed < 0).any()  # something, somewhere
    assert not names.grad[0].any()  # sound: nothing to name
    assert (names.grad[1, 0, 4:12, 2:10] < 0).all() and not names.grad[1, :, 12:].any()
    assert (names.grad[2, 1] < 0).all()
    once = classed.clone()
    light = own._replace(weights=[1.0, 1.0, 1.0])
    logits.grad = None
    cost(logits, light, section, names)
    torch.testing.assert_close(once, 3 * logits.grad[2, 0])


def test_a_row_that_goes_on_beyond_the_crop_is_asked_for_nothing() -> None:
    labels = torch.ones(1, 32, 32, dtype=torch.uint8)
    logits = torch.zeros(1, 1, 32, 32, requires_grad=True)
    for cut, asked in (([[True, True]], False), ([[True, False]], True), ([[False, True]], True)):
        own = marks(labels, ["boxes"], boxes=[np.float32([[1, 0, 0, 32, 32]])], cut=[np.array(cut)])
        boxed = Boxed(logits, torch.zeros(1, 32, 32), own, 0.1)
        assert bool(BOX_LOSSES["holds"](boxed) > 0) == asked


def test_a_small_box_on_a_large_one_keeps_its_own_name() -> None:
    labels = torch.full((1, 32, 32), 1, dtype=torch.uint8)
    labels[:, 8:16, 8:16] = 2
    boxes = np.float32([[1, 0, 0, 32, 32], [2, 8, 8, 16, 16]])
    names = torch.zeros(1, 2, 16, 16, requires_grad=True)
    section = LossSection(boxes={"outside": 1}, names=1)
    logits = torch.zeros(1, 1, 32, 32, requires_grad=True)
    cost(logits, marks(labels, ["boxes"], boxes=[boxes]), section, names)
    assert (names.grad[0, 1, 4:8, 4:8] < 0).all()
    assert (names.grad[0, 0, :4] < 0).all()
    # Each thing counts as much: 16 pixels together as much as the 240 round them.
    assert names.grad[0, 1, 4:8, 4:8].sum() == pytest.approx(-0.5, abs=1e-4)
