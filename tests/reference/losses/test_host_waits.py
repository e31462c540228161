"""A GPU is not waited for in a step's loss: nothing is fetched from it, and nothing sent to it.

On the device `meta` tensors have no numbers: whoever asks for one is refused, and what is made on
the host is told from all else by where it lies. On a CPU, which is never waited for, what would ask
is counted too: some of it is left out where there are no numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from reference.data import Batch, Pair, Source, batch
from reference.datasets.labels import NAMELESS, no_boxes
from reference.losses import Truth, supervise
from reference.losses.maps import MAP_LOSSES
from reference.networks import build
from reference.recipe import read_recipe
from reference.recipe.sections import DataSection
from stands.places import RECIPES
from stands.tiny_recipe import SIDE

DEVICES = [torch.device("meta"), torch.device("cpu")]
ASKS = ("aten::_local_scalar_dense", "aten::lift_fresh")  # of a number; of a tensor of numbers

torch.set_num_threads(1)


class Waits(TorchDispatchMode):
    """Counts what a device would be waited for, and all that is made on the host."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        name = func._schema.name
        made = func(*args, **(kwargs or {}))
        tensors = [x for x in tree_leaves(made) if isinstance(x, Tensor)]
        on_host = any(tensor.device != self.device for tensor in tensors)
        if name in ASKS or on_host:
            self.found[name] += 1
        return made


def source(section: DataSection, *, named: bool) -> Source:
    """A picture with a defect and a sound one, labelled as the section's are."""
    image = np.full((SIDE, SIDE), 90, np.uint8)
    labels = np.zeros_like(image)
    labels[8:24, 8:20] = 1 if named else NAMELESS
    boxes, strength = no_boxes(), "mask"
    if section.boxes == "hold":
        boxes, strength = np.float32([[1, 8, 8, 20, 24]]), "boxes"
    mask = (labels > 0).astype(np.uint8)
    shown = Pair("a", image, mask, "crack", strength=strength, labels=labels, boxes=boxes)
    sound = Pair("b", image, mask * 0, "free", labels=labels * 0)
    augment = section.augment.model_copy(update={"stretch": SIDE})
    return Source([shown, sound], 2, (1.0, 1.0), augment, section.weight)


def truth_of(shown: Batch, device: torch.device) -> Truth:
    """What the trainer makes of a batch, on the device."""
    mask = torch.from_numpy(shown.masks).float().to(device)
    assert shown.marks is not None
    marks = shown.marks._replace(labels=torch.as_tensor(shown.marks.labels).to(device))
    order = torch.tensor(shown.marks.order()).to(device)
    label = torch.zeros(len(mask), dtype=torch.long, device=device)
    return Truth(mask[:, None], label, mask, marks, order, mask[:, None])


@pytest.mark.parametrize("device", DEVICES, ids=str)
@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_steps_loss_asks_the_device_nothing_and_sends_it_nothing(
    path: Path, device: torch.device
) -> None:
    recipe = read_recipe(path)
    sources = [source(section, named=bool(recipe.names)) for section in recipe.data]
    truth = truth_of(batch(sources, seed=0, iteration=0, crop=SIDE), device)
    with device:
        network = build(**recipe.network).train()
    shown = torch.zeros(len(truth.mask), 3, SIDE, SIDE, device=device)
    supervise(network(shown), truth, recipe.loss)  # what is sent once is there from now on
    output = network(shown)
    with Waits(device) as waits:
        supervise(output, truth, recipe.loss).backward()
    assert not waits.found


@pytest.mark.parametrize("device", DEVICES, ids=str)
@pytest.mark.parametrize("name", MAP_LOSSES)
def test_no_loss_on_a_map_asks_the_device_anything(name: str, device: torch.device) -> None:
    logits = torch.zeros(2, 1, SIDE, SIDE, device=device, requires_grad=True)
    target = torch.zeros(2, 1, SIDE, SIDE, device=device)
    MAP_LOSSES[name](logits, target)
    with Waits(device) as waits:
        MAP_LOSSES[name](logits, target).backward()
    assert not waits.found


def test_a_number_that_is_asked_for_and_a_tensor_of_numbers_are_found() -> None:
    with Waits(DEVICES[0]) as waits:
        torch.tensor([1.0, 2.0])
        torch.ones(3, device="cpu").sum().item()
        torch.ones(3, device="meta")
    assert waits.found["aten::lift_fresh"] == waits.found["aten::_local_scalar_dense"] == 1
    assert waits.found["aten::ones"] == waits.found["aten::sum"] == 1
