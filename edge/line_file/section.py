"""What every mapping in a line file has in common, and the paths in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo


class Section(BaseModel):
    """A mapping in the line file."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,  # `yes` is not the number 1
        allow_inf_nan=False,  # .inf would switch a limit off in silence
    )


def _beside_the_line_file(path: Any, info: ValidationInfo) -> Any:
    return Path((info.context or {}).get("folder", ""), path) if isinstance(path, str) else path


LinePath = Annotated[
    Path,
    BeforeValidator(_beside_the_line_file),
    Field(description="A relative path starts at the line file's folder."),
]
