"""Where a run found its recipe and its data: beside its checkpoints, for who goes on from them."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from edge.errors import ConfigurationError
from edge.files import write_whole

_FILE = "origin.json"


class Origin(BaseModel):
    """Folders of the machine that trained."""

    model_config = ConfigDict(frozen=True)

    data_root: Path
    recipe_folder: Path


def write_origin(out: Path, data_root: Path, recipe_folder: Path) -> None:
    """Not in the checkpoint, which goes to other machines."""
    out.mkdir(parents=True, exist_ok=True)
    folders = {"data_root": data_root, "recipe_folder": recipe_folder}
    told = {name: str(folder.resolve()) for name, folder in folders.items()}
    write_whole(out / _FILE, json.dumps(told, indent=2).encode())


def origin_of(checkpoint: Path) -> Origin | None:
    """What lies beside a checkpoint; None where it came alone."""
    path = checkpoint.parent / _FILE
    if not path.is_file():
        return None
    try:
        return Origin.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is broken: take it away, and give --data-root") from error
