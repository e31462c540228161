"""Checkpoints as safetensors: tensors by name, and a JSON record of how they came to be."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, NonNegativeInt, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from edge.errors import ConfigurationError, TracksideError
from edge.files import replacing
from reference.networks import build
from reference.networks.layers import NetworkError
from reference.recipe import Recipe

Tensors = dict[str, Tensor]


class CheckpointError(ConfigurationError):
    """A checkpoint that cannot be used; the message says which part is wrong."""


class CheckpointRecord(BaseModel):
    """What is counted on in a record; the rest is for people to read."""

    recipe: Recipe
    iteration: NonNegativeInt
    best: float
    # Absent from the first checkpoints.
    losses: list[float] = []
    classes: list[str] = []
    backbone_weights: str | None = None


def save(path: Path, groups: dict[str, Tensors], record: dict[str, Any]) -> None:
    """Write groups of tensors (`model`, `ema`, ...) and a record; the old file stays until done."""
    flat = {
        f"{group}/{name}": tensor.detach().contiguous()
        for group, tensors in groups.items()
        for name, tensor in tensors.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished:
        try:
            save_file(flat, unfinished, metadata={"record": json.dumps(record, sort_keys=True)})
        except SafetensorError as error:
            raise TracksideError(
                f"{path} cannot be written ({error}): make room on its disk; the checkpoints that "
                "are there are whole, and a run goes on from one with --resume"
            ) from error


def load(path: Path) -> tuple[dict[str, Tensors], dict[str, Any]]:
    """The groups and the record of a checkpoint that is whole, or what is wrong with it."""
    if not path.is_file():
        raise CheckpointError(f"{path} is not a file: train one with `trackside train`")
    groups: dict[str, Tensors] = {}
    try:
        with safe_open(path, framework="pt") as archive:
            metadata = archive.metadata() or {}
            for key in archive.keys():  # noqa: SIM118 (safe_open is no mapping)
                group, _, name = key.partition("/")
                groups.setdefault(group, {})[name] = archive.get_tensor(key)
    except SafetensorError as error:
        raise CheckpointError(f"{path} is no whole checkpoint, copy it again ({error})") from error
    if "record" not in metadata:
        raise CheckpointError(f"{path} carries no training record: it was not written by train")
    record = _read_record(path, metadata["record"])
    _check_weights(path, Recipe.model_validate(record["recipe"]), groups)
    return groups, record


def fill(network: nn.Module, weights: Tensors, path: Path, *, assign: bool = False) -> None:
    """Give a network its weights, or list what keeps the checkpoint from fitting it."""
    try:
        network.load_state_dict(weights, assign=assign)
    except RuntimeError as error:  # torch lists every key that is missing, unexpected or misshapen
        listed = textwrap.shorten(str(error), 300, placeholder=" ...")
        raise CheckpointError(
            f"{path} does not fit the network, give a whole checkpoint trained with the same "
            f"`network:` ({listed})"
        ) from error


def _read_record(path: Path, text: str) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(text)
        CheckpointRecord.model_validate(record)
    except ValidationError as error:
        mistakes = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        listed = textwrap.shorten("; ".join(mistakes), 300, placeholder=" ...")
        raise CheckpointError(
            f"{path} was not written by this release's train, take the release that wrote it "
            f"({listed})"
        ) from error
    except json.JSONDecodeError as error:
        raise CheckpointError(f"{path} has a broken record, copy it again ({error})") from error
    return record


def _check_weights(path: Path, recipe: Recipe, groups: dict[str, Tensors]) -> None:
    """Refuse weights that are not all those of the recipe's own network."""
    with torch.device("meta"):
        try:
            network = build(**recipe.network)
        except NetworkError as error:
            raise CheckpointError(f"{path} holds a network of another release: {error}") from error
    for weights in (groups.get("ema", {}), groups.get("model")):
        if weights is not None:
            fill(network, weights, path, assign=True)
