"""A checkpoint's network, and what it says of images: maps, classes, and that they are sound."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from edge.errors import UsageError
from edge.types import Image
from reference.datasets import FREE
from reference.evaluation import Said
from reference.networks import Output, build, class_maps, logit_maps
from reference.networks.dms import DMSOutput
from reference.recipe import Recipe
from reference.trained import checkpoint
from reference.trained.predictor import laid_out, network_input, resized


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """The averaged weights of a run, on the device they are asked on."""

    network: nn.Module
    recipe: Recipe
    classes: tuple[str, ...]  # none where the network names none

    def at(self, size: int) -> TrainedNetwork:
        """The same, given images of another side."""
        validation = self.recipe.validation.model_copy(update={"size": size})
        return replace(self, recipe=self.recipe.model_copy(update={"validation": validation}))

    @property
    def says_sound(self) -> bool:
        """Whether it has learned images without a defect as a class."""
        return FREE in self.classes

    def look(self, image: Image, output: int = 0) -> Said:
        """What it says of one image: by its result, or by the `output`th map behind it."""
        return next(self.look_at_all([image], output=output))

    @torch.inference_mode()
    def look_at_all(
        self, images: Iterable[Image], *, at_once: int = 1, output: int = 0
    ) -> Iterator[Said]:
        """What it says of each, so many of them in a batch; a GPU gains by it, a CPU does not."""
        device = next(self.network.parameters()).device
        for some in _by(at_once, images):
            shown = resized(some, self.recipe).to(device)
            answers = self.network(network_input(shown, self.recipe))
            maps = logit_maps(answers)
            if output >= len(maps):
                raise UsageError(f"--output {output}: the network has maps 0 to {len(maps) - 1}")
            probability = torch.sigmoid(maps[output])[:, 0].cpu().numpy().astype(np.float32)
            said = self._named(answers), self._sound(answers), self._shares(answers)
            yield from map(Said, probability, *said)

    def _named(self, answers: Output) -> list[str | None]:
        """The class of each image: that of the picture as a whole, or of most of what is found.

        `free` where nothing is; none of a network that names nothing.
        """
        count = len(logit_maps(answers)[0])
        if self.recipe.names:
            decided = torch.sigmoid(logit_maps(answers)[0])
            shares = torch.softmax(class_maps(answers)[0], dim=1)
            shares = F.interpolate(shares, size=decided.shape[-2:], mode="bilinear")
            found = decided > 0.5
            most = (shares * found).sum(dim=(2, 3)).argmax(dim=1).tolist()
            some = found.flatten(1).any(dim=1).tolist()
            return [
                self.recipe.names[number] if any_ else FREE
                for number, any_ in zip(most, some, strict=True)
            ]
        if not self.classes or not isinstance(answers, DMSOutput):
            return [None] * count
        return [self.classes[number] for number in answers.classes[0].argmax(dim=1).tolist()]

    def _shares(self, answers: Output) -> list[NDArray[np.float32] | None]:
        if not self.recipe.names:
            return [None] * len(logit_maps(answers)[0])
        return [*torch.softmax(class_maps(answers)[0], dim=1).cpu().numpy().astype(np.float32)]

    def _sound(self, answers: Output) -> list[float | None]:
        if not self.says_sound or not isinstance(answers, DMSOutput):
            return [None] * len(logit_maps(answers)[0])
        shares: list[float | None] = torch.softmax(answers.classes[0], dim=1)[
            :, self.classes.index(FREE)
        ].tolist()
        return shares


def _by(at_once: int, images: Iterable[Image]) -> Iterator[list[Image]]:
    """So many at a time."""
    rest = iter(images)
    while some := list(islice(rest, at_once)):
        yield some


def open_network(path: Path, device: torch.device | None = None) -> TrainedNetwork:
    """The network of a checkpoint; on a GPU where there is one, if nothing else is said."""
    groups, record = checkpoint.load(path)
    recipe = Recipe.model_validate(record["recipe"])
    network = build(**recipe.network)
    network.load_state_dict(groups["ema"])
    network.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    laid_out(network, torch.channels_last)
    return TrainedNetwork(network.eval(), recipe, tuple(record.get("classes", ())))
