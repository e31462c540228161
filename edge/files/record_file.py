"""Records in a folder that others may write to as well: a JSON file each, and none is believed."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from edge.errors import ConfigurationError
from edge.files.held_folder import held


class Record(BaseModel):
    """What a file holds; nothing besides, and nothing of another kind."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


AnyRecord = TypeVar("AnyRecord", bound=Record)


def read_record(path: Path, kind: type[AnyRecord], most: int, remedy: str) -> AnyRecord | None:
    """One of at most so many bytes; None where there is none.

    ConfigurationError, with the remedy, for what is not of its kind.
    """
    try:
        with held(path.parent) as folder:
            text = folder.read(path.name, most)
    except FileNotFoundError:
        return None
    try:
        return None if text is None else kind.model_validate_json(text)
    except ValidationError as error:
        raise ConfigurationError(f"{path} was not written by this trackside: {remedy}") from error


def write_record(path: Path, record: Record, *, sync: bool = True) -> None:
    """In place of the one before, whole; its folder is made where there is none."""
    text = record.model_dump_json(indent=2) + "\n"
    with held(path.parent, make=True) as folder:
        folder.replace(path.name, text.encode(), sync=sync)
