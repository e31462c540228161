"""Checkpoints as safetensors: tensors by name, and a JSON record of how they came to be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from edge.errors import ConfigurationError

Tensors = dict[str, Tensor]


class CheckpointError(ConfigurationError):
    """A checkpoint that cannot be used; the message says which part is wrong."""


def save(path: Path, groups: dict[str, Tensors], record: dict[str, Any]) -> None:
    """Write groups of tensors (`model`, `ema`, ...) and a record; the old file stays until done."""
    flat = {
        f"{group}/{name}": tensor.detach().contiguous()
        for group, tensors in groups.items()
        for name, tensor in tensors.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    save_file(flat, partial, metadata={"record": json.dumps(record, sort_keys=True)})
    partial.replace(path)


def load(path: Path) -> tuple[dict[str, Tensors], dict[str, Any]]:
    """The groups and the record of a checkpoint."""
    if not path.is_file():
        raise CheckpointError(f"{path} is not a file: train one with `trackside train`")
    groups: dict[str, Tensors] = {}
    with safe_open(path, framework="pt") as archive:
        metadata = archive.metadata() or {}
        if "record" not in metadata:
            raise CheckpointError(f"{path} carries no training record: it was not written by train")
        for key in archive.keys():  # noqa: SIM118 (safe_open is no mapping)
            group, _, name = key.partition("/")
            groups.setdefault(group, {})[name] = archive.get_tensor(key)
    return groups, json.loads(metadata["record"])
