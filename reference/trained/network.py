"""A checkpoint's network as a predictor, and as a classifier where it names classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import torch
from torch import nn

from edge.types import Image
from reference.evaluation import Predictor
from reference.networks import build
from reference.networks.dms import DMSOutput
from reference.recipe import Recipe
from reference.trained import checkpoint
from reference.trained.predictor import laid_out, network_input, network_predictor


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
    def predict(self) -> Predictor:
        return network_predictor(self.network, self.recipe)

    @property
    def classify(self) -> Callable[[Image], str] | None:
        """The class that the last of the network's outputs holds likeliest."""
        return self._likeliest if self.classes else None

    @torch.inference_mode()
    def _likeliest(self, image: Image) -> str:
        size, device = self.recipe.validation.size, next(self.network.parameters()).device
        resized = cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR)
        x = network_input(torch.from_numpy(resized)[None].to(device), self.recipe)
        output: DMSOutput = self.network(x)
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
