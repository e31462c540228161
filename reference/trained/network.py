"""A checkpoint's network as a predictor, and as a classifier where it names classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edge.types import Image
from reference.datasets import FREE
from reference.networks import build, class_maps, logit_maps
from reference.networks.dms import DMSOutput
from reference.recipe import Recipe
from reference.trained import checkpoint
from reference.trained.predictor import laid_out, network_input


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
    def classify(self) -> Callable[[Image], str] | None:
        """The class that the last of the network's outputs holds likeliest, or its maps."""
        if self.recipe.names:
            return self._named
        return self._likeliest if self.classes else None

    @torch.inference_mode()
    def _named(self, image: Image) -> str:
        """The class whose share of what is decided to be defect is largest; `free` without any."""
        output = self.network(self._input(image))
        decided = torch.sigmoid(logit_maps(output)[0])
        shares = torch.softmax(class_maps(output)[0], dim=1)
        shares = F.interpolate(shares, size=decided.shape[-2:], mode="bilinear")
        found = decided > 0.5
        if not found.any():
            return FREE
        return self.recipe.names[int((shares * found).sum(dim=(0, 2, 3)).argmax())]

    @property
    def sound(self) -> Callable[[Image], float] | None:
        """How surely an image is without a defect, of a network that learned such as a class."""
        return self._soundness if FREE in self.classes else None

    @torch.inference_mode()
    def _soundness(self, image: Image) -> float:
        output: DMSOutput = self.network(self._input(image))
        return float(torch.softmax(output.classes[0], dim=1)[0, self.classes.index(FREE)])

    def _input(self, image: Image) -> Tensor:
        size, device = self.recipe.validation.size, next(self.network.parameters()).device
        resized = cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR)
        return network_input(torch.from_numpy(resized)[None].to(device), self.recipe)

    @torch.inference_mode()
    def _likeliest(self, image: Image) -> str:
        output: DMSOutput = self.network(self._input(image))
        return self.classes[int(output.classes[0].argmax())]


def open_network(path: Path, device: torch.device | None = None) -> TrainedNetwork:
    """The network of a checkpoint; on a GPU where there is one, if nothing else is said."""
    groups, record = checkpoint.load(path)
    recipe = Recipe.model_validate(record["recipe"])
    network = build(**recipe.network)
    network.load_state_dict(groups["ema"])
    network.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    laid_out(network, torch.channels_last)
    return TrainedNetwork(network.eval(), recipe, tuple(record.get("classes", ())))
